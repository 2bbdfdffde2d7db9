"""An opened bundle: a directory that one `scp` moves, checked before anything in it is trusted.

Nothing in it is ever unpickled, and no path in its manifest leads out of it.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from maclip_runtime.bundle.embeddings import read_embeddings
from maclip_runtime.bundle.external_data import refuse_external_data
from maclip_runtime.bundle.manifest import BundleFile, Manifest, Role
from maclip_runtime.bundle.parsing import parse_manifest
from maclip_runtime.bundle.reading import read_regular_file
from maclip_runtime.bundle.signatures import check_trust
from maclip_runtime.errors import BundleError, Remedy, UsageError
from maclip_runtime.vocabulary import GraphPixelFormat, Precision, ViewMode

MANIFEST_NAME = "manifest.json"
PROMPTS_NAME = "prompts.npz"
DEMO_NAME = "demo"  # the bundle inside this package; `./demo` names a directory of that name
_DEMO_PATH = Path(__file__).parents[1] / DEMO_NAME

_LARGEST_MANIFEST = (
    16_000_000  # bytes; one of 18 files with all that can be said of them has 15,000
)
_DAMAGED = "copy or export the bundle again"


@dataclass(frozen=True)
class Bundle:
    """An opened bundle: its directory and its manifest. Files are verified when they are asked for."""

    path: Path
    manifest: Manifest

    @property
    def name(self) -> str:
        """The directory's name, by which results refer to the bundle."""
        return self.path.name

    def list_graphs(
        self,
        role: Role,
        *,
        precision: Precision | None = None,
        view_mode: ViewMode | None = None,
        pixel_format: GraphPixelFormat = "rgb24",
    ) -> list[BundleFile]:
        """The graphs (no plans) of a role, and of a precision or view mode if asked for.

        pixel_format: those for frames of another pixel format are listed only where it is named.
        """
        return [
            file
            for file in self.manifest.files
            if file.role == role
            and file.is_graph
            and precision in (None, file.precision)
            and view_mode in (None, file.view_mode)
            and file.pixel_format == pixel_format
        ]

    def find(self, role: Role, precision: Precision | None = None) -> BundleFile:
        """The file of that role (and precision), no plan; BundleError if the bundle has none."""
        for file in self.manifest.files:
            if file.role == role and file.plan is None and precision in (None, file.precision):
                return file
        wanted = f"{role} ({precision})" if precision else role
        raise BundleError(f"{self.path}: has no {wanted}", "export the bundle again with it")

    def resolve(self, file: BundleFile) -> Path:
        """The path of a file that is there, inside the bundle and of the size that the manifest gives.

        Nothing in it is read or verified yet.
        """
        path = resolve_inside(self.path, file.path)
        try:
            if not path.exists():
                raise BundleError(f"{path}: missing from the bundle", _DAMAGED)
            size = path.stat().st_size if path.is_file() else None
        except OSError as error:
            raise _refuse_unreadable(path, error) from None
        if size is None:
            raise BundleError(f"{path}: not a regular file", "do not use this bundle")
        _check_size(path, size, file)
        return path

    def locate(self, file: BundleFile) -> Path:
        """The path of a file that is inside the bundle, verified; see `verify`."""
        self.read(file)
        return resolve_inside(self.path, file.path)

    def read(self, file: BundleFile) -> bytes:
        """A file's bytes, verified: what was verified is what is used; see `verify`."""
        data = self.read_unverified(file)
        self.verify(file, data)
        return data

    def read_unverified(self, file: BundleFile) -> bytes:
        """A file's bytes, for a caller that verifies them beside other work, with `verify`.

        The manifest's size is checked before anything is read.
        """
        path = self.resolve(file)
        try:
            data = read_regular_file(path, most=file.size)
        except (OSError, MemoryError) as error:
            raise _refuse_unreadable(path, error) from None
        _check_size(path, len(data), file)
        return data

    def verify(self, file: BundleFile, data: bytes) -> None:
        """Raise BundleError unless these are the file's bytes, by their checksum.

        A graph must also be whole: none of its weights in another file.
        """
        path = self.path / file.path
        if hashlib.sha256(data).hexdigest() != file.sha256:
            raise BundleError(f"{path}: checksum differs from the manifest's", _DAMAGED)
        if file.is_graph:
            try:
                refuse_external_data(data)
            except BundleError as error:
                raise error.within(path) from None

    def load_prompts(self) -> NDArray[np.float32]:
        """The prompt embeddings `[K, 2, D]`, unit length, (good, bad) per pair."""
        file = self.find("prompts")
        data, path = self.read(file), self.path / file.path
        shape = (len(self.manifest.prompts), 2, self.manifest.architecture.features)
        try:
            return read_embeddings(data, shape)
        except BundleError as error:
            again = Remedy("embed the prompts again", ("prompts", str(self.path)))
            raise BundleError(f"{path}: {error.cause}", again) from None

    def load_scored_prompts(self) -> NDArray[np.float32]:
        """The embeddings of the pairs that are scored alone: all that a score takes."""
        return self.load_prompts()[np.flatnonzero(self.manifest.scored)]


