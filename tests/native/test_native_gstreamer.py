"""The GStreamer element maclipquality, in real pipelines, against `Stream` on the same frames."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cameras import SYSTEM_PYTHON
from maclip_runtime import Scorer, Stream
from maclip_runtime.sources.colour import convert_gray, convert_yuv
from maclip_runtime.stream.stream import Reading
from reference.make_images import picture

Bytes = NDArray[np.uint8]
HERE = Path(__file__).parent
DEMO = HERE.parents[1] / "runtime" / "maclip_runtime" / "demo"
TOLERANCE = 1e-5
FRAME_TIME = 40_000_000  # nanoseconds

FORMATS = ("NV12", "I420", "YUY2", "RGB", "BGR", "RGBA", "BGRA", "RGBx", "BGRx", "GRAY8")


@dataclass
class Film:
    """Raw frames of one format in a file, and what Python makes of them."""

    caps: str
    planes: list[list[Bytes]]
    frames: list[Bytes] = field(default_factory=list)

    @property
    def data(self) -> bytes:
        return b"".join(plane.tobytes() for planes in self.planes for plane in planes)

    def steps(self, start: int = 0, offset: int = 0) -> list[dict]:
        """A step a frame; `offset` is where the pixels begin, `start` the first one's number."""
        steps = []
        for number, planes in enumerate(self.planes, start):
            places = []
            for plane in planes:
                places.append([offset, *plane.shape])
                offset += plane.size
            steps.append({"frame": places, "time": number * FRAME_TIME})
        return steps


def make_film(
    pixel_format: str, width: int, height: int, count: int, colorimetry: str = "", seed: int = 3
) -> Film:
    """A picture that creeps to the left, in one of GStreamer's formats."""
    wide = picture(np.random.RandomState(seed), width + 8 * count, height)
    film = Film(
        f"video/x-raw,format={pixel_format},width={width},height={height},framerate=25/1"
        + (f",colorimetry={colorimetry}" if colorimetry else ""),
        [],
    )
    for number in range(count):
        rgb = np.ascontiguousarray(wide[:, 8 * number : 8 * number + width])
        planes, frame = _convert(pixel_format, rgb, colorimetry)
        film.planes.append(planes)
        film.frames.append(np.ascontiguousarray(frame))
    return film


