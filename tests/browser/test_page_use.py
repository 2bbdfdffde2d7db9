"""The page as people use it: weight, sliders, the order of pictures, keys, screen readers, screens."""

from __future__ import annotations

from pathlib import Path

import pytest
from page import OpenPage, Page
from selenium.webdriver import ActionChains, Keys
from serving import serve

SAMPLES = sorted((Path(__file__).parents[2] / "samples").glob("*.jpg"))
MOST_BYTES = 300_000


def move(page: Page, slider: str, position: int) -> None:
    page.run("const s = document.getElementById(args[0]); s.value = args[1];"
             "s.dispatchEvent(new Event('input'));", slider, position)  # fmt: skip


def settle(page: Page) -> float:
    """The laboratory's score, when it has followed."""
    page.wait(lambda: page.run("return !app.lab.running && !app.lab.wanted"))
    return float(page.text("#lab-score"))


def test_the_page_without_model_and_library_binary_is_light(
    page_folder: Path, open_page: OpenPage
) -> None:
    with serve(page_folder) as site:
        open_page(site.address).wait_for_demo()
        paths = {path.lstrip("/") or "index.html" for _, path in site.asked}
    light = {path for path in paths if not path.startswith("demo/") and not path.endswith(".wasm")}
    assert {"index.html", "style.css", "app.js", "worker.js", "samples/chelsea.jpg"} <= light
    assert any(path.endswith(".wasm") for path in paths - light)
    assert sum((page_folder / path).stat().st_size for path in light) < MOST_BYTES


def test_it_says_plainly_that_the_demo_encoder_is_not_clip(page: Page) -> None:
    note = page.find("#demo-note")
    assert note.is_displayed()
    assert note.text.startswith("The demo encoder is not CLIP.")


@pytest.mark.parametrize("slider", ["blur", "darken", "compress", "noise"])
def test_each_slider_makes_the_score_fall_and_putting_back_restores_it(
    page: Page, slider: str
) -> None:
    before = settle(page)
    move(page, slider, 60)
    worse = settle(page)
    assert worse < before - 0.05
    assert page.text("#lab-change").endswith(f", was {before:.3f}")
    move(page, slider, 100)
    assert settle(page) < worse
    page.find("#lab-reset").click()
    assert settle(page) == before
    assert page.text("#lab-change") == "as it is"


def test_what_the_sliders_made_is_kept_as_the_picture_that_was_scored(page: Page) -> None:
    page.clear()
    move(page, "noise", 40)
    shown = settle(page)
    page.find("#lab-keep").click()
    page.wait(lambda: page.read_scores())
    (kept,) = page.read_scores().items()
    assert kept[0] == "chelsea-noise.png"
    assert kept[1]["means"]["score"] == pytest.approx(shown, abs=0.0006)  # shown with three digits
    page.find("#lab-reset").click()
    settle(page)


def test_the_map_is_drawn_over_the_picture(page: Page) -> None:
    settle(page)
    pixels = "return [...app.lab.canvas.getContext('2d').getImageData(100, 100, 9, 9).data]"
    picture = page.run(pixels)
    page.find("label:has(#show-map)").click()
    assert page.run(pixels) != picture
    assert page.find("#lab-legend").is_displayed()
    assert "Quality map of chelsea.jpg" in page.find("#lab-canvas").get_attribute("aria-label")
    page.find("label:has(#show-picture)").click()
    assert page.run(pixels) == picture


def test_pictures_are_sorted_by_what_is_asked_for(page: Page) -> None:
    page.clear()
    page.add_pictures(SAMPLES)
    scores = page.read_scores()

    def choose(selector: str, value: str) -> None:
        page.find(f'{selector} option[value="{value}"]').click()

    def rank(quantity: str) -> list[str]:
        value = {"score": lambda m: m["score"], "noise": lambda m: m["attributes"][4]}[quantity]
        return sorted(scores, key=lambda name: -value(scores[name]["means"]))

    assert page.read_order() == rank("score")
    choose("#sort", "noise")
    assert page.read_order() == rank("noise")
    choose("#order", "1")
    assert page.read_order() == rank("noise")[::-1]
    choose("#sort", "file name")
    assert page.read_order() == sorted(scores)
    choose("#sort", "score")
    choose("#order", "-1")