def open_bundle(path: str | os.PathLike[str]) -> Bundle:
    """Open the bundle at `path`, or the one inside the package if `path` is "demo".

    Reads the manifest only; raises BundleError if it can't be used, and where MACLIP_TRUSTED_KEYS is set
    and none of those keys signed it.
    """
    if not os.fspath(path):
        raise UsageError("the bundle's path is empty", f"name a directory, or {DEMO_NAME}")
    root = _DEMO_PATH if path == DEMO_NAME else Path(path)
    data = read_manifest(root)
    if path != DEMO_NAME:  # which is part of this package, and trusted as its code is
        check_trust(root, data)
    return parse_bundle(root, data)


def read_manifest(root: Path) -> bytes:
    """The bytes of a bundle's manifest; nothing about them is checked."""
    try:
        return read_regular_file(root / MANIFEST_NAME, most=_LARGEST_MANIFEST)
    except (FileNotFoundError, NotADirectoryError):
        found = "has no manifest.json, so it is no bundle" if root.is_dir() else "no such bundle"
        raise BundleError(f"{root}: {found}", Remedy("make one", ("export",))) from None
    # ValueError: NUL in a path; RuntimeError: a loop of links, before Python 3.13.
    except (OSError, ValueError, RuntimeError) as error:
        raise _refuse_unreadable(root / MANIFEST_NAME, error) from None


def parse_bundle(root: Path, data: bytes) -> Bundle:
    """The bundle at `root` whose manifest these bytes are; BundleError if it can't be used."""
    manifest_path = root / MANIFEST_NAME
    try:
        text, resolved = data.decode("utf-8"), root.resolve()
    except UnicodeDecodeError as error:
        raise BundleError(f"{manifest_path}: not UTF-8 ({error})", _DAMAGED) from None
    try:
        manifest = parse_manifest(text)
        for file in manifest.files:
            resolve_inside(root, file.path)
    except BundleError as error:
        raise error.within(manifest_path) from None
    return Bundle(resolved, manifest)


def resolve_inside(root: Path, name: str) -> Path:
    """The absolute path of a manifest's file name, refused if it would leave the bundle."""
    if (
        not name.isprintable()
    ):  # it goes into messages, where an escape sequence reaches the terminal
        raise BundleError(f"{name!r:.60} is no file name", "do not use this bundle")
    relative = PurePosixPath(name)
    path = root.joinpath(relative)
    try:
        inside = path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError) as error:  # a name that is too long, a loop of links
        raise _refuse_unreadable(path, error) from None
    if relative.is_absolute() or ".." in relative.parts or not inside:
        raise BundleError(f"{name!r} points outside the bundle", "do not use this bundle")
    return path


def hash_file(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    with path.open("rb") as stream:
        if hasattr(hashlib, "file_digest"):  # Python 3.11
            return hashlib.file_digest(stream, "sha256").hexdigest()
        digest = hashlib.sha256()
        while block := stream.read(1 << 20):
            digest.update(block)
        return digest.hexdigest()


def _check_size(path: Path, found: int, file: BundleFile) -> None:
    if found != file.size:
        raise BundleError(f"{path}: {found} bytes, and the manifest says {file.size}", _DAMAGED)


def _refuse_unreadable(path: Path, error: Exception) -> BundleError:
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return BundleError(f"{path}: not readable ({reason})")
