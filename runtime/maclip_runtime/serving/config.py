"""Configurations of Triton's models, as its own protobuf messages.

What they may hold is in `model_config.proto` of Triton's common repository; tritonclient brings its
classes. Servers from 2.51 (24.10) on know every field that is used here.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from maclip_runtime.bundle.manifest import Manifest, Tensor
from maclip_runtime.engines.onnxruntime import GPU_MICRO_BATCH, MICRO_BATCH
from maclip_runtime.errors import UsageError
from maclip_runtime.serving.graphs import ServedGraph
from maclip_runtime.serving.picture_model import CHUNKS_UNDER_WAY
from maclip_runtime.serving.settings import ServingSettings

ModelConfig = Any  # tritonclient has no types

_DTYPES = {"float32": "TYPE_FP32", "uint8": "TYPE_UINT8"}
_KINDS = {"auto": "KIND_AUTO", "cpu": "KIND_CPU", "gpu": "KIND_GPU"}

# What the picture model gives for one picture; each is an array of one element, attributes have K.
_PICTURE_OUTPUTS = {
    "score": "TYPE_FP32",
    "similarity": "TYPE_FP32",
    "magnitude": "TYPE_FP32",
    "weight": "TYPE_FP32",
    "attributes": "TYPE_FP32",
    "attribute_names": "TYPE_STRING",
    "views": "TYPE_INT32",
    "width": "TYPE_INT32",
    "height": "TYPE_INT32",
    "enlarged": "TYPE_BOOL",
}


def import_model_config() -> ModuleType:
    """The module of Triton's configuration messages; UsageError if tritonclient is not installed."""
    try:
        from tritonclient.grpc import model_config_pb2
    except ImportError as error:
        raise UsageError(
            f"model repositories need tritonclient ({error})", "pip install 'maclip-edge[triton]'"
        ) from None
    return model_config_pb2


def write_text(config: ModelConfig) -> str:
    """A configuration as the text of `config.pbtxt`."""
    from google.protobuf import text_format

    return text_format.MessageToString(config)


def configure_encoder(
    served: ServedGraph, manifest: Manifest, settings: ServingSettings
) -> ModelConfig:
    """The encoder: views float32 `[n, 3, S, S]` to features `[n, D]`; requests share batches."""
    size = manifest.method.views.size
    config = _configure_graph(served, settings)
    config.max_batch_size = count_views(served, settings)
    _declare(config.input, "pixels", "TYPE_FP32", (3, size, size))
    _declare(config.output, "features", "TYPE_FP32", (manifest.architecture.features,))
    batching = config.dynamic_batching
    batching.max_queue_delay_microseconds = settings.delay
    # The picture model has so many requests under way at most; others are other callers'. A time-out here
    # would fail a large picture whose last views wait behind its first.
    batching.default_queue_policy.max_queue_size = (
        settings.queue + settings.instances * CHUNKS_UNDER_WAY
    )
    for views in sorted({1, config.max_batch_size}):
        _warm_up(config, f"{views} of {config.max_batch_size} views", views, (3, size, size))
    return config


def configure_score_graph(
    served: ServedGraph, manifest: Manifest, settings: ServingSettings
) -> ModelConfig:
    """A score graph: one frame uint8 `[H, W, 3]` to score and cues `[1]` and attributes `[K]`."""
    config = _configure_graph(served, settings)
    for name, tensor in served.graph.inputs.items():
        _declare(config.input, name, _DTYPES[tensor.dtype], _list_dimensions(tensor))
    for name, tensor in served.graph.outputs.items():
        _declare(config.output, name, _DTYPES[tensor.dtype], _list_dimensions(tensor))
    size = manifest.method.views.size
    frame = [size if length == -1 else length for length in config.input[0].dims]
    _warm_up(config, "one frame", 1, tuple(frame))
    return config


