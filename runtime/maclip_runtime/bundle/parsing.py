"""A manifest's text to its dataclasses, strictly.

An unknown schema, a missing or unknown field, a value of another type or out of its range: each is an error
of one line, so a bundle is either understood whole or refused. The dataclasses say what is allowed.
"""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from typing import Annotated, Any, Literal, TypeVar

from maclip_runtime.bundle.manifest import SCHEMA, Manifest
from maclip_runtime.bundle.migration import upgrade_schema_1
from maclip_runtime.errors import BundleError
from maclip_runtime.method.ranges import Range

T = TypeVar("T")
_REMEDY = "export the bundle again"


def parse_manifest(text: str) -> Manifest:
    """Read a manifest; raises BundleError, saying where, if any of it is not understood."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"not valid JSON ({error})", _REMEDY) from None
    schema = data.get("schema") if isinstance(data, dict) else None
    if type(schema) is int and schema > SCHEMA:
        raise BundleError(
            f"made by a newer maclip-edge (schema {schema}, this one reads up to {SCHEMA})",
            "upgrade maclip-edge",
        )
    if schema == 1 and type(schema) is int:
        data = upgrade_schema_1(data)
    elif schema != SCHEMA or type(schema) is not int:
        raise BundleError(f"schema {schema!r:.60} is not known", _REMEDY)
    manifest = parse(Manifest, data, "manifest")
    if not any(manifest.scored):
        raise BundleError("manifest.prompts has no pair that is scored", _REMEDY)
    features = manifest.architecture.features
    for place, file in enumerate(manifest.files):
        shape = file.outputs["features"].shape if "features" in file.outputs else (features,)
        if shape[-1:] != (features,):
            raise BundleError(
                f"manifest.files[{place}].outputs.features has not the architecture's {features} features",
                _REMEDY,
            )
        if (file.pixel_format == "nv12") != (file.colour is not None):
            raise BundleError(
                f"manifest.files[{place}].colour is there for nv12 frames, and for no others",
                _REMEDY,
            )
    return manifest


def parse(kind: type[T], data: Any, where: str) -> T:
    """Data from JSON as a dataclass `kind`, or BundleError naming `where` it is not one."""
    return typing.cast(T, _parse(kind, data, where))


def _parse(kind: Any, value: Any, where: str) -> Any:
    if is_dataclass(kind):
        return _parse_dataclass(kind, value, where)
    origin, options = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        return _parse_range(options[0], options[1], value, where)
    parse_as = _GENERIC.get(origin, _parse_plain)
    return parse_as(options or (kind,), value, where)


def _parse_dataclass(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise _refuse(value, where)
    hints = typing.get_type_hints(kind, include_extras=True)
    unknown = value.keys() - hints.keys()
    required = {
        f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING
    }
    missing = required - value.keys()
    if unknown or missing:
        fault = "unknown" if unknown else "missing"
        names = ", ".join(_show(name) for name in sorted(unknown or missing))
        raise BundleError(f"{where} has {fault} fields ({names})", _REMEDY)
    return kind(
        **{name: _parse(hints[name], item, f"{where}.{name}") for name, item in value.items()}
    )


def _parse_range(kind: Any, allowed: Range, value: Any, where: str) -> Any:
    number = _parse(kind, value, where)
    if not allowed.holds(number):
        raise BundleError(f"{where} is {number!r}, and must be {allowed}", _REMEDY)
    return number


def _parse_union(options: tuple[Any, ...], value: Any, where: str) -> Any:
    for option in options:
        try:
            return _parse(option, value, where)
        except BundleError:
            continue
    raise _refuse(value, where)


def _parse_literal(options: tuple[Any, ...], value: Any, where: str) -> Any:
    if any(value == option and type(value) is type(option) for option in options):
        return value
    raise _refuse(value, where)


def _parse_tuple(options: tuple[Any, ...], value: Any, where: str) -> Any:
    if not isinstance(value, list):
        raise _refuse(value, where)
    if options[-1] is Ellipsis:
        options = (options[0],) * len(value)
    if len(options) != len(value):
        raise _refuse(value, where)
    return tuple(
        _parse(option, item, f"{where}[{place}]")
        for place, (option, item) in enumerate(zip(options, value, strict=True))
    )


def _parse_dict(options: tuple[Any, ...], value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise _refuse(value, where)
    return {key: _parse(options[1], item, f"{where}.{_show(key)}") for key, item in value.items()}


def _parse_plain(options: tuple[Any, ...], value: Any, where: str) -> Any:
    (kind,) = options
    if kind is float and type(value) in (int, float):
        # JSON as Python reads it has NaN, Infinity, and integers beyond every float.
        number = float(value) if abs(value) < 1e300 else float("nan")
        if number == number:
            return number
    elif type(value) is kind:
        return value
    raise _refuse(value, where)


_GENERIC: dict[Any, Callable[[tuple[Any, ...], Any, str], Any]] = {
    typing.Union: _parse_union,
    types.UnionType: _parse_union,
    Literal: _parse_literal,
    tuple: _parse_tuple,
    dict: _parse_dict,
}


def _show(name: str) -> str:
    """A name out of the file, in a message of one line."""
    return name if name.isprintable() and len(name) <= 60 else f"{name!r:.60}"


def _refuse(value: Any, where: str) -> BundleError:
    return BundleError(f"{where} is not understood: {value!r:.60}", _REMEDY)
