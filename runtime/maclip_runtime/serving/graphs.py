"""Which graphs and plans of a bundle become models of Triton."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from maclip_runtime.bundle.bundle import Bundle
from maclip_runtime.bundle.manifest import BundleFile
from maclip_runtime.errors import BundleError, Remedy
from maclip_runtime.serving.settings import ServedPrecision, ServingSettings

Backend = Literal["onnxruntime", "tensorrt"]

_ROLES = ("image_encoder", "score_graph")


@dataclass(frozen=True)
class ServedGraph:
    """A model of Triton's: one graph, or plans of one graph for several GPUs.

    files: what lies in the folder of a version, by its name there. A plan's name has the compute capability
    that it was built for.
    """

    model: str
    backend: Backend
    files: Mapping[str, BundleFile]

    @property
    def graph(self) -> BundleFile:
        """The graph, or one of the plans: all have its inputs and outputs."""
        return next(iter(self.files.values()))

    @property
    def is_encoder(self) -> bool:
        """Whether it takes views; a score graph takes a frame."""
        return self.graph.role == "image_encoder"


def choose_graphs(bundle: Bundle, settings: ServingSettings) -> list[ServedGraph]:
    """The encoder, score graphs where the bundle has some, and TensorRT's plans of either.

    Encoders come first, and of them the plan's, which is what the picture model calls. Raises BundleError
    if there is no encoder in the precision.
    """
    served = _list_served(bundle, _choose_precision(bundle, settings), settings)
    return sorted(served, key=lambda graph: (not graph.is_encoder, graph.backend != "tensorrt"))


def list_left_out(bundle: Bundle, settings: ServingSettings) -> list[str]:
    """The bundle's plans that become no model, each with the reason."""
    precision = _choose_precision(bundle, settings)
    plans = [file for file in bundle.manifest.files if file.plan is not None]
    reasons = {file.path: _find_reason(file, precision, settings) for file in plans}
    return [f"{path} is left out: {reason}" for path, reason in reasons.items() if reason]


def _find_reason(
    file: BundleFile, precision: ServedPrecision, settings: ServingSettings
) -> str | None:
    assert file.plan is not None
    if file.plan.library != "tensorrt":
        return f"Triton has no backend for {file.plan.library}"
    if file.role not in _ROLES:
        return "Triton takes plans of the image encoder and of score graphs; build one with --graph"
    if settings.device == "cpu":
        return "it needs a GPU"
    if file.precision != precision:
        return f"it is in {file.precision}, and the models in {precision}; see --precision"
    return None


def _choose_precision(bundle: Bundle, settings: ServingSettings) -> ServedPrecision:
    precisions: tuple[ServedPrecision, ...] = ("fp32",)
    if settings.precision is not None:
        precisions = (settings.precision,)
    elif settings.device == "gpu":
        precisions = ("fp16", "fp32")
    for precision in precisions:
        if bundle.list_graphs("image_encoder", precision=precision):
            return precision
    raise BundleError(
        f"{bundle.path}: has no image encoder in {' or '.join(precisions)}",
        Remedy("export the bundle with {precision}", settings={"precision": precisions[0]}),
    )


def _list_served(
    bundle: Bundle, precision: ServedPrecision, settings: ServingSettings
) -> list[ServedGraph]:
    found: dict[tuple[str, Backend], dict[str, BundleFile]] = {}
    for file in bundle.manifest.files:
        if file.role not in _ROLES or file.precision != precision:
            continue
        model = _name(file, settings)
        if file.plan is None:
            found.setdefault((model, "onnxruntime"), {}).setdefault("model.onnx", file)
        elif file.plan.library == "tensorrt" and settings.device != "cpu":
            plans = found.setdefault((f"{model}_tensorrt", "tensorrt"), {})
            for capability in file.plan.compute_capabilities or ("",):
                plans.setdefault(f"model.{capability}.plan" if capability else "model.plan", file)
    return [ServedGraph(model, backend, files) for (model, backend), files in found.items()]


def _name(file: BundleFile, settings: ServingSettings) -> str:
    """A model's name: what it is, and the size of its frames if it takes one only."""
    if file.role == "image_encoder":
        return f"{settings.name}_encoder"
    height, width, _ = file.inputs["frame"].shape
    size = "" if file.takes_any_size else f"_{height}x{width}"
    return f"{settings.name}_score{size}"
