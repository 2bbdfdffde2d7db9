"""Command lines that nobody would write: a line or nothing on stderr, a designed status, no traceback."""

import contextlib
import io
import signal
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maclip_runtime.cli import main
from maclip_runtime.signals import ENDING

STATUSES = {0, 1, 2, 3}  # 70, a defect, is what is looked for
COMMANDS = ["score", "inspect", "doctor", "bench", "build", "map", "report", "gate"]
OPTIONS = [
    "--bundle", "--format", "--output", "--preset", "--engine", "--views", "--threads", "--precision",
    "--device", "--resume", "-r", "--min-score", "--frame", "--frames", "--repeats", "--gate", "--show",
    "--accept", "--reject", "--labels", "--exif-orientation", "--json", "--help", "--",
]  # fmt: skip
VALUES = [
    "", ".", "-1", "0", "nan", "1e999", "99999x99999", "json", "csv", "table", "demo", "missing",
    "missing/deeper", "/dev/null", "/dev/full", "n" * 300, "loop", "\x1b[31m", "a\nb", "\udcff",
    "*.png", "[", "picture.png", "notes.txt", "native", "exact", "fp32", "onnxruntime-cpu", "tensorrt-rtx",
]  # fmt: skip
word = st.one_of(
    st.sampled_from(OPTIONS),
    st.sampled_from(VALUES),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8).filter(lambda t: "\0" not in t),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory, pictures):
    """A directory of a picture and what is none, to be in."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "picture.png").write_bytes((pictures / "224x224.png").read_bytes())
    (folder / "notes.txt").write_text("no picture")
    (folder / "loop").symlink_to("loop")
    handlers = {number: signal.getsignal(number) for number in ENDING}
    yield folder
    for number, handler in handlers.items():
        signal.signal(number, handler)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(command=st.sampled_from(COMMANDS), words=st.lists(word, max_size=5))
def test_every_command_line_ends_well(place, monkeypatch, command, words):
    monkeypatch.chdir(place)
    monkeypatch.setattr(sys, "argv", ["maclip", command, *words])
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as ended,
    ):
        main()
    assert ended.value.code in STATUSES, err.getvalue()
    assert "Traceback" not in err.getvalue()
    assert not set(err.getvalue()) & {"\x1b", "\r"}
    assert all(line.startswith("maclip: ") for line in err.getvalue().splitlines())
    assert (place / "picture.png").read_bytes()[:4] == b"\x89PNG"
    left = [*place.glob(".*"), *place.glob("*.partial")]
    assert not left
