"""Signed bundles: Ed25519 over the bytes of `manifest.json`, which hold every other file's checksum.

`manifest.json.sig` is JSON: `algorithm` ("ed25519"), `key` (the first 16 hexadecimal digits of the SHA-256
of the raw public key) and `signature` (base64 of the 64 bytes). Keys are PEM files, as `openssl genpkey
-algorithm ed25519` makes them. The package `cryptography` is imported only where a signature is made or
asked for.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maclip_runtime.errors import BundleError, Remedy

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

SIGNATURE_NAME = "manifest.json.sig"
TRUSTED_KEYS = "MACLIP_TRUSTED_KEYS"  # a public key, or a folder of some: nothing else is opened
SIGNING_KEY = "MACLIP_SIGNING_KEY"  # a private key: what is written is signed with it

_LONGEST = 1 << 16  # bytes of a key or signature file; both are below a thousand


def check_trust(root: Path, manifest: bytes) -> None:
    """Where trusted keys are set, raise BundleError unless one of them signed this manifest."""
    if TRUSTED_KEYS in os.environ:
        verify_signature(root, manifest, Path(os.environ[TRUSTED_KEYS]))


def verify_signature(root: Path, manifest: bytes, keys: Path) -> str:
    """The id of that one of the keys, a file or a folder of PEM files, which signed the manifest.

    Raises BundleError if none did, or there is no signature, or a key is none.
    """
    trusted = {identify_key(key): key for key in _load_public_keys(keys)}
    name, signature = _read_signature(root)
    if name not in trusted:
        known = ", ".join(sorted(trusted)) or "none"
        raise BundleError(
            f"{root}: signed with the key {name}, which is not trusted ({keys}: {known})",
            "take the bundle from where you trust, or trust its key",
        )
    from cryptography.exceptions import InvalidSignature  # the keys are loaded, so it is there

    try:
        trusted[name].verify(signature, manifest)
    except InvalidSignature:
        raise BundleError(
            f"{root}: its signature does not fit its manifest", "copy the bundle again"
        ) from None
    return name


def sign(manifest: bytes, key: Path) -> bytes:
    """The content of `manifest.json.sig` for a manifest; raises BundleError if the key is none."""
    private = _load_private_key(key)
    signature = {
        "algorithm": "ed25519",
        "key": identify_key(private.public_key()),
        "signature": base64.b64encode(private.sign(manifest)).decode("ascii"),
    }
    return (json.dumps(signature, indent=1) + "\n").encode()


def read_key_id(signature: bytes) -> str:
    """The id of the key that made the content of a `manifest.json.sig`."""
    return str(json.loads(signature)["key"])


def find_signing_key() -> Path | None:
    """The key that this machine signs with, if it has one.

    Raises BundleError where only signed bundles are trusted and there is none: what would be written could
    not be opened again.
    """
    given = os.environ.get(SIGNING_KEY)
    if given is None and TRUSTED_KEYS in os.environ:
        raise BundleError(
            f"{TRUSTED_KEYS} is set, and a bundle that is written or changed here would not be signed",
            f"set {SIGNING_KEY} to a private key whose public key is trusted",
        )
    return None if given is None else Path(given)


def identify_key(key: Ed25519PublicKey) -> str:
    """A public key's id, by which a signature names it."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


def _load_public_keys(path: Path) -> list[Ed25519PublicKey]:
    serialization = _import_serialization()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        files = sorted(path.iterdir()) if path.is_dir() else [path]
    except OSError as error:
        raise BundleError(f"{path}: not readable ({error.strerror})") from None
    keys = []
    for file in files:
        try:
            key = serialization.load_pem_public_key(_read(file))
        except ValueError:
            key = None
        if not isinstance(key, Ed25519PublicKey):
            raise BundleError(f"{file}: not an Ed25519 public key in PEM", _HOW_TO_MAKE)
        keys.append(key)
    return keys


def _load_private_key(path: Path) -> Ed25519PrivateKey:
    serialization = _import_serialization()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    try:
        key = serialization.load_pem_private_key(_read(path), password=None)
    except (ValueError, TypeError):  # TypeError: it has a password
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise BundleError(
            f"{path}: not an Ed25519 private key in PEM without a password", _HOW_TO_MAKE
        )
    return key


_HOW_TO_MAKE = Remedy(
    "make a pair: openssl genpkey -algorithm ed25519 -out key.pem; "
    "openssl pkey -in key.pem -pubout -out key.pub.pem"
)


def _import_serialization() -> Any:
    try:
        from cryptography.hazmat.primitives import serialization
    except ImportError as error:
        raise BundleError(
            f"signatures need the package cryptography ({error})", "pip install 'maclip-edge[sign]'"
        ) from None
    return serialization


def _read_signature(root: Path) -> tuple[str, bytes]:
    path = root / SIGNATURE_NAME
    if not os.path.lexists(path):
        raise BundleError(f"{root}: not signed", Remedy("sign it", ("sign", str(root))))
    try:
        data = json.loads(_read(path))
        name, signature = data["key"], base64.b64decode(data["signature"], validate=True)
        if data["algorithm"] != "ed25519" or not isinstance(name, str):
            raise ValueError("of another algorithm")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BundleError(
            f"{path}: not a signature ({error!r:.80})", "copy the bundle again"
        ) from None
    return name, signature


def _read(path: Path) -> bytes:
    """A small regular file's bytes."""
    try:
        if path.is_file() and path.stat().st_size <= _LONGEST:
            return path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path}: not readable ({error.strerror})") from None
    raise BundleError(f"{path}: no file, or none of a key's or signature's size")