def configure_picture(
    encoder: ServedGraph, manifest: Manifest, settings: ServingSettings
) -> ModelConfig:
    """The picture model: an encoded picture to its score, through the encoder."""
    config = _configure(f"{settings.name}_picture", "python", settings)
    # One picture a request, so that one that is bad is an error of its own request. With the batcher, which
    # then joins nothing, come a bounded queue and time-outs.
    config.max_batch_size = 1
    policy = config.dynamic_batching.default_queue_policy
    policy.max_queue_size = settings.queue
    policy.default_timeout_microseconds = round(settings.timeout * 1e6)
    policy.allow_timeout_override = True
    _declare(config.input, "picture", "TYPE_STRING", (1,))
    for name, dtype in _PICTURE_OUTPUTS.items():
        length = len(manifest.prompts) if name.startswith("attribute") else 1
        _declare(config.output, name, dtype, (length,))
    group = config.instance_group.add()
    group.count = settings.instances
    group.kind = group.Kind.Value("KIND_CPU")
    parameters = {
        "encoder": encoder.model,
        "encoder_batch": str(count_views(encoder, settings)),
        "preset": settings.preset,
        "exif_orientation": str(settings.exif_orientation).lower(),
        "largest_picture": str(settings.largest_picture),
    }
    for name, value in parameters.items():
        config.parameters[name].string_value = value
    return config


def count_views(served: ServedGraph, settings: ServingSettings) -> int:
    """Views that an encoder takes at once: as set, and not more than its plans were built for."""
    batch = settings.batch or (MICRO_BATCH if settings.device == "cpu" else GPU_MICRO_BATCH)
    for file in served.files.values():
        if file.plan is not None and "pixels" in file.plan.profile:
            _, _, largest = file.plan.profile["pixels"]
            batch = min(batch, largest[0])
    return batch


def _configure(name: str, backend: str, settings: ServingSettings) -> ModelConfig:
    config = import_model_config().ModelConfig(name=name, backend=backend)
    config.version_policy.latest.num_versions = 1
    return config


def _configure_graph(served: ServedGraph, settings: ServingSettings) -> ModelConfig:
    """What every graph's model has, whatever goes in and out."""
    config = _configure(served.model, served.backend, settings)
    group = config.instance_group.add()
    group.count = 1  # a second one takes the weights' memory again, and batches fill one
    if served.backend == "tensorrt":
        group.kind = group.Kind.Value("KIND_GPU")
        _name_plans(config, served)
        return config
    group.kind = group.Kind.Value(_KINDS[settings.device])
    config.default_model_filename = "model.onnx"
    if settings.threads is not None:
        config.parameters["intra_op_thread_count"].string_value = str(settings.threads)
    if settings.device != "cpu":
        # TF32, CUDA's default, keeps ten bits of a product's factors: a float32 graph would not be that.
        accelerator = config.optimization.execution_accelerators.gpu_execution_accelerator.add()
        accelerator.name = "cuda"
        accelerator.parameters["use_tf32"] = "0"
    return config


def _name_plans(config: ModelConfig, served: ServedGraph) -> None:
    """Which plan is for which compute capability; on a GPU that none is for, Triton misses `model.plan`."""
    config.default_model_filename = "model.plan"
    for name in served.files:
        capability = name.removeprefix("model.").removesuffix("plan").rstrip(".")
        if capability:
            config.cc_model_filenames[f"{capability[:-1]}.{capability[-1]}"] = name


def _list_dimensions(tensor: Tensor) -> tuple[int, ...]:
    """A tensor's shape as Triton writes it: -1 for any length, and one element for a scalar.

    It knows no scalars: its onnxruntime backend gives them the shape that stands here.
    """
    return tuple(length if isinstance(length, int) else -1 for length in tensor.shape) or (1,)


def _declare(ports: Any, name: str, dtype: str, dimensions: tuple[int, ...]) -> None:
    """Add an input or output; without the batch's dimension where there is one."""
    port = ports.add()
    port.name = name
    port.data_type = import_model_config().DataType.Value(dtype)
    port.dims.extend(dimensions)


def _warm_up(config: ModelConfig, name: str, batch: int, dimensions: tuple[int, ...]) -> None:
    """Run a request before the model is called ready: the first one of a shape takes longer."""
    warmup = config.model_warmup.add()
    warmup.name = name
    warmup.batch_size = batch
    port = config.input[0]
    content = warmup.inputs[port.name]
    content.data_type = port.data_type
    content.dims.extend(dimensions)
    content.random_data = True
