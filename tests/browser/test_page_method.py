"""The page's own arithmetic, function for function, against the Python package's."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import numpy as np
import pytest
from page import Page
from PIL import Image, ImageFilter

from maclip_runtime import Scorer, Stream
from maclip_runtime.method.geometry import ViewGeometry
from maclip_runtime.method.head import Head, score_views
from maclip_runtime.method.magnitude import MagnitudeCue
from maclip_runtime.method.pixels import Frame
from maclip_runtime.method.quality_map import blend_windows
from maclip_runtime.method.similarity import SimilarityCue
from maclip_runtime.method.views import iterate_views
from maclip_runtime.report.axes import span_values
from maclip_runtime.report.colours import make_scale
from maclip_runtime.stream.budget import ViewBudget
from maclip_runtime.stream.change import measure_cells
from maclip_runtime.stream.turns import Turns
from reference.make_images import picture

GEOMETRY = ViewGeometry()
GEOMETRY_IN_JS = {"size": 224, "stride": 128, "mean": GEOMETRY.mean, "std": GEOMETRY.std}
UNPACK = """
    const frames = args[0].map(({data, width, height}) => {
        const rgb = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
        const rgba = new Uint8ClampedArray(4 * width * height).fill(255);
        for (let i = 0; i < width * height; i++) rgba.set(rgb.subarray(3 * i, 3 * i + 3), 4 * i);
        return {data: rgba, width, height};
    });
