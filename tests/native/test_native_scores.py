"""The C library scores as Python does: head, views, enlarged frames, maps, precisions and view modes."""

from __future__ import annotations

import ctypes
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from libmaclip import NativeError
from PIL import Image

from maclip_runtime import Scorer, open_bundle
from maclip_runtime.method.head import Head, score_views
from maclip_runtime.method.magnitude import MagnitudeCue
from maclip_runtime.method.similarity import SimilarityCue
from maclip_runtime.stream.budget import ViewBudget
from reference.make_images import picture

SAMPLES = sorted((Path(__file__).parents[2] / "samples").glob("*.jpg"))
# Odd sizes: one view exactly, a pixel more and less, strips, smaller than a view on one side and on both.
SIZES = [
    (224, 224),
    (225, 231),
    (223, 300),
    (901, 224),
    (333, 517),
    (100, 80),
    (7, 5),
    (1, 1),
    (40, 700),
]

HEAD_TOLERANCE = 1e-6  # float32 has 6e-8; NumPy adds 256 to 1024 of them in float32
# An attribute is a logistic of up to 100 times a difference of cosines, which NumPy takes in float32:
# 100 * 2 * 6e-8 / 4. Here it is taken in float64, so what differs is NumPy's rounding.
ATTRIBUTE_TOLERANCE = 3e-6
SCORE_TOLERANCE = 1e-5  # the engine may sum in another order where batches differ


@pytest.fixture(scope="module")
def twins(native_build):
    twins = ctypes.CDLL(str(native_build / "tests" / "libmaclip_twins.so"))
    twins.twin_score_views.argtypes = [
        *(ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t),
        *(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t),
        *(ctypes.c_float, ctypes.c_void_p, ctypes.c_void_p),
    ]
    twins.twin_enlarge.argtypes = [ctypes.c_void_p, *[ctypes.c_int] * 3, *[ctypes.c_void_p] * 2]
    twins.twin_follow_budget.argtypes = [
        *(ctypes.c_double, ctypes.c_void_p, ctypes.c_void_p),
        *(ctypes.c_int, ctypes.c_int, ctypes.c_void_p),
    ]
    return twins


def score_natively(twins, features, prompts, logit_scale, head, scored):
    """Columns: score, similarity, magnitude, weight, attributes."""
    features, prompts = (np.ascontiguousarray(x, np.float32) for x in (features, prompts))
    flags = np.array(scored, np.uint8)
    constants = np.array(
        [head.alpha, head.similarity.base, head.magnitude.base, head.magnitude.boxcox_lambda]
    )
    out = np.full((len(features), 4 + len(prompts)), np.nan, np.float32)
    twins.twin_score_views(
        *(features.ctypes.data, *features.shape, prompts.ctypes.data, flags.ctypes.data),
        *(len(prompts), float(np.float32(np.exp(logit_scale)))),
        *(constants.ctypes.data, out.ctypes.data),
    )
    return out


def compare_heads(twins, features, prompts, logit_scale, head=None, scored=None):
    head = head or Head()
    scored = (True,) * len(prompts) if scored is None else scored
    expected = score_views(features, prompts, logit_scale, head, scored)
    found = score_natively(twins, features, prompts, logit_scale, head, scored)
    assert np.abs(found[:, 4:] - expected.attributes).max() <= ATTRIBUTE_TOLERANCE
    # Against the equations in float64 there is nothing to forgive.
    exact = score_views(features.astype(np.float64), prompts.astype(np.float64), logit_scale, head)
    assert np.abs(found[:, 4:] - exact.attributes).max() <= HEAD_TOLERANCE
    for column, name in enumerate(("score", "similarity", "magnitude", "weight")):
        assert np.abs(found[:, column] - getattr(expected, name)).max() <= HEAD_TOLERANCE, name


@pytest.mark.parametrize("arch", ["rn-small", "vit-small", "rn50", "vit-b32"])
def test_the_head_gives_what_numpys_gives_on_recorded_features(twins, bundle_of, arch):
    bundle = open_bundle(bundle_of(arch))
    scorer = Scorer(bundle, engine="onnxruntime-cpu")
    frame = np.asarray(Image.open(SAMPLES[0]).convert("RGB"))
    features = scorer.engine.encode(frame, [4, 9] if arch in ("rn50", "vit-b32") else None)
    method = bundle.manifest.method
    compare_heads(twins, features, bundle.load_prompts(), method.logit_scale, method.head)


@pytest.mark.parametrize(
    "head",
    [
        Head(),
        Head(alpha=0),
        Head(alpha=100),
        Head(3.0, SimilarityCue(-100), MagnitudeCue(100, 0.0)),
        Head(1.0, SimilarityCue(0.3), MagnitudeCue(-2, -1.5)),
        Head(1.0, SimilarityCue(0.3), MagnitudeCue(0.6, 1e-9)),
        Head(1.0, SimilarityCue(0.3), MagnitudeCue(0.6, 1.0)),
    ],
)
def test_the_head_has_the_constants_of_the_manifest(twins, head):
    rng = np.random.default_rng(5)
    features = (
        rng.normal(size=(40, 128)).astype(np.float32) * np.logspace(-6, 6, 40, dtype="f4")[:, None]
    )
    prompts = rng.normal(size=(7, 2, 128)).astype(np.float32)
    prompts /= np.linalg.norm(prompts, axis=-1, keepdims=True)
    compare_heads(twins, features, prompts, 2.5, head)


