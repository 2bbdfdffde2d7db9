"""The prompt embeddings in `prompts.npz`, checked before anything of them is unpacked.

An `.npz` is a zip archive of `.npy` files. NumPy's reader would unpack whatever it says it holds, gigabytes
out of a megabyte; here what it says must be what the manifest promises.
"""

from __future__ import annotations

import io
import zipfile
from typing import IO

import numpy as np
from numpy.typing import NDArray

from maclip_runtime.errors import BundleError

_MEMBER = "embeddings.npy"
_LARGEST = 1 << 26  # bytes unpacked: some 16,000 pairs of 512 features
_HEADER = 1 << 12  # bytes; NumPy writes 128
_UNIT_TOLERANCE = (
    1e-3  # of a length; float32 keeps 1e-7, and embeddings made in half precision 5e-4
)


def read_embeddings(data: bytes, shape: tuple[int, int, int]) -> NDArray[np.float32]:
    """The embeddings `[K, 2, D]`, float32, unit length, out of an `.npz` file's bytes.

    Raises BundleError, naming no file, for anything else that the bytes may be.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            embeddings = _read_member(archive, shape)
    except BundleError:
        raise
    # zipfile, zlib and NumPy's header have a dozen exceptions for damage, and no base in common.
    except Exception as error:  # noqa: BLE001
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise BundleError(f"not readable ({reason!r})") from None
    lengths = np.linalg.norm(embeddings.astype(np.float64), axis=-1)
    if not np.all(np.abs(lengths - 1) <= _UNIT_TOLERANCE):  # false for NaN, too
        raise BundleError("embeddings are not all of unit length")
    return embeddings


def _read_member(archive: zipfile.ZipFile, shape: tuple[int, int, int]) -> NDArray[np.float32]:
    names = archive.namelist()
    if names != [_MEMBER]:
        raise BundleError(f"holds {names!r:.60}, not {_MEMBER} alone")
    pairs, two, features = shape
    size = pairs * two * features * 4
    info = archive.getinfo(_MEMBER)
    if size > _LARGEST or not size < info.file_size <= size + _HEADER:
        raise BundleError(
            f"unpacks to {info.file_size} bytes, and float32 {shape} has {size}, at most {_LARGEST}"
        )
    with archive.open(info) as stream:
        _check_header(stream, shape)
        values = stream.read(size + 1)
    if len(values) != size:
        raise BundleError(f"embeddings have {len(values)} bytes, not {size}")
    return np.frombuffer(values, "<f4").astype(np.float32).reshape(shape)


def _check_header(stream: IO[bytes], shape: tuple[int, int, int]) -> None:
    version = np.lib.format.read_magic(stream)
    if version != (1, 0):
        raise BundleError(f"embeddings have .npy version {version}, not (1, 0)")
    found, in_columns, dtype = np.lib.format.read_array_header_1_0(stream, max_header_size=_HEADER)
    if found != shape or dtype != np.dtype("<f4") or in_columns:
        order = " by columns" if in_columns else ""
        raise BundleError(f"embeddings are {dtype} {found}{order}, not float32 {shape}")
