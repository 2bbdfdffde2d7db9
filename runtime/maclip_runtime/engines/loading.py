"""Plans deserialised: what the engine asks of TensorRT before the first frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from maclip_runtime.bundle.manifest import BundleFile, Shape, Tensor
from maclip_runtime.engines.signature import check_signature
from maclip_runtime.engines.tensorrt_library import make_logger
from maclip_runtime.errors import EngineError, Remedy


@dataclass(frozen=True)
class LoadedPlan:
    """A plan ready for an execution context. The runtime must live as long as its engine."""

    engine: Any
    runtime: Any
    logger: Any

    @property
    def reason(self) -> str:
        """What the library said last, for calls that only return None or False."""
        return str(self.logger.reason)

    def list_shapes(self, tensor: str) -> tuple[Shape, Shape, Shape]:
        """The smallest, best and largest shape that the plan takes."""
        shape = tuple(self.engine.get_tensor_shape(tensor))
        if -1 not in shape:
            return shape, shape, shape
        smallest, best, largest = self.engine.get_tensor_profile_shape(tensor, 0)
        return tuple(smallest), tuple(best), tuple(largest)

    def check(self, file: BundleFile, view_size: int) -> None:
        """Raise BundleError unless the plan's tensors have the names and shapes of its manifest entry.

        Their types the graph had when it was read: TensorRT keeps those of inputs and outputs.
        """
        names = [self.engine.get_tensor_name(index) for index in range(self.engine.num_io_tensors)]
        listed = {**file.inputs, **file.outputs}
        found = {
            name: Tensor(
                listed[name].dtype if name in listed else "unknown",
                tuple("?" if n == -1 else n for n in self.engine.get_tensor_shape(name)),
            )
            for name in names
        }
        check_signature(
            file,
            {name: tensor for name, tensor in found.items() if name not in file.outputs},
            {name: tensor for name, tensor in found.items() if name in file.outputs},
            view_size=view_size,
        )


def load_plan(plan: bytes, file: BundleFile, trt: Any, again: Remedy) -> LoadedPlan:
    """Deserialise a plan with the library's module `trt`; EngineError, with its reason, if it can't be.

    plan: bytes that were verified against the bundle's manifest. The device is the thread's current one.
    """
    assert file.plan is not None
    logger = make_logger(trt)
    runtime = trt.Runtime(logger)
    if file.plan.library == "tensorrt-rtx":
        _check_validity(runtime, plan, trt, logger, again)
    elif file.plan.version_compatible:
        # Such a plan carries a lean runtime, code for this host; others carry none and may bring none.
        runtime.engine_host_code_allowed = True
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:  # no exception: the reason is in the log
        raise EngineError(f"the plan does not run here ({logger.reason})", again)
    return LoadedPlan(engine, runtime, logger)


def _check_validity(runtime: Any, plan: bytes, trt: Any, logger: Any, again: Remedy) -> None:
    """Ask TensorRT-RTX (1.1 and later) by a plan's header whether it runs on the current device."""
    if not hasattr(runtime, "get_engine_validity"):
        return
    validity, diagnostics = runtime.get_engine_validity(plan[: runtime.engine_header_size])
    if validity != trt.EngineValidity.INVALID:
        return
    causes = [
        name.replace("_", " ").lower()
        for name, value in trt.EngineInvalidityDiagnostics.__members__.items()
        if int(diagnostics) & int(value)
    ]
    reason = ", ".join(causes) or logger.reason
    raise EngineError(f"the plan does not run here ({reason})", again)
