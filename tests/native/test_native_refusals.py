"""What Python refuses of a bundle the C library refuses, in the same words.

What stands in parentheses is the reason of a parser that is not ours (json, zipfile, NumPy): not compared.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import zipfile
from dataclasses import fields

import numpy as np
import pytest
from libmaclip import BUNDLE, NativeError

from maclip_runtime import BundleError, Scorer, open_bundle
from maclip_runtime.bundle.bundle import MANIFEST_NAME
from maclip_runtime.bundle.manifest import (
    Agreement,
    BundleFile,
    PlanOrigin,
    Verification,
    VideoColour,
)
from maclip_runtime.bundle.staging import add_file

PROMPTS, ENCODER = "prompts.npz", "image_encoder.fp32.onnx"


@pytest.fixture
def bundle(tmp_path):
    """A copy of the demo bundle to damage."""
    return shutil.copytree(open_bundle("demo").path, tmp_path / "demo.maclip")


@pytest.fixture
def open_native(native, onnxruntime_library):
    """Open a bundle with the C library and close it."""

    def open_it(path, **options):
        with native.open(path, onnxruntime_library=onnxruntime_library, **options):
            pass

    return open_it


@pytest.fixture
def refused(open_native):
    """The C library's message for a bundle, which is Python's."""

    def compare(path, **options):
        with pytest.raises(BundleError) as expected:
            Scorer(path, engine="onnxruntime-cpu")
        with pytest.raises(NativeError) as found:
            open_native(path, **options)
        assert found.value.status == BUNDLE
        assert strip_reason(str(found.value)) == strip_reason(str(expected.value))
        assert "\n" not in str(found.value)
        return str(found.value)

    return compare


def strip_reason(message):
    known = r"(not valid JSON|not readable|not UTF-8|not a signature|not those of schema 1) \(.*\)"
    return re.sub(known, r"\1", message)


def edit_manifest(bundle, edit):
    path = bundle / MANIFEST_NAME
    manifest = json.loads(path.read_text())
    edit(manifest)
    path.write_text(json.dumps(manifest))


def put(bundle, name, data):
    """Put a file into the bundle with its size and checksum right."""
    (bundle / name).write_bytes(data)

    def describe(manifest):
        (entry,) = (file for file in manifest["files"] if file["path"] == name)
        entry.update(size=len(data), sha256=hashlib.sha256(data).hexdigest())

    edit_manifest(bundle, describe)


def entry(manifest, role):
    (found,) = (file for file in manifest["files"] if file["role"] == role)
    return found


def test_a_good_bundle_opens(bundle, open_native):
    open_native(bundle)


def test_every_field_that_python_writes_is_known(bundle, open_native):
    """Plans and graphs of other pixel formats are not run here, and are no reason to refuse a bundle."""
    origin = PlanOrigin("tensorrt", "10.3", ("87",), "Orin", "a.onnx", "0", {}, True, 16, 2**34)
    colour = VideoColour("bt709", "limited")
    check = Verification("the RGB graph", 0.0, 1e-3, "drawn frames")
    file = BundleFile(
        "nv12.plan", "frame_graph", 0, "", "fp16", "exact", True, "nv12", colour, verification=check,
        agreement=Agreement(0.99, 0.0, 0.01, 33), float32_nodes={"a": "b"}, multiply_adds=1, plan=origin,
    )  # fmt: skip
    assert not [f.name for f in fields(BundleFile) if getattr(file, f.name) is None]
    add_file(open_bundle(bundle), file, b"a plan")
    open_native(bundle)


@pytest.mark.parametrize(
    "edit",
    [
        lambda m: m.update(schema=3),
        lambda m: m.update(schema=10**30),
        lambda m: m.update(schema=0),
        lambda m: m.update(schema=-(10**30)),
        lambda m: m.update(schema=2.0),
        lambda m: m.update(schema=True),
        lambda m: m.update(schema="2"),
        lambda m: m.update(schema=[2, {"a": None}]),
        lambda m: m.pop("schema"),
        lambda m: m.update(surprise=1),
        lambda m: m.update({"b": 1, "a": 2, "\x1b[2J": 3, "x" * 70: 4, "grün": 5}),
        lambda m: m["method"].pop("logit_scale"),
        lambda m: m["method"].update(logit_scale="4.6"),
        lambda m: m["method"].update(logit_scale=1e300),
        lambda m: m["method"].update(logit_scale=-20.5),
        lambda m: m["method"].update(logit_scale=None),
        lambda m: m["method"].update(logit_scale={"a": [1, 2.5, "it's", 'say "no"', True]}),
        lambda m: m["method"].update(logit_scale=[1e-7, 1e16, 123456789.123, -0.0, 1e22, 5e-324]),
        lambda m: m["method"].update(logit_scale="\x00\x7f\xa0\u200b\u202e\U0001f600 é\\\t\r\n'"),
        lambda m: m["method"].update(logit_scale="ü" * 100),
        lambda m: m["method"]["views"].update(size=12000),
        lambda m: m["method"]["views"].update(size=224.0),
        lambda m: m["method"]["views"].update(stride=-128),
        lambda m: m["method"]["views"].update(stride=10**40),
        lambda m: m["method"]["views"].update(std=[0, 1, 1]),
        lambda m: m["method"]["views"].update(std=[1, 1]),
        lambda m: m["method"]["views"].update(mean="abc"),
        lambda m: m["method"]["views"].update(mean=[0.5, 0.5, 1.5]),
        lambda m: m["method"]["head"].update(alpha=-1),
        lambda m: m["method"]["head"]["similarity"].update(base=100.5),
        lambda m: m["method"]["head"]["magnitude"].update(boxcox_lambda=11),
        lambda m: m["method"]["head"].update(novelty={"base": 1}),
        lambda m: m["architecture"].update(features=1),
        lambda m: m["architecture"].update(activation="relu"),
        lambda m: m["architecture"].update(features=257),
        lambda m: m["weights"].update(demo=1),
        lambda m: m.update(weights=[]),
        lambda m: m.update(prompts={}),
        lambda m: m.update(prompts=[]),
        lambda m: [pair.update(scored=False) for pair in m["prompts"]],
        lambda m: m["prompts"][1].update(scored="yes"),
        lambda m: m["prompts"].append(dict(m["prompts"][0], name="more")),
        lambda m: m["files"][0].update(role="pickle"),
        lambda m: m["files"][0].update(size=True),
        lambda m: m["files"][0].update(size=-1),
        lambda m: m["files"][0].update(size=1 << 62),
        lambda m: m["files"][0].update(precision="fp64"),
        lambda m: m["files"][1].update(view_mode=3),
        lambda m: m["files"][1].update(verification={"reference": 1}),
        lambda m: m["files"][1].update(agreement=[]),
        lambda m: m["files"][1].update(plan={"library": "tensorrt"}),
        lambda m: m["files"][1].update(float32_nodes={"a": 1}),
        lambda m: m["files"][1].update(float32_nodes={"x\ny": 1}),
        lambda m: m["files"][1].update(multiply_adds=-1),
        lambda m: m["files"][1]["inputs"]["pixels"].update(shape=[1.5]),
        lambda m: m["files"][1]["inputs"]["pixels"].update(shape=5),
        lambda m: m["files"][1]["inputs"].update(pixels=None),
        lambda m: m["files"][1]["outputs"]["features"].update(shape=[]),
        lambda m: m["files"][1]["outputs"]["features"].update(shape=["windows", 128]),
        lambda m: m["files"][0].update(path="../prompts.npz"),
        lambda m: m["files"][0].update(path="/etc/passwd"),
        lambda m: m["files"][0].update(path="a/../../b"),
        lambda m: m["files"][0].update(path="a/../prompts.npz"),
        lambda m: m["files"][0].update(path="a\nb"),
        lambda m: m["files"][0].update(path="\x1b[2Jx"),
        lambda m: m["files"][0].update(path="a\0b"),
        lambda m: m["files"][0].update(path="x" * 300),
        lambda m: m["files"][0].update(path="."),
        lambda m: m["files"][0].update(path="gone.npz"),
        lambda m: m["files"][0].update(path="it's.npz"),
        lambda m: m["files"].pop(0),
        lambda m: m["files"].pop(1),
        lambda m: m["files"][1].update(precision="fp16"),
        lambda m: m["files"][0].update(sha256="0" * 64),
        lambda m: m["files"][1].update(sha256="0" * 64),
        lambda m: m.update(schema=1),
        lambda m: m.update(schema=1, method={"head": {}}),
        lambda m: m.update(schema=1, files=[{"path": "a"}]),
        # What the graph takes and gives, against what the manifest says.
        lambda m: m["files"][1].update(inputs={}),
        lambda m: m["files"][1]["inputs"].update(more={"dtype": "float32", "shape": [1]}),
        lambda m: m["files"][1].update(pixel_format="yuv"),
        lambda m: m["files"][1].update(pixel_format="nv12"),
        lambda m: m["files"][1].update(colour={"matrix": "bt709", "range": "full"}),
        lambda m: m["files"][1].update(colour={"matrix": "bt709"}),
        lambda m: m["files"][1]["inputs"]["pixels"].update(dtype="uint8"),
        lambda m: m["files"][1]["inputs"]["pixels"].update(shape=["n", 4, "h", "w"]),
        lambda m: m["files"][1]["outputs"].update(other=m["files"][1]["outputs"].pop("features")),
    ],
)
def test_a_manifest_that_is_not_understood(bundle, refused, edit):
    edit_manifest(bundle, edit)
    refused(bundle)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[1]",
        b"null",
        b"\xef\xbb\xbf{}",
        b"\xff\xfe{}",
        b'{"schema": "\xed\xa0\x80"}',
        b"[" * 100_000,
        b'{"a":' * 5000,
        b'{"schema": 2} trailing',
        b'{"schema": 1, "schema": 7}',
        b'{"schema": ' + b"9" * 5000 + b"}",
        b'{"schema": 2, "a": 1, "a": 2, "b": 3}',
        b'{"schema": 01}',
        b"{'schema': 2}",
        b'{"schema": 2 /* a comment */}',
        b'"\x01"',
    ],
)
def test_a_manifest_that_is_no_json(bundle, refused, text):
    (bundle / MANIFEST_NAME).write_bytes(text)
    refused(bundle)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "1" + 400 * "0"])
def test_numbers_beyond_those_of_json_are_refused_as_no_json(bundle, open_native, number):
    path = bundle / MANIFEST_NAME
    path.write_text(path.read_text().replace('"alpha": 1.0', f'"alpha": {number}'))
    with pytest.raises(BundleError, match="manifest.method.head.alpha is not understood"):
        open_bundle(bundle)
    with pytest.raises(NativeError, match=re.escape(f"{path}: not valid JSON (char ")):
        open_native(bundle)


def test_a_manifest_of_schema_1_opens_as_in_python(
    bundle, open_native, native, onnxruntime_library
):
    def downgrade(manifest):
        manifest["schema"] = 1
        head = manifest["method"]["head"]
        manifest["method"]["head"] = {
            "alpha": head["alpha"],
            "similarity_base": head["similarity"]["base"],
            "magnitude_base": head["magnitude"]["base"],
            "boxcox_lambda": head["magnitude"]["boxcox_lambda"],
        }
        for file in manifest["files"]:
            for name in ("view_mode", "chunked", "agreement", "float32_nodes", "role"):
                file[{"role": "kind"}.get(name, name)] = file.pop(name)
            for name in ("view_mode", "chunked", "agreement", "float32_nodes"):
                del file[name]

    edit_manifest(bundle, downgrade)
    assert open_bundle(bundle).manifest.files == open_bundle("demo").manifest.files
    with native.open(bundle, onnxruntime_library=onnxruntime_library) as scorer:
        assert scorer.info.precision == b"fp32"


def pack(embeddings, **more):
    buffer = io.BytesIO()
    np.savez(buffer, embeddings=embeddings, **more)
    return buffer.getvalue()


def zip_of(name, data, compression=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr(name, data)
    return buffer.getvalue()


def npy_of(values, **header):
    buffer = io.BytesIO()
    fields = {"descr": "<f4", "fortran_order": False, "shape": values.shape, **header}
    np.lib.format.write_array_header_1_0(buffer, fields)
    return buffer.getvalue() + values.tobytes()


def encrypt(data):
    """Set the flag that says so in both of a member's headers."""
    data = bytearray(data)
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def corrupt(data):
    """Change a byte of the values, so that the archive's own checksum differs."""
    data = bytearray(data)
    data[len(data) // 2] ^= 1
    return bytes(data)


def spoil(prompts, value):
    prompts[2, 1] = value
    return prompts


@pytest.mark.parametrize(
    "make",
    [
        lambda p: pack(p.astype(np.float64)),
        lambda p: pack(p.view(np.int32)),
        lambda p: pack(p.astype(">f4")),
        lambda p: pack(np.asfortranarray(p)),
        lambda p: pack(p[:4]),
        lambda p: pack(p.reshape(2, 5, 256)),
        lambda p: pack(p.ravel()),
        lambda p: pack(p, more=p),
        lambda p: pack(np.array([{}], object)),
        lambda p: pack(p)[:-30],
        lambda p: b"",
        lambda p: b"PK\x03\x04 no archive",
        lambda p: zip_of("other.npy", b"1"),
        lambda p: zip_of("it's\x1b.npy", b"1"),
        lambda p: zip_of("embeddings.npy", bytes(p.nbytes + 128)),
        lambda p: zip_of("embeddings.npy", bytes(p.nbytes + 5000)),
        lambda p: zip_of("embeddings.npy", npy_of(p)[:-4] + b""),
        lambda p: zip_of("embeddings.npy", npy_of(p) + bytes(8)),
        lambda p: zip_of("embeddings.npy", b"\x93NUMPY\x02\x00" + npy_of(p)[8:]),
        lambda p: zip_of("embeddings.npy", npy_of(p).replace(b"'descr'", b"'descx'")),
        lambda p: zip_of("embeddings.npy", npy_of(p).replace(b"False", b"0    ")),
        lambda p: zip_of("embeddings.npy", npy_of(p).replace(b"(5, 2", b"(-5,2")),
        lambda p: zip_of("embeddings.npy", npy_of(p).replace(b"}", b"]")),
        lambda p: encrypt(pack(p)),
        lambda p: corrupt(pack(p)),
        lambda p: pack(spoil(p, np.nan)),
        lambda p: pack(spoil(p, np.inf)),
        lambda p: pack(spoil(p, 0)),
        lambda p: pack(spoil(p, 3e38)),
        lambda p: pack(p * np.float32(1.002)),
    ],
)
def test_prompts_that_are_something_else(bundle, refused, make):
    put(bundle, PROMPTS, make(open_bundle("demo").load_prompts().copy()))
    assert "embed the prompts again: maclip prompts" in refused(bundle)


def test_compressed_prompts_are_taken(bundle, open_native):
    prompts = open_bundle("demo").load_prompts()
    put(bundle, PROMPTS, zip_of("embeddings.npy", npy_of(prompts)))
    open_native(bundle)


def test_an_archive_that_unpacks_to_gigabytes_is_refused_unread(bundle, refused):
    data = zip_of("embeddings.npy", npy_of(np.zeros(1 << 27, np.float32)))
    assert len(data) < 1 << 20
    put(bundle, PROMPTS, data)
    assert "unpacks to" in refused(bundle)


@pytest.mark.parametrize("name", [PROMPTS, ENCODER, MANIFEST_NAME])
def test_files_that_are_none(bundle, refused, name):
    path = bundle / name
    content = path.read_bytes()
    path.unlink()
    refused(bundle)
    os.mkfifo(path)
    refused(bundle)
    path.unlink()
    path.mkdir()
    refused(bundle)
    path.rmdir()
    path.symlink_to("/dev/zero")
    refused(bundle)
    path.unlink()
    path.write_bytes(content[:-1])
    os.truncate(path, 1 << 40)
    refused(bundle)


@pytest.mark.parametrize("name", [PROMPTS, ENCODER])
def test_a_flipped_byte(bundle, refused, name):
    data = bytearray((bundle / name).read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / name).write_bytes(data)
    assert "checksum differs" in refused(bundle)


def test_links_out_of_the_bundle(bundle, refused, tmp_path):
    (tmp_path / "elsewhere").write_bytes((bundle / PROMPTS).read_bytes())
    for target in (tmp_path / "elsewhere", tmp_path / "not there", "../elsewhere"):
        (bundle / PROMPTS).unlink()
        (bundle / PROMPTS).symlink_to(target)
        assert "points outside" in refused(bundle)


def test_a_link_to_a_file_inside_is_followed(bundle, open_native):
    (bundle / PROMPTS).rename(bundle / "real.npz")
    (bundle / PROMPTS).symlink_to("real.npz")
    (bundle / MANIFEST_NAME).rename(bundle / "real.json")
    (bundle / MANIFEST_NAME).symlink_to("real.json")
    open_native(bundle)


def test_external_data_and_what_is_no_graph(bundle, refused):
    put(bundle, ENCODER, b"\x3a\x04\x2a\x02\x70\x01")  # graph, initializer, data_location 1
    assert "keeps weights in another file" in refused(bundle)
    put(bundle, ENCODER, b"no graph")
    assert "not an ONNX graph" in refused(bundle)


def test_bundles_that_are_none(tmp_path, refused):
    assert "no such bundle" in refused(tmp_path / "nothing")
    assert "has no manifest.json" in refused(tmp_path)
    (tmp_path / "file").write_bytes(b"")
    refused(tmp_path / "file")
    refused(tmp_path / ("x" * 300))


def test_paths_are_written_as_python_writes_them(bundle, refused, monkeypatch):
    (bundle / PROMPTS).unlink()
    monkeypatch.chdir(bundle.parent)
    for path in ("demo.maclip", "./demo.maclip//", ".//demo.maclip/."):
        refused(path)
    link = bundle.parent / "link"
    link.symlink_to(bundle)
    refused(link)


@pytest.fixture
def keys(tmp_path):
    """Two key pairs: (private, public) files."""
    serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    made = []
    for name in ("mine", "other"):
        key = Ed25519PrivateKey.generate()
        private, public = tmp_path / f"{name}.pem", tmp_path / f"{name}.pub.pem"
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        public.write_bytes(
            key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
        made.append((private, public))
    return made


def test_signatures(bundle, refused, open_native, keys, monkeypatch, tmp_path):
    from maclip_runtime.bundle.staging import sign_bundle

    (private, public), (_other_private, other_public) = keys

    def refuse(trusted):
        monkeypatch.setenv("MACLIP_TRUSTED_KEYS", str(trusted))
        by_environment = refused(bundle)
        with pytest.raises(NativeError) as found:
            open_native(bundle, trusted_keys=str(trusted))
        assert str(found.value) == by_environment
        return by_environment

    assert "not signed" in refuse(public)
    sign_bundle(bundle, private)
    monkeypatch.setenv("MACLIP_TRUSTED_KEYS", str(public))
    open_native(bundle)
    assert "which is not trusted" in refuse(other_public)
    folder = tmp_path / "keys"
    folder.mkdir()
    assert "none)" in refuse(folder)
    shutil.copy(public, folder)
    shutil.copy(other_public, folder)
    open_native(bundle, trusted_keys=str(folder))
    (folder / "broken.pem").write_text("no key")
    assert "not an Ed25519 public key" in refuse(folder)
    assert "not an Ed25519 public key" in refuse(private)
    refuse(tmp_path / "gone.pem")
    edit_manifest(bundle, lambda m: m.update(created_by="someone else"))
    assert "does not fit its manifest" in refuse(public)
    signature = bundle / f"{MANIFEST_NAME}.sig"
    good = json.loads(signature.read_text())
    for damage in (
        {"algorithm": "rsa"},
        {"signature": "no base64!"},
        {"signature": 1},
        {"key": None},
    ):
        signature.write_text(json.dumps({**good, **damage}))
        assert "not a signature" in refuse(public)
    signature.write_text("{")
    assert "not a signature" in refuse(public)
    signature.write_text(json.dumps({**good, "signature": "AAAA"}))
    assert "does not fit its manifest" in refuse(public)
