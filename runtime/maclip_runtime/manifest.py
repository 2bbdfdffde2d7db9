"""`manifest.json`: what a bundle holds, what the method needs, and where the weights came from.

The reader is strict: an unknown schema, a missing or unknown field, or a value of another type is an
error, so a bundle is either understood whole or refused.
"""

from __future__ import annotations

import json
import types
import typing
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from typing import Any, Literal

from maclip_runtime.errors import BundleError
from maclip_runtime.head import HeadConstants
from maclip_runtime.views import ViewGeometry

SCHEMA = 1

FileKind = Literal[
    "image_encoder", "text_encoder", "prompts", "frame", "dense_frame", "score", "plan"
]
Precision = Literal["fp32", "fp16", "int8"]
ViewMode = Literal["exact", "dense"]
EngineLibrary = Literal["tensorrt", "tensorrt-rtx"]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Weights:
    """Where the weights came from: model name, pretrained tag or file name, SHA-256 of the file."""

    name: str
    source: str
    sha256: str
    demo: bool = False


@dataclass(frozen=True)
class Architecture:
    """The two towers in words, D, and the activation of their transformer blocks."""

    image: str
    text: str
    features: int
    activation: Literal["quick_gelu", "gelu"]


@dataclass(frozen=True)
class Method:
    """Everything the method needs beside the features: view geometry, logit scale, head constants."""

    views: ViewGeometry
    logit_scale: float
    head: HeadConstants


@dataclass(frozen=True)
class PromptPair:
    """A named pair of prompts; the probability of `good` is the similarity cue."""

    name: str
    good: str
    bad: str


@dataclass(frozen=True)
class Tensor:
    """Type and shape of a graph's input or output; a string names a dynamic axis."""

    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class Verification:
    """How well a file matched its reference when it was made.

    `difference` is the largest one of features, over their largest absolute value, and for score graphs
    the largest absolute one; above `tolerance` the file would not have been written. `cases` says on what
    it was measured.
    """

    reference: str
    difference: float
    tolerance: float
    cases: str


@dataclass(frozen=True)
class Ranking:
    """How the scores of a graph rank degraded pictures, against those of the float32 graph.

    `srcc` is Spearman's rank correlation, the differences are of scores, over `pictures` of them.
    """

    srcc: float
    mean_difference: float
    largest_difference: float
    pictures: int


@dataclass(frozen=True)
class PlanOrigin:
    """What a plan is tied to: it runs where all of this fits, and nowhere else.

    `compute_capabilities` ("86" is 8.6): those it was built for; none means portable, from 8.0 on.
    `profile`: smallest, best and largest shape of each dynamic input.
    """

    library: EngineLibrary
    version: str
    compute_capabilities: tuple[str, ...]
    device: str
    graph: str
    graph_sha256: str
    profile: dict[str, tuple[Shape, Shape, Shape]]
    version_compatible: bool = False


@dataclass(frozen=True)
class BundleFile:
    """One file of a bundle. `path` is relative to the bundle, with forward slashes.

    `ranking`: of an INT8 graph. `wide_nodes`: in a half-precision graph, the nodes that stay float32,
    each with the reason. `multiply_adds`: of an image encoder, per view.
    """

    path: str
    kind: FileKind
    size: int
    sha256: str
    precision: Precision | None = None
    inputs: dict[str, Tensor] = field(default_factory=dict)
    outputs: dict[str, Tensor] = field(default_factory=dict)
    verification: Verification | None = None
    ranking: Ranking | None = None
    wide_nodes: dict[str, str] = field(default_factory=dict)
    multiply_adds: int | None = None
    plan: PlanOrigin | None = None


@dataclass(frozen=True)
class Manifest:
    """A bundle's `manifest.json`."""

    created_by: str
    weights: Weights
    architecture: Architecture
    method: Method
    prompts: tuple[PromptPair, ...]
    files: tuple[BundleFile, ...]
    schema: int = SCHEMA

    def to_json(self) -> str:
        """The text of `manifest.json`; `parse_manifest` reads it back."""
        return json.dumps(asdict(self), indent=1) + "\n"


def parse_manifest(text: str) -> Manifest:
    """Read a manifest; raises BundleError, saying where, if any of it is not understood."""
    try:
        data = json.loads(text)
    except ValueError as error:
        raise BundleError(f"not valid JSON ({error}); export the bundle again") from None
    schema = data.get("schema") if isinstance(data, dict) else None
    if isinstance(schema, int) and schema > SCHEMA:
        raise BundleError(
            f"made by a newer maclip-edge (schema {schema}, this one reads {SCHEMA}); "
            "upgrade maclip-edge"
        )
    if schema != SCHEMA:
        raise BundleError(f"schema {schema!r} is not known; export the bundle again")
    return typing.cast(Manifest, _parse(Manifest, data, "manifest"))


def _parse(kind: Any, value: Any, where: str) -> Any:
    """`value` from JSON as the annotated type `kind`, or BundleError naming `where` it is not."""
    origin, options = typing.get_origin(kind), typing.get_args(kind)
    if is_dataclass(kind):
        return _parse_dataclass(kind, value, where)
    if origin in (typing.Union, types.UnionType):
        for option in options:
            try:
                return _parse(option, value, where)
            except BundleError:
                continue
    elif origin is Literal:
        if value in options:
            return value
    elif origin is tuple and isinstance(value, list):
        if options[-1] is Ellipsis:
            options = (options[0],) * len(value)
        if len(options) == len(value):
            return tuple(
                _parse(option, item, f"{where}[{place}]")
                for place, (option, item) in enumerate(zip(options, value, strict=True))
            )
    elif origin is dict and isinstance(value, dict):
        return {key: _parse(options[1], item, f"{where}.{key}") for key, item in value.items()}
    elif kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    elif isinstance(kind, type) and type(value) is kind:
        return value
    raise BundleError(f"{where} is not understood: {value!r:.60}; export the bundle again")


def _parse_dataclass(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise BundleError(f"{where} is not understood: {value!r:.60}; export the bundle again")
    hints = typing.get_type_hints(kind)
    unknown = value.keys() - hints.keys()
    required = {
        f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING
    }
    missing = required - value.keys()
    if unknown or missing:
        fault = "unknown" if unknown else "missing"
        names = ", ".join(sorted(unknown or missing))
        raise BundleError(f"{where} has {fault} fields ({names}); export the bundle again")
    return kind(
        **{name: _parse(hints[name], item, f"{where}.{name}") for name, item in value.items()}
    )
