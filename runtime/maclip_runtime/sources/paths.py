"""Which pictures paths, directories and patterns name."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator
from pathlib import Path

from maclip_runtime.errors import PictureError, Remedy

SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm", ".pnm")
)


def find_pictures(paths: Iterable[str], *, recursive: bool) -> Iterator[str | PictureError]:
    """The pictures that paths, directories and globs name; a PictureError for one that names none."""
    for path in paths:
        if Path(path).is_dir():
            pictures = [str(picture) for picture in list_pictures(Path(path), recursive=recursive)]
            yield from pictures
            if not pictures:
                deeper = Remedy("{recursive} looks deeper", settings={"recursive": True})
                remedy = "" if recursive else deeper
                yield PictureError(path, "no pictures in this directory", remedy)
        elif glob.has_magic(path) and not Path(path).exists():
            matches = sorted(glob.glob(path, recursive=recursive))  # noqa: PTH207  absolute patterns too
            yield from matches
            if not matches:
                yield PictureError(path, "no file matches")
        else:
            yield path


def list_pictures(directory: Path, *, recursive: bool) -> list[Path]:
    """The picture files of a directory by their suffix, sorted; hidden ones are left out."""
    found = directory.rglob("*") if recursive else directory.glob("*")
    return sorted(
        path
        for path in found
        if path.suffix.lower() in SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(directory).parts)
        and path.is_file()
    )
