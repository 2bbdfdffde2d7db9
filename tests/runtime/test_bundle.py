"""A bundle is understood whole or refused, and appears whole or not at all."""

import json
import shutil
from dataclasses import replace

import pytest

from maclip_runtime import BundleError, open_bundle
from maclip_runtime.bundle.bundle import MANIFEST_NAME
from maclip_runtime.bundle.manifest import SCHEMA
from maclip_runtime.bundle.parsing import parse_manifest
from maclip_runtime.bundle.schema import SCHEMA_FILE, make_schema
from maclip_runtime.bundle.staging import stage_bundle


@pytest.fixture
def bundle(rn_small_bundle, tmp_path):
    """A copy to damage."""
    return shutil.copytree(rn_small_bundle, tmp_path / "rn.maclip")


def edit_manifest(bundle, edit):
    path = bundle / MANIFEST_NAME
    manifest = json.loads(path.read_text())
    edit(manifest)
    path.write_text(json.dumps(manifest))


def test_a_manifest_survives_writing_and_reading(rn_small_bundle):
    manifest = open_bundle(rn_small_bundle).manifest
    assert parse_manifest(manifest.to_json()) == manifest
    changed = replace(manifest, created_by="someone else")
    assert parse_manifest(changed.to_json()) == changed


def test_the_published_schema_is_made_from_the_dataclasses_and_holds_for_every_bundle(
    rn_small_bundle, jsonschema
):
    schema = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    assert schema == make_schema(), "run: python -m maclip_runtime.bundle.schema"
    jsonschema.Draft202012Validator.check_schema(schema)
    for path in (rn_small_bundle, open_bundle("demo").path):
        jsonschema.validate(json.loads((path / MANIFEST_NAME).read_text()), schema)


@pytest.mark.parametrize(
    "edit",
    [
        lambda m: m.update(surprise=1),
        lambda m: m["method"]["views"].update(stride=1),
        lambda m: m["method"]["views"].update(std=[0, 1, 1]),
        lambda m: m["files"][0].update(role="pickle"),
        lambda m: m["files"][0].pop("sha256"),
    ],
)
def test_the_schema_refuses_what_the_reader_refuses(rn_small_bundle, jsonschema, edit):
    manifest = json.loads((rn_small_bundle / MANIFEST_NAME).read_text())
    edit(manifest)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(manifest, make_schema())


def test_manifest_says_what_the_method_needs(rn_small_bundle):
    manifest = open_bundle(rn_small_bundle).manifest
    assert (manifest.method.views.size, manifest.method.views.stride) == (224, 128)
    head = manifest.method.head
    assert head.alpha == 1.0
    assert vars(head.similarity) == {"base": 1.0}
    assert vars(head.magnitude) == {"base": 0.6, "boxcox_lambda": 0.5}
    assert manifest.method.logit_scale == pytest.approx(4.60546875)
    assert manifest.weights.name == "rn-small"
    assert len(manifest.weights.sha256) == 64
    encoder = open_bundle(rn_small_bundle).find("image_encoder", "fp32")
    assert encoder.inputs["pixels"].shape == ("pictures", 3, "height", "width")
    assert encoder.outputs["features"].shape == ("windows", 128)
    assert encoder.verification.difference <= encoder.verification.tolerance


