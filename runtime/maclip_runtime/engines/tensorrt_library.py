"""TensorRT's Python modules: full TensorRT and TensorRT-RTX, whose APIs are nearly one."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

from maclip_runtime.errors import EngineError
from maclip_runtime.vocabulary import PlanLibrary

MODULES: dict[PlanLibrary, str] = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}


def import_library(name: PlanLibrary) -> ModuleType:
    """The library's Python module; EngineError if it is not installed."""
    try:
        return importlib.import_module(MODULES[name])
    except (ImportError, OSError) as error:
        how = (
            "pip install 'maclip-edge[tensorrt-rtx]'"
            if name == "tensorrt-rtx"
            else "JetPack brings it; on a server run: pip install tensorrt-cu13"
        )
        raise EngineError(f"{name} cannot be imported ({error})", how) from None


def list_capabilities(trt: Any) -> list[str]:
    """The compute capabilities that TensorRT-RTX's module builds for and runs on, as digits."""
    names = [name.removeprefix("SM") for name in trt.ComputeCapability.__members__]
    return [digits for digits in names if digits.isdigit()]


def make_logger(trt: ModuleType) -> Any:
    """A logger that keeps the library's errors in `.errors`: its calls only return None or False."""

    class Logger(trt.ILogger):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()  # pybind11 wants it said
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.INTERNAL_ERROR, trt.ILogger.ERROR):
                self.errors.append(" ".join(message.split()))

        @property
        def reason(self) -> str:
            return self.errors[0] if self.errors else "no reason given"

    return Logger()