def _convert(pixel_format: str, rgb: Bytes, colorimetry: str) -> tuple[list[Bytes], Bytes]:
    """A frame of that format that follows the picture: its planes, and RGB as the runtime makes it."""
    height, width = rgb.shape[:2]
    chroma_height, pairs = -(-height // 2), -(-width // 2)
    luma, blue, red = rgb[..., 1].copy(), rgb[::2, ::2, 2].copy(), rgb[::2, ::2, 0].copy()
    matrix = "bt601" if colorimetry == "bt601" or (not colorimetry and height <= 576) else "bt709"
    value_range = "full" if colorimetry.startswith("1:") else "limited"
    match pixel_format:
        case "NV12" | "I420":
            frame = convert_yuv(luma, blue, red, matrix, value_range)
            both = np.stack([blue, red], axis=-1).reshape(chroma_height, 2 * pairs)
            return ([luma, blue, red] if pixel_format == "I420" else [luma, both]), frame
        case "YUY2":
            blue, red = rgb[:, ::2, 2].copy(), rgb[:, ::2, 0].copy()
            even = np.pad(luma, ((0, 0), (0, 2 * pairs - width)))
            packed = np.stack([even[:, ::2], blue, even[:, 1::2], red], axis=-1)
            return [packed.reshape(height, 4 * pairs)], convert_yuv(
                luma, blue, red, matrix, value_range
            )
        case "GRAY8":
            return [luma], convert_gray(luma, "full")
        case _:
            order = [2, 1, 0] if pixel_format.startswith("BGR") else [0, 1, 2]
            pixels = rgb[..., order]
            if len(pixel_format) == 4:  # opaque, or no matter what
                fourth = 255 if pixel_format.endswith("A") else 13
                pixels = np.pad(pixels, ((0, 0), (0, 0), (0, 1)), constant_values=fourth)
            return [np.ascontiguousarray(pixels).reshape(height, -1)], rgb


@pytest.fixture(scope="session")
def plugin(native_build: Path) -> Path:
    """The folder with the built plugin."""
    check = "import gi; gi.require_version('GstApp', '1.0'); gi.require_version('GstVideo', '1.0')"
    for present, what in (
        ((native_build / "gst" / "libgstmaclip.so").exists(), "libgstreamer-plugins-base1.0-dev"),
        (shutil.which("gst-inspect-1.0"), "gstreamer1.0-tools"),
        (
            Path(SYSTEM_PYTHON).exists()
            and not subprocess.run(
                [SYSTEM_PYTHON, "-c", check], stderr=subprocess.DEVNULL
            ).returncode,
            "python3-gst-1.0 for /usr/bin/python3",
        ),
    ):
        if not present:
            pytest.skip(f"needs {what} (tests/system_packages.sh)")
    return native_build / "gst"


@pytest.fixture(scope="session")
def environment(
    plugin: Path, onnxruntime_library: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """Of programs that use the plugin; GStreamer's registry of plugins is the tests' own."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("GST_")},
        "GST_PLUGIN_PATH": str(plugin),
        "GST_REGISTRY": str(tmp_path_factory.mktemp("registry") / "registry.bin"),
        "MACLIP_ONNXRUNTIME_LIBRARY": onnxruntime_library,
    }
    # Looks at all plugins there are, once: what others warn of then is not ours.
    subprocess.run(["gst-inspect-1.0", "maclip"], check=True, capture_output=True, env=environment)
    return environment


@pytest.fixture(scope="session")
def hold_scoring(native_build: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that holds scorings, compiled."""
    library = tmp_path_factory.mktemp("hold") / "libhold.so"
    source = HERE / "hold_scoring.c"
    headers = HERE.parents[1] / "runtime" / "native" / "include"
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-Wall", "-Werror", f"-I{headers}", source, "-o", library],
        check=True,
    )
    return library


Play = Callable[..., dict]


@pytest.fixture
def play(environment: dict[str, str], tmp_path: Path) -> Play:
    """Play a job in a process of its own: see play_pipeline.py."""

    def run(
        steps: Sequence[dict],
        films: Sequence[Film] = (),
        hold: Path | None = None,
        after: str = "identity",
        **properties: object,
    ) -> dict:
        pixels = tmp_path / "pixels"
        pixels.write_bytes(b"".join(film.data for film in films))
        element = {"bundle": str(DEMO), **properties}
        job = {
            **{"element": element, "after": after, "pixels": str(pixels)},
            **{"hold": hold is not None, "steps": steps},
        }
        done = subprocess.run(
            [SYSTEM_PYTHON, HERE / "play_pipeline.py"],
            input=json.dumps(job),
            capture_output=True,
            text=True,
            env={**environment, **({"LD_PRELOAD": str(hold)} if hold else {})},
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer(DEMO, engine="onnxruntime-cpu")


def read_all(
    scorer: Scorer, frames: Sequence[Bytes], views: object, start: int = 0
) -> list[Reading]:
    with Stream(scorer, views_per_frame=views) as stream:
        return [
            stream.push(frame, number * FRAME_TIME / 1e9)
            for number, frame in enumerate(frames, start)
        ]


def in_turn(film: Film, start: int = 0, offset: int = 0) -> list[dict]:
    """Every frame waits for the score of the one before, so that all are scored."""
    return [step for frame in film.steps(start, offset) for step in (frame, {"await": "score"})]


def check(message: dict, reading: Reading) -> None:
    """A message says what a reading does."""
    for name in ("score", "similarity", "magnitude", "weight", "fresh"):
        assert message[name] == pytest.approx(getattr(reading, name), abs=TOLERANCE), name
    assert message["detail"] == pytest.approx(reading.detail, rel=1e-5)
    attributes = {k: v for k, v in message["attributes"].items() if k != "name"}
    assert attributes == pytest.approx(dict(reading.attributes), abs=TOLERANCE)
    for name in ("views", "refreshed", "scene", "width", "height"):
        assert message[name] == getattr(reading, name), name


@pytest.mark.parametrize("pixel_format", FORMATS)
def test_scores_are_those_of_stream_on_the_same_frames(
    play: Play, scorer: Scorer, pixel_format: str
) -> None:
    """Odd sizes, and rows that GStreamer pads."""
    film = make_film(pixel_format, 397, 301, 5)
    report = play(
        [{"caps": film.caps}, *in_turn(film), {"eos": True}], [film], **{"views-per-frame": "2"}
    )
    assert report["error"] is None
    readings = read_all(scorer, film.frames, 2)
    assert [message["name"] for message in report["messages"]] == ["maclip-quality"] * 5
    for message, reading in zip(report["messages"], readings, strict=True):
        check(message, reading)
    assert [message["frame"] for message in report["messages"]] == list(range(5))
    for time in ("timestamp", "running-time", "stream-time"):
        times = [message[time] for message in report["messages"]]
        assert times == [number * FRAME_TIME for number in range(5)]
    assert report["messages"][-1]["dropped"] == 0
    assert [buffer["sha256"] for buffer in report["buffers"]] == report["sha256"]


@pytest.mark.parametrize(
    ("colorimetry", "height"), [("bt601", 600), ("bt709", 300), ("1:4:0:0", 300), ("", 600)]
)
def test_matrix_and_range_are_those_of_the_caps(
    play: Play, scorer: Scorer, colorimetry: str, height: int
) -> None:
    """1:4:0:0 is BT.601 with full range; caps without a word are BT.709 above 576 lines."""
    film = make_film("NV12", 300, height, 1, colorimetry)
    if colorimetry.startswith("1:"):
        luma, both = film.planes[0]
        pairs = both.reshape(both.shape[0], -1, 2)
        film.frames[0] = convert_yuv(luma, pairs[..., 0], pairs[..., 1], "bt601", "full")
    report = play([{"caps": film.caps}, *in_turn(film), {"eos": True}], [film])
    check(report["messages"][0], read_all(scorer, film.frames, 8)[0])


@pytest.mark.parametrize("views", ["all", "1", "100"])
def test_so_many_views_are_encoded_as_asked(play: Play, scorer: Scorer, views: str) -> None:
    film = make_film("RGB", 500, 370, 4)
    report = play(
        [{"caps": film.caps}, *in_turn(film), {"eos": True}], [film], **{"views-per-frame": views}
    )
    readings = read_all(scorer, film.frames, views if views == "all" else int(views))
    for message, reading in zip(report["messages"], readings, strict=True):
        check(message, reading)


def test_as_published_with_all_views(play: Play, scorer: Scorer) -> None:
    film = make_film("RGB", 500, 370, 1)
    report = play(
        [{"caps": film.caps}, *in_turn(film), {"eos": True}], [film], **{"views-per-frame": "all"}
    )
    assert report["messages"][0]["score"] == pytest.approx(
        scorer.score(film.frames[0]).score, abs=TOLERANCE
    )


@pytest.mark.parametrize(
    ("rate", "interval", "all_views"),
    [("1/9", 0, True), ("25/1", 9_000_000_000, True), ("0/1", 0, False)],
)
def test_auto_goes_by_the_time_between_frames_that_caps_and_interval_tell(
    play: Play, rate: str, interval: int, all_views: bool
) -> None:
    """Nine seconds are enough for seven views; by the buffers' times there would be a microsecond."""
    film = make_film("RGB", 500, 370, 24)
    steps: list[dict] = [{"caps": film.caps.replace("25/1", rate)}]
    spacing = max(interval, 1000)
    for number, step in enumerate(film.steps()):
        steps += [{**step, "time": number * spacing}, {"await": "score"}]
    report = play([*steps, {"eos": True}], [film], interval=interval, **{"views-per-frame": "auto"})
    refreshed = [message["refreshed"] for message in report["messages"]]
    assert len(refreshed) == 24
    assert refreshed[:10] == [1] * 10  # the first round finds out what a view takes
    assert refreshed[-1] == (report["messages"][0]["views"] if all_views else 1)


def test_size_and_format_may_change_in_the_middle(play: Play, scorer: Scorer) -> None:
    films = [
        make_film("NV12", 397, 301, 3),
        make_film("BGRx", 500, 370, 3),
        make_film("BGRx", 100, 90, 2),  # smaller than a view
        make_film("GRAY8", 240, 500, 2),
    ]
    steps: list[dict] = []
    number = offset = 0
    for film in films:
        steps += [{"caps": film.caps}, *in_turn(film, number, offset)]
        number += len(film.planes)
        offset += len(film.data)
    report = play([*steps, {"eos": True}], films)
    assert report["error"] is None
    frames = [frame for film in films for frame in film.frames]
    for message, reading in zip(report["messages"], read_all(scorer, frames, 8), strict=True):
        check(message, reading)
    scenes = [message["frame"] for message in report["messages"] if message["scene"]]
    assert scenes == [0, 3, 6, 7, 8]  # in the smallest film the content jumps as well
    assert [buffer["sha256"] for buffer in report["buffers"]] == report["sha256"]


def test_a_slow_scorer_holds_no_buffer_up_and_the_latest_wins(
    play: Play, scorer: Scorer, hold_scoring: Path
) -> None:
    """The first frame's scoring is held until a hundred buffers are through."""
    film = make_film("NV12", 256, 240, 100)
    first, *others = film.steps()
    steps = [{"caps": film.caps}, first, {"await": "entered"}, *others, {"await": "buffers"}]
    report = play([*steps, {"open": True}, {"eos": True}], [film], hold=hold_scoring)
    assert report["out"] == [[100, 0]]  # all buffers are out, and nothing is scored
    assert [buffer["sha256"] for buffer in report["buffers"]] == report["sha256"]
    assert [message["frame"] for message in report["messages"]] == [0, 99]
    assert [message["dropped"] for message in report["messages"]] == [0, 98]
    readings = read_all(scorer, [film.frames[0], film.frames[99]], 8)
    for message, reading in zip(report["messages"], readings, strict=True):
        check(message, reading)


def test_the_last_score_comes_before_the_end_of_the_stream(play: Play) -> None:
    """No frame waits for a score, and yet the first and the last are scored when the end comes."""
    film = make_film("RGB", 256, 240, 5)
    report = play([{"caps": film.caps}, *film.steps(), {"eos": True}], [film])
    assert report["messages"][-1]["frame"] == 4


def test_buffers_carry_the_latest_score(play: Play) -> None:
    film = make_film("I420", 300, 300, 4)
    report = play([{"caps": film.caps}, *in_turn(film), {"eos": True}], [film])
    metas = [buffer["meta"] for buffer in report["buffers"]]
    assert metas[0] is None  # nothing was scored yet
    for meta, message in zip(metas[1:], report["messages"][:3], strict=True):
        assert meta == message
    assert [buffer["time"] for buffer in report["buffers"]] == [k * FRAME_TIME for k in range(4)]


def test_the_meta_survives_converters_and_scalers(play: Play) -> None:
    film = make_film("I420", 300, 300, 3)
    steps = [{"caps": film.caps}, *in_turn(film), {"eos": True}]
    report = play(
        steps, [film], after="videoconvert ! videoscale ! video/x-raw,format=RGB,width=64"
    )
    first, second, _ = report["messages"]
    assert [buffer["meta"] for buffer in report["buffers"]] == [None, first, second]


def test_without_messages_the_buffers_carry_scores_all_the_same(play: Play) -> None:
    film = make_film("RGB", 256, 240, 30)
    report = play(
        [{"caps": film.caps}, *film.steps(), {"eos": True}], [film], **{"post-messages": False}
    )
    assert report["messages"] == []
    assert len(report["buffers"]) == 30


def test_of_each_interval_one_frame_is_scored(play: Play) -> None:
    film = make_film("RGB", 256, 240, 12)
    steps: list[dict] = [{"caps": film.caps}]
    for number, step in enumerate(film.steps()):
        steps += [step, {"await": "buffers"}]
        if number % 3 == 0:
            steps.append({"await": "score"})
    report = play([*steps, {"eos": True}], [film], interval=3 * FRAME_TIME)
    assert [message["frame"] for message in report["messages"]] == [0, 3, 6, 9]


def test_an_alert_begins_after_two_seconds_below_and_ends_after_two_above(play: Play) -> None:
    """Frames a third of a second apart; the threshold is moved instead of the picture."""
    film = make_film("RGB", 256, 240, 24)
    steps: list[dict] = [{"caps": film.caps}]
    for number, step in enumerate(film.steps()):
        if number == 12:
            steps.append({"set": {"alert-below": 0.0001}})
        steps += [{**step, "time": number * 333_333_334}, {"await": "score"}]
    report = play([*steps, {"eos": True}], [film], **{"alert-below": 5.0})
    alerts = [message for message in report["messages"] if message["name"] == "maclip-alert"]
    assert [(alert["active"], alert["frame"]) for alert in alerts] == [(True, 6), (False, 18)]
    assert alerts[0]["threshold"] == 5
    assert alerts[0]["score"] < 5


def test_a_flush_begins_anew(play: Play, scorer: Scorer) -> None:
    film = make_film("RGB", 500, 370, 8)
    steps = in_turn(film)
    middle = len(steps) // 2
    steps = [
        {"caps": film.caps},
        *steps[:middle],
        {"await": "buffers"},
        {"flush": True},
        *steps[middle:],
    ]
    report = play([*steps, {"eos": True}], [film], **{"views-per-frame": "2"})
    readings = read_all(scorer, film.frames[:4], 2) + read_all(scorer, film.frames[4:], 2, 4)
    for message, reading in zip(report["messages"], readings, strict=True):
        check(message, reading)
    metas = [buffer["meta"] is not None for buffer in report["buffers"]]
    assert metas == [False, True, True, True, False, True, True, True]


def test_what_was_being_scored_at_a_flush_is_forgotten(play: Play, hold_scoring: Path) -> None:
    film = make_film("RGB", 256, 240, 4)
    first, second, third, fourth = film.steps()
    steps = [
        {"caps": film.caps},
        *(first, {"await": "entered"}, second, {"await": "buffers"}, {"flush": True}),
        *(third, {"await": "buffers"}, {"open": True}, {"await": "score"}),
        *(fourth, {"await": "score"}, {"eos": True}),
    ]
    report = play(steps, [film], hold=hold_scoring)
    assert [message["frame"] for message in report["messages"]] == [2, 3]
    assert report["messages"][0]["scene"]


def test_it_starts_again_after_null(play: Play, scorer: Scorer) -> None:
    film = make_film("RGB", 256, 240, 2)
    once = [{"caps": film.caps}, *in_turn(film)]
    report = play([*once, {"cycle": True}, *once, {"cycle": True}, *once, {"eos": True}], [film])
    readings = 3 * read_all(scorer, film.frames, 8)
    for message, reading in zip(report["messages"], readings, strict=True):
        check(message, reading)
    assert [message["frame"] for message in report["messages"]] == [0, 1] * 3


def test_buffers_too_short_are_one_warning_and_the_stream_goes_on(play: Play) -> None:
    film = make_film("RGB", 256, 240, 4)
    first, second, third, fourth = film.steps()
    steps = [
        {"caps": film.caps},
        *(first, {"await": "score"}, {**second, "cut": 1000}, {"await": "score"}),
        *({**third, "cut": 1000}, {"await": "buffers"}, fourth, {"eos": True}),
    ]
    report = play(steps, [film])
    assert report["error"] is None
    assert [message["frame"] for message in report["messages"]] == [0, 3]
    (warning,) = report["warnings"]
    assert warning["text"].startswith("a frame was not scored: ")
    assert len(report["buffers"]) == 4


@pytest.mark.parametrize(
    ("properties", "domain", "says"),
    [
        ({"bundle": None}, "resource", "no bundle: set the property bundle"),
        ({"bundle": "/nowhere/at.all"}, "resource", "/nowhere/at.all"),
        ({"engine": "abacus"}, "library", "abacus"),
        (
            {"views-per-frame": "many"},
            "resource",
            "views-per-frame=many: use a number above 0, all or auto",
        ),
        ({"views-per-frame": "0"}, "resource", "views-per-frame=0: use"),
        ({"views-per-frame": "-3"}, "resource", "views-per-frame=-3: use"),
    ],
)
def test_what_cannot_start_says_why_in_one_line(
    play: Play, properties: dict, domain: str, says: str
) -> None:
    error = play([{"eos": True}], **properties)["error"]
    assert error["source"] == "quality"
    assert error["domain"] == f"gst-{domain}-error-quark"
    assert says in error["text"]
    assert "\n" not in error["text"]


@pytest.mark.parametrize(
    ("name", "data"),
    [("manifest.json", b"[]"), ("prompts.npz", b"PK"), ("image_encoder.fp32.onnx", b"onnx")],
)
def test_a_damaged_bundle_is_refused_in_pythons_words(
    play: Play, tmp_path: Path, name: str, data: bytes
) -> None:
    from maclip_runtime.errors import MaclipError

    bundle = tmp_path / "damaged.maclip"
    shutil.copytree(DEMO, bundle)
    (bundle / name).write_bytes(data)
    with pytest.raises(MaclipError) as expected:
        Scorer(bundle, engine="onnxruntime-cpu")
    error = play([{"eos": True}], bundle=str(bundle))["error"]
    assert error["text"].split(";")[0] == str(expected.value).split(";")[0]
    assert error["domain"] == "gst-resource-error-quark"


# From the command line.


def launch(environment: dict[str, str], line: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["gst-launch-1.0", *line.split()],
        capture_output=True,
        text=True,
        env={**environment, **more},
        timeout=60,
    )


def test_gst_inspect_finds_nothing_to_complain_of(environment: dict[str, str]) -> None:
    """Warnings would be on stderr; GStreamer checks the type, its properties and templates."""
    for what in ("maclipquality", "maclip"):
        done = subprocess.run(
            ["gst-inspect-1.0", what],
            capture_output=True,
            text=True,
            env={**environment, "GST_DEBUG": "2", "G_DEBUG": "fatal-warnings"},
        )
        assert done.returncode == 0
        assert done.stderr == ""
    for name in ("bundle", "views-per-frame", "interval", "alert-below", "post-messages"):
        assert (
            name
            in subprocess.run(
                ["gst-inspect-1.0", "maclipquality"],
                capture_output=True,
                text=True,
                env=environment,
            ).stdout
        )


@pytest.mark.parametrize(
    "line",
    [
        "videotestsrc num-buffers=20 ! video/x-raw,format=NV12,width=640,height=480 "
        f"! maclipquality bundle={DEMO} ! fakesink",
        "videotestsrc num-buffers=20 ! video/x-raw,format=I420 ! tee name=t ! queue "
        f"! maclipquality bundle={DEMO} interval=100000000 ! videoconvert ! fakesink t. ! fakesink",
        "videotestsrc num-buffers=8 ! video/x-raw,format=BGRx,width=320,height=240 "
        f"! maclipquality bundle={DEMO} views-per-frame=all ! videoscale ! fakesink",
    ],
)
def test_nothing_leaks(environment: dict[str, str], line: str) -> None:
    done = launch(environment, line, GST_TRACERS="leaks", GST_DEBUG="*:2,GST_TRACER:7")
    assert done.returncode == 0, done.stderr
    assert find_leaks(done.stderr) == []
    assert "WARN" not in done.stderr


def find_leaks(log: str) -> list[str]:
    """Types of the objects that GStreamer's tracer found alive at the end."""
    return re.findall(r"object-alive, type-name=\(string\)(\w+)", log)


def test_leaks_would_be_seen(environment: dict[str, str]) -> None:
    """The same tracer over an element that is made and never freed says so."""
    program = (
        "import gi; gi.require_version('Gst', '1.0'); from gi.repository import Gst; Gst.init(None); "
        "kept = Gst.ElementFactory.make('maclipquality'); Gst.deinit()"
    )
    done = subprocess.run(
        [SYSTEM_PYTHON, "-c", program],
        capture_output=True,
        text=True,
        env={**environment, "GST_TRACERS": "leaks", "GST_DEBUG": "GST_TRACER:7"},
    )
    assert "MaclipQuality" in find_leaks(done.stderr)


def test_the_debug_category_tells_every_score(environment: dict[str, str]) -> None:
    line = f"videotestsrc num-buffers=1 ! video/x-raw,format=RGB ! maclipquality bundle={DEMO} ! fakesink"
    done = launch(environment, line, GST_DEBUG="maclipquality:6", GST_DEBUG_NO_COLOR="1")
    assert "maclipquality" in done.stderr
    assert "score=(double)" in done.stderr


def test_an_unusable_bundle_ends_gst_launch_with_one_error(environment: dict[str, str]) -> None:
    done = launch(environment, "videotestsrc ! maclipquality bundle=/nowhere ! fakesink")
    assert done.returncode != 0
    assert "/nowhere" in done.stderr


# The documentation.


def find_examples(language: str) -> list[str]:
    text = (HERE.parents[1] / "docs" / "native-gstreamer.md").read_text()
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_documented_line_prints_scores(environment: dict[str, str]) -> None:
    (line,) = (
        block for block in find_examples("sh") if block.startswith("gst-launch-1.0 -m video")
    )
    done = subprocess.run(
        ["sh", "-c", line.replace("num-buffers=90", "num-buffers=3")],
        capture_output=True,
        text=True,
        env=environment,
        cwd=HERE.parents[1],
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "maclip-quality, score=(double)" in done.stdout


def test_the_documented_python_has_fifteen_lines_and_prints_scores(
    environment: dict[str, str],
) -> None:
    (program,) = find_examples("python")
    assert len([line for line in program.splitlines() if line]) <= 15
    done = subprocess.run(
        [SYSTEM_PYTHON, "-c", program.replace("num-buffers=90", "num-buffers=3")],
        capture_output=True,
        text=True,
        env=environment,
        cwd=HERE.parents[1],
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    time, score, fresh = map(float, done.stdout.splitlines()[-1].split())
    assert 0 <= time < 1
    assert 0 < score < 1
    assert 0 < fresh <= 1
