"""An opened bundle: a directory that one `scp` moves, checked before anything in it is trusted.

Nothing in it is ever unpickled, and no path in its manifest leads out of it.
"""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from maclip_runtime.bundle.manifest import BundleFile, Manifest, Role
from maclip_runtime.bundle.parsing import parse_manifest
from maclip_runtime.errors import BundleError, Remedy, UsageError
from maclip_runtime.vocabulary import Precision, ViewMode

MANIFEST_NAME = "manifest.json"
PROMPTS_NAME = "prompts.npz"
DEMO_NAME = "demo"  # the bundle inside this package; `./demo` names a directory of that name
_DEMO_PATH = Path(__file__).parents[1] / DEMO_NAME

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
        self, role: Role, *, precision: Precision | None = None, view_mode: ViewMode | None = None
    ) -> list[BundleFile]:
        """The graphs (no plans) of a role, and of a precision or view mode if asked for."""
        return [
            file
            for file in self.manifest.files
            if file.role == role
            and file.is_graph
            and precision in (None, file.precision)
            and view_mode in (None, file.view_mode)
        ]

    def find(self, role: Role, precision: Precision | None = None) -> BundleFile:
        """The file of that role (and precision), no plan; BundleError if the bundle has none."""
        for file in self.manifest.files:
            if file.role == role and file.plan is None and precision in (None, file.precision):
                return file
        wanted = f"{role} ({precision})" if precision else role
        raise BundleError(f"{self.path}: has no {wanted}", "export the bundle again with it")

    def resolve(self, file: BundleFile) -> Path:
        """The path of a file that is there, inside the bundle; nothing in it is verified yet."""
        path = resolve_inside(self.path, file.path)
        if not path.is_file():
            raise BundleError(f"{path}: missing from the bundle", _DAMAGED)
        return path

    def locate(self, file: BundleFile) -> Path:
        """The path of a file that is inside the bundle and whose checksum is right."""
        path = self.resolve(file)
        _check(path, hash_file(path), file)
        return path

    def read(self, file: BundleFile) -> bytes:
        """A file's bytes, their checksum right: what was verified is what is used."""
        data = self.read_unverified(file)
        self.verify(file, data)
        return data

    def read_unverified(self, file: BundleFile) -> bytes:
        """A file's bytes, for a caller that verifies them beside other work, with `verify`."""
        path = self.resolve(file)
        try:
            return path.read_bytes()
        except OSError as error:
            raise BundleError(f"{path}: not readable ({error.strerror})", _DAMAGED) from None

    def verify(self, file: BundleFile, data: bytes) -> None:
        """Raise BundleError unless these are the file's bytes."""
        _check(self.path / file.path, hashlib.sha256(data).hexdigest(), file)

    def load_prompts(self) -> NDArray[np.float32]:
        """The prompt embeddings `[K, 2, D]`, unit length, (good, bad) per pair."""
        file = self.find("prompts")
        data, path = self.read(file), self.path / file.path
        again = Remedy("embed the prompts again", ("prompts", str(self.path)))
        shape = (len(self.manifest.prompts), 2, self.manifest.architecture.features)
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as archive:
                embeddings = archive["embeddings"]
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise BundleError(f"{path}: not readable ({error})", again) from None
        if embeddings.shape != shape or embeddings.dtype != np.float32:
            raise BundleError(
                f"{path}: embeddings are {embeddings.dtype} {embeddings.shape}, not float32 {shape}",
                again,
            )
        return embeddings

    def load_scored_prompts(self) -> NDArray[np.float32]:
        """The embeddings of the pairs that are scored alone: all that a score takes."""
        return self.load_prompts()[np.flatnonzero(self.manifest.scored)]


def open_bundle(path: str | os.PathLike[str]) -> Bundle:
    """Open the bundle at `path`, or the one inside the package if `path` is "demo".

    Reads the manifest only; raises BundleError if it can't be used.
    """
    if not os.fspath(path):
        raise UsageError("the bundle's path is empty", f"name a directory, or {DEMO_NAME}")
    root = _DEMO_PATH if path == DEMO_NAME else Path(path)
    manifest_path = root / MANIFEST_NAME
    make_one = Remedy("make one", ("export",))
    try:
        text = manifest_path.read_text(encoding="utf-8")
    except FileNotFoundError:
        found = "has no manifest.json, so it is no bundle" if root.is_dir() else "no such bundle"
        raise BundleError(f"{root}: {found}", make_one) from None
    except (OSError, ValueError) as error:  # ValueError: no UTF-8, or a null byte in the path
        raise BundleError(f"{manifest_path}: not readable ({error})") from None
    try:
        manifest = parse_manifest(text)
        for file in manifest.files:
            resolve_inside(root, file.path)
    except BundleError as error:
        raise error.within(manifest_path) from None
    return Bundle(root.resolve(), manifest)


def resolve_inside(root: Path, name: str) -> Path:
    """The absolute path of a manifest's file name, refused if it would leave the bundle."""
    relative = PurePosixPath(name)
    path = root.joinpath(relative)
    if (
        relative.is_absolute()
        or ".." in relative.parts
        or not path.resolve().is_relative_to(root.resolve())
    ):
        raise BundleError(f"{name!r} points outside the bundle", "do not use this bundle")
    return path


def hash_file(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    with _open(path) as stream:
        if hasattr(hashlib, "file_digest"):  # Python 3.11
            return hashlib.file_digest(stream, "sha256").hexdigest()
        digest = hashlib.sha256()
        while block := stream.read(1 << 20):
            digest.update(block)
        return digest.hexdigest()


def _open(path: Path) -> BufferedReader:
    try:
        return path.open("rb")
    except OSError as error:
        raise BundleError(f"{path}: not readable ({error.strerror})", _DAMAGED) from None


def _check(path: Path, found: str, file: BundleFile) -> None:
    if found != file.sha256:
        raise BundleError(f"{path}: checksum differs from the manifest's", _DAMAGED)