def test_files_are_found_by_role_and_precision(rn_small_bundle):
    bundle = open_bundle(rn_small_bundle)
    assert bundle.locate(bundle.find("prompts")).name == "prompts.npz"
    with pytest.raises(BundleError, match="has no image_encoder"):
        bundle.find("image_encoder", "fp64")


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda m: m.update(schema=SCHEMA + 1), "newer maclip-edge .* upgrade"),
        (lambda m: m.update(schema=0), "schema 0 is not known"),
        (lambda m: m.pop("schema"), "schema None is not known"),
        (lambda m: m.update(surprise=1), "unknown fields .surprise"),
        (lambda m: m["method"].pop("logit_scale"), "missing fields .logit_scale"),
        (lambda m: m["method"].update(logit_scale="4.6"), "manifest.method.logit_scale"),
        (lambda m: m["files"][0].update(role="pickle"), r"manifest.files\[0\].role"),
        (lambda m: m["files"][0].update(size=True), r"manifest.files\[0\].size"),
        (lambda m: m["files"][0].update(size=-1), r"size is -1, and must be at least 0"),
        (
            lambda m: m["method"]["views"].update(stride=-128),
            "stride is -128, and must be at least 16",
        ),
        (lambda m: m["method"]["views"].update(stride=1), "stride is 1, and must be at least 16"),
        (lambda m: m["method"]["views"].update(size=12000), "size is 12000, .* at most 1024"),
        (lambda m: m["method"]["views"].update(std=[0, 1, 1]), r"std\[0\] is 0.0, .* above 0"),
        (
            lambda m: m["method"].update(logit_scale=float("nan")),
            "logit_scale is not understood: nan",
        ),
        (lambda m: m["method"].update(logit_scale=1e300), "logit_scale is not understood: 1e"),
        (lambda m: m["architecture"].update(features=1), "features is 1, and must be at least 2"),
        (lambda m: m["files"][0].update(path="../prompts.npz"), "points outside"),
        (lambda m: m["files"][0].update(path="/etc/passwd"), "points outside"),
    ],
)
def test_a_manifest_that_is_not_understood_is_refused(bundle, edit, message):
    edit_manifest(bundle, edit)
    with pytest.raises(BundleError, match=message) as caught:
        open_bundle(bundle)
    assert str(bundle / MANIFEST_NAME) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_link_out_of_the_bundle_is_refused(bundle, tmp_path):
    (tmp_path / "elsewhere").write_bytes((bundle / "prompts.npz").read_bytes())
    (bundle / "prompts.npz").unlink()
    (bundle / "prompts.npz").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match="points outside"):
        open_bundle(bundle)


@pytest.mark.parametrize("text", ["", "{", "[1]", "null"])
def test_a_manifest_that_is_no_object_is_refused(bundle, text):
    (bundle / MANIFEST_NAME).write_text(text)
    with pytest.raises(BundleError, match="manifest.json: "):
        open_bundle(bundle)


@pytest.mark.parametrize("role", ["image_encoder", "prompts"])
def test_a_flipped_byte_is_found(bundle, role):
    opened = open_bundle(bundle)
    path = opened.path / opened.find(role).path
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(BundleError, match="checksum differs"):
        opened.locate(opened.find(role))


def test_a_missing_file_is_found(bundle):
    opened = open_bundle(bundle)
    (bundle / "prompts.npz").unlink()
    with pytest.raises(BundleError, match="prompts.npz: missing"):
        opened.load_prompts()


def test_missing_bundle_and_plain_directory(tmp_path):
    with pytest.raises(BundleError, match="no such bundle"):
        open_bundle(tmp_path / "nothing")
    with pytest.raises(BundleError, match="has no manifest.json"):
        open_bundle(tmp_path)


def test_staging_leaves_nothing_after_an_error(tmp_path):
    with pytest.raises(RuntimeError), stage_bundle(tmp_path / "b", replace=False) as directory:  # noqa: PT012
        (directory / "half").write_text("written")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_an_existing_bundle_survives_a_failed_replacement(bundle):
    before = sorted(path.name for path in bundle.iterdir())
    with pytest.raises(RuntimeError), stage_bundle(bundle, replace=True):
        raise RuntimeError
    assert sorted(path.name for path in bundle.iterdir()) == before
    assert [path.name for path in bundle.parent.iterdir()] == [bundle.name]


def test_only_a_bundle_is_replaced_and_only_when_told(bundle, tmp_path):
    with (
        pytest.raises(BundleError, match="use force=True to replace it"),
        stage_bundle(bundle, replace=False),
    ):
        pass
    (tmp_path / "photos").mkdir()
    with (
        pytest.raises(BundleError, match="not a bundle"),
        stage_bundle(tmp_path / "photos", replace=True),
    ):
        pass
