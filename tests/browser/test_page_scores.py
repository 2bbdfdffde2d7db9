"""Scores, attributes and maps in the page are those of the Python package."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from page import Page
from PIL import Image, ImageOps

from maclip_runtime import Scorer
from maclip_runtime.results.score import Score
from reference.make_images import picture

# The page's features are ONNX Runtime's WebAssembly build's, whose sums have another order.
TOLERANCE = 1e-4
SAMPLES = sorted((Path(__file__).parents[2] / "samples").glob("*.jpg"))


@pytest.fixture(scope="module")
def demo() -> Iterator[Scorer]:
    with Scorer("demo") as scorer:
        yield scorer


@pytest.fixture(autouse=True)
def _empty_gallery(page: Page) -> None:
    page.clear()


def compare(found: dict, expected: Score) -> None:
    """All that the page knows of a picture, against the Python package's score of it."""
    assert found["means"]["score"] == pytest.approx(expected.score, abs=TOLERANCE)
    assert found["means"]["similarity"] == pytest.approx(expected.similarity, abs=TOLERANCE)
    assert found["means"]["magnitude"] == pytest.approx(expected.magnitude, abs=TOLERANCE)
    assert found["means"]["weight"] == pytest.approx(expected.weight, abs=TOLERANCE)
    attributes = list(expected.attributes.values())
    assert found["means"]["attributes"] == pytest.approx(attributes, abs=TOLERANCE)
    assert [view["score"] for view in found["perView"]] == pytest.approx(
        expected.cues.score.tolist(), abs=TOLERANCE
    )
    size = (found["width"], found["height"], found["enlarged"])
    assert size == (expected.width, expected.height, expected.enlarged)
    for quantity in expected.quantities:
        shown, made = found["maps"][quantity], expected.map(quantity)
        assert (shown["rows"], shown["columns"]) == made.values.shape
        assert shown["cell"] == made.cell
        assert np.abs(np.array(shown["values"]) - made.values.ravel()).max() < TOLERANCE
        assert shown["right"] * expected.width == pytest.approx(made.box[2])
        assert shown["bottom"] * expected.height == pytest.approx(made.box[3])


def test_the_samples_have_the_scores_of_the_command_line(
    page: Page, maclip: Callable, demo: Scorer
) -> None:
    page.add_pictures(SAMPLES)
    found = page.read_scores()
    told = json.loads(maclip("score", *SAMPLES, "--bundle", "demo", "--format", "json").stdout)
    for record in told:
        name = Path(record["path"]).name
        assert found[name]["means"]["score"] == pytest.approx(record["score"], abs=TOLERANCE)
        compare(found[name], demo.score(record["path"]))


@pytest.mark.parametrize("preset", ["448", "224"])
def test_presets_resize_as_the_package_does(page: Page, preset: str) -> None:
    page.run("const s = document.getElementById('preset'); s.value = args[0];"
             "s.dispatchEvent(new Event('change'));", preset)  # fmt: skip
    try:
        page.add_pictures(SAMPLES)
        found = page.read_scores()
    finally:
        page.run("const s = document.getElementById('preset'); s.value = 'native';"
                 "s.dispatchEvent(new Event('change'));")  # fmt: skip
    with Scorer("demo", preset=preset) as scorer:
        for sample in SAMPLES:
            compare(found[sample.name], scorer.score(sample))


def draw(width: int, height: int, seed: int = 3) -> Image.Image:
    return Image.fromarray(picture(np.random.RandomState(seed), width, height))


def fade(image: Image.Image) -> Image.Image:
    """The same with an opacity that falls from the left to the right."""
    ramp = np.linspace(255, 40, image.width).astype(np.uint8)
    opacity = Image.fromarray(np.broadcast_to(ramp, (image.height, image.width)).copy())
    image = image.copy()
    image.putalpha(opacity)
    return image


