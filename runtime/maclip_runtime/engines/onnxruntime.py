"""ONNX Runtime, on the CPU and with its GPU providers: any of a bundle's graphs from frames to features.

An encoder gets views cut in NumPy, in micro-batches, or, in dense mode, blocks of neighbouring windows. A
frame graph gets the raw frame, and, if it is chunked, the views in portions, the frame uploaded once.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from maclip_runtime.bundle.bundle import Bundle
from maclip_runtime.bundle.manifest import BundleFile
from maclip_runtime.device_frames import DeviceFrame
from maclip_runtime.engines.chunks import (
    count_pixels,
    group_by_block,
    split_evenly,
    takes_blocks,
)
from maclip_runtime.engines.engine import EncodingTime, Engine
from maclip_runtime.engines.session import describe_tensors, open_session
from maclip_runtime.engines.signature import check_features, check_signature
from maclip_runtime.errors import EngineError, FrameError
from maclip_runtime.method.geometry import BLOCK_SIDE, split_into_blocks
from maclip_runtime.method.pixels import Floats, Frame, Pixels
from maclip_runtime.method.views import iterate_views, normalise_block, normalise_global_view
from maclip_runtime.pixel_formats import measure_frame
from maclip_runtime.vocabulary import EngineName, ViewMode

T = TypeVar("T")

# Views per run of the encoder. On a CPU more gains nothing (one view fills the cores already) and costs
# memory: 8 views of RN50 need about 250 MB of activations. A GPU is filled by about 32.
MICRO_BATCH = 8
GPU_MICRO_BATCH = 32


class OnnxRuntimeEngine(Engine):
    """A graph of a bundle in ONNX Runtime.

    file: an image encoder, frame graph or dense frame graph. name: one of PROVIDERS. view_mode: by default
    the file's own; "dense" also for an encoder that takes pictures of any size, a ResNet's. device: number
    of the GPU. A provider that does not load is an EngineError: nothing falls back to another one.
    """

    def __init__(
        self,
        bundle: Bundle,
        file: BundleFile,
        name: EngineName = "onnxruntime-cpu",
        *,
        view_mode: ViewMode | None = None,
        threads: int | None = None,
        device: int = 0,
        micro_batch: int | None = None,
        block_side: int = BLOCK_SIDE,
    ) -> None:
        super().__init__(bundle.manifest.method.views)
        on_gpu = name != "onnxruntime-cpu"
        self.name = name
        self.precision = file.precision or "fp32"
        self.pixel_format = file.pixel_format
        self.view_mode = view_mode or file.view_mode or "exact"
        self.device = device if on_gpu else None
        self._file = file
        self._micro_batch = micro_batch or (GPU_MICRO_BATCH if on_gpu else MICRO_BATCH)
        self._block_side = block_side
        self._dim = bundle.manifest.architecture.features
        self._session = open_session(bundle, file, name, threads, device)
        check_signature(
            file,
            describe_tensors(self._session.get_inputs()),
            describe_tensors(self._session.get_outputs()),
            view_size=self._geometry.size,
        )
        # One frame at a time: each run takes all threads, and memory does not grow with the callers.
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="maclip-onnxruntime")

    def submit(self, frame: Frame | DeviceFrame, views: Sequence[int] | None = None) -> _Pending:
        """Take a frame; see `Engine.submit`."""
        height, width = self._check(frame, views)
        assert not isinstance(frame, DeviceFrame)
        accepted = self._file.inputs["frame"].shape if "frame" in self._file.inputs else ()
        if any(
            isinstance(want, int) and want != have
            for want, have in zip(accepted, frame.shape, strict=False)
        ):
            rows, columns = measure_frame([int(n) for n in accepted], self.pixel_format) or (
                "?",
                "?",
            )
            raise FrameError(
                f"{self._file.path} takes frames of {rows} x {columns}, and this one is "
                f"{height} x {width}"
            )
        pending = _Pending()
        pending.future = self._worker.submit(self._encode, frame, views, pending)
        return pending

    def close(self) -> None:
        """Finish what was submitted and free the session."""
        self._closed = True
        self._worker.shutdown()
        self._session = None

    def _encode(self, frame: Frame, views: Sequence[int] | None, pending: _Pending) -> Floats:
        if "frame" in self._file.inputs:
            run = self._run_chunks if self._file.chunked else self._run_frame
        else:
            run = self._run_blocks if self.view_mode == "dense" else self._run_batches
        start = time.perf_counter()
        try:
            return run(frame, views, pending)
        except EngineError:
            raise
        except Exception as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise EngineError(f"{self._file.path}: {self.name} failed: {reason}") from error
        finally:
            pending.seconds = time.perf_counter() - start

    def _run_batches(self, frame: Frame, views: Sequence[int] | None, pending: _Pending) -> Floats:
        """The encoder on views, a micro-batch at a time."""
        batches = iterate_views(frame, self._geometry, self._micro_batch, views)
        return np.concatenate(
            [self._run(pixels, len(pixels), pending) for pixels in pending.cut(batches)]
        )

    def _run_blocks(self, frame: Frame, views: Sequence[int] | None, pending: _Pending) -> Floats:
        """The encoder on blocks of neighbouring windows, those that hold a wanted one."""
        count = self._geometry.count(*frame.shape[:2])
        wanted = np.arange(count) if views is None else np.asarray(views, np.intp)
        found: dict[int, Floats] = {}
        for held, pixels in pending.cut(self._cut_blocks(frame, wanted)):
            features = self._run(pixels, len(held), pending)
            found.update(zip(held.tolist(), features, strict=True))
        return np.stack([found[index] for index in wanted.tolist()])

    def _cut_blocks(
        self, frame: Frame, wanted: NDArray[np.intp]
    ) -> Iterator[tuple[NDArray[np.intp], Pixels]]:
        """The views in a block, and its pixels; the global view is one by itself, and the last.

        How a frame is cut depends on its size alone, so that a view's features never depend on which others
        were asked for.
        """
        rows, columns = self._geometry.grid(*frame.shape[:2])
        indices = np.arange(rows * columns).reshape(rows, columns)
        for block in split_into_blocks(frame.shape, self._geometry, self._block_side):
            held = indices[block.rows, block.columns].ravel()
            if np.isin(held, wanted).any():
                yield held, normalise_block(frame, self._geometry, block)
        if rows * columns in wanted:
            yield np.array([rows * columns]), normalise_global_view(frame, self._geometry)

    def _count_views(self, frame: Frame) -> int:
        sides = measure_frame(frame.shape, self.pixel_format)
        assert sides is not None  # `submit` sees to it
        return self._geometry.count(*sides)

    def _check_rows(self, features: Floats, rows: int) -> Floats:
        return check_features(self._file, features, rows, self._dim)

    def _run(self, pixels: Pixels, rows: int, pending: _Pending) -> Floats:
        pending.pixels += pixels[:, 0].size
        return self._check_rows(self._session.run(["features"], {"pixels": pixels})[0], rows)

    def _run_frame(self, frame: Frame, views: Sequence[int] | None, pending: _Pending) -> Floats:
        """A frame graph that gives all views at once."""
        (features,) = self._session.run(["features"], {"frame": np.ascontiguousarray(frame)})
        self._check_rows(features, self._count_views(frame))
        pending.pixels = len(features) * self._geometry.size**2
        return features if views is None else features[list(views)]

    def _run_chunks(self, frame: Frame, views: Sequence[int] | None, pending: _Pending) -> Floats:
        """A frame graph on portions of the views of one size, the frame bound, and so uploaded, once."""
        binding = self._session.io_binding()
        binding.bind_cpu_input("frame", np.ascontiguousarray(frame))
        count = self._count_views(frame)
        wanted = np.arange(count) if views is None else np.asarray(views, np.int64)
        if takes_blocks(self._file):
            wanted, again = np.unique(wanted, return_inverse=True)
            split, wanted, places = group_by_block(frame.shape, self._geometry, wanted)
            rows = places[again]
        else:
            split, rows = split_evenly(len(wanted), self._micro_batch), np.arange(len(wanted))
        pending.pixels = count_pixels(self._file, frame.shape, self._geometry, split)
        portions = []
        for chunk in split.fill(wanted):  # of one size: cuDNN tries algorithms for each new one
            binding.bind_cpu_input("views", np.ascontiguousarray(chunk))
            binding.bind_output("features")
            self._session.run_with_iobinding(binding)
            portions.append(self._check_rows(binding.copy_outputs_to_cpu()[0], split.chunk))
        return np.concatenate(portions)[rows]


class _Pending:
    """A frame in the worker's queue, and where its time went."""

    future: Future[Floats]

    def __init__(self) -> None:
        self.pixels = 0
        self._cutting = 0.0
        self._cut_on_host = False
        self.seconds = 0.0

    def result(self) -> Floats:
        """The features; waits for the worker."""
        return self.future.result()

    def done(self) -> bool:
        """Whether the worker has finished it."""
        return self.future.done()

    @property
    def time(self) -> EncodingTime:
        """Cutting views and running the encoder."""
        stages = {"views": self._cutting} if self._cut_on_host else {}
        return EncodingTime({**stages, "encode": self.seconds - self._cutting}, self.pixels)

    def cut(self, portions: Iterator[T]) -> Iterator[T]:
        """Pass portions on, noting the time that it takes to make them."""
        self._cut_on_host = True
        while True:
            start = time.perf_counter()
            portion = next(portions, None)
            self._cutting += time.perf_counter() - start
            if portion is None:
                return
            yield portion
