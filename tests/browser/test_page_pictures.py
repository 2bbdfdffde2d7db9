"""What is no picture is an error of its own, and loses no other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from page import Page
from PIL import Image

from reference.make_images import picture


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.png"
    Image.fromarray(picture(np.random.RandomState(1), 300, 260)).save(path)
    return path


def write(folder: Path) -> dict[str, bytes]:
    Image.fromarray(picture(np.random.RandomState(2), 400, 300)).save(folder / "whole.png")
    whole = (folder / "whole.png").read_bytes()
    return {
        "empty.jpg": b"",
        "text.png": b"this is no picture",
        "page.png": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "cut.png": whole[:40],
        "damaged.png": whole[:100] + bytes(200) + whole[300:],
        "<img src=x onerror=alert(1)>.png": b"a name that is markup",
    }


def test_broken_pictures_are_named_and_the_others_scored(
    page: Page, good: Path, tmp_path: Path
) -> None:
    page.clear()
    broken = write(tmp_path)
    for name, data in broken.items():
        (tmp_path / name).write_bytes(data)
    page.add_pictures([*(tmp_path / name for name in broken), good])
    assert set(page.read_scores()) == {"good.png"}
    told = sorted(element.text for element in page.find_all("#pictures .failed .error"))
    assert told == sorted([
        "empty.jpg: empty file",
        "text.png: not a picture in a known format (JPEG, PNG, WEBP, BMP, GIF, AVIF)",
        "page.png: not a picture in a known format (JPEG, PNG, WEBP, BMP, GIF, AVIF)",
        "cut.png: cannot be read: damaged, or too large for this browser",
        "damaged.png: cannot be read: damaged, or too large for this browser",
        "<img src=x onerror=alert(1)>.png: not a picture in a known format "
        "(JPEG, PNG, WEBP, BMP, GIF, AVIF)",
    ])  # fmt: skip
    assert not page.find_all("#pictures img")
    assert page.find_all("#pictures > li")[0].get_attribute("class") == ""  # errors come last


def test_a_picture_beyond_the_packages_limit_is_refused(page: Page, tmp_path: Path) -> None:
    page.clear()
    # 120 megapixels that take 15 kB as a file
    Image.new("1", (12_000, 10_000)).save(tmp_path / "huge.png")
    page.add_pictures([tmp_path / "huge.png"])
    (told,) = (element.text for element in page.find_all("#pictures .failed .error"))
    assert told == "huge.png: more than 114 megapixels; scale it down first"


def test_pasted_and_dropped_pictures_are_scored(page: Page, good: Path) -> None:
    page.clear()
    data = list(good.read_bytes())
    page.run(
        """
        const file = new File([new Uint8Array(args[0])], "pasted.png", {type: "image/png"});
        const data = new DataTransfer();
        data.items.add(file);
        document.dispatchEvent(new ClipboardEvent("paste", {clipboardData: data, bubbles: true}));
        """,
        data,
    )
    page.wait(lambda: "pasted.png" in page.read_scores())
    page.run(
        """
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(args[0])], "dropped.png", {type: "image/png"}));
        for (const kind of ["dragenter", "dragover", "drop"]) {
            document.body.dispatchEvent(
                new DragEvent(kind, {dataTransfer: data, bubbles: true, cancelable: true}));
        }
        """,
        data,
    )
    page.wait(lambda: "dropped.png" in page.read_scores())
    assert "dropping" not in page.find("body").get_attribute("class")
    first, second = page.read_scores().values()
    assert first["means"] == second["means"]


def test_a_large_picture_does_not_hold_up_the_sliders(page: Page, tmp_path: Path) -> None:
    page.clear()
    Image.fromarray(picture(np.random.RandomState(4), 1200, 800)).save(tmp_path / "large.png")
    page.find("#choose-pictures").send_keys(str(tmp_path / "large.png"))
    page.wait(lambda: page.find_all("#pictures progress[value]:not([value='0'])"))
    page.run("await app.session.client.ask('distort', "
             "{severities: {blur: 0.5, darken: 0, noise: 0, compress: 0}})")  # fmt: skip
    assert page.find_all("#pictures progress"), "the large picture came first"
    page.wait_for_scores()
