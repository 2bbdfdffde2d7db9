"""Triton's onnxruntime backend in Python, on the CPU, for servers that come without the real one.

The server that pip installs has the Python backend alone. This runs the same repository in it: one graph,
requests joined to batches as Triton's batcher hands them over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maclip_runtime.engines.session import import_onnxruntime


class TritonPythonModel:
    """What Triton asks of a model in Python."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Open the graph. args: from Triton; `model_config` is the configuration as JSON."""
        import triton_python_backend_utils  # there only within Triton

        self._triton = triton_python_backend_utils
        config = json.loads(args["model_config"])
        self._inputs = [port["name"] for port in config["input"]]
        self._outputs = {port["name"]: tuple(port["dims"]) for port in config["output"]}
        self._joins = config["max_batch_size"] > 0
        onnxruntime = import_onnxruntime()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = (
            4  # what a request does wrong goes to its caller, not to the log
        )
        threads = config["parameters"].get("intra_op_thread_count")
        if threads is not None:
            options.intra_op_num_threads = int(threads["string_value"])
        path = Path(
            args["model_repository"], args["model_version"], config["default_model_filename"]
        )
        self._session = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """A response to each request, from one run of the graph where it takes batches."""
        if self._joins:
            return self._run(requests)
        return [response for request in requests for response in self._run([request])]

    def _run(self, requests: Sequence[Any]) -> list[Any]:
        triton = self._triton
        given = [[self._read(request, name) for name in self._inputs] for request in requests]
        joined = [
            np.concatenate(arrays) if len(arrays) > 1 else arrays[0]
            for arrays in zip(*given, strict=True)
        ]
        try:
            found = self._session.run(
                list(self._outputs), dict(zip(self._inputs, joined, strict=True))
            )
        except Exception as error:  # noqa: BLE001  its exceptions have no other common base
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            refusal = triton.TritonError(reason, triton.TritonError.INTERNAL)
            return [triton.InferenceResponse(error=refusal) for _ in requests]
        if not self._joins:
            # Triton knows no scalars; as the real backend does, they get the configuration's shape.
            shaped = [
                value.reshape(value.shape or dims)
                for value, dims in zip(found, self._outputs.values(), strict=True)
            ]
            return [self._respond(shaped)]
        bounds = np.cumsum([len(arrays[0]) for arrays in given])[:-1]
        parts = [np.split(value, bounds) for value in found]
        return [self._respond(values) for values in zip(*parts, strict=True)]

    def _read(self, request: Any, name: str) -> NDArray[Any]:
        return self._triton.get_input_tensor_by_name(request, name).as_numpy()

    def _respond(self, values: Sequence[NDArray[Any]]) -> Any:
        triton = self._triton
        return triton.InferenceResponse(
            [
                triton.Tensor(name, np.ascontiguousarray(value))
                for name, value in zip(self._outputs, values, strict=True)
            ]
        )
