"""Finding and reading annotation files, with errors that name the file and what was expected."""

from __future__ import annotations

import csv
import math
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
from numpy.typing import NDArray
from openpyxl.utils.exceptions import InvalidFileException
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from benchmarks.accuracy.readers.dataset import DatasetError

Row = dict[str, Any]


def find_file(root: Path, *names: str) -> Path:
    """The first of `names` (relative to `root`) that is a file; DatasetError naming them all."""
    return _find(root, names, "file", Path.is_file)


def find_folder(root: Path, *names: str) -> Path:
    """The first of `names` (relative to `root`, "." for itself) that is a folder; else DatasetError."""
    return _find(root, names, "folder", Path.is_dir)


def _find(root: Path, names: Sequence[str], kind: str, test: Any) -> Path:
    for name in names:
        if test(root / name):
            return root / name
    if not root.is_dir():
        raise DatasetError(f"{root}: no such folder; give the dataset's own folder as --root")
    wanted = " or ".join(repr(name) for name in names)
    raise DatasetError(
        f"{root}: has no {kind} {wanted}; unpack the dataset as its owners distribute it"
    )


def index_pictures(folders: Iterable[Path], suffixes: Sequence[str]) -> dict[str, Path]:
    """Picture files below the folders by their lower-case name, for lists that mix upper and lower."""
    return {
        path.name.lower(): path
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in suffixes
    }


def read_csv(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, Row]]:
    """Rows of a comma-separated file with a header, each with its place ("file:line")."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            _check_columns(path, reader.fieldnames or (), columns)
            for row in reader:
                yield f"{path}:{reader.line_num}", row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path}: cannot be read as CSV ({error}); download it again") from None


def read_sheet(
    path: Path, columns: Sequence[str], sheet: str | None = None
) -> Iterator[tuple[str, Row]]:
    """Rows of an Excel sheet (by default the first), each with its place ("file:row").

    The header is the first row that holds all of `columns`, wherever it stands; a row whose first
    wanted column is empty is padding.
    """
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, InvalidFileException) as error:
        raise DatasetError(
            f"{path}: cannot be read as an Excel file ({error}); download it again"
        ) from None
    try:
        if sheet is not None and sheet not in book.sheetnames:
            raise DatasetError(f"{path}: has no sheet {sheet!r}; download it again")
        header: list[Any] | None = None
        rows = (book[sheet] if sheet else book.worksheets[0]).iter_rows(values_only=True)
        for number, values in enumerate(rows, start=1):
            if header is None:
                if set(columns) <= set(values):
                    header = list(values)
                continue
            row = dict(zip(header, values, strict=False))
            if row[columns[0]] is not None:
                yield f"{path}:{number}", row
        if header is None:
            _check_columns(path, (), columns)
    finally:
        book.close()


def _check_columns(path: Path, found: Sequence[str], wanted: Sequence[str]) -> None:
    missing = [column for column in wanted if column not in found]
    if missing:
        raise DatasetError(
            f"{path}: has no column {', '.join(missing)}; use the owners' file, unchanged"
        )


def read_mat(path: Path, variable: str) -> NDArray[Any]:
    """One variable of a MATLAB file (up to version 7), flattened to a vector."""
    try:
        content = loadmat(path, variable_names=[variable])
    except (OSError, ValueError, TypeError, NotImplementedError, MatReadError) as error:
        raise DatasetError(
            f"{path}: cannot be read as a MATLAB file ({error}); download it again"
        ) from None
    if variable not in content:
        raise DatasetError(f"{path}: has no variable {variable}; use the owners' file, unchanged")
    values: NDArray[Any] = np.asarray(content[variable]).reshape(-1)
    return values


def read_mat_names(path: Path, variable: str) -> list[str]:
    """A cell array of strings, as a list."""
    return [str(np.asarray(cell).item()) for cell in read_mat(path, variable)]


def parse_opinion(value: Any, place: str) -> float:
    """An opinion score as a number; DatasetError with its place if it is none."""
    try:
        opinion = float(value)
    except (TypeError, ValueError):
        opinion = math.nan
    if not math.isfinite(opinion):
        raise DatasetError(f"{place}: {value!r} is not a score; use the owners' file, unchanged")
    return opinion
