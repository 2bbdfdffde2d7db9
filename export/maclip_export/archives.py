"""Torch's zip archives, read without running anything in them: state dicts and TorchScript.

Both kinds are a zip with one folder: `data.pkl`, a pickle whose tensors refer to storages by number, and
the storages as files in `data/`. A TorchScript archive has source text in `code/` besides; `torch.jit.load`
runs parts of it (`__setstate__`), which can write any file. Here the source is only searched for the names
that a module declares as parameters and buffers, since these and nothing else are its state dict.

A size that an archive states is believed only where the bytes for it are in the file, so reading takes no
more memory than the file is long.
"""

from __future__ import annotations

import math
import re
import sys
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from maclip_export.errors import CheckpointError
from maclip_export.pickles import Name, Thing, read_pickle

_MEGABYTE = 1 << 20
_PICKLE_LIMIT = 32 * _MEGABYTE  # OpenAI's are below half a megabyte
_SOURCE_LIMIT = 16 * _MEGABYTE
_MODULE_LIMIT = 100_000  # modules that are shared are met under each of their names

_DTYPES = {
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.FloatStorage": torch.float32,
    "torch.DoubleStorage": torch.float64,
    "torch.ByteStorage": torch.uint8,
    "torch.CharStorage": torch.int8,
    "torch.ShortStorage": torch.int16,
    "torch.IntStorage": torch.int32,
    "torch.LongStorage": torch.int64,
}