KINDS: dict[str, tuple[Callable[[], Image.Image], dict]] = {
    "rgb.png": (lambda: draw(500, 370), {}),
    "gray.png": (lambda: draw(500, 370).convert("L"), {}),
    "palette.png": (lambda: draw(500, 370).quantize(64), {}),
    "one-bit.png": (lambda: draw(500, 370).convert("1"), {}),
    "transparent.png": (lambda: fade(draw(500, 370)), {}),
    "plain.bmp": (lambda: draw(300, 300), {}),
    "lossless.webp": (lambda: draw(300, 260), {"lossless": True}),
    "lossy.webp": (lambda: draw(300, 260), {"quality": 80}),
    "half-chroma.jpg": (lambda: draw(500, 370), {"quality": 85, "subsampling": 2}),
    "gray.jpg": (lambda: draw(500, 370).convert("L"), {"quality": 90}),
    "progressive.jpg": (lambda: draw(500, 370), {"progressive": True}),
    "still.gif": (lambda: draw(300, 300).quantize(64), {}),
    "small.png": (lambda: draw(150, 90), {}),
    "narrow.png": (lambda: draw(100, 700), {}),
    "one-window.png": (lambda: draw(224, 224), {}),
    "many-views.png": (lambda: draw(1067, 800), {}),
}


def test_kinds_of_pictures_have_the_scores_of_the_package(
    page: Page, demo: Scorer, tmp_path: Path
) -> None:
    for name, (make, settings) in KINDS.items():
        make().save(tmp_path / name, **settings)
    page.add_pictures(tmp_path / name for name in KINDS)
    found = page.read_scores()
    assert set(found) == set(KINDS)
    for name in KINDS:
        compare(found[name], demo.score(tmp_path / name))


def test_a_turned_photograph_is_scored_as_it_is_stored(
    page: Page, demo: Scorer, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    draw(500, 370).save(tmp_path / "turned.jpg", exif=exif)
    page.add_pictures([tmp_path / "turned.jpg"])
    compare(page.read_scores()["turned.jpg"], demo.score(tmp_path / "turned.jpg"))


def test_photographs_are_shown_upright(page: Page, tmp_path: Path) -> None:
    # Four colours, one in each quarter.
    corners = np.array([[[220, 30, 30], [30, 200, 30]], [[30, 30, 220], [220, 220, 220]]], np.uint8)
    stored = Image.fromarray(corners).resize((400, 300), Image.Resampling.NEAREST)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored.save(tmp_path / f"{orientation}.jpg", quality=95, exif=exif)
    page.add_pictures(sorted(tmp_path.iterdir()))
    shown = page.run("""
        return Object.fromEntries(app.gallery.cards.map(({file, canvas}) => {
            const context = canvas.getContext("2d");
            const {width, height} = canvas;
            const at = (x, y) => [...context.getImageData(x * width, y * height, 1, 1).data].slice(0, 3);
            return [file.name, [width, height, [[at(.2, .2), at(.8, .2)], [at(.2, .8), at(.8, .8)]]]];
        }));
    """)
    for path in sorted(tmp_path.iterdir()):
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image)
        width, height, found = shown[path.name]
        assert (width, height) == upright.size
        pixels = np.asarray(upright).astype(int)
        rows, columns = [height // 5, height * 4 // 5], [width // 5, width * 4 // 5]
        assert np.abs(np.array(found) - pixels[np.ix_(rows, columns)]).max() < 12, path.name


def test_the_other_bundle_of_a_folder_is_run(page: Page, rn_small_bundle: Path) -> None:
    page.add_pictures(SAMPLES)
    page.find("#choose-bundle").send_keys(str(rn_small_bundle))
    page.wait(lambda: page.text("#bundle-facts").find(rn_small_bundle.name) >= 0)
    page.wait_for_scores()
    found = page.read_scores()
    with Scorer(rn_small_bundle) as scorer:
        for sample in SAMPLES:
            compare(found[sample.name], scorer.score(sample))
    assert not page.find("#demo-note").is_displayed()
    page.find("#use-demo").click()
    page.wait(lambda: page.find("#demo-note").is_displayed())
