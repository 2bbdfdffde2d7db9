"""The scorer: results, streams of pictures, threads and memory."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from maclip_runtime import PictureError, Scorer, UsageError, open_bundle
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
def test_features_do_not_depend_on_the_micro_batch(rn_small_bundle, pictures, micro_batch):
    """Up to the rounding of a matrix product whose kernel depends on its height: measured 1e-6."""
    frame = np.asarray(Image.open(pictures / "1067x800.png"))
    bundle = open_bundle(rn_small_bundle)
    expected = OnnxRuntimeEngine(bundle).encode(frame)
    features = OnnxRuntimeEngine(bundle, micro_batch=micro_batch).encode(frame)
    assert features == pytest.approx(expected, abs=1e-5)


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
        "from maclip_runtime.bench import measure_peak_memory\n"
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
