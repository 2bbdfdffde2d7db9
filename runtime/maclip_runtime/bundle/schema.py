"""The manifest's JSON schema (draft 2020-12), generated from its dataclasses.

The package carries it as `manifest.schema.json`, for those who read or write bundles with other tools.
`python -m maclip_runtime.bundle.schema` writes that file anew.
"""

from __future__ import annotations

import json
import types
import typing
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from maclip_runtime.bundle.manifest import SCHEMA, Manifest
from maclip_runtime.method.ranges import Range

SCHEMA_FILE = Path(__file__).with_name("manifest.schema.json")
_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}


def make_schema() -> dict[str, Any]:
    """The schema as `json.dumps` takes it."""
    definitions: dict[str, Any] = {}
    whole = _describe(Manifest, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"manifest.json of a maclip-edge bundle, schema {SCHEMA}",
        **whole,
        "$defs": definitions,
    }


def _describe(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    origin, options = typing.get_origin(kind), typing.get_args(kind)
    if is_dataclass(kind):
        name = typing.cast(type, kind).__name__
        if name not in definitions:
            definitions[name] = {}  # its place, should it contain itself
            definitions[name] = _describe_dataclass(kind, definitions)
        return {"$ref": f"#/$defs/{name}"}
    if origin is Annotated:
        return {**_describe(options[0], definitions), **_describe_range(options[1])}
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_describe(option, definitions) for option in options]}
    if origin is Literal:
        return {"enum": list(options)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _describe(options[1], definitions)}
    if origin is tuple and options[-1] is Ellipsis:
        return {"type": "array", "items": _describe(options[0], definitions)}
    if origin is tuple:
        items = [_describe(option, definitions) for option in options]
        return {"type": "array", "prefixItems": items, "items": False, "minItems": len(items)}
    return {"type": _PLAIN[kind]}


def _describe_dataclass(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    hints = typing.get_type_hints(kind, include_extras=True)
    optional = (MISSING, MISSING)
    return {
        "description": " ".join((kind.__doc__ or "").split()),
        "type": "object",
        "properties": {name: _describe(hint, definitions) for name, hint in hints.items()},
        "required": [f.name for f in fields(kind) if (f.default, f.default_factory) == optional],
        "additionalProperties": False,
    }


def _describe_range(allowed: Range) -> dict[str, float]:
    bounds = {
        "minimum": allowed.least,
        "maximum": allowed.most,
        "exclusiveMinimum": allowed.above,
    }
    return {name: bound for name, bound in bounds.items() if bound is not None}


if __name__ == "__main__":
    SCHEMA_FILE.write_text(json.dumps(make_schema(), indent=1) + "\n", encoding="utf-8")