class Archive:
    """An open archive of torch; reading it raises CheckpointError if it is not as torch writes it."""

    def __init__(self, path: Path) -> None:
        self._zip = zipfile.ZipFile(path)
        entries = self._zip.infolist()
        self._entries = {entry.filename: entry for entry in entries}
        if len(self._entries) < len(entries):
            raise CheckpointError("has two files of one name inside")
        folders = [name.removesuffix("/data.pkl") for name in self._entries if _is_pickle(name)]
        if len(folders) != 1:
            raise CheckpointError("a zip file, but not one of torch (there is no data.pkl inside)")
        self._folder = folders[0]
        stored = sum(e.file_size for e in entries if e.compress_type == zipfile.ZIP_STORED)
        if stored > path.stat().st_size:
            raise CheckpointError("its files are longer inside than the whole archive is")
        self._storages: dict[str, Tensor] = {}

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    @property
    def is_torchscript(self) -> bool:
        """Whether it was written by `torch.jit.save`."""
        return f"{self._folder}/constants.pkl" in self._entries

    def read(self) -> Any:
        """What it holds: a TorchScript module's state dict, or what was saved.

        What was saved is tensors, numbers, text, lists, tuples and dicts; anything else in it is there as a
        Thing, never as itself.
        """
        order = f"{self._folder}/byteorder"
        if order in self._entries and self._read(order, 16).decode("ascii") != sys.byteorder:
            raise CheckpointError("was written on a machine of another byte order")
        pickled = self._read(f"{self._folder}/data.pkl", _PICKLE_LIMIT)
        content = read_pickle(pickled, _call, self._load_storage)
        return self._collect_weights(content) if self.is_torchscript else content

    def _read(self, name: str, limit: int) -> bytes:
        entry = self._entries.get(name)
        if entry is None:
            raise CheckpointError(f"has no {name} inside")
        if entry.file_size > limit:
            raise CheckpointError(f"{name} inside has {entry.file_size} bytes, above {limit}")
        return self._zip.read(entry)

    def _load_storage(self, persistent_id: Any) -> Tensor:
        """A storage as a tensor of one dimension, from its id ("storage", class, key, device, length)."""
        kind, storage_class, key, _, length = persistent_id
        dtype = _DTYPES.get(storage_class.name) if isinstance(storage_class, Name) else None
        if kind != "storage" or dtype is None or not isinstance(key, str):
            raise CheckpointError(f"has a storage that is not known ({storage_class!r:.60})")
        if key not in self._storages:
            name = f"{self._folder}/data/{key}"
            entry = self._entries.get(name)
            if entry is None or entry.compress_type != zipfile.ZIP_STORED:
                raise CheckpointError(f"{name} inside is missing, or compressed")
            data = bytearray(self._zip.read(entry))
            if len(data) % dtype.itemsize:
                raise CheckpointError(f"{name} inside ends within a number")
            self._storages[key] = (
                torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
            )
        storage = self._storages[key]
        if storage.dtype != dtype or len(storage) != length:
            raise CheckpointError(f"storage {key} is not of the type or length that is stated")
        return storage

    def _collect_weights(self, module: Any) -> dict[str, Tensor]:
        """The state dict of a TorchScript module: what it and its modules declare, by dotted names."""
        if not isinstance(module, Thing) or not module.name.startswith("__torch__."):
            raise CheckpointError("a TorchScript archive without a module")
        declared = cache(self._find_declared)
        weights: dict[str, Tensor] = {}
        waiting = [("", module)]
        for _ in range(_MODULE_LIMIT):
            if not waiting:
                return weights
            prefix, module = waiting.pop()
            names = declared(module.name)
            if names is None:  # an object of another kind, such as a named tuple
                continue
            if not isinstance(module.state, dict):
                raise CheckpointError(f"{module.name} inside is no module of attributes")
            for name, value in module.state.items():
                if isinstance(value, Thing):
                    waiting.append((f"{prefix}{name}.", value))
                elif isinstance(value, Tensor) and name in names:
                    weights[f"{prefix}{name}"] = value
        raise CheckpointError("its modules hold each other in a circle, or are too many")

    def _find_declared(self, qualified: str) -> frozenset[str] | None:
        """The parameters and buffers of a module's class, from its source; None if it is no module."""
        parent, _, name = qualified.rpartition(".")
        source = self._read(f"{self._folder}/code/{parent.replace('.', '/')}.py", _SOURCE_LIMIT)
        pattern = rf"^class {re.escape(name)}\((\w*)\):$(.*?)(?=^class |\Z)"
        found = re.search(pattern, source.decode("utf-8"), re.MULTILINE | re.DOTALL)
        if found is None:
            raise CheckpointError(f"the source of {qualified} is not inside")
        if found[1] != "Module":
            return None
        if "def __setstate__" in found[2]:
            raise CheckpointError(f"{qualified} makes its weights by code of its own")
        lines = re.findall(r"^  __(?:parameters|buffers)__ = (\[.*\])$", found[2], re.MULTILINE)
        return frozenset(name for line in lines for name in re.findall(r'"([^"]*)"', line))


def _is_pickle(name: str) -> bool:
    folder, _, file = name.partition("/")
    return bool(folder) and file == "data.pkl"


def _call(name: str, arguments: tuple[Any, ...]) -> Any:
    """What stands for a call in a pickle of torch: a tensor, a container, or an inert Thing."""
    if name == "torch._utils._rebuild_tensor_v2":
        return _rebuild_tensor(*arguments)
    if name == "torch._utils._rebuild_parameter":
        return arguments[0]
    if name == "collections.OrderedDict" and not arguments:
        return {}
    if name.startswith("torch.jit._pickle.") and arguments:
        return arguments[0]  # a list or dict with its type
    return Thing(name)


def _rebuild_tensor(
    storage: Any,
    offset: Any,
    shape: Any,
    strides: Any,
    *_: object,  # gradient, hooks, metadata
) -> Tensor:
    """A strided tensor over a storage, none of it outside, and no larger than the storage is."""
    numbers = (offset, *shape, *strides)
    if not isinstance(storage, Tensor) or not all(type(n) is int and n >= 0 for n in numbers):
        raise CheckpointError("has a tensor whose shape is no list of sizes")
    count = math.prod(shape)
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    if count > len(storage) or (count and last >= len(storage)):
        raise CheckpointError("has a tensor that reaches beyond its storage")
    return storage.as_strided(shape, strides, offset) if count else storage.new_empty(shape)
