"""What a bundle's manifest says of a graph file that was just written into it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import onnx

from maclip_export.vocabulary import GraphRole
from maclip_runtime.bundle.bundle import Bundle
from maclip_runtime.bundle.manifest import BundleFile, Tensor, VideoColour
from maclip_runtime.bundle.staging import describe_file
from maclip_runtime.vocabulary import GraphPixelFormat, Precision, ViewMode


def read_signature(path: Path) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Inputs and outputs of a graph file, as the manifest records them."""
    graph = onnx.load(path, load_external_data=False).graph

    def describe(values: Iterable[onnx.ValueInfoProto]) -> dict[str, Tensor]:
        return {
            value.name: Tensor(
                onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type).name,
                tuple(dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim),
            )
            for value in values
        }

    return describe(graph.input), describe(graph.output)


def describe_graph(
    path: Path,
    role: GraphRole,
    precision: Precision,
    *,
    view_mode: ViewMode | None = None,
    chunked: bool = False,
    pixel_format: GraphPixelFormat = "rgb24",
    colour: VideoColour | None = None,
) -> BundleFile:
    """The manifest entry of a graph file in a staged bundle, before it is verified."""
    inputs, outputs = read_signature(path)
    return describe_file(
        path,
        role,
        precision=precision,
        view_mode=view_mode,
        chunked=chunked,
        pixel_format=pixel_format,
        colour=colour,
        inputs=inputs,
        outputs=outputs,
    )


def record_file(bundle: Bundle, entry: BundleFile) -> Bundle:
    """A staged bundle with one more file in its manifest, which is not on disk yet."""
    manifest = bundle.manifest
    return replace(bundle, manifest=replace(manifest, files=(*manifest.files, entry)))