def press(page: Page, key: str) -> str:
    """Press a key; the id or text of what has the focus then."""
    ActionChains(page.driver).send_keys(key).perform()
    return page.run("const {id, textContent} = document.activeElement; return id || textContent")


def test_everything_can_be_done_with_the_keyboard(open_page: OpenPage) -> None:
    page = open_page()
    page.wait_for_demo()
    page.add_pictures(SAMPLES[:2])
    assert press(page, Keys.TAB) == "Skip to the laboratory"
    reached = {press(page, Keys.TAB) for _ in range(45)}
    assert {"blur", "lab-keep", "choose-pictures", "paste", "sort", "maps", "clear", "camera-start",
            "choose-bundle", "engine", "preset"} <= reached  # fmt: skip
    page.find("#blur").send_keys(Keys.ARROW_RIGHT * 3)
    assert page.text("#blur-value") == "\u03c3 0.1 px"
    settle(page)
    assert page.text("#announcement").startswith("Score 0.")
    page.find("#blur").send_keys(Keys.HOME)
    page.find("#show-map").send_keys(Keys.SPACE)
    assert page.find("#lab-legend").is_displayed()
    page.find("#show-map").send_keys(Keys.ARROW_LEFT)
    assert not page.find("#lab-legend").is_displayed()
    toggle = page.find("#pictures [aria-pressed]")
    toggle.send_keys(Keys.ENTER)
    assert toggle.get_attribute("aria-pressed") == "true"
    remove = page.find("#pictures li .buttons button:last-child")
    remove.send_keys(Keys.ENTER)
    assert len(page.find_all("#pictures > li")) == 1
    assert page.run("return document.activeElement.textContent") == "Remove"  # the focus stays near


LOOKS = [(1280, False), (1280, True), (390, False), (390, True)]


@pytest.fixture(
    scope="module", params=LOOKS, ids=lambda look: f"{look[0]}-{'dark' if look[1] else 'light'}"
)
def looked_at(request: pytest.FixtureRequest, open_page: OpenPage, tmp_path_factory) -> Page:
    """The page with everything on it: pictures, maps and errors."""
    width, dark = request.param
    page = open_page(width=width, height=844, dark=dark)
    page.wait_for_demo()
    broken = tmp_path_factory.mktemp("broken") / "broken.png"
    broken.write_bytes(b"no picture")
    page.add_pictures([*SAMPLES, broken])
    page.run("document.getElementById('show-map').click(); document.getElementById('maps').click();"
             "document.getElementById('camera').classList.add('running')")  # fmt: skip
    return page


def test_axe_finds_nothing(looked_at: Page, axe_source: str) -> None:
    looked_at.driver.execute_script(axe_source)
    found = looked_at.run("""
        const {violations} = await axe.run(document);
        return violations.map(({id, nodes}) => [id, nodes.map(({html}) => html)]);
    """)
    assert found == []


def test_nothing_is_wider_than_the_screen(looked_at: Page) -> None:
    widths = "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    wide, screen = looked_at.run(widths)
    assert wide <= screen


def test_what_is_touched_is_large_enough_for_a_finger(looked_at: Page) -> None:
    """WCAG 2.2's target size: 24 CSS pixels a side."""
    small = looked_at.run("""
        const controls = document.querySelectorAll("button, select, input[type=range], .button, nav a");
        return [...controls].filter((control) => control.offsetParent).map((control) => {
            const {width, height} = control.getBoundingClientRect();
            return [control.id || control.textContent, width, height];
        }).filter(([, width, height]) => Math.min(width, height) < 24);
    """)
    assert small == []