def test_features_of_zero_have_a_score(twins):
    prompts = np.zeros((1, 2, 16), np.float32)
    prompts[:, 0, 0] = prompts[:, 1, 1] = 1
    compare_heads(twins, np.zeros((2, 16), np.float32), prompts, 4.6)


def test_pairs_that_are_not_scored_are_reported_and_change_no_score(twins):
    rng = np.random.default_rng(6)
    features = rng.normal(size=(9, 64)).astype(np.float32)
    prompts = rng.normal(size=(5, 2, 64)).astype(np.float32)
    prompts /= np.linalg.norm(prompts, axis=-1, keepdims=True)
    scored = (True, False, True, True, False)
    found = score_natively(twins, features, prompts, 2.0, Head(), scored)
    alone = score_natively(twins, features, prompts[[0, 2, 3]], 2.0, Head(), (True,) * 3)
    assert np.array_equal(found[:, :4], alone[:, :4])
    expected = score_views(features, prompts, 2.0, Head(), scored)
    assert np.abs(found[:, 0] - expected.score).max() <= HEAD_TOLERANCE
    assert np.abs(found[:, 4:] - expected.attributes).max() <= HEAD_TOLERANCE


def list_frames():
    frames = [np.asarray(Image.open(path).convert("RGB")) for path in SAMPLES]
    rng = np.random.RandomState(3)
    noise = [rng.randint(0, 256, (height, width, 3), np.uint8) for width, height in SIZES]
    return [*frames, picture(rng, 500, 370), *noise]


def compare_scores(native_scorer, scorer, frames, tolerance=SCORE_TOLERANCE):
    for frame in frames:
        expected, found = scorer.score(frame), native_scorer.score(frame)
        for name in ("score", "similarity", "magnitude", "weight"):
            assert getattr(found.result, name) == pytest.approx(
                getattr(expected, name), abs=tolerance
            )
        assert found.result.views == expected.views
        assert (found.result.width, found.result.height) == (expected.width, expected.height)
        assert bool(found.result.enlarged) == expected.enlarged
        assert found.attributes == pytest.approx(list(expected.attributes.values()), abs=tolerance)
        assert np.abs(found.view_score - expected.cues.score).max() <= tolerance
        assert np.abs(found.view_similarity - expected.cues.similarity).max() <= tolerance
        assert np.abs(found.view_magnitude - expected.cues.magnitude).max() <= tolerance
        assert np.abs(found.view_weight - expected.cues.weight).max() <= tolerance
        assert np.abs(found.view_attributes - expected.cues.attributes).max() <= tolerance


@pytest.mark.parametrize(
    ("arch", "frames"),
    [("demo", slice(None)), ("rn-small", slice(3, 9)), ("vit-small", slice(4, 9))],
)
def test_pictures_of_any_size_score_as_in_python(
    native, onnxruntime_library, bundle_of, arch, frames
):
    bundle = open_bundle("demo").path if arch == "demo" else bundle_of(arch)
    scorer = Scorer(bundle, engine="onnxruntime-cpu")
    with native.open(bundle, onnxruntime_library=onnxruntime_library) as opened:
        assert opened.names == [pair.name for pair in scorer.bundle.manifest.prompts]
        assert opened.info.bundle.decode() == scorer.bundle.name
        compare_scores(opened, scorer, list_frames()[frames])


def test_clips_own_encoder_scores_as_in_python(native, onnxruntime_library, bundle_of):
    bundle = bundle_of("rn50")
    scorer = Scorer(bundle, engine="onnxruntime-cpu")
    with native.open(bundle, onnxruntime_library=onnxruntime_library) as opened:
        compare_scores(opened, scorer, [list_frames()[1]])


@pytest.mark.parametrize(
    ("arch", "precision", "view_mode"),
    [
        ("rn-small", "fp16", "exact"),
        ("vit-small", "fp16", "exact"),
        ("rn-small", "fp32", "dense"),
        ("rn-small", "fp16", "dense"),
    ],
)
def test_other_precisions_and_dense_views(
    native, onnxruntime_library, bundle_of, arch, precision, view_mode
):
    bundle = bundle_of(arch)
    scorer = Scorer(bundle, engine="onnxruntime-cpu", precision=precision, views=view_mode)
    options = {"precision": precision, "view_mode": view_mode}
    with native.open(bundle, onnxruntime_library=onnxruntime_library, **options) as opened:
        assert opened.info.precision.decode() == precision
        assert opened.info.view_mode.decode() == view_mode
        # 1300 x 400 has blocks of several sizes.
        frames = [*list_frames()[7:10], picture(np.random.RandomState(9), 1300, 400)]
        compare_scores(opened, scorer, frames)


