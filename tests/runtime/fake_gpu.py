"""Stand-ins for CUDA and TensorRT: the TensorRT engine's bookkeeping runs where there is no GPU.

Device memory is host memory and streams run at once, but a stream under capture only records. The
"plan" is the ONNX graph itself, run by ONNX Runtime at the addresses that the engine sets. What this
tests: addresses, offsets, shapes, chunks, slots, capture and replay. What it cannot: TensorRT, and time.
"""

import ctypes
from enum import IntEnum
from types import SimpleNamespace

import numpy as np
import onnxruntime

from maclip_runtime.engines.cudart import SIGNATURES, Cudart, Out


class FakeCudart:
    """The part of cuda.bindings.runtime that `Cuda` calls.

    integrated: a GPU in whose memory the host's is mapped. Where `fails` names a call, it fails once it was
    made so many times.
    """

    cudaStreamNonBlocking = Cudart.cudaStreamNonBlocking  # noqa: N815
    cudaHostAllocDefault = Cudart.cudaHostAllocDefault  # noqa: N815
    cudaHostAllocMapped = Cudart.cudaHostAllocMapped  # noqa: N815
    cudaMemcpyKind = Cudart.cudaMemcpyKind  # noqa: N815
    cudaStreamCaptureMode = Cudart.cudaStreamCaptureMode  # noqa: N815
    cudaDeviceAttr = Cudart.cudaDeviceAttr  # noqa: N815

    def __init__(self, integrated=False, fails=None):
        self.integrated = integrated
        self.fails = dict(fails or {})
        self.spoil = self.refuse = False  # the next run: gives no numbers, is not taken
        self.copies = 0
        self.copied = self.copied_within = 0  # bytes, with the host and on the device
        self.recorded, self.waits = [], []
        self.live = {}
        self.capturing = {}
        self.graphs = {}
        self.launches = 0
        self.allocations = 0
        self.captures = 0
        self.captures_fail = False
        self.contexts = []
        self.runtimes = []
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

    def cudaMalloc(self, size):  # noqa: N802
        left = self.fails.get("cudaMalloc")
        if left is not None:
            if left == 0:
                return 2, 0  # cudaErrorMemoryAllocation
            self.fails["cudaMalloc"] = left - 1
        return self._allocate(size)

    def cudaHostAlloc(self, size, flags):  # noqa: N802
        assert flags == (self.cudaHostAllocMapped if self.integrated else self.cudaHostAllocDefault)
        return self._allocate(size)

    def cudaHostGetDevicePointer(self, address, flags):  # noqa: N802
        assert self.integrated
        assert address in self.live
        return 0, address

    def cudaDeviceGetAttribute(self, attribute, device):  # noqa: N802
        assert attribute == self.cudaDeviceAttr.cudaDevAttrIntegrated
        return 0, int(self.integrated)

    def _release(self, handle):
        del self.live[int(handle)]
        return (0,)

    cudaFree = cudaFreeHost = cudaStreamDestroy = cudaEventDestroy = _release  # noqa: N815
    cudaGraphDestroy = cudaGraphExecDestroy = _release  # noqa: N815

    def _accept(self, *_):
        return (0,)

    cudaEventSynchronize = _accept  # noqa: N815
    cudaSetDevice = cudaEventQuery = cudaGetLastError = _accept  # noqa: N815

    def cudaEventElapsedTime(self, *_):  # noqa: N802
        return 0, 1.0

    def enqueue(self, stream, work):
        if stream in self.capturing:
            self.capturing[stream].append(work)
        else:
            work()

    def cudaMemcpyAsync(self, target, source, size, _, stream):  # noqa: N802
        self.copies += 1
        self.copied += size
        self.enqueue(stream, lambda: ctypes.memmove(target, source, size))
        return (0,)

    def cudaMemcpy2DAsync(self, target, pitch, source, source_pitch, width, rows, _, stream):  # noqa: N802
        self.copied_within += width * rows

        def work():
            for row in range(rows):
                ctypes.memmove(target + row * pitch, source + row * source_pitch, width)

        self.enqueue(stream, work)
        return (0,)

    def cudaEventRecord(self, event, stream):  # noqa: N802
        self.recorded.append((event, stream))
        return (0,)

    def cudaStreamWaitEvent(self, stream, event, _):  # noqa: N802
        self.waits.append((stream, event))
        return (0,)

    def cudaStreamSynchronize(self, stream):  # noqa: N802
        return (900 if stream in self.capturing else 0,)  # not permitted under capture

    def cudaStreamBeginCapture(self, stream, _):  # noqa: N802
        self.captures += 1
        self.capturing[stream] = []
        return (0,)

    def cudaStreamEndCapture(self, stream):  # noqa: N802
        work = self.capturing.pop(stream)
        if self.captures_fail:
            return 901, 0
        _, graph = self._make_handle()
        self.live[graph] = work
        return 0, graph

    def cudaGraphInstantiate(self, graph, _):  # noqa: N802
        _, handle = self._make_handle()
        self.graphs[handle] = self.live[graph]
        return 0, handle

    @property
    def live_graphs(self):
        return [handle for handle in self.graphs if handle in self.live]

    def cudaGraphLaunch(self, graph, stream):  # noqa: N802
        self.launches += 1
        for work in self.graphs[graph]:
            self.enqueue(stream, work)
        return (0,)


