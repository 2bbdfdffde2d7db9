"""Views of several frames in one batch, over a fake GPU that runs the encoder in ONNX Runtime.

What every engine must do is in test_engine_contract.
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from fake_gpu import FakeCudart
from PIL import Image

from maclip_runtime import EngineError, Scorer
from maclip_runtime.engines import select
from maclip_runtime.stream.status import Observation
from maclip_runtime.stream.watcher import Watcher
from reference.make_images import picture

GRAPH = "image_encoder.fp32.onnx"
TOLERANCE = 1e-5  # see test_tensorrt_engine


class BusyCudart(FakeCudart):
    """A GPU that has work until somebody waits for it."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.running = set()

    def cudaEventRecord(self, event, stream):  # noqa: N802
        self.running.add(event)
        return (0,)

    def cudaEventQuery(self, event):  # noqa: N802
        return (600 if event in self.running else 0,)

    def cudaEventSynchronize(self, event):  # noqa: N802
        self.running.discard(event)
        return (0,)


def draw(count, height=224, width=224):
    rng = np.random.RandomState(3)
    return [picture(rng, width, height) for _ in range(count)]


def list_batches(cudart):
    (context,) = cudart.contexts
    return [shapes["pixels"][0] for shapes in context.ran]


def assert_scored(host, pending, frames):
    for wait, frame in zip(pending, frames, strict=True):
        assert wait.result() == pytest.approx(host.encode(frame), abs=TOLERANCE)


def test_small_pictures_share_batches_of_one_size_while_the_gpu_is_busy(open_fake, host):
    engine, cudart = open_fake(GRAPH, chunk=8, cudart=BusyCudart())
    frames = draw(13)  # of two views each
    assert_scored(host, [engine.submit(frame) for frame in frames], frames)
    # The first at once; then four pictures a batch, and the last by itself.
    assert list_batches(cudart) == [2, 8, 8, 8]


def test_a_gpu_that_has_nothing_to_do_waits_for_no_other_frame(open_fake, host):
    engine, cudart = open_fake(GRAPH, chunk=8)
    frames = draw(3)
    assert_scored(host, [engine.submit(frame) for frame in frames], frames)
    assert list_batches(cudart) == [2, 2, 2]


def test_a_large_frame_goes_through_several_batches(open_fake, host):
    engine, cudart = open_fake(GRAPH, chunk=8, cudart=BusyCudart())
    (frame,) = draw(1, 480, 640)  # 13 views
    assert_scored(host, [engine.submit(frame)], [frame])
    assert list_batches(cudart) == [8, 8]


def test_a_few_views_of_several_cameras_share_a_batch(open_fake, host):
    engine, cudart = open_fake(GRAPH, chunk=8, cudart=BusyCudart())
    frames = [*draw(3, 480, 640), *draw(2, 300, 500)]
    wanted = [[12, 0], [3, 4, 5], [7], [1], [0, 2]]
    pending = [engine.submit(frame, views) for frame, views in zip(frames, wanted, strict=True)]
    for wait, frame, views in zip(pending, frames, wanted, strict=True):
        assert wait.result() == pytest.approx(host.encode(frame, views), abs=TOLERANCE)
    assert list_batches(cudart) == [2, 8]


def test_batches_become_cuda_graphs(open_fake, host):
    engine, cudart = open_fake(GRAPH, chunk=4, library="tensorrt-rtx", cudart=BusyCudart())
    (context,) = cudart.contexts
    assert context.config.dynamic_shapes_kernel_specialization_strategy == "eager"
    frames = draw(16)
    assert_scored(host, [engine.submit(frame) for frame in frames], frames)
    assert cudart.launches > 0


def test_polling_alone_gets_a_frame_done(open_fake, host):
    engine, cudart = open_fake(GRAPH, chunk=8, cudart=BusyCudart())
    first, second = draw(2)
    pending = engine.submit(first), engine.submit(second)
    assert not pending[1].done()
    cudart.running.clear()  # the device has finished the first one
    assert pending[0].done()
    cudart.running.clear()
    assert pending[1].done()
    assert_scored(host, pending, (first, second))