def test_int8_graphs(native, onnxruntime_library, bundle_of, tmp_path):
    """Quantised here: the test bundles have none, as too small an encoder does not pass the gate."""
    bundle = shutil.copytree(bundle_of("rn-small"), tmp_path / "int8.maclip")
    quantise_encoder(bundle)
    scorer = Scorer(bundle, engine="onnxruntime-cpu", precision="int8")
    options = {"precision": "int8", "onnxruntime_library": onnxruntime_library}
    with native.open(bundle, **options) as opened:
        compare_scores(opened, scorer, list_frames()[7:9])


def quantise_encoder(bundle):
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

    from maclip_runtime.bundle.staging import add_file

    class Noise(CalibrationDataReader):
        def __init__(self):
            rng = np.random.default_rng(1)
            self.batches = [rng.normal(size=(1, 3, 224, 224)).astype(np.float32) for _ in range(2)]

        def get_next(self):
            return {"pixels": self.batches.pop()} if self.batches else None

    opened = open_bundle(bundle)
    (file,) = opened.list_graphs("image_encoder", precision="fp32")
    target = bundle / "image_encoder.int8.onnx"
    quantize_static(
        str(bundle / file.path),
        str(target),
        Noise(),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["Conv"],
    )
    data = target.read_bytes()
    add_file(opened, replace(file, path=target.name, precision="int8", verification=None), data)


def test_micro_batches_change_nothing(native, onnxruntime_library):
    frame = list_frames()[0]
    scores = []
    for micro_batch in (1, 3, 8, 100):
        options = {"onnxruntime_library": onnxruntime_library, "micro_batch": micro_batch}
        with native.open(open_bundle("demo").path, **options) as opened:
            scores.append(opened.score(frame).view_score)
    assert np.ptp(scores, axis=0).max() <= SCORE_TOLERANCE


def test_memory_is_bounded_by_the_micro_batch(native_build, onnxruntime_library):
    """A frame of 7 megapixels, 234 views, whose pixels would be 141 MB."""
    import subprocess
    import sys

    code = f"""
import resource, sys
import numpy as np
sys.path[:0] = {[str(Path(__file__).parent)]!r}
from libmaclip import Library
from pathlib import Path
library = Library(Path({str(native_build / "libmaclip.so")!r}))
frame = np.zeros((224, 30_000, 3), np.uint8)
with library.open({str(open_bundle("demo").path)!r}, onnxruntime_library={onnxruntime_library!r}) as scorer:
    scorer.score(frame[:, :2000].copy())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert scorer.score(frame).result.views == 233 + 1
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    # The frame's own pages, 20 MB, and a kilobyte of features a view.
    assert int(done.stdout) < 40_000  # kB


def test_maps_are_pythons(native_demo):
    scorer = Scorer("demo", engine="onnxruntime-cpu")
    for frame in [*list_frames()[1:6], np.full((300, 500, 3), 90, np.uint8)]:
        expected, found = scorer.score(frame), native_demo.score(frame)
        for quantity in ("score", "similarity", "magnitude", *expected.attributes):
            layout, values = native_demo.map(found, quantity)
            wanted = expected.map(quantity)
            assert values.shape == wanted.values.shape
            assert np.abs(values - wanted.values).max() <= SCORE_TOLERANCE
            assert layout.cell == wanted.cell
            assert layout.box[:] == pytest.approx(wanted.box)
    with pytest.raises(
        NativeError, match="unknown quantity 'beauty'; use one of score, similarity"
    ):
        native_demo.map(found, "beauty")


def test_small_frames_are_enlarged_as_by_pillow(twins):
    rng = np.random.RandomState(8)
    for width, height in [(100, 80), (37, 150), (223, 300), (300, 223), (1, 1), (10, 3), (3, 500)]:
        frame = rng.randint(0, 256, (height, width, 3), np.uint8)
        factor = 224 / min(width, height)
        wanted = (max(224, round(width * factor)), max(224, round(height * factor)))
        size = (ctypes.c_int * 2)()
        twins.twin_enlarge(frame.ctypes.data, width, height, 224, size, None)
        assert tuple(size) == wanted
        found = np.zeros((wanted[1], wanted[0], 3), np.uint8)
        twins.twin_enlarge(frame.ctypes.data, width, height, 224, size, found.ctypes.data)
        resized = Image.fromarray(frame).resize(wanted, Image.Resampling.BICUBIC)
        assert np.array_equal(found, np.asarray(resized))


def test_the_budget_of_views_is_pythons(twins):
    rng = np.random.default_rng(11)
    for seconds in (0.0, 0.05):
        times = np.cumsum(rng.uniform(0.02, 0.06, 900))
        costs = rng.uniform(0.0, 0.03, 900) * np.repeat(rng.uniform(0.2, 5, 9), 100)
        counts = np.zeros(900, np.int32)
        twins.twin_follow_budget(
            *(seconds, times.ctypes.data, costs.ctypes.data, 900, 37, counts.ctypes.data)
        )
        budget = ViewBudget(seconds or None)
        expected = []
        for time, cost in zip(times.tolist(), costs.tolist(), strict=True):
            budget.record(time, cost, 37)
            expected.append(budget.count)
        assert counts.tolist() == expected
        assert len(set(expected)) > 3
