"""The first minute: `make demo` shows scores, leaves a report, and names everyone's next command."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_demo_scores_writes_a_report_and_says_how_to_go_on(tmp_path, maclip):
    report = tmp_path / "demo-report.html"
    command = [sys.executable, ROOT / "demo" / "show.py", report]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    shown = (ROOT / "docs" / "try.md").read_text(encoding="utf-8")
    rows = [line for line in done.stdout.splitlines() if line.startswith("│")]
    assert len(rows) == 3
    for row in rows:
        assert row in shown, "docs/try.md shows another table"
    assert str(report) in done.stdout
    page = report.read_text(encoding="utf-8")
    assert page.count("data:image/") >= 18
    assert "chelsea, blurred.png" in page
    offered = re.findall(r"/maclip (\w+) (\S+)", done.stdout)
    assert ("score", "YOUR_PICTURES") in offered  # only a CPU
    assert ("watch", "/dev/video0") in offered  # only a camera
    assert ("export", "--checkpoint") in offered  # only CLIP's weights
    for name, _ in offered:
        shown = maclip(name, "--help")
        assert shown.returncode == 0
    options = set(re.findall(r"--[a-z]+", done.stdout))
    helped = "".join(maclip(name, "--help").stdout for name in {name for name, _ in offered})
    assert all(option in helped for option in options)
