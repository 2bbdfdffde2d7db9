"""Files that appear whole or not at all, and what is written through because it is no file.

Every output of the project goes through `open_whole`.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from maclip_runtime.errors import OutputError

_MOST_LINKS = 40  # as many as the kernel follows


@contextmanager
def open_whole(path: Path, mode: str = "wb") -> Iterator[IO[bytes] | IO[str]]:
    """A file to write that takes its place at `path` when the block ends without an error.

    mode: "wb" for bytes, "w" for UTF-8 text with line ends as written, in which what UTF-8 does not have is
    escaped. Links are followed. A file is staged beside the one that it replaces, whose permissions it
    keeps; after an error nothing is left of it, and what was there is as it was. What is no regular file (a
    device, a pipe, an open descriptor such as /dev/stdout) is written through as the bytes come. Raises
    OutputError where it cannot be opened or written.
    """
    with _naming(path):
        target = find_target(path)
        opening = _open_through(target) if is_written_through(target) else _stage(Path(target))
        with opening as descriptor, _wrap(descriptor, mode) as stream:
            yield stream


def write_whole(path: Path, data: bytes) -> None:
    """Write a file at once; see `open_whole`."""
    with open_whole(path) as stream:
        stream.write(data)  # type: ignore[arg-type]


@contextmanager
def stage_directory(destination: Path) -> Iterator[Path]:
    """A directory to fill that becomes `destination` when the block ends without an error.

    Nothing is ever replaced: OutputError if something is there, or where it cannot be written. After an
    error nothing is left.
    """
    if os.path.lexists(destination):
        raise OutputError(f"{destination}: exists already", "choose another place, or move it away")
    with _naming(destination):
        staging = destination.with_name(f".{destination.name[:40]}.{secrets.token_hex(4)}.partial")
        destination.parent.mkdir(parents=True, exist_ok=True)
        staging.mkdir()
        try:
            yield staging
            staging.rename(destination)  # which never replaces a directory that holds something
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def check_output(path: Path, inputs: Iterable[str | os.PathLike[str]] = ()) -> None:
    """Raise OutputError where `open_whole` could not write, or would replace one of `inputs`.

    Asked before long work begins.
    """
    with _naming(path):
        target = find_target(path)
        if is_written_through(target):
            return
        target = Path(target)
        with tempfile.TemporaryFile(dir=target.parent):
            pass
        if not target.exists():
            return
        for given in inputs:
            with suppress(OSError, ValueError):  # what is wrong with it is said when it is read
                if target.samefile(given):
                    raise OutputError(f"{path}: is also an input", "choose another name")


def find_target(path: Path) -> Path | str:
    """What an output's path leads to, links followed; a text for an open descriptor, as of /dev/stdout.

    Raises OutputError where it is a directory, or a file that may not be written.
    """
    with _naming(path):
        if "\0" in str(path):
            raise OSError(errno.EINVAL, "a null byte in its name")
        place = path.absolute()
        descriptors = os.path.realpath("/proc/self/fd")
        for _ in range(_MOST_LINKS):
            folder = os.path.realpath(place.parent)
            place = Path(folder, place.name)
            if folder == descriptors:
                return place.name
            if not place.is_symlink():
                break
            place = place.parent / place.readlink()
        else:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        if place.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        # A rename would not ask whether the file may be written.
        if place.exists() and not os.access(place, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return place


def is_written_through(target: Path | str) -> bool:
    """Whether an output's target cannot be replaced as a whole: a descriptor, a device, a pipe."""
    return isinstance(target, str) or (target.exists() and not target.is_file())


@contextmanager
def _open_through(target: Path | str) -> Iterator[int]:
    """A descriptor of what is there. A pipe that has no reader yet is waited for."""
    # A descriptor opened by its path would be a file cut to nothing first.
    descriptor = os.dup(int(target)) if isinstance(target, str) else os.open(target, os.O_WRONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _stage(target: Path) -> Iterator[int]:
    """A descriptor of a new file that replaces `target` when the block ends without an error."""
    try:
        there = target.stat()
    except FileNotFoundError:
        there = None
    # Its name must not be longer than a file system takes, however long the target's is.
    partial = target.with_name(f".{target.name[:40]}.{secrets.token_hex(4)}.partial")
    permissions = 0o666 if there is None else stat.S_IMODE(there.st_mode)
    descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, permissions)
    try:
        if there is not None:
            with suppress(OSError):  # only the superuser may give files away
                os.fchown(descriptor, there.st_uid, there.st_gid)
            os.fchmod(descriptor, permissions)  # what the umask took
        yield descriptor
        os.fsync(descriptor)  # or a power cut could leave the new name without the content
        try:
            partial.replace(target)
        except OSError as error:
            if error.errno != errno.EBUSY:  # a file mounted by itself, as into a container
                raise
            shutil.copyfile(partial, target)
    finally:
        os.close(descriptor)
        partial.unlink(missing_ok=True)


def _wrap(descriptor: int, mode: str) -> IO[bytes] | IO[str]:
    if "b" in mode:
        return os.fdopen(descriptor, mode, closefd=False)
    return os.fdopen(
        descriptor, mode, closefd=False, encoding="utf-8", errors="backslashreplace", newline=""
    )


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turn what the system says into an error that names the output."""
    try:
        yield
    except BrokenPipeError:  # no fault: whoever was reading has read enough
        raise
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from None
