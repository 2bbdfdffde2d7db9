"""Graphs run by themselves on the CPU, for measuring and verifying."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnxruntime


def open_graph(graph: Path | onnx.ModelProto) -> onnxruntime.InferenceSession:
    """A session of ONNX Runtime on the CPU, from a file or a graph in memory."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only; they are exceptions too
    source = graph if isinstance(graph, Path) else graph.SerializeToString()
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
