"""Writing bundles: a bundle appears whole or not at all, staged beside its destination and renamed."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
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
    parse_bundle,
    read_manifest,
    resolve_inside,
)
from maclip_runtime.bundle.manifest import BundleFile, Manifest, Role
from maclip_runtime.bundle.signatures import (
    SIGNATURE_NAME,
    SIGNING_KEY,
    find_signing_key,
    read_key_id,
    sign,
)
from maclip_runtime.errors import BundleError, OutputError, Remedy
from maclip_runtime.files import write_whole
from maclip_runtime.locks import is_there, lock_file

_log = logging.getLogger(__name__)

LOCK_NAME = ".manifest.lock"  # there only while a bundle is changed


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
    replaced, and only if `replace` says so; one that appears meanwhile is not.
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
        try:
            with _locked(parent / f".{destination.name}.lock"):
                _take_place(staging, destination, replace=replace)
        except OSError as error:  # a mount point, say
            raise BundleError(f"{destination}: cannot be written ({error.strerror})") from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _take_place(staging: Path, destination: Path, *, replace: bool) -> None:
    """Rename a staged bundle to its destination; BundleError if another one has come there."""
    check_destination(destination, replace=replace)
    if destination.exists():
        retired = staging.with_suffix(".old")
        destination.rename(retired)
        try:
            staging.rename(destination)
        except OSError:
            retired.rename(destination)
            raise
        shutil.rmtree(retired)
        return
    try:
        staging.rename(destination)  # which never replaces a directory that holds something
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        check_destination(destination, replace=False)
        raise


def _find_mode(destination: Path) -> int:
    """The permissions of the bundle that is there, or those that the umask gives a new directory."""
    if destination.is_dir():
        return stat.S_IMODE(destination.stat().st_mode)
    umask = os.umask(0o077)
    os.umask(umask)
    return 0o777 & ~umask


def check_writable(bundle: Bundle) -> None:
    """Raise BundleError, before long work begins, if no file can be added to a bundle."""
    with hold_bundle(bundle.path):
        pass


@contextmanager
def hold_bundle(path: Path) -> Iterator[None]:
    """Keep other processes from changing a bundle; BundleError where nobody can change it.

    What is read of the bundle in here stays as it is.
    """
    with ExitStack() as held:
        try:
            held.enter_context(_locked(path / LOCK_NAME))
        except OSError as error:
            raise BundleError(
                f"{path}: cannot be written ({error.strerror})", "copy it to where you may write"
            ) from None
        yield


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock that leaves no file behind."""
    with lock_file(path) as descriptor:
        try:
            yield
        finally:
            if is_there(descriptor, path):  # not where a bundle was replaced that held it
                path.unlink(missing_ok=True)


def add_file(bundle: Bundle, entry: BundleFile, data: bytes) -> BundleFile:
    """Put a file into an existing bundle, or in the place of one of that name; returns its entry.

    Size and checksum are filled in. The file appears whole, and the manifest only after it. The manifest is
    signed with MACLIP_SIGNING_KEY; without it the bundle is no longer signed, and a warning says so.
    """
    key = find_signing_key()  # or a refusal, before anything is changed
    entry = replace(entry, size=len(data), sha256=hashlib.sha256(data).hexdigest())
    with hold_bundle(bundle.path):
        try:
            write_whole(resolve_inside(bundle.path, entry.path), data)
            # Read again: another process may have added a file meanwhile.
            manifest = open_bundle(bundle.path).manifest
            others = tuple(file for file in manifest.files if file.path != entry.path)
            manifest = replace(manifest, files=(*others, entry))
            _put_manifest(bundle.path, manifest.to_json().encode(), key)
        except (OSError, OutputError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise BundleError(f"{bundle.path}: cannot be written ({reason})") from None
    return entry


def write_prompts(directory: Path, embeddings: NDArray[np.float32]) -> BundleFile:
    """Write prompt embeddings `[K, 2, D]` into a staged bundle; returns their manifest entry."""
    path = directory / PROMPTS_NAME
    np.savez(path, embeddings=embeddings)
    return describe_file(path, "prompts")


def write_manifest(directory: Path, manifest: Manifest, key: Path | None = None) -> None:
    """Write the manifest of a staged bundle, signed with `key`, or with MACLIP_SIGNING_KEY if that is set.

    Its files must be in place already.
    """
    _put_manifest(directory, manifest.to_json().encode(), key or find_signing_key())


def sign_bundle(path: Path, key: Path) -> str:
    """Sign a bundle with a private key (PEM); returns the id of the key.

    Every file's checksum is verified first: what is signed is what is there.
    """
    manifest = path / MANIFEST_NAME
    data = read_manifest(path)
    bundle = parse_bundle(path, data)
    for file in bundle.manifest.files:
        bundle.locate(file)
    signature = sign(data, key)
    write_whole(manifest.with_name(SIGNATURE_NAME), signature)
    return read_key_id(signature)


def _put_manifest(directory: Path, manifest: bytes, key: Path | None) -> None:
    """The manifest and its signature, or the manifest and none."""
    signature = directory / SIGNATURE_NAME
    signed = None if key is None else sign(manifest, key)
    write_whole(directory / MANIFEST_NAME, manifest)
    if signed is not None:
        write_whole(signature, signed)
    elif signature.exists():
        signature.unlink()
        _log.warning("%s: changed, and so no longer signed (%s is not set)", directory, SIGNING_KEY)
