"""Outputs: files are replaced whole, everything else is written through, and nothing is lost unsaid."""

import csv
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from maclip_runtime.errors import OutputError
from maclip_runtime.files import check_output, open_whole, write_whole
from maclip_runtime.signals import Interrupted, hold_signals

MODULE = [sys.executable, "-m", "maclip_runtime"]


@pytest.fixture
def shell(rn_small_bundle, pictures, tmp_path):
    """Run a shell's command line in which $SCORE scores the reference pictures."""

    def run(line, **settings):
        score = f"score '{pictures}' --bundle '{rn_small_bundle}'"
        environment = {**os.environ, "SCORE": " ".join([*MODULE, score]), "TMP": str(tmp_path)}
        return subprocess.run(
            ["bash", "-c", line.replace("$SCORE", environment["SCORE"])],
            capture_output=True,
            text=True,
            env=environment,
            timeout=300,
            **settings,
        )

    return run


def test_a_file_keeps_its_permissions_and_a_new_one_gets_the_umask_s(tmp_path):
    kept = tmp_path / "kept"
    kept.write_text("old")
    kept.chmod(0o600)
    write_whole(kept, b"new")
    assert (kept.read_bytes(), stat.S_IMODE(kept.stat().st_mode)) == (b"new", 0o600)
    umask = os.umask(0o027)
    try:
        write_whole(tmp_path / "made", b"")
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "made").stat().st_mode) == 0o640


