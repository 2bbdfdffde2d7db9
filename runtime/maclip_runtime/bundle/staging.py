"""Writing bundles: a bundle appears whole or not at all, staged beside its destination and renamed."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maclip_runtime.bundle.bundle import (
    MANIFEST_NAME,
    PROMPTS_NAME,
    Bundle,
    hash_file,
    open_bundle,
    resolve_inside,
)
from maclip_runtime.bundle.manifest import BundleFile, Manifest, Role
from maclip_runtime.errors import BundleError, Remedy
from maclip_runtime.files import write_whole
from maclip_runtime.locks import lock_file


def describe_file(path: Path, role: Role, **details: object) -> BundleFile:
    """The manifest entry of a file that was just written into a staged bundle."""
    return BundleFile(path.name, role, path.stat().st_size, hash_file(path), **details)  # type: ignore[arg-type]


def check_destination(destination: Path, *, replace: bool) -> None:
    """Raise BundleError if a bundle may not be written there; asked before long work begins."""
    if not os.path.lexists(destination):
        return
    if not replace:
        raise BundleError(
            f"{destination}: exists already",
            Remedy("use {force} to replace it", settings={"force": True}),
        )
    if destination.is_mount():
        raise BundleError(
            f"{destination}: is a mount point, which cannot be replaced", "choose a place inside it"
        )
    if not (destination / MANIFEST_NAME).is_file():
        raise BundleError(f"{destination}: not a bundle, so it is not replaced", "move it away")


@contextmanager
def stage_bundle(destination: Path, *, replace: bool) -> Iterator[Path]:
    """A directory to fill that becomes `destination` when the block ends without an error.

    After an error nothing is left, and an existing bundle is as it was. Only a bundle is ever
    replaced, and only if `replace` says so.
    """
    check_destination(destination, replace=replace)
    destination = Path(os.path.realpath(destination))  # a link to a bundle stays one
    parent = destination.parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
        staging = Path(
            tempfile.mkdtemp(prefix=f".{destination.name}.", suffix=".partial", dir=parent)
        )
    except OSError as error:
        raise BundleError(f"{destination}: cannot be written ({error.strerror})") from None
    try:
        yield staging
        staging.chmod(_find_mode(destination))  # mkdtemp makes it private
        _put(staging, destination, replace=replace)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _put(staging: Path, destination: Path, *, replace: bool) -> None:
    """Give a staged bundle its name; BundleError if there is one meanwhile that may not be replaced."""
    retired = staging.with_suffix(".old")
    try:
        if replace and destination.exists():
            destination.rename(retired)
        # An empty directory is made by one process only, and may be renamed over; a full one may not.
        destination.mkdir()
        staging.rename(destination)
    except OSError as error:
        if retired.exists():
            with suppress(
                OSError
            ):  # where another bundle has taken its place, this one stays beside it
                retired.rename(destination)
        reason = {
            errno.EEXIST: "has appeared meanwhile, and is not replaced",
            errno.EBUSY: "is a mount point, which cannot be replaced",
        }.get(error.errno or 0, f"cannot be written ({error.strerror})")
        raise BundleError(f"{destination}: {reason}", "choose another place") from None
    shutil.rmtree(retired, ignore_errors=True)


def _find_mode(destination: Path) -> int:
    """The permissions of the bundle that is there, or those that the umask gives a new directory."""
    if destination.is_dir():
        return stat.S_IMODE(destination.stat().st_mode)
    umask = os.umask(0o077)
    os.umask(umask)
    return 0o777 & ~umask


def add_file(bundle: Bundle, entry: BundleFile, data: bytes) -> BundleFile:
    """Put a file into an existing bundle, or in the place of one of that name; returns its entry.

    Size and checksum are filled in. The file appears whole, and the manifest only after it. Processes that
    add files to one bundle take turns.
    """
    entry = replace(entry, size=len(data), sha256=hashlib.sha256(data).hexdigest())
    with lock_bundle(bundle.path):
        write_whole(resolve_inside(bundle.path, entry.path), data)
        # Read again: another process may have added a file meanwhile.
        manifest = open_bundle(bundle.path).manifest
        others = tuple(file for file in manifest.files if file.path != entry.path)
        manifest = replace(manifest, files=(*others, entry))
        write_whole(bundle.path / MANIFEST_NAME, manifest.to_json().encode())
    return entry


@contextmanager
def lock_bundle(path: Path) -> Iterator[None]:
    """Keep other processes from changing a bundle, or wait for one that does; BundleError if read-only."""
    lock = path / f".{MANIFEST_NAME}.lock"
    try:
        with lock_file(lock):
            try:
                yield
            finally:
                lock.unlink(missing_ok=True)
    except OSError as error:
        raise BundleError(
            f"{path}: cannot be changed ({error.strerror})", "copy it to where you may write"
        ) from None


def write_prompts(directory: Path, embeddings: NDArray[np.float32]) -> BundleFile:
    """Write prompt embeddings `[K, 2, D]` into a staged bundle; returns their manifest entry."""
    path = directory / PROMPTS_NAME
    np.savez(path, embeddings=embeddings)
    return describe_file(path, "prompts")


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write the manifest of a staged bundle; its files must be in place already."""
    (directory / MANIFEST_NAME).write_text(manifest.to_json(), encoding="utf-8")