def test_features_that_are_no_numbers_are_the_errors_of_that_batch_alone(open_fake, host):
    engine, cudart = open_fake(GRAPH, chunk=4, cudart=BusyCudart())
    frames = draw(5)
    cudart.spoil = True
    spoiled, *pending = [engine.submit(frame) for frame in frames]
    for _ in range(2):
        with pytest.raises(EngineError, match="not finite"):
            spoiled.result()
    assert_scored(host, pending, frames[1:])


def test_a_batch_that_the_library_refuses_is_the_error_of_its_frames(open_fake, host):
    engine, cudart = open_fake(GRAPH, chunk=4)
    first, second = draw(2)
    cudart.refuse = True
    refused = engine.submit(first)
    with pytest.raises(EngineError, match="tensorrt failed"):
        refused.result()
    assert_scored(host, [engine.submit(second)], [second])


@pytest.mark.parametrize("left", range(4))
def test_an_engine_that_does_not_open_for_want_of_memory_holds_nothing(open_fake, left):
    cudart = FakeCudart(fails={"cudaMalloc": left})
    with pytest.raises(EngineError, match="CUDA call failed: 2"):
        open_fake(GRAPH, cudart=cudart)
    assert not cudart.live


def test_threads_that_wait_when_it_is_closed_get_their_features(open_fake, host):
    engine, _ = open_fake(GRAPH, chunk=8, cudart=BusyCudart())
    frames = draw(6)
    pending = [engine.submit(frame) for frame in frames]
    closing = threading.Thread(target=engine.close)
    with ThreadPoolExecutor(6) as pool:
        results = [pool.submit(wait.result) for wait in pending]
        closing.start()
        for result, frame in zip(results, frames, strict=True):
            assert result.result() == pytest.approx(host.encode(frame), abs=TOLERANCE)
    closing.join()


def test_scoring_many_keeps_as_many_under_way_as_fill_batches(open_fake, plans_bundle, monkeypatch):
    engine, cudart = open_fake(GRAPH, chunk=8, cudart=BusyCudart())
    assert engine.ahead == 7
    frames = draw(13)
    expected = [score.score for score in Scorer(plans_bundle).score_many(frames)]
    monkeypatch.setattr(select, "open_candidate", lambda *arguments, **settings: engine)
    scores = [score.score for score in Scorer(plans_bundle).score_many(frames)]
    assert scores == pytest.approx(expected, abs=1e-5)
    assert 8 in list_batches(cudart)


def test_frames_of_several_cameras_are_watched_in_shared_batches(
    open_fake, plans_bundle, monkeypatch, tmp_path
):
    sources = []
    for number, frames in enumerate((draw(5, 300, 500), draw(3, 300, 500), draw(4, 480, 640))):
        sources.append(str(tmp_path / f"camera {number}"))
        Path(sources[-1]).mkdir()
        for index, frame in enumerate(frames):
            Image.fromarray(frame).save(Path(sources[-1], f"{index}.png"))

    def watch(scorer):
        found = {source: [] for source in sources}
        with Watcher(scorer, sources, views_per_frame=2) as watcher:
            for reader in watcher._watched:  # so that every source has a frame from the start
                with reader.changed:
                    assert reader.changed.wait_for(lambda one=reader: one._items, timeout=60)
            for seen in watcher:
                assert isinstance(seen, Observation), seen
                found[seen.source].append((seen.frame, seen.reading.score))
        return found

    expected = watch(Scorer(plans_bundle))
    engine, cudart = open_fake(GRAPH, chunk=8, cudart=BusyCudart())
    monkeypatch.setattr(select, "open_candidate", lambda *arguments, **settings: engine)
    found = watch(Scorer(plans_bundle))
    assert [len(each) for each in found.values()] == [5, 3, 4]
    for source in sources:
        assert [frame for frame, _ in found[source]] == list(range(len(found[source])))
        scores = [score for _, score in found[source]]
        assert scores == pytest.approx([score for _, score in expected[source]], abs=1e-5)
    batches = list_batches(cudart)
    assert sum(batches) >= 24
    assert max(batches) >= 4  # of two cameras, two views each
    assert len(batches) < 12  # frames
