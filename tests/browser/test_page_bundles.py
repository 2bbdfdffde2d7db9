"""A bundle chosen by its folder is verified in the page, and refused in the words of the Python package."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from page import Page

from maclip_runtime.bundle.bundle import open_bundle
from maclip_runtime.errors import BundleError

DEMO = Path(__file__).parents[2] / "runtime/maclip_runtime/demo"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return shutil.copytree(DEMO, tmp_path / "mine.maclip")


def change_manifest(change: Callable[[dict], None]) -> Callable[[Path], None]:
    def rewrite(bundle: Path) -> None:
        path = bundle / "manifest.json"
        manifest = json.loads(path.read_text("utf-8"))
        change(manifest)
        path.write_text(json.dumps(manifest), encoding="utf-8")

    return rewrite


def replace_file(role: str, data: bytes | Callable[[], bytes]) -> Callable[[Path], None]:
    """Other content that the manifest vouches for."""

    def rewrite(bundle: Path) -> None:
        content = data if isinstance(data, bytes) else data()

        def enter(manifest: dict) -> None:
            (file,) = (file for file in manifest["files"] if file["role"] == role)
            (bundle / file["path"]).write_bytes(content)
            file.update(size=len(content), sha256=hashlib.sha256(content).hexdigest())

        change_manifest(enter)(bundle)

    return rewrite


def write_text(text: str) -> Callable[[Path], None]:
    return lambda bundle: (bundle / "manifest.json").write_text(text, encoding="utf-8")


def pack(shape: tuple[int, ...] = (5, 2, 256), dtype: str = "<f4", **more: object) -> bytes:
    """An `.npz` of prompt embeddings of unit length."""
    values = np.random.default_rng(1).normal(size=shape)
    values /= np.linalg.norm(values, axis=-1, keepdims=True)
    stream = io.BytesIO()
    np.savez(stream, embeddings=values.astype(dtype), **more)
    return stream.getvalue()


def pack_long() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, embeddings=np.ones((5, 2, 256), np.float32))
    return stream.getvalue()


def nest(*fields: int, inner: bytes) -> bytes:
    """Protocol Buffers messages within each other, `inner` in the last."""
    for field in reversed(fields):
        inner = bytes([field << 3 | 2, len(inner)]) + inner
    return inner


# Model.graph.initializer.data_location = EXTERNAL
OUTSIDE = nest(7, 5, inner=bytes([14 << 3 & 0x7F, 1]))

BROKEN: dict[str, Callable[[Path], None]] = {
    "no manifest": lambda bundle: (bundle / "manifest.json").unlink(),
    "a list": write_text("[]"),
    "a newer schema": change_manifest(lambda m: m.update(schema=3)),
    "an unknown schema": change_manifest(lambda m: m.update(schema="two")),
    "no schema": change_manifest(lambda m: m.pop("schema")),
    "an unknown field": change_manifest(lambda m: m["weights"].update(colour="red", age=1)),
    "a missing field": change_manifest(lambda m: m["architecture"].pop("features")),
    "a number for a word": change_manifest(lambda m: m["weights"].update(name=3)),
    "a word for a number": change_manifest(lambda m: m["method"].update(logit_scale="it's 3")),
    "true for a number": change_manifest(lambda m: m["method"]["views"].update(size=True)),
    "nothing for a record": change_manifest(lambda m: m.update(method=None)),
    "a small window": change_manifest(lambda m: m["method"]["views"].update(size=16)),
    "a large base": change_manifest(lambda m: m["method"]["head"]["similarity"].update(base=1000)),
    "no spread": change_manifest(lambda m: m["method"]["views"].update(std=[0.2, 0, 0.2])),
    "two channels": change_manifest(lambda m: m["method"]["views"].update(mean=[0.4, 0.5])),
    "an unknown role": change_manifest(lambda m: m["files"][1].update(role="oracle")),
    "an unknown precision": change_manifest(lambda m: m["files"][1].update(precision="fp8")),
    "a list for a name": change_manifest(lambda m: m["prompts"][0].update(name=["a", {"b": None}])),
    "another number of features": change_manifest(lambda m: m["architecture"].update(features=64)),
    "an unknown pixel format": change_manifest(lambda m: m["files"][1].update(pixel_format="uyvy")),
    "nv12 without its colour": change_manifest(lambda m: m["files"][1].update(pixel_format="nv12")),
    "no scored pair": change_manifest(lambda m: [p.update(scored=False) for p in m["prompts"]]),
    "a path out of it": change_manifest(lambda m: m["files"][1].update(path="../encoder.onnx")),
    "an absolute path": change_manifest(lambda m: m["files"][1].update(path="/etc/passwd")),
    "a path of escapes": change_manifest(lambda m: m["files"][1].update(path="a\x1b[2Jb\u202e.onnx")),
    "no encoder": change_manifest(lambda m: m["files"].pop(1)),
    "a missing file": lambda bundle: (bundle / "image_encoder.fp32.onnx").unlink(),
    "a file cut short": lambda bundle: (bundle / "prompts.npz").write_bytes(b"PK"),
    "another byte": lambda bundle: (bundle / "image_encoder.fp32.onnx").write_bytes(
        (DEMO / "image_encoder.fp32.onnx").read_bytes()[:-1] + b"x"
    ),
    "weights outside": replace_file("image_encoder", OUTSIDE),
    "no graph": replace_file("image_encoder", b"\x00\x01\x02 not a graph"),
    "prompts of another shape": replace_file("prompts", lambda: pack((5, 2, 64))),
    "prompts of another kind": replace_file("prompts", lambda: pack(dtype="<i4")),
    "prompts by columns": replace_file("prompts", lambda: pack_columns()),
    "prompts and more": replace_file("prompts", lambda: pack(other=np.zeros(3))),
    "long prompts": replace_file("prompts", pack_long),
}  # fmt: skip


def pack_columns() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, embeddings=np.asfortranarray(np.ones((5, 2, 256), np.float32)))
    return stream.getvalue()


def refuse(bundle: Path) -> str:
    """The Python package's refusal, the folder's own name for its path."""
    try:
        opened = open_bundle(bundle)
        opened.load_prompts()
        opened.read(opened.find("image_encoder"))
    except BundleError as refusal:
        return str(refusal).replace(f"{bundle.resolve()}", bundle.name)
    pytest.fail("the Python package opens it")


def choose(page: Page, bundle: Path) -> str:
    """Choose a folder; the page's refusal, or nothing."""
    page.run("document.getElementById('bundle-error').textContent = 'not yet begun'")
    page.find("#choose-bundle").send_keys(str(bundle))
    page.wait(lambda: page.text("#bundle-error") != "not yet begun")
    page.wait(lambda: "loading" not in page.find("body").get_attribute("class"))
    return page.text("#bundle-error")


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_bundle_is_refused_in_the_same_words(page: Page, bundle: Path, fault: str) -> None:
    BROKEN[fault](bundle)
    assert choose(page, bundle) == refuse(bundle)
    assert page.text("#bundle-status").startswith("Demo encoder")  # which is still open