def test_links_are_followed_and_stay_links(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_text("old")
    link = tmp_path / "link"
    link.symlink_to("deep/file")
    (tmp_path / "dangling").symlink_to("deep/made")
    write_whole(link, b"new")
    write_whole(tmp_path / "dangling", b"made")
    assert link.is_symlink()
    assert (tmp_path / "deep" / "file").read_bytes() == b"new"
    assert (tmp_path / "deep" / "made").read_bytes() == b"made"
    assert len(list((tmp_path / "deep").iterdir())) == 2


def test_a_device_and_a_pipe_are_written_through(tmp_path):
    write_whole(Path("/dev/null"), b"x")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    read = []
    reader = threading.Thread(target=lambda: read.append(fifo.read_bytes()))
    reader.start()
    write_whole(fifo, b"through")
    reader.join()
    assert read == [b"through"]
    assert fifo.is_fifo()


def test_stdout_by_its_path_keeps_what_is_there(shell, tmp_path):
    done = shell("{ echo before; $SCORE --format csv --output /dev/stdout; echo after; } > $TMP/f")
    assert done.returncode == 0
    lines = (tmp_path / "f").read_text().splitlines()
    assert (lines[0], lines[1][:5], lines[-1]) == ("before", "path,", "after")


@pytest.mark.parametrize(
    "name", ["", ".", "loop", "missing/file", "n" * 300, "nul\0byte", "locked"]
)
def test_what_cannot_be_written_is_said_beforehand(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "locked").touch(0o400)
    if name == "locked" and os.access(tmp_path / "locked", os.W_OK):
        return  # nothing is forbidden to the superuser
    with pytest.raises(OutputError, match="cannot be written"):
        check_output(tmp_path / name if name else tmp_path.joinpath(name))


def test_an_input_is_not_an_output(maclip, rn_small_bundle, pictures, tmp_path):
    picture = tmp_path / "a.png"
    picture.write_bytes((pictures / "224x224.png").read_bytes())
    before = picture.read_bytes()
    (tmp_path / "link").symlink_to(picture)
    done = maclip("score", tmp_path, "--bundle", rn_small_bundle, "--output", tmp_path / "link")
    assert done.returncode == 2
    assert "is also an input" in done.stderr
    assert picture.read_bytes() == before


def test_after_an_error_nothing_is_left(tmp_path):
    (tmp_path / "file").write_text("old")
    with pytest.raises(RuntimeError), open_whole(tmp_path / "file") as stream:  # noqa: PT012
        stream.write(b"half")
        raise RuntimeError
    assert [p.read_text() for p in tmp_path.iterdir()] == ["old"]


@pytest.mark.parametrize("line", ["$SCORE --output /dev/full", "$SCORE --format jsonl > /dev/full"])
def test_a_full_disk_is_one_line(shell, line):
    done = shell(line)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "No space left on device" in done.stderr


def test_a_closed_stdout_is_said_before_scoring(shell):
    done = shell("$SCORE --format jsonl >&-")
    assert done.returncode == 2
    assert "stdout: closed" in done.stderr
    assert shell("$SCORE --format jsonl --output $TMP/f >&-").returncode == 0


def test_a_reader_that_leaves_ends_the_run_as_it_ends_every_program(shell):
    done = shell("$SCORE --format jsonl | head -n 1; exit ${PIPESTATUS[0]}")
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")
    assert json.loads(done.stdout)["score"]


def test_errors_never_go_into_the_results(shell):
    done = shell("$SCORE missing.png --format json 2>&-")
    assert done.returncode == 1
    assert json.loads(done.stdout)[-1]["error"] == "no such file"


NAMES = {
    "not utf-8": b"\xff\xfe.png",
    "line end": b"a\nb.png",
    "escape": b"\x1b[31mred.png",
    "return": b"a\rb.png",
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("format", ["table", "json", "jsonl", "csv"])
def test_every_name_works_with_every_format(rn_small_bundle, pictures, tmp_path, name, format):
    path = os.path.join(os.fsencode(tmp_path), NAMES[name])  # noqa: PTH118  bytes
    with open(path, "wb") as stream:  # noqa: PTH123
        stream.write((pictures / "224x224.png").read_bytes())
    done = subprocess.run(
        [*MODULE, "score", path, b"gone" + path, "--bundle", rn_small_bundle, "--format", format],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"},
    )
    assert done.returncode == 1
    text, error = done.stdout.decode(), done.stderr.decode()  # both are UTF-8
    assert error.count("\n") == 1
    assert not set(error) & {"\x1b", "\r"}
    if format == "table":
        assert "\x1b" not in text
        assert any(os.fsdecode(path).encode("unicode_escape").decode()[:20] in x for x in [text])
    elif format == "csv":
        rows = list(csv.DictReader(text.splitlines(keepends=True)))
        assert rows[0]["path"] == os.fsdecode(path).encode(errors="backslashreplace").decode()
    else:
        records = json.loads(text if format == "json" else text.splitlines()[0])
        record = records[0] if format == "json" else records
        assert os.fsencode(record["path"]) == path


def test_a_name_that_is_a_formula_is_none_in_csv(rn_small_bundle, pictures, tmp_path):
    (tmp_path / "=1+1.png").write_bytes((pictures / "224x224.png").read_bytes())
    done = subprocess.run(
        [*MODULE, "score", "=1+1.png", "--bundle", rn_small_bundle, "--format", "csv"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert next(csv.DictReader(done.stdout.splitlines()))["path"] == "./=1+1.png"


@pytest.fixture
def interrupted(rn_small_bundle, pictures, tmp_path):
    """Start a long run that writes a file, and end it by a signal when some results are there."""

    def run(number, format="csv"):
        output = tmp_path / f"scores.{format}"
        folder = tmp_path / "many"
        folder.mkdir()
        picture = max(pictures.iterdir())
        for index in range(300):
            os.link(picture, folder / f"{index:03}.png")
        arguments = ["score", str(folder), "--format", format, "--output", str(output)]
        command = [*MODULE, *arguments, "--bundle", str(rn_small_bundle)]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        partial = output.with_name(output.name + ".partial")
        while not (partial.exists() and partial.read_bytes().count(b"\n") > 3):
            assert process.poll() is None
        process.send_signal(number)
        _, error = process.communicate()
        return output, partial, command, process.returncode, error

    return run


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_run_goes_on_where_it_stopped(interrupted, number):
    format = {signal.SIGINT: "csv", signal.SIGTERM: "json", signal.SIGHUP: "jsonl"}[number]
    output, partial, command, status, error = interrupted(number, format)
    assert status == 128 + number
    assert "results are kept in" in error
    assert not output.exists()
    assert sorted(output.parent.glob("*scores*")) == [partial]
    kept = partial.read_bytes()
    assert 3 < kept.count(b"\n") < 300

    refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "--resume" in refused.stderr
    other = subprocess.run(
        [*command, "--resume", "--preset", "448"], capture_output=True, text=True
    )
    assert other.returncode == 2
    assert "was begun with preset native, and this is 448" in other.stderr
    assert partial.read_bytes() == kept

    with partial.open("ab") as stream:
        stream.write(b'{"path": "torn by the machine\'s lo')
    done = subprocess.run([*command, "--resume"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert not partial.exists()
    text = output.read_text()
    if format == "csv":
        records = list(csv.DictReader(text.splitlines()))
    else:
        records = json.loads(text) if format == "json" else list(map(json.loads, text.splitlines()))
    names = [os.path.basename(record["path"]) for record in records]  # noqa: PTH119
    assert names == [f"{index:03}.png" for index in range(300)]


def test_held_signals_are_acted_on_at_the_end(monkeypatch):
    def interrupt(number, frame):
        raise Interrupted(number)

    before = signal.signal(signal.SIGTERM, interrupt)
    done = []
    try:
        with pytest.raises(Interrupted) as caught, hold_signals() as held:  # noqa: PT012
            signal.raise_signal(signal.SIGTERM)
            done.append(held.number)
        assert (done, caught.value.status) == ([signal.SIGTERM], 143)
        with pytest.raises(Interrupted), hold_signals():  # noqa: PT012
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)  # at once
            done.append("never")
        assert "never" not in done
        assert signal.getsignal(signal.SIGTERM) is interrupt
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("command", ["inspect", "doctor"])
def test_what_a_bundle_calls_itself_never_reaches_the_terminal_raw(
    maclip, rn_small_bundle, tmp_path, command
):
    """Its directory, its weights' names and its prompts are whoever made it's to choose."""
    bundle = tmp_path / "\x1b[31mred\nline.maclip"
    shutil.copytree(rn_small_bundle, bundle)
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["weights"]["name"] = "\x1b]0;title\x07RN50"
    manifest["prompts"][0]["good"] = "good\rbad"
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    done = maclip(command, bundle)
    assert done.returncode == 0, done.stderr
    assert "\\x1b[31mred" in done.stdout
    assert not set(done.stdout + done.stderr) & {"\x1b", "\r", "\x07"}
