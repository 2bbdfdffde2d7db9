"""A camera in the page: Chromium's fake device, fed from a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from page import OpenPage, Page
from PIL import Image

from maclip_runtime import Scorer
from maclip_runtime.method.pixels import Frame

SAMPLES = Path(__file__).parents[2] / "samples"
WIDTH, HEIGHT = 480, 360
VIEWS = 7
FRAMES = 30  # of each scene, at 10 a second
NOISE = 1.0  # of 255; without any, the first change is taken for noise
# From RGB to 4:2:0 and back, by other code than Pillow's (a few of 255 where colours change), and noise.
TOLERANCE = 0.02


def load(name: str) -> Image.Image:
    return (
        Image.open(SAMPLES / name).convert("RGB").resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    )


def to_planes(image: Image.Image, rng: np.random.Generator) -> bytes:
    """BT.601 of limited range, 4:2:0, as YUV4MPEG2 has it, with noise in the luma."""
    full = np.asarray(image.convert("YCbCr"), np.float32)
    noisy = full[..., 0] + rng.normal(0, NOISE, (HEIGHT, WIDTH))
    luma = np.rint(16 + np.clip(noisy, 0, 255) * 219 / 255).astype(np.uint8)
    chroma = 128 + (full[..., 1:] - 128) * 224 / 255
    halved = chroma.reshape(HEIGHT // 2, 2, WIDTH // 2, 2, 2).mean(axis=(1, 3))
    planes = np.rint(halved).astype(np.uint8)
    return luma.tobytes() + planes[..., 0].tobytes() + planes[..., 1].tobytes()


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scenes with a cut between them, and one when it begins again."""
    rng = np.random.default_rng(1)
    path = tmp_path_factory.mktemp("camera") / "footage.y4m"
    with path.open("wb") as stream:
        stream.write(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F10:1 Ip A1:1 C420jpeg\n".encode())
        for name in ("coffee.jpg", "astronaut.jpg"):
            for _ in range(FRAMES):
                stream.write(b"FRAME\n" + to_planes(load(name), rng))
    return path


@pytest.fixture(scope="module")
def filmed(open_page: OpenPage, footage: Path) -> Page:
    page = open_page(
        options=(
            "--use-fake-ui-for-media-stream",  # which allows the camera
            "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-video-capture={footage}",
        )
    )
    page.wait_for_demo()
    return page


def watch(page: Page, views_per_frame: str, enough: str) -> list[dict]:
    """Readings of the camera, when they are enough: a condition on `readings`."""
    page.find(f'#views-per-frame option[value="{views_per_frame}"]').click()
    if not page.find_all("#camera.running"):
        page.find("#camera-start").click()
    readings = f"const readings = app.camera.history; return readings.length > 12 && ({enough})"
    page.wait(lambda: page.run(readings))
    return page.run("return app.camera.history")


TWO_CUTS = "readings.filter(({scene}) => scene).length >= 3"  # the first reading begins one, too


def test_all_views_of_every_frame_are_the_published_scores(filmed: Page) -> None:
    readings = watch(filmed, "all", TWO_CUTS)
    assert all(reading["refreshed"] == len(reading["views"]) == VIEWS for reading in readings)
    assert all(reading["fresh"] == 1 for reading in readings)
    with Scorer("demo") as scorer:
        scores = [
            scorer.score(_to_frame(load(name))).score for name in ("coffee.jpg", "astronaut.jpg")
        ]
    for reading in readings:
        assert min(abs(reading["score"] - score) for score in scores) < TOLERANCE
    seen = {min((0, 1), key=lambda place: abs(r["score"] - scores[place])) for r in readings}
    assert seen == {0, 1}, "both scenes were shown"


def test_turns_follow_the_scenes_with_a_part_of_the_views(filmed: Page) -> None:
    # A scene of 7 views has been seen whole after 4 frames of 2.
    readings = watch(filmed, "2", f"{TWO_CUTS} && readings.some(({{fresh}}) => fresh === 1)")
    assert {reading["refreshed"] for reading in readings} == {2}
    cuts = [place for place, reading in enumerate(readings) if reading["scene"]]
    for cut, following in zip(cuts, [*cuts[1:], len(readings)], strict=True):
        after = [reading["fresh"] for reading in readings[cut : min(cut + 4, following)]]
        expected = [2 / 7, 4 / 7, 6 / 7, 1][: len(after)]
        assert after == pytest.approx(expected), "each view had its turn"


def test_auto_keeps_up_and_the_chart_and_the_map_are_drawn(filmed: Page) -> None:
    readings = watch(filmed, "auto", "true")
    assert readings[0]["refreshed"] == 1
    assert filmed.find("#camera-line").get_attribute("points").count(",") > 12
    filmed.find("#camera-shows-map").click()
    filmed.wait(lambda: filmed.find("#camera-map").is_displayed())
    assert filmed.run("return app.camera.overlay.width") > 0
    assert float(filmed.text("#camera-score")) > 0
    assert filmed.text("#camera-views").endswith(f"of {VIEWS}")
    filmed.find("#camera-start").click()
    filmed.wait(lambda: not filmed.find_all("#camera.running"))
    assert filmed.run("return app.camera.video.srcObject") is None


def test_no_camera_is_said_in_words(open_page: OpenPage) -> None:
    page = open_page()
    page.wait_for_demo()
    page.find("#camera-start").click()
    page.wait(lambda: page.text("#camera-error"))
    assert page.text("#camera-error") in (
        "No camera was found; connect one and start again.",
        "The camera was refused; allow it for this page in the browser's settings.",
    )


def _to_frame(image: Image.Image) -> Frame:
    return np.asarray(image)
