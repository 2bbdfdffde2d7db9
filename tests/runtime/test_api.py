"""The public names, pinned: what is taken away here breaks somebody's program."""

import inspect

import maclip_runtime


def test_public_names():
    assert sorted(maclip_runtime.__all__) == [
        "Bundle",
        "BundleError",
        "Cues",
        "EngineError",
        "FrameError",
        "GateError",
        "MaclipError",
        "PictureError",
        "QualityMap",
        "Reading",
        "Score",
        "Scorer",
        "Stream",
        "UsageError",
        "__version__",
        "open_bundle",
    ]
    assert all(hasattr(maclip_runtime, name) for name in maclip_runtime.__all__)


def test_scorer_takes_these_settings():
    parameters = inspect.signature(maclip_runtime.Scorer).parameters
    assert list(parameters) == [
        "bundle", "engine", "preset", "precision", "views", "threads", "device", "exif_orientation",
        "pixel_format",
    ]  # fmt: skip
    assert list(inspect.signature(maclip_runtime.Scorer.score_many).parameters) == [
        "self", "pictures", "ahead",
    ]  # fmt: skip
