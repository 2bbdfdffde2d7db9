"""One plan's execution context: shapes, addresses, and whether its work can be a CUDA graph.

What differs between TensorRT and TensorRT-RTX when a plan runs stands here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from maclip_runtime.bundle.manifest import Shape
from maclip_runtime.engines.cuda import Cuda
from maclip_runtime.engines.kernel_cache import KernelCache
from maclip_runtime.engines.loading import LoadedPlan
from maclip_runtime.errors import EngineError, FrameError, Remedy
from maclip_runtime.vocabulary import PlanLibrary


class Execution:
    """Runs a loaded plan on one stream. For one thread at a time.

    cache: where TensorRT-RTX's compiled kernels are kept. again: how to build the plan anew, for messages.
    EngineError where there is no memory for it.
    """

    def __init__(
        self,
        loaded: LoadedPlan,
        library: PlanLibrary,
        trt: Any,
        cuda: Cuda,
        stream: Any,
        cache: KernelCache,
        again: Remedy,
    ) -> None:
        self._loaded = loaded
        self._library = library
        self._cuda = cuda
        self._stream = stream
        self._cache = cache
        self._again = again
        self._shapes: dict[str, Shape] = {}
        self._final_kernels = True
        self._capturable = True
        if library == "tensorrt-rtx":
            self._context = self._make_rtx_context(trt)
        else:
            self._context = loaded.engine.create_execution_context()
        if self._context is None:
            raise EngineError(f"not enough GPU memory for the plan ({loaded.reason})")

    def set_shapes(self, shapes: Mapping[str, Shape]) -> None:
        """Set the inputs' shapes, with nothing under way; FrameError if the plan refuses them."""
        for name, shape in shapes.items():
            if self._shapes.get(name) != shape:
                self._shapes.pop(name, None)
                if not self._context.set_input_shape(name, shape):
                    reason = f"{self._library} refuses {name} {shape}: {self._loaded.reason}"
                    raise FrameError(reason, self._again)
                self._shapes[name] = shape

    def enqueue(self, addresses: Mapping[str, int]) -> None:
        """Run the plan in its turn on the stream, its tensors at these addresses on the device."""
        for tensor, address in addresses.items():
            if not self._context.set_tensor_address(tensor, address):
                raise EngineError(f"the plan takes no {tensor}: {self._loaded.reason}")
        if not self._context.execute_async_v3(int(self._stream)):
            raise EngineError(f"{self._library} failed: {self._loaded.reason}")

    def capture(self, work: Callable[[], None]) -> Any:
        """A CUDA graph of what `work` enqueues, run before with these shapes; None if there can be none.

        What failed once is not tried again: the frame's own work must have been enqueued already.
        """
        # TensorRT-RTX says whether it can be captured; TensorRT can, once it has run a shape.
        ask = getattr(self._context, "is_stream_capturable", lambda stream: True)
        if not (self._capturable and self._final_kernels and ask(int(self._stream))):
            return None
        try:
            with self._cuda.capture(self._stream) as captured:
                work()
        except EngineError:
            self._capturable = False
            return None
        return captured[0]

    def save_kernels(self) -> None:
        """Keep what TensorRT-RTX has compiled, for the next process."""
        self._cache.save()

    def close(self) -> None:
        """Free the context, before the memory that it uses."""
        self._cache.save()
        self._context = None

    def _make_rtx_context(self, trt: Any) -> Any:
        """A context of TensorRT-RTX, which compiles kernels on this machine for the shapes that it meets.

        Of frames of one size they are compiled when the first comes, and are final, so that they can be
        captured in a CUDA graph. Where sizes change, waiting for each would take longer than it gains:
        kernels for any shape run until better ones are compiled in the background. Plans are built with
        REQUIRE_USER_ALLOCATION, so the activations' memory is given here.
        """
        engine = self._loaded.engine
        smallest, _, largest = self._loaded.list_shapes("frame")
        self._final_kernels = smallest == largest
        strategies = trt.DynamicShapesKernelSpecializationStrategy
        config = engine.create_runtime_config()
        config.dynamic_shapes_kernel_specialization_strategy = (
            strategies.EAGER if self._final_kernels else strategies.LAZY
        )
        config.set_execution_context_allocation_strategy(
            trt.ExecutionContextAllocationStrategy.USER_MANAGED
        )
        self._cache.load(config)
        context = engine.create_execution_context(config)
        size = int(engine.device_memory_size_v2)
        if context is not None and size:
            context.set_device_memory(self._cuda.allocate(size), size)
        return context