def load_as_library(fake):
    """The fake as `libcudart`: C functions by the signatures that the project gives them."""
    library = SimpleNamespace(keep=[])

    def export(name, kinds):
        types = [ctypes.POINTER(kind.kind) if isinstance(kind, Out) else kind for kind in kinds]

        def call(*given):
            inputs = [v for v, kind in zip(given, kinds, strict=True) if not isinstance(kind, Out)]
            status, *results = getattr(fake, name)(*(value or 0 for value in inputs))
            outs = [v for v, kind in zip(given, kinds, strict=True) if isinstance(kind, Out)]
            for out, result in zip(outs, results, strict=True):
                out[0] = result
            return int(status)

        return ctypes.CFUNCTYPE(ctypes.c_int, *types)(call)

    for name, kinds in SIGNATURES.items():
        setattr(library, name, export(name, kinds))
    named = ctypes.CFUNCTYPE(ctypes.c_char_p, ctypes.c_int)
    library.cudaGetErrorName = named(lambda status: f"cudaError{status}".encode())
    return library


class FakeRuntimeCache:
    """Compiled kernels: here, the shapes that a context ran."""

    def __init__(self):
        self.kernels = set()

    def serialize(self):
        return b"kernels:" + ",".join(sorted(self.kernels)).encode()

    def deserialize(self, blob):
        if not blob.startswith(b"kernels:"):
            return False
        self.kernels = set(blob.removeprefix(b"kernels:").decode().split(",")) - {""}
        return True


class FakeRuntimeConfig:
    """TensorRT-RTX's settings of a context."""

    dynamic_shapes_kernel_specialization_strategy = None
    allocation = None
    cache = None

    def set_execution_context_allocation_strategy(self, strategy):
        self.allocation = strategy

    def create_runtime_cache(self):
        return FakeRuntimeCache()

    def set_runtime_cache(self, cache):
        self.cache = cache
        return True


class FakeContext:
    def __init__(self, session, cudart, config):
        self.session, self.cudart, self.config = session, cudart, config
        self.ran = []  # shapes
        self.compiled = []  # shapes that no kernels were kept for
        self.shapes = {
            entry.name: tuple(entry.shape)
            for entry in session.get_inputs()
            if all(isinstance(length, int) for length in entry.shape)
        }
        self.addresses = {}

    def set_device_memory(self, address, size):
        assert address in self.cudart.live
        self.memory = size

    def is_stream_capturable(self, stream):
        return True

    def set_input_shape(self, name, shape):
        self.shapes[name] = tuple(shape)
        return True

    def set_tensor_address(self, name, address):
        assert address % 256 == 0, (name, address)
        self.addresses[name] = address
        return True

    def execute_async_v3(self, stream):
        if self.cudart.refuse:
            self.cudart.refuse = False
            return False
        spoil, self.cudart.spoil = self.cudart.spoil, False
        addresses, shapes = (
            dict(self.addresses),
            dict(self.shapes),
        )  # as they are now, not at replay
        if stream not in self.cudart.capturing:
            self.ran.append(shapes)
        cache = self.config and self.config.cache
        kernel = "/".join(f"{name}{shape}" for name, shape in shapes.items()).replace(",", "x")
        if cache and kernel not in cache.kernels:
            cache.kernels.add(kernel)
            self.compiled.append(shapes)

        def work():
            types = {"frame": np.uint8, "views": np.int64, "pixels": np.float32}
            feeds = {}
            for name, shape in shapes.items():
                size = int(np.prod(shape)) * np.dtype(types[name]).itemsize
                memory = (ctypes.c_uint8 * size).from_address(addresses[name])
                feeds[name] = np.ctypeslib.as_array(memory).view(types[name]).reshape(shape).copy()
            features = np.ascontiguousarray(self.session.run(["features"], feeds)[0])
            if spoil:
                features[:] = np.nan
            ctypes.memmove(addresses["features"], features.ctypes.data, features.nbytes)

        self.cudart.enqueue(stream, work)
        return True


def make_fake_tensorrt(cudart, profile, validity=None):
    """A stand-in for the module `tensorrt`; `profile`: smallest, best, largest shape per input.

    validity: what TensorRT-RTX says of a plan by its header, and why; None as before 1.1, which could not.
    """

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
            context = FakeContext(self.session, cudart, config)
            cudart.contexts.append(context)
            return context

    class Runtime:
        engine_host_code_allowed = False

        def __init__(self, logger):
            self.logger = logger
            cudart.runtimes.append(self)
            if validity is not None:
                self.engine_header_size = 64
                self.get_engine_validity = lambda header: validity

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
        DynamicShapesKernelSpecializationStrategy=SimpleNamespace(EAGER="eager", LAZY="lazy"),
        EngineValidity=SimpleNamespace(VALID=0, SUBOPTIMAL=1, INVALID=2),
        EngineInvalidityDiagnostics=IntEnum(
            "EngineInvalidityDiagnostics", {"UNSUPPORTED_CC": 2, "OLD_CUDA_DRIVER": 4}
        ),
    )