"""


def pack(frame: Frame) -> dict:
    height, width = frame.shape[:2]
    return {"data": base64.b64encode(frame.tobytes()).decode(), "width": width, "height": height}


@pytest.mark.parametrize("size", [(500, 370), (224, 224), (225, 640)])
def test_views_are_those_of_numpy_to_the_last_bits(page: Page, size: tuple[int, int]) -> None:
    frame = picture(np.random.RandomState(5), *size)
    expected = np.concatenate(list(iterate_views(frame, GEOMETRY, 4)))
    sums = page.run(
        UNPACK
        + """
        const {cutViews} = await import("/method/views.js");
        const views = Array.from({length: args[2]}, (_, view) => view);
        const pixels = cutViews(frames[0], args[1], views);
        const area = pixels.length / args[2];
        return views.map((view) => [...pixels.subarray(view * area, (view + 1) * area)]
            .filter((_, place) => place % 97 === 0));
        """,
        [pack(frame)], GEOMETRY_IN_JS, len(expected),
    )  # fmt: skip
    found = np.array(sums, np.float32)
    wanted = expected.reshape(len(expected), -1)[:, ::97]
    assert np.array_equal(found[:-1], wanted[:-1])
    assert np.abs(found[-1] - wanted[-1]).max() <= 1e-6  # the global view's blends, in float64 here


@pytest.mark.parametrize("boxcox_lambda", [0.5, 0.0, -1.5])
@pytest.mark.parametrize("scored", [(True,) * 4, (True, False, True, False)])
def test_the_head_is_that_of_numpy(
    page: Page, boxcox_lambda: float, scored: tuple[bool, ...]
) -> None:
    rng = np.random.default_rng(7)
    features = rng.normal(0, 3, (6, 64)).astype(np.float32)
    features[1] = 0  # an encoder that sees nothing
    features[2] *= 1e6
    prompts = rng.normal(size=(4, 2, 64))
    prompts = (prompts / np.linalg.norm(prompts, axis=-1, keepdims=True)).astype(np.float32)
    head = Head(1.3, SimilarityCue(0.9), MagnitudeCue(0.7, boxcox_lambda))
    expected = score_views(features, prompts, 4.6, head, scored)
    views = page.run(
        """
        const {scoreViews} = await import("/method/head.js");
        const [features, prompts, head, scored] = args;
        return scoreViews(Float32Array.from(features), {
            prompts: Float32Array.from(prompts), scored, features: 64, logitScale: 4.6, head,
        });
        """,
        features.ravel().tolist(), prompts.ravel().tolist(),
        {"alpha": 1.3, "similarity": {"base": 0.9},
         "magnitude": {"base": 0.7, "boxcox_lambda": boxcox_lambda}},
        list(scored),
    )  # fmt: skip
    for name in ("score", "similarity", "magnitude", "weight"):
        # NumPy sums in float32: 64 terms keep six digits.
        assert [view[name] for view in views] == pytest.approx(
            getattr(expected, name).tolist(), rel=1e-5, abs=1e-5
        )
    found = np.array([view["attributes"] for view in views])
    # float32 cosines times exp(4.6) = 100
    assert np.abs(found - expected.attributes).max() < 5e-5


@pytest.mark.parametrize("geometry", [GEOMETRY, ViewGeometry(size=64, stride=48)])
def test_maps_are_those_of_numpy(page: Page, geometry: ViewGeometry) -> None:
    height, width = 500, 900
    rows, columns = geometry.grid(height, width)
    values = np.random.default_rng(2).normal(size=rows * columns).astype(np.float32)
    expected = blend_windows(values, geometry, (height, width))
    found = page.run(
        """
        const {blendWindows} = await import("/method/quality-map.js");
        const map = blendWindows(...args);
        return {...map, values: [...map.values]};
        """,
        values.tolist(), {"size": geometry.size, "stride": geometry.stride}, height, width,
    )  # fmt: skip
    assert found["cell"] == expected.cell
    assert np.abs(np.array(found["values"]) - expected.values.ravel()).max() < 1e-6


def test_colours_are_those_of_reports(page: Page) -> None:
    scale = page.run('return (await import("/ui/colours.js")).SCALE')
    assert np.array_equal(scale, make_scale())
    for values in np.array([[0.4, 0.9], [0.5, 0.52], [-3.0, 8.0]], np.float32):
        span = page.run(
            'return (await import("/ui/colours.js")).spanValues(args[0])', values.tolist()
        )
        assert span == pytest.approx(span_values(values))


HEIGHT, WIDTH = 490, 740  # 3 x 5 windows and some pixels left over


def film() -> Iterator[Frame]:
    """Recorded frames: a still scene, a defocus, a repeated frame, a covered corner, and a cut."""
    rng = np.random.default_rng(3)
    scene, other = (picture(np.random.RandomState(seed), WIDTH, HEIGHT) for seed in (1, 2))
    for number in range(36):
        shown = other if number >= 28 else scene
        if 8 <= number < 16:
            blurred = Image.fromarray(shown).filter(ImageFilter.GaussianBlur((number - 7) / 2))
            shown = np.asarray(blurred)
        noisy = np.clip(np.rint(shown + rng.normal(0, 2, shown.shape)), 0, 255).astype(np.uint8)
        if 20 <= number < 26:
            noisy[:240, :300] = 40
        yield noisy
        if number == 18:
            yield noisy


@pytest.fixture(scope="module")
def recorded() -> list[Frame]:
    return list(film())


def test_cells_are_those_of_numpy(page: Page, recorded: list[Frame]) -> None:
    found = page.run(
        UNPACK
        + """
        const {measureCells} = await import("/stream/change.js");
        return frames.map((frame) => [...measureCells(frame).values]);
        """,
        [pack(frame) for frame in recorded[::12]],
    )
    for values, frame in zip(found, recorded[::12], strict=True):
        assert np.abs(np.array(values) - measure_cells(frame).ravel()).max() < 1e-4  # of 255


@pytest.mark.parametrize("count", [1, 3, 16])
def test_turns_decide_as_the_python_package_does(
    page: Page, recorded: list[Frame], count: int
) -> None:
    turns = Turns(GEOMETRY, HEIGHT, WIDTH)
    rng = np.random.default_rng(count)
    given = rng.uniform(0, 1, (len(recorded), turns.views, 3)).astype(np.float32)
    expected, cells = [], []
    for frame, values in zip(recorded, given, strict=True):
        measured = measure_cells(frame)
        chosen, scene = turns.choose_by_cells(measured, count)
        settled = turns.settle(chosen, values[chosen])
        cells.append(measured)
        expected.append((chosen.tolist(), scene, turns.fresh, settled.mean(axis=0).tolist()))
    found = page.run(
        """
        const {Turns} = await import("/stream/turns.js");
        const [cells, given, geometry, height, width, count] = args;
        const turns = new Turns(geometry, height, width);
        return cells.map(({values, rows, columns}, frame) => {
            const {chosen, scene} = turns.choose({values: Float32Array.from(values), rows, columns}, count);
            const settled = turns.settle(chosen, chosen.map((view) => given[frame][view]));
            const means = [0, 1, 2].map((c) => settled.reduce((sum, row) => sum + row[c], 0) / turns.views);
            return [chosen, scene, turns.fresh, means];
        });
        """,
        [{"values": c.ravel().tolist(), "rows": c.shape[1], "columns": c.shape[2]} for c in cells],
        given.tolist(), GEOMETRY_IN_JS, HEIGHT, WIDTH, count,
    )  # fmt: skip
    assert any(scene for _, scene, _, _ in expected[1:]), "the film has a cut"
    for number, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        assert ours[:2] == list(theirs[:2]), f"frame {number}"
        assert ours[2] == pytest.approx(theirs[2])
        assert ours[3] == pytest.approx(theirs[3], abs=1e-4)  # float32 sums over 16 views


def test_a_stream_of_recorded_frames_has_the_readings_of_the_python_package(
    page: Page, recorded: list[Frame]
) -> None:
    frames = recorded[4:32:2]  # into the defocus, past the covered corner and the cut
    with Scorer("demo") as scorer, Stream(scorer, views_per_frame=3) as stream:
        expected = [stream.push(frame, number / 10) for number, frame in enumerate(frames)]
    found = page.run(
        UNPACK
        + """
        const {client} = app.session;
        await client.ask("startStream", {viewsPerFrame: 3, budget: 1});
        const readings = [];
        for (const {data, width, height} of frames) {
            const bitmap = await createImageBitmap(new ImageData(data, width, height));
            readings.push(await client.ask("pushFrame", {bitmap}, {transfer: [bitmap]}));
        }
        return readings;
        """,
        [pack(frame) for frame in frames],
    )
    assert any(reading.scene for reading in expected[1:])
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours["frame"], ours["scene"]) == (theirs.frame, theirs.scene)
        assert (ours["refreshed"], len(ours["views"])) == (theirs.refreshed, theirs.views)
        assert ours["fresh"] == pytest.approx(theirs.fresh)
        for name in ("score", "similarity", "magnitude", "weight"):
            assert ours[name] == pytest.approx(getattr(theirs, name), abs=1e-4)
        assert ours["attributes"] == pytest.approx(list(theirs.attributes.values()), abs=1e-4)


def test_the_budget_finds_the_same_number_of_views(page: Page) -> None:
    rng = np.random.default_rng(9)
    costs = (0.004 + 0.003 * rng.random(400)).tolist()  # seconds a view
    budget = ViewBudget(0.05)
    expected = []
    for number, cost in enumerate(costs):
        budget.record(number / 30, 0.005 + cost * budget.count, 37)
        expected.append(budget.count)
    found = page.run(
        """
        const {ViewBudget} = await import("/stream/budget.js");
        const budget = new ViewBudget(0.05);
        return args[0].map((cost) => {
            budget.record(0.005 + cost * budget.count, 37);
            return budget.count;
        });
        """,
        costs,
    )
    assert found == expected
    assert len(set(expected)) > 2


def test_names_out_of_a_file_are_shown_as_python_shows_them(page: Page) -> None:
    values = [
        "it's", 'both " and \'', "tab\tnew\nline\\", "\x1b[2J", "\u202e", "caf\u00e9", "\U0001f600",
        "\xa0", None, True, [1, "a"], {"a": [None]}, "x" * 100,
    ]  # fmt: skip
    found = page.run('const {shortRepr} = await import("/bundle/repr.js"); return args[0].map(shortRepr)',
                     json.loads(json.dumps(values)))  # fmt: skip
    assert found == [f"{value!r:.60}" for value in values]
