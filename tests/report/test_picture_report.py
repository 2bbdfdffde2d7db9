"""The report of pictures: safe with any name, complete, and bounded in size and memory."""

import re
import tracemalloc
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maclip_runtime.errors import PictureError, UsageError
from maclip_runtime.method.geometry import ViewGeometry
from maclip_runtime.method.quality_map import blend_windows
from maclip_runtime.report.pictures import PictureReport
from maclip_runtime.results.names import show_name

SAMPLES = sorted((Path(__file__).parents[2] / "samples").glob("*.jpg"))
NAMES = ("quality", "noise")
HOSTILE = [
    "<script>alert(1)</script>.jpg",
    '"><img src=x onerror=alert(1)>.jpg',
    "' onmouseover='alert(1)' x='.jpg",
    "</li></ol><h1>gone</h1>.jpg",
    "{{ 7 * 7 }}{% include 'x' %}.jpg",
    "</title></style></script>.jpg",
    "new\nline\r\ttab.jpg",
    "nul\x00.jpg",
    "exe\u202egpj.jpg",
    "no utf-8 \udcff\udc80.jpg",
    "&lt;b&gt;&amp;#60;.jpg",
    "javascript:alert(1).jpg",
    "日本語 写真 🙂.jpg",
    "x" * 4000,
]


class Page(HTMLParser):
    """What a browser would find: elements with their attributes, and text by element."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self._open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._open.append(tag)

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data):
        self.texts.append((self._open[-1] if self._open else "", data))

    def find(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


def make_record(name, score=0.5):
    return {
        "path": name, "score": score, "similarity": 0.4, "magnitude": 0.6,
        "attributes": dict.fromkeys(NAMES, 0.25), "width": 600, "height": 400, "views": 7,
        "enlarged": False,
    }  # fmt: skip


def make_map(low=0.0):
    values = np.linspace(low, 1, 6, dtype=np.float32)
    return blend_windows(values, ViewGeometry(), (400, 600))


def write_report(path, records, failures=(), frame=None, **options):
    frame = np.full((40, 60, 3), 99, np.uint8) if frame is None else frame
    with PictureReport({"bundle": "demo"}, **options) as report:
        for record in records:
            report.add(record, frame, make_map())
        for failure in failures:
            report.add_failure(failure)
        report.write(path)
    return path.read_text(encoding="utf-8")


def test_names_from_strangers_stay_text(tmp_path):
    plain = write_report(tmp_path / "p.html", [make_record(f"{n}.jpg") for n in range(len(HOSTILE))],
                         [PictureError("a.jpg", "b")] * len(HOSTILE))  # fmt: skip
    text = write_report(
        tmp_path / "h.html",
        [make_record(name) for name in HOSTILE],
        [PictureError(name, f"cannot be read: {show_name(name)}") for name in HOSTILE],
    )
    page, other = Page(text), Page(plain)
    # The names change no element, and no attribute's name, of the page.
    shapes = [[(tag, sorted(attrs)) for tag, attrs in p.elements] for p in (page, other)]
    assert shapes[0] == shapes[1]
    shown = [data for tag, data in page.texts if tag == "bdi"]
    assert sorted(shown) == sorted(show_name(name) for name in HOSTILE * 2)
    assert not any(key.startswith("on") for _, attrs in page.elements for key in attrs)
    assert len(page.find("script")) == 1


def test_what_cannot_be_seen_in_a_name_is_written_out():
    assert show_name("a\u202eb\nc\udcff") == "a\\u202eb\\nc\\udcff"
    assert show_name("日本語 🙂.jpg") == "日本語 🙂.jpg"


def test_the_page_needs_nothing_from_anywhere_and_says_so(tmp_path):
    page = Page(write_report(tmp_path / "r.html", [make_record("a.jpg")]))
    for tag, attrs in page.elements:
        for key in ("src", "href"):
            if key in attrs:
                assert attrs[key].startswith(("data:image/", "#")), tag
    (policy,) = (meta["content"] for meta in page.find("meta") if "http-equiv" in meta)
    assert policy.startswith("default-src 'none'")
    assert "unsafe-inline" not in policy.split("script-src")[1]


def test_the_worst_come_first_with_their_figures_and_failures_are_listed(tmp_path):
    records = [make_record(f"{score}.jpg", score) for score in (0.7, 0.2, 0.9)]
    text = write_report(tmp_path / "r.html", records, [PictureError("gone.jpg", "no such file")])
    page = Page(text)
    rows = [attrs for attrs in page.find("li") if "data-f" in attrs]
    assert [row["data-n"] for row in rows] == ["0.2.jpg", "0.7.jpg", "0.9.jpg"]
    assert rows[0]["data-f"] == "0.2 0.4 0.6 0.25 0.25"
    assert ("bdi", "gone.jpg") in page.texts
    assert ": no such file" in text


def test_maps_can_be_reached_without_a_mouse(tmp_path):
    page = Page(write_report(tmp_path / "r.html", [make_record("a.jpg")]))
    (button,) = page.find("button")
    assert button["aria-label"] == "Quality map of a.jpg"
    (style,) = (data for tag, data in page.texts if tag == "style")
    assert re.search(r"button:focus-visible \.map[^{]*\{ opacity: \.9", style)


def test_pictures_below_a_threshold_are_marked(tmp_path):
    records = [make_record(f"{score}.jpg", score) for score in (0.2, 0.5, 0.7)]
    page = Page(write_report(tmp_path / "r.html", records, threshold=0.5))
    below = [attrs["data-n"] for attrs in page.find("li") if attrs.get("class") == "below"]
    assert below == ["0.2.jpg"]


def test_a_report_of_failures_alone_is_one_too_and_of_nothing_none(tmp_path):
    text = write_report(tmp_path / "r.html", [], [PictureError("gone.jpg", "no such file")])
    assert "gone.jpg" in text
    with pytest.raises(UsageError, match="no pictures"):
        write_report(tmp_path / "none.html", [])
    assert not (tmp_path / "none.html").exists()


def test_two_thousand_photographs_make_at_most_40_megabytes_in_bounded_memory(tmp_path):
    frames = []
    for path in SAMPLES:  # as large as thumbnails are, or reading them would take most of the time
        with Image.open(path) as image:
            image.thumbnail((256, 256))
            frames.append(np.asarray(image.convert("RGB")))
    # A map of a 4K frame, the largest that is common.
    rows, columns = ViewGeometry().grid(2160, 3840)
    values = np.random.default_rng(0).random(rows * columns).astype(np.float32)
    quality_map = blend_windows(values, ViewGeometry(), (2160, 3840))

    def measure_peak(count):
        tracemalloc.start()
        with PictureReport({"bundle": "demo"}) as report:
            for place in range(count):
                record = make_record(f"/a/folder/of/some/length/{place:06d}.jpg", place / count)
                report.add(record, frames[place % len(frames)], quality_map)
            report.write(tmp_path / f"{count}.html")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    few, many = measure_peak(200), measure_peak(2000)
    size = (tmp_path / "2000.html").stat().st_size
    assert size <= 40e6
    # A page of 9 KB a picture in memory would be 16 MB more; the figures are less than 2 KB a picture.
    assert many - few <= 1800 * 2000
