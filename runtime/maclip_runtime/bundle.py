"""Bundles: a directory that one `scp` moves, checked before anything in it is trusted.

A bundle appears whole or not at all: it is staged in a directory beside its destination and renamed.
Nothing in it is ever unpickled, and no path in its manifest leads out of it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from maclip_runtime.errors import BundleError
from maclip_runtime.manifest import BundleFile, FileKind, Manifest, parse_manifest

MANIFEST_NAME = "manifest.json"
PROMPTS_NAME = "prompts.npz"
DEMO_NAME = "demo"  # the bundle inside this package; `./demo` names a directory of that name


@dataclass(frozen=True)
class Bundle:
    """An opened bundle: its directory and its manifest. Files are verified when they are asked for."""

    path: Path
    manifest: Manifest

    @property
    def name(self) -> str:
        """The directory's name, by which results refer to the bundle."""
        return self.path.name

    def find(self, kind: FileKind, precision: str | None = None) -> BundleFile:
        """The file of that kind (and precision); BundleError if the bundle has none."""
        for file in self.manifest.files:
            if file.kind == kind and precision in (None, file.precision):
                return file
        wanted = f"{kind} ({precision})" if precision else kind
        raise BundleError(f"{self.path}: has no {wanted}; export the bundle again with it")

    def resolve(self, file: BundleFile) -> Path:
        """The path of a file that is there, inside the bundle; nothing in it is verified yet."""
        path = _resolve_inside(self.path, file.path)
        if not path.is_file():
            raise BundleError(f"{path}: missing from the bundle; copy or export the bundle again")
        return path

    def locate(self, file: BundleFile) -> Path:
        """The path of a file that is inside the bundle and whose checksum is right."""
        path = self.resolve(file)
        if hash_file(path) != file.sha256:
            raise BundleError(
                f"{path}: checksum differs from the manifest's; copy or export the bundle again"
            )
        return path

    def load_prompts(self) -> NDArray[np.float32]:
        """The prompt embeddings `[K, 2, D]`, unit length, (good, bad) per pair."""
        path = self.locate(self.find("prompts"))
        shape = (len(self.manifest.prompts), 2, self.manifest.architecture.features)
        try:
            with np.load(path, allow_pickle=False) as archive:
                embeddings = archive["embeddings"]
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise BundleError(
                f"{path}: not readable ({error}); run `maclip prompts` again"
            ) from None
        if embeddings.shape != shape or embeddings.dtype != np.float32:
            raise BundleError(
                f"{path}: embeddings are {embeddings.dtype} {embeddings.shape}, "
                f"not float32 {shape}; run `maclip prompts` again"
            )
        return embeddings


def open_bundle(path: str | os.PathLike[str]) -> Bundle:
    """Open the bundle at `path`, or the one inside the package if `path` is "demo".

    Reads the manifest only; raises BundleError if it can't be used.
    """
    root = Path(__file__).with_name(DEMO_NAME) if path == DEMO_NAME else Path(path)
    manifest_path = root / MANIFEST_NAME
    try:
        text = manifest_path.read_text(encoding="utf-8")
    except FileNotFoundError:
        found = "has no manifest.json, so it is no bundle" if root.is_dir() else "no such bundle"
        raise BundleError(f"{root}: {found}; make one with `maclip export`") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BundleError(f"{manifest_path}: not readable ({error})") from None
    try:
        manifest = parse_manifest(text)
        for file in manifest.files:
            _resolve_inside(root, file.path)
    except BundleError as error:
        raise BundleError(f"{manifest_path}: {error}") from None
    return Bundle(root.resolve(), manifest)


def _resolve_inside(root: Path, name: str) -> Path:
    """The absolute path of a manifest's file name, refused if it would leave the bundle."""
    relative = PurePosixPath(name)
    path = root.joinpath(relative)
    if (
        relative.is_absolute()
        or ".." in relative.parts
        or not path.resolve().is_relative_to(root.resolve())
    ):
        raise BundleError(f"{name!r} points outside the bundle; do not use this bundle")
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


def describe_file(path: Path, kind: FileKind, **details: object) -> BundleFile:
    """The manifest entry of a file that was just written into a staged bundle."""
    return BundleFile(path.name, kind, path.stat().st_size, hash_file(path), **details)  # type: ignore[arg-type]


def check_destination(destination: Path, *, replace: bool) -> None:
    """Raise BundleError if a bundle may not be written there; asked before long work begins."""
    if not os.path.lexists(destination):
        return
    if not replace:
        raise BundleError(f"{destination}: exists already; use --force to replace it")
    if not (destination / MANIFEST_NAME).is_file():
        raise BundleError(f"{destination}: not a bundle, so it is not replaced; move it away")


@contextmanager
def stage_bundle(destination: Path, *, replace: bool) -> Iterator[Path]:
    """A directory to fill that becomes `destination` when the block ends without an error.

    After an error nothing is left, and an existing bundle is as it was. Only a bundle is ever
    replaced, and only if `replace` says so.
    """
    check_destination(destination, replace=replace)
    parent = destination.absolute().parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
        staging = Path(
            tempfile.mkdtemp(prefix=f".{destination.name}.", suffix=".partial", dir=parent)
        )
    except OSError as error:
        raise BundleError(f"{destination}: cannot be written ({error.strerror})") from None
    try:
        yield staging
        staging.chmod(0o755)  # mkdtemp makes it private
        if destination.exists():
            retired = staging.with_suffix(".old")
            destination.rename(retired)
            staging.rename(destination)
            shutil.rmtree(retired)
        else:
            staging.rename(destination)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def add_file(bundle: Bundle, entry: BundleFile, data: bytes) -> BundleFile:
    """Put a file into an existing bundle, or in the place of one of that name; returns its entry.

    Size and checksum are filled in. The file appears whole, and the manifest only after it.
    """
    path = _resolve_inside(bundle.path, entry.path)
    _write_whole(path, data)
    entry = replace(entry, size=len(data), sha256=hash_file(path))
    # Read again: another process may have added a file meanwhile.
    manifest = open_bundle(bundle.path).manifest
    others = tuple(file for file in manifest.files if file.path != entry.path)
    manifest = replace(manifest, files=(*others, entry))
    _write_whole(bundle.path / MANIFEST_NAME, manifest.to_json().encode())
    return entry


def _write_whole(path: Path, data: bytes) -> None:
    handle, partial = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        Path(partial).chmod(0o644)
        Path(partial).replace(path)
    finally:
        Path(partial).unlink(missing_ok=True)


def write_prompts(directory: Path, embeddings: NDArray[np.float32]) -> BundleFile:
    """Write prompt embeddings `[K, 2, D]` into a staged bundle; returns their manifest entry."""
    path = directory / PROMPTS_NAME
    np.savez(path, embeddings=embeddings)
    return describe_file(path, "prompts")


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write the manifest of a staged bundle; its files must be in place already."""
    (directory / MANIFEST_NAME).write_text(manifest.to_json(), encoding="utf-8")
