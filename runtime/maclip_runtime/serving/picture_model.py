"""The picture model, as Triton's Python backend runs it: an encoded picture in, its score out.

Each instance is a process with one request at a time. It decodes and cuts views; the encoder is another
model, called from here, so that views of concurrent requests share its batches. A picture that cannot be
scored is an error of its own request. Needs no engine and no torch: NumPy and Pillow.
"""

from __future__ import annotations

import asyncio
import json
import warnings
from collections import deque
from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from maclip_runtime.bundle.bundle import open_bundle
from maclip_runtime.errors import PictureError
from maclip_runtime.method.head import Cues, score_views
from maclip_runtime.method.pixels import Floats, Frame, Pixels
from maclip_runtime.method.views import iterate_views
from maclip_runtime.sources.preparation import PreparedFrame, prepare_frame

BUNDLE_FOLDER = "bundle"  # beside this model's code: manifest and prompts
CHUNKS_UNDER_WAY = 2  # of a picture's views: one is cut while the encoder has the other

UNDER_WAY = "maclip_pictures_under_way"  # a metric of the server: whoever stops it looks at that

_PICTURE = "picture"  # the input, and how errors name it: the caller knows which one was sent


class TritonPythonModel:
    """What Triton asks of a model in Python."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Read bundle and settings. args: from Triton; `model_config` is the configuration as JSON."""
        import triton_python_backend_utils  # there only within Triton

        self._triton = triton_python_backend_utils
        given = json.loads(args["model_config"])["parameters"]
        settings = {name: entry["string_value"] for name, entry in given.items()}
        version = Path(args["model_repository"], args["model_version"])
        bundle = open_bundle(version / BUNDLE_FOLDER)
        self._manifest = bundle.manifest
        self._prompts = bundle.load_prompts()
        self._encoder = settings["encoder"]
        self._encoder_batch = int(settings["encoder_batch"])
        self._preset: Any = settings["preset"]
        self._exif_orientation = settings["exif_orientation"] == "true"
        self._largest_picture = int(settings["largest_picture"])
        self._family = self._triton.MetricFamily(  # kept: its metrics end with it
            name=UNDER_WAY,
            description="Pictures that are being scored.",
            kind=self._triton.MetricFamily.GAUGE,
        )
        self._under_way = self._family.Metric(
            labels={"model": args["model_name"], "instance": args["model_instance_name"]}
        )
        # The library has its own limit on a picture's size, and says so in an error.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)

    async def execute(self, requests: list[Any]) -> list[Any]:
        """A response to each request."""
        self._under_way.increment(len(requests))
        try:
            return list(await asyncio.gather(*(self._respond(request) for request in requests)))
        finally:
            self._under_way.increment(-len(requests))

    async def _respond(self, request: Any) -> Any:
        triton = self._triton
        try:
            given = triton.get_input_tensor_by_name(request, _PICTURE)
            prepared = self._prepare(given.as_numpy().item())
            cues = self._score(await self._encode(prepared.pixels))
        except PictureError as error:
            return self._refuse(str(error), triton.TritonError.INVALID_ARG)
        except _EncoderError as error:
            return self._refuse(f"{_PICTURE}: {error}", error.code)
        return triton.InferenceResponse(self._list_outputs(prepared, cues))

    def _prepare(self, encoded: bytes) -> PreparedFrame:
        if len(encoded) > self._largest_picture:
            raise PictureError(
                _PICTURE,
                f"{len(encoded)} bytes, and this server takes {self._largest_picture}",
                "scale it down first",
            )
        try:
            return prepare_frame(
                encoded,
                self._preset,
                self._manifest.method.views.size,
                exif_orientation=self._exif_orientation,
            )
        except PictureError as error:
            raise PictureError(_PICTURE, error.reason) from None

    async def _encode(self, frame: Frame) -> Floats:
        """The features `[V, D]` of a frame. However many views it has, few are in memory at a time."""
        chunks = []
        under_way: deque[Awaitable[Any]] = deque()
        for pixels in iterate_views(frame, self._manifest.method.views, self._encoder_batch):
            under_way.append(self._call_encoder(pixels))
            if len(under_way) == CHUNKS_UNDER_WAY:
                chunks.append(self._read_features(await under_way.popleft()))
        while under_way:
            chunks.append(self._read_features(await under_way.popleft()))
        return np.concatenate(chunks)

    def _call_encoder(self, pixels: Pixels) -> Awaitable[Any]:
        triton = self._triton
        request = triton.InferenceRequest(
            model_name=self._encoder,
            requested_output_names=["features"],
            inputs=[triton.Tensor("pixels", pixels)],
            # Features from a GPU would stay there otherwise, out of NumPy's reach.
            preferred_memory=triton.PreferredMemory(triton.TRITONSERVER_MEMORY_CPU, 0),
        )
        return request.async_exec()

    def _read_features(self, response: Any) -> Floats:
        if response.has_error():
            error = response.error()
            raise _EncoderError(error.message(), error.code())
        tensor = self._triton.get_output_tensor_by_name(response, "features")
        return np.array(tensor.as_numpy())  # a copy: the response's memory is Triton's

    def _score(self, features: Floats) -> Cues:
        method = self._manifest.method
        internal = self._triton.TritonError.INTERNAL
        refusal = _EncoderError("its features give a score that is no finite number", internal)
        try:
            # As in the scorer: a norm that overflows would give scores that say nothing.
            with np.errstate(over="raise", invalid="ignore"):
                cues = score_views(
                    features, self._prompts, method.logit_scale, method.head, self._manifest.scored
                )
        except FloatingPointError:
            raise refusal from None
        if not cues.finite:
            raise refusal
        return cues

    def _list_outputs(self, prepared: PreparedFrame, cues: Cues) -> list[Any]:
        means = cues.mean()
        names = [pair.name.encode() for pair in self._manifest.prompts]
        outputs = {
            "score": np.array([means.score], np.float32),
            "similarity": np.array([means.similarity], np.float32),
            "magnitude": np.array([means.magnitude], np.float32),
            "weight": np.array([means.weight], np.float32),
            "attributes": cues.attributes.mean(axis=0),
            "attribute_names": np.array(names, np.object_),
            "views": np.array([len(cues.score)], np.int32),
            "width": np.array([prepared.width], np.int32),
            "height": np.array([prepared.height], np.int32),
            "enlarged": np.array([prepared.enlarged]),
        }
        return [self._triton.Tensor(name, value[None]) for name, value in outputs.items()]

    def _refuse(self, message: str, code: Any) -> Any:
        triton = self._triton
        return triton.InferenceResponse(error=triton.TritonError(message, code))


class _EncoderError(Exception):
    """The encoder's model failed, or is not there. code: Triton's."""

    def __init__(self, message: str, code: Any) -> None:
        super().__init__(message)
        self.code = code
