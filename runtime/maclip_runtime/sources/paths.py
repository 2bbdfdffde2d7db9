"""Which pictures paths, directories and patterns name."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from maclip_runtime.errors import PictureError, Remedy, UsageError

SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm", ".pnm")
)


def find_pictures(paths: Iterable[str], *, recursive: bool) -> Iterator[str | PictureError]:
    """The pictures that paths, directories and globs name; a PictureError for one that names none.

    A directory that cannot be read is a PictureError too. Raises UsageError for an empty path.
    """
    for path in paths:
        if not path:
            raise UsageError("an empty path names no picture", "use . for the current directory")
        if os.path.isdir(path):  # noqa: PTH112  Path.is_dir raises for what cannot be looked at
            found = list(walk_pictures(Path(path), recursive=recursive))
            yield from (each if isinstance(each, PictureError) else str(each) for each in found)
            if not found:
                deeper = Remedy("{recursive} looks deeper", settings={"recursive": True})
                remedy = "" if recursive else deeper
                yield PictureError(path, "no pictures in this directory", remedy)
        elif glob.has_magic(path) and not os.path.lexists(path):
            matches = sorted(glob.glob(path, recursive=recursive))  # noqa: PTH207  absolute patterns too
            yield from matches
            if not matches:
                yield PictureError(path, "no file matches")
        else:
            yield path


def list_pictures(directory: Path, *, recursive: bool) -> list[Path]:
    """The picture files of a directory; see `walk_pictures`. OSError if it cannot be read itself.

    What cannot be read within it is left out.
    """
    with os.scandir(directory):
        pass
    found = walk_pictures(directory, recursive=recursive)
    return [each for each in found if isinstance(each, Path) and each.is_file()]


def walk_pictures(directory: Path, *, recursive: bool) -> Iterator[Path | PictureError]:
    """The picture files of a directory by their suffix, sorted; hidden ones are left out.

    Links to files count, broken ones too, which are errors once they are read; links to directories are not
    followed. A directory that cannot be read is a PictureError.
    """
    found: list[Path] = []
    errors: list[PictureError] = []

    def note(error: OSError) -> None:
        errors.append(PictureError(str(error.filename), f"cannot be listed: {error.strerror}"))

    for folder, folders, names in os.walk(directory, onerror=note):
        if recursive:
            folders[:] = [name for name in folders if not name.startswith(".")]
        else:
            folders.clear()
        found += [
            Path(folder, name)
            for name in names
            if Path(name).suffix.lower() in SUFFIXES and not name.startswith(".")
        ]
    yield from errors
    yield from sorted(found)
