"""Stand-ins for CUDA and TensorRT: the TensorRT engine's bookkeeping runs where there is no GPU.

Device memory is host memory and streams run at once, but a stream under capture only records. The
"plan" is the ONNX graph itself, run by ONNX Runtime at the addresses that the engine sets. What this
tests: addresses, offsets, shapes, chunks, slots, capture and replay. What it cannot: TensorRT, and time.
"""

import ctypes
from types import SimpleNamespace

import numpy as np
import onnxruntime


class FakeCudart:
    """The part of cuda.bindings.runtime that `Cuda` calls."""

    cudaStreamNonBlocking, cudaHostAllocDefault = 1, 0  # noqa: N815
    cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2)  # noqa: N815
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal=1)  # noqa: N815

    def __init__(self):
        self.live = {}
        self.capturing = {}
        self.graphs = {}
        self.launches = 0
        self.allocations = 0
        self.captures = 0
        self.captures_fail = False
        self.contexts = []
        self._next = 1

    def _make_handle(self, *_):
        self._next += 1
        self.live[self._next] = None
        return 0, self._next

    cudaStreamCreateWithFlags = cudaEventCreateWithFlags = _make_handle  # noqa: N815

    def _allocate(self, size, *_):
        memory = np.full(
            size + 512, 0xAB, np.uint8
        )  # not zero: what is read must have been written
        address = -(-memory.ctypes.data // 256) * 256
        self.live[address] = memory
        self.allocations += 1
        return 0, address

    cudaMalloc = cudaHostAlloc = _allocate  # noqa: N815

    def _release(self, handle):
        del self.live[int(handle)]
        return (0,)

    cudaFree = cudaFreeHost = cudaStreamDestroy = cudaEventDestroy = _release  # noqa: N815
    cudaGraphExecDestroy = _release  # noqa: N815

    def _accept(self, *_):
        return (0,)

    cudaEventRecord = cudaStreamWaitEvent = cudaEventSynchronize = cudaGraphDestroy = _accept  # noqa: N815
    cudaSetDevice = cudaEventQuery = cudaGetLastError = _accept  # noqa: N815

    def cudaEventElapsedTime(self, *_):  # noqa: N802
        return 0, 1.0

    def enqueue(self, stream, work):
        if stream in self.capturing:
            self.capturing[stream].append(work)
        else:
            work()

    def cudaMemcpyAsync(self, target, source, size, _, stream):  # noqa: N802
        self.enqueue(stream, lambda: ctypes.memmove(target, source, size))
        return (0,)

    def cudaStreamSynchronize(self, stream):  # noqa: N802
        return (900 if stream in self.capturing else 0,)  # not permitted under capture

    def cudaStreamBeginCapture(self, stream, _):  # noqa: N802
        self.captures += 1
        self.capturing[stream] = []
        return (0,)

    def cudaStreamEndCapture(self, stream):  # noqa: N802
        work = self.capturing.pop(stream)
        return (901 if self.captures_fail else 0), work

    def cudaGraphInstantiate(self, graph, _):  # noqa: N802
        _, handle = self._make_handle()
        self.graphs[handle] = graph
        return 0, handle

    @property
    def live_graphs(self):
        return [handle for handle in self.graphs if handle in self.live]

    def cudaGraphLaunch(self, graph, stream):  # noqa: N802
        self.launches += 1
        for work in self.graphs[graph]:
            self.enqueue(stream, work)
        return (0,)


class FakeRuntimeConfig:
    """TensorRT-RTX's settings of a context."""

    dynamic_shapes_kernel_specialization_strategy = None
    allocation = None

    def set_execution_context_allocation_strategy(self, strategy):
        self.allocation = strategy


class FakeContext:
    def __init__(self, session, cudart):
        self.session, self.cudart = session, cudart
        self.shapes = {
            entry.name: tuple(entry.shape)
            for entry in session.get_inputs()
            if all(isinstance(length, int) for length in entry.shape)
        }
        self.addresses = {}

    def set_device_memory(self, address, size):
        assert address in self.cudart.live
        self.memory = size

    def set_input_shape(self, name, shape):
        self.shapes[name] = tuple(shape)
        return True

    def set_tensor_address(self, name, address):
        assert address % 256 == 0, (name, address)
        self.addresses[name] = address
        return True

    def execute_async_v3(self, stream):
        addresses, shapes = (
            dict(self.addresses),
            dict(self.shapes),
        )  # as they are now, not at replay

        def work():
            types = {"frame": np.uint8, "views": np.int64}
            feeds = {}
            for name, shape in shapes.items():
                size = int(np.prod(shape)) * np.dtype(types[name]).itemsize
                memory = (ctypes.c_uint8 * size).from_address(addresses[name])
                feeds[name] = np.ctypeslib.as_array(memory).view(types[name]).reshape(shape).copy()
            features = np.ascontiguousarray(self.session.run(["features"], feeds)[0])
            ctypes.memmove(addresses["features"], features.ctypes.data, features.nbytes)

        self.cudart.enqueue(stream, work)
        return True


def make_fake_tensorrt(cudart, profile):
    """A stand-in for the module `tensorrt`; `profile`: smallest, best, largest shape per input."""

    class Engine:
        def __init__(self, plan):
            self.session = onnxruntime.InferenceSession(plan, providers=["CPUExecutionProvider"])
            self.tensors = [*self.session.get_inputs(), *self.session.get_outputs()]
            self.num_io_tensors = len(self.tensors)

        def get_tensor_name(self, index):
            return self.tensors[index].name

        def get_tensor_shape(self, name):
            (tensor,) = (tensor for tensor in self.tensors if tensor.name == name)
            return tuple(length if isinstance(length, int) else -1 for length in tensor.shape)

        def get_tensor_profile_shape(self, name, _):
            return profile[name]

        device_memory_size_v2 = 1000

        def create_runtime_config(self):
            return FakeRuntimeConfig()

        def create_execution_context(self, config=None):
            context = FakeContext(self.session, cudart)
            context.config = config
            cudart.contexts.append(context)
            return context

    class Runtime:
        def __init__(self, logger):
            self.logger = logger

        def deserialize_cuda_engine(self, plan):
            if plan == b"junk":
                self.logger.log(Logger.ERROR, "not a plan")
                return None
            return Engine(plan)

    class Logger:
        INTERNAL_ERROR, ERROR, WARNING = range(3)

    return SimpleNamespace(
        Runtime=Runtime,
        ILogger=Logger,
        # TensorRT-RTX's
        ExecutionContextAllocationStrategy=SimpleNamespace(USER_MANAGED="user"),
        DynamicShapesKernelSpecializationStrategy=SimpleNamespace(EAGER="eager"),
    )
