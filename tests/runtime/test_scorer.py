"""The scorer: results, streams of pictures, threads and memory."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from maclip_runtime import FrameError, PictureError, Scorer, UsageError
from maclip_runtime.engines.onnxruntime import OnnxRuntimeEngine


@pytest.fixture(scope="module")
def scorer(rn_small_bundle):
    return Scorer(rn_small_bundle)


def test_a_result_says_what_was_scored_and_with_what(scorer, pictures):
    result = scorer.score(pictures / "512x384.png")
    assert result.path == str(pictures / "512x384.png")
    assert (result.width, result.height, result.views) == (512, 384, 7)
    made_by = (result.preset, result.engine, result.precision, result.bundle)
    assert made_by == ("native", "onnxruntime-cpu", "fp32", "rn-small.maclip")
    assert not result.enlarged


def test_the_result_is_the_mean_of_its_views(scorer, frame):
    result = scorer.score(frame)
    assert result.cues.attributes.shape == (result.views, 5)
    for name in ("score", "similarity", "magnitude", "weight"):
        values = getattr(result.cues, name)
        assert values.shape == (result.views,)
        assert getattr(result, name) == pytest.approx(values.mean(), abs=1e-6)


def test_paths_images_and_arrays_score_alike(scorer, pictures):
    path = pictures / "512x384.png"
    image = Image.open(path)
    scores = {scorer.score(p).score for p in (path, str(path), image, np.asarray(image))}
    assert len(scores) == 1


@pytest.mark.parametrize("micro_batch", [1, 3, 64])
def test_features_do_not_depend_on_the_micro_batch(small_bundle, host, pictures, micro_batch):
    """Up to the rounding of a matrix product whose kernel depends on its height: measured 1e-6."""
    frame = np.asarray(Image.open(pictures / "1067x800.png"))
    encoder = small_bundle.find("image_encoder", "fp32")
    features = OnnxRuntimeEngine(small_bundle, encoder, micro_batch=micro_batch).encode(frame)
    assert features == pytest.approx(host.encode(frame), abs=1e-5)


def test_many_pictures_keep_their_order_and_errors_their_place(scorer, pictures, tmp_path):
    (tmp_path / "broken.jpg").write_text("no picture")
    paths = [*sorted(pictures.iterdir()), tmp_path / "broken.jpg", pictures / "224x224.png"]
    results = list(scorer.score_many(paths))
    assert isinstance(results[-2], PictureError)
    assert [r.picture if isinstance(r, PictureError) else r.path for r in results] == [
        str(path) for path in paths
    ]
    assert results[0].score == scorer.score(paths[0]).score


def test_many_pictures_are_read_only_a_little_ahead(scorer, pictures):
    taken = []

    def paths():
        for number in range(50):
            taken.append(number)
            yield pictures / "224x224.png"

    stream = scorer.score_many(paths())
    next(stream)
    stream.close()
    assert len(taken) <= 4


class Camera:
    """Frames that come one by one; it notes how many were taken."""

    def __init__(self, items):
        self.items, self.taken = list(items), 0

    def __iter__(self):
        for item in self.items:
            self.taken += 1
            yield item


def test_a_live_frames_score_is_out_before_the_next_frame_goes_in(scorer, frame):
    camera = Camera([frame] * 4)
    for number, result in enumerate(scorer.score_many(camera, ahead=0), start=1):
        assert camera.taken == number
        assert result.views == 7


def test_broken_pictures_surface_at_once(scorer, pictures, tmp_path):
    camera = Camera([tmp_path / f"gone{n}.png" for n in range(5)] + [pictures / "224x224.png"])
    results = scorer.score_many(camera)
    assert "no such file" in str(next(results))
    assert camera.taken <= 3  # the good picture behind them was not waited for
    results.close()


def test_errors_among_the_pictures_keep_their_place(scorer, pictures):
    missing = PictureError("*.jpg", "no file matches")
    good = pictures / "224x224.png"
    first, second, third = scorer.score_many([good, missing, good])
    assert second is missing
    assert first.score == third.score


class SmallEngine:
    """An engine that takes no frame above a size, as a plan does."""

    def __init__(self, engine, most):
        self.engine, self.most = engine, most

    def __getattr__(self, name):
        return getattr(self.engine, name)

    def submit(self, frame, views=None):
        if max(frame.shape) > self.most:
            raise FrameError("the plan takes frames up to 600 x 600", "build one that takes it")
        return self.engine.submit(frame, views)


def test_a_frame_that_the_engine_cannot_take_is_its_pictures_error(rn_small_bundle, pictures):
    with Scorer(rn_small_bundle) as scorer:
        scorer.engine = SmallEngine(scorer.engine, 600)
        small, large = pictures / "224x224.png", pictures / "1067x800.png"
        results = list(scorer.score_many([small, small, small, large, small, small]))
        assert [type(result).__name__ for result in results].count("Score") == 5
        assert results[3].picture == str(large)
        assert "takes frames up to 600 x 600; build one" in results[3].reason
        # One engine takes turns: to be exact, its matrix products are of the same height.
        assert {result.score for place, result in enumerate(results) if place != 3} == {
            results[0].score
        }


def test_an_iterable_that_raises_loses_nothing_that_was_taken(scorer, frame):
    def frames():
        for _ in range(3):
            yield frame
        raise RuntimeError("the camera fell off the wall")

    results = []
    with pytest.raises(RuntimeError, match="fell off"):
        results.extend(scorer.score_many(frames()))
    results = iter(scorer.score_many(frames()))
    assert [next(results).views for _ in range(3)] == [7, 7, 7]


def test_a_buffer_may_be_used_for_the_next_frame(scorer, frame):
    other = 255 - frame
    expected = [scorer.score(frame).score, scorer.score(other).score]

    def camera():
        buffer = np.empty_like(frame)
        for content in (frame, other, frame, other):
            buffer[...] = content
            yield buffer

    assert [result.score for result in scorer.score_many(camera())] == expected * 2


def test_one_scorer_serves_several_threads(scorer, pictures):
    paths = sorted(pictures.iterdir())
    expected = [scorer.score(path).score for path in paths]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            assert [r.score for r in pool.map(scorer.score, paths)] == expected


@pytest.mark.parametrize("value", [0, 255])
def test_flat_frames_have_scores_that_are_numbers(scorer, value):
    result = scorer.score(np.full((300, 400, 3), value, np.uint8))
    assert np.isfinite([result.score, result.similarity, result.magnitude]).all()


def test_small_pictures_are_scored_and_say_so(scorer):
    result = scorer.score(np.zeros((50, 100, 3), np.uint8))
    assert result.enlarged
    assert (result.width, result.height) == (100, 50)


def test_unknown_engine_is_refused(rn_small_bundle):
    with pytest.raises(UsageError, match="onnxruntime-cpu"):
        Scorer(rn_small_bundle, engine="gpu")


def test_twelve_megapixels_with_rn50_stay_under_1200_megabytes(bundle_of):
    program = (
        "import sys, numpy as np\n"
        "from maclip_runtime import Scorer\n"
        "from maclip_runtime.timing.memory import measure_peak_memory\n"
        "scorer = Scorer(sys.argv[1])\n"
        "frame = np.random.default_rng(0).integers(0, 256, (3000, 4000, 3), np.uint8)\n"
        "assert scorer.score(frame).views == 661\n"
        "print(measure_peak_memory())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, bundle_of("rn50")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(done.stdout) < 1200