@pytest.mark.parametrize(
    ("break_it", "cause"),
    [
        (write_text("{"), "not valid JSON ("),
        (lambda bundle: (bundle / "manifest.json").write_bytes(b"\xff{}"), "not UTF-8 ("),
        (replace_file("prompts", b"not a zip file at all"), "not readable ("),
    ],
)
def test_what_a_parser_says_of_damage_may_differ_but_not_the_rest(
    page: Page, bundle: Path, break_it: Callable[[Path], None], cause: str
) -> None:
    break_it(bundle)
    told, expected = choose(page, bundle), refuse(bundle)
    assert cause in expected
    assert told.split(cause)[0] == expected.split(cause)[0]
    assert told.rsplit("; ", 1)[1] == expected.rsplit("; ", 1)[1]


def test_an_engine_that_cannot_run_a_graph_says_so_and_the_one_before_stays(
    page: Page, bundle: Path
) -> None:
    replace_file("image_encoder", nest(7, inner=b""))(bundle)  # a model without operators
    assert "the engine does not open this graph" in choose(page, bundle)
    assert page.text("#bundle-status").startswith("Demo encoder")


def test_a_bundle_that_leaves_out_defaults_and_packs_its_prompts_is_opened(
    page: Page, bundle: Path
) -> None:
    prompts = np.load(DEMO / "prompts.npz")["embeddings"]
    stream = io.BytesIO()
    np.savez_compressed(stream, embeddings=prompts)
    replace_file("prompts", stream.getvalue())(bundle)
    change_manifest(lambda m: (m["method"].update(head={}, views={}), m["weights"].pop("demo")))(
        bundle
    )
    assert choose(page, bundle) == ""
    assert page.text("#bundle-status").startswith("mine.maclip (maclip-demo)")
    method = page.run("return app.session.opened.geometry")
    views = open_bundle(bundle).manifest.method.views
    assert (method["size"], method["stride"]) == (views.size, views.stride)
    assert (tuple(method["mean"]), tuple(method["std"])) == (views.mean, views.std)
    page.find("#use-demo").click()
    page.wait(lambda: page.text("#bundle-status").startswith("Demo encoder"))
