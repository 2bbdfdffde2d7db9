"""What goes into a graph or plan and comes out of it, checked against its role and its manifest entry.

A graph that differs would score something else, or fail in the middle of a run and name no file.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from maclip_runtime.bundle.manifest import BundleFile, Tensor
from maclip_runtime.errors import BundleError, EngineError
from maclip_runtime.method.pixels import Floats
from maclip_runtime.pixel_formats import describe_frame

_REMEDY = "export the bundle again"


def check_signature(
    file: BundleFile,
    inputs: Mapping[str, Tensor],
    outputs: Mapping[str, Tensor],
    *,
    view_size: int,
) -> None:
    """Raise BundleError, naming the file, unless it takes and gives what the manifest and the method say.

    inputs, outputs: what the graph or plan itself says. view_size: S. That the features have the bundle's D
    is for whoever reads the manifest to see (`parse_manifest`).
    """
    for kind, listed, found in (("input", file.inputs, inputs), ("output", file.outputs, outputs)):
        if listed.keys() != found.keys():
            raise _refuse(file, f"has the {kind}s {_name(found)}, not {_name(listed)}")
        for name, tensor in found.items():
            if not _fits(tensor, listed[name]):
                raise _refuse(
                    file, f"has the {kind} {name} {_show(tensor)}, not {_show(listed[name])}"
                )
    wanted = _list_inputs(file, view_size)
    if inputs.keys() != wanted.keys() or "features" not in outputs:
        raise _refuse(file, f"turns {_name(inputs)} into {_name(outputs)}: no {file.role}")
    wanted["features"] = Tensor("float32", ("views", "features"))
    for name, tensor in wanted.items():
        found_tensor = {**inputs, **outputs}[name]
        if not _fits(found_tensor, tensor):
            raise _refuse(file, f"has {name} {_show(found_tensor)}, not {_show(tensor)}")


def check_features(file: BundleFile, found: Floats, rows: int, features: int) -> Floats:
    """Features as they came from a run, if they are finite float32 `[rows, D]`; EngineError otherwise."""
    if found.shape != (rows, features) or found.dtype != np.float32:
        raise EngineError(
            f"{file.path}: gave features {found.dtype} {found.shape}, not float32 {(rows, features)}",
            _REMEDY,
        )
    if not np.isfinite(found).all():
        raise EngineError(
            f"{file.path}: gave features that are not finite numbers",
            "use a graph of another precision, or export the bundle again",
        )
    return found


def _list_inputs(file: BundleFile, view_size: int) -> dict[str, Tensor]:
    """What a file of this role takes."""
    if file.role == "image_encoder":
        shape = ("views", 3, view_size, view_size)
        return {"pixels": Tensor("float32", shape)}
    inputs = {"frame": describe_frame(file.pixel_format)}
    if file.chunked:
        inputs["views"] = Tensor("int64", ("views",))
    return inputs


def _fits(found: Tensor, wanted: Tensor) -> bool:
    """The same type and rank, and the same length wherever both have one; dynamic axes have none."""
    return (
        found.dtype == wanted.dtype
        and len(found.shape) == len(wanted.shape)
        and all(
            have == want
            for have, want in zip(found.shape, wanted.shape, strict=True)
            # 0: an axis whose length the exporter could not say.
            if isinstance(have, int) and isinstance(want, int) and have and want
        )
    )


def _name(tensors: Mapping[str, Tensor]) -> str:
    names = ", ".join(sorted(tensors)) or "nothing"
    return names[:80] if names.isprintable() else f"{names!r:.80}"


def _show(tensor: Tensor) -> str:
    shape = ", ".join(str(length) for length in tensor.shape)
    text = f"{tensor.dtype} [{shape}]"
    return text[:80] if text.isprintable() else f"{text!r:.80}"


def _refuse(file: BundleFile, fault: str) -> BundleError:
    return BundleError(f"{file.path}: {fault}", _REMEDY)
