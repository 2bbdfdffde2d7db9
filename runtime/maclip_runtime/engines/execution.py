"""One plan, loaded and run: its context, shapes, addresses and CUDA graphs.

What differs between TensorRT and TensorRT-RTX when a plan runs stands here.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any, Literal

from maclip_runtime.bundle.bundle import Bundle
from maclip_runtime.bundle.manifest import BundleFile, Shape
from maclip_runtime.engines.compatibility import rebuild
from maclip_runtime.engines.cuda import Cuda
from maclip_runtime.engines.kernel_cache import KernelCache
from maclip_runtime.engines.loading import load_plan
from maclip_runtime.errors import EngineError, FrameError

# The third time in a row is worth a CUDA graph; frames of alternating sizes never get that far.
_CAPTURE_AT = 3


class Execution:
    """Runs a plan of a bundle on a stream of its own. For one thread at a time.

    file: the plan; its bytes are verified. trt: the library's module. picture: the input with the pixels;
    where they have one size, there are few shapes. EngineError where the plan does not run here.
    """

    def __init__(
        self,
        bundle: Bundle,
        file: BundleFile,
        trt: Any,
        cuda: Cuda,
        picture: Literal["frame", "pixels"],
    ) -> None:
        assert file.plan is not None
        self._library = file.plan.library
        self._again = rebuild(bundle, self._library)
        self._cuda = cuda
        self._alike: Hashable = None  # what the shapes are set for
        self._in_a_row = 0  # runs of that
        self._graphs: dict[int, Any] = {}  # by slot, of that
        self._capturable = True
        cuda.use_device()
        self.plan = load_plan(bundle.read(file), file, trt, self._again)
        self.plan.check(file, bundle.manifest.method.views.size)
        self.stream = cuda.make_stream()
        self._cache = KernelCache(bundle.path / f"{file.path}.kernels")
        if self._library == "tensorrt-rtx":
            smallest, _, largest = self.plan.list_shapes(picture)
            sides = slice(
                1 if picture == "pixels" else 0, None
            )  # of `pixels` the first axis counts
            self._context = self._make_rtx_context(trt, smallest[sides] == largest[sides])
        else:
            self._context = self.plan.engine.create_execution_context()
        if self._context is None:
            raise EngineError(f"not enough GPU memory for the plan ({self.plan.reason})")

    def run(
        self, slot: int, alike: Hashable, shapes: Mapping[str, Shape], work: Callable[[], None]
    ) -> None:
        """Have `work` enqueue runs of the plan with inputs of these shapes, or replay what it enqueued.

        slot: number of the memory that it uses. alike: what is the same for the same slot has the same
        work, which is a CUDA graph from the third time in a row on. FrameError if the plan refuses the
        shapes.
        """
        if alike != self._alike:
            self._alike = None
            self._cuda.finish(self.stream)  # nothing under way may see the new shapes
            self._drop_graphs()
            self._set_shapes(shapes)
            self._alike, self._in_a_row = alike, 0
        self._in_a_row += 1
        if slot in self._graphs:
            self._cuda.launch(self._graphs[slot], self.stream)
            return
        work()
        if self._in_a_row == _CAPTURE_AT:
            self._cache.save()  # should the process be killed
        if self._in_a_row >= _CAPTURE_AT:
            self._capture(slot, work)

    def enqueue(self, addresses: Mapping[str, int]) -> None:
        """Run the plan in its turn on the stream, its tensors at these addresses on the device."""
        for tensor, address in addresses.items():
            if not self._context.set_tensor_address(tensor, address):
                raise EngineError(f"the plan takes no {tensor}: {self.plan.reason}")
        if not self._context.execute_async_v3(int(self.stream)):
            raise EngineError(f"{self._library} failed: {self.plan.reason}")

    def close(self) -> None:
        """Free the context, before the memory that it uses, and the engine, before its runtime."""
        try:
            self._cache.save()
        finally:
            self._context = None
            del self.plan

    def _set_shapes(self, shapes: Mapping[str, Shape]) -> None:
        for name, shape in shapes.items():
            if not self._context.set_input_shape(name, shape):
                reason = f"{self._library} refuses {name} {shape}: {self.plan.reason}"
                raise FrameError(reason, self._again)

    def _drop_graphs(self) -> None:
        while self._graphs:
            self._cuda.release(self._graphs.popitem()[1])

    def _capture(self, slot: int, work: Callable[[], None]) -> None:
        """Keep a CUDA graph of what `work` enqueues, and has enqueued for this frame already.

        Where there can be none, none is, and what failed once is not tried again.
        """
        # TensorRT-RTX says whether it can be captured; TensorRT can, once it has run a shape.
        ask = getattr(self._context, "is_stream_capturable", lambda stream: True)
        if not (self._capturable and ask(int(self.stream))):
            return
        try:
            with self._cuda.capture(self.stream) as captured:
                work()
        except EngineError:
            self._capturable = False
        else:
            self._graphs[slot] = captured[0]

    def _make_rtx_context(self, trt: Any, fixed: bool) -> Any:
        """A context of TensorRT-RTX, which compiles kernels on this machine for the shapes that it meets.

        Of frames of one size they are compiled when the first comes, and are final, so that they can be
        captured in a CUDA graph. Where sizes change, waiting for each would take longer than it gains:
        kernels for any shape run until better ones are compiled in the background. Plans are built with
        REQUIRE_USER_ALLOCATION, so the activations' memory is given here.
        """
        engine = self.plan.engine
        self._capturable = fixed
        strategies = trt.DynamicShapesKernelSpecializationStrategy
        config = engine.create_runtime_config()
        config.dynamic_shapes_kernel_specialization_strategy = (
            strategies.EAGER if fixed else strategies.LAZY
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
