"""What a bundle's files hold is checked where it is read: one line, and never memory without end."""

import hashlib
import io
import json
import os
import resource
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from maclip_runtime import BundleError, open_bundle
from maclip_runtime.bundle.bundle import MANIFEST_NAME
from maclip_runtime.bundle.external_data import refuse_external_data

SHAPE = (5, 2, 128)  # of rn-small's prompts


@pytest.fixture
def bundle(rn_small_bundle, tmp_path):
    """A copy to damage."""
    return shutil.copytree(rn_small_bundle, tmp_path / "rn.maclip")


def put(bundle, name, data):
    """Put a file into the bundle with its size and checksum right."""
    (bundle / name).write_bytes(data)
    manifest = json.loads((bundle / MANIFEST_NAME).read_text())
    (entry,) = (file for file in manifest["files"] if file["path"] == name)
    entry.update(size=len(data), sha256=hashlib.sha256(data).hexdigest())
    (bundle / MANIFEST_NAME).write_text(json.dumps(manifest))


def pack(embeddings, **more):
    buffer = io.BytesIO()
    np.savez(buffer, embeddings=embeddings, **more)
    return buffer.getvalue()


def make_prompts():
    values = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    return values / np.linalg.norm(values, axis=-1, keepdims=True)


def zip_of(name, data, compression=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr(name, data)
    return buffer.getvalue()


def encrypt(data):
    """Set the flag that says so in both of a member's headers."""
    data = bytearray(data)
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def refuse_prompts(bundle, data):
    put(bundle, "prompts.npz", data)
    with pytest.raises(BundleError) as caught:
        open_bundle(bundle).load_prompts()
    assert len(str(caught.value).splitlines()) == 1
    assert "prompts.npz" in str(caught.value)
    assert "maclip prompts" in str(caught.value)
    return caught.value.cause


def test_good_prompts_are_taken(bundle):
    put(bundle, "prompts.npz", pack(make_prompts()))
    assert np.array_equal(open_bundle(bundle).load_prompts(), make_prompts())


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0, 3e38])
def test_prompts_that_are_not_finite_or_not_of_unit_length_are_refused(bundle, value):
    prompts = make_prompts()
    prompts[2, 1] = value
    assert "unit length" in refuse_prompts(bundle, pack(prompts))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda p: pack(p.astype(np.float64)), "unpacks to"),
        (lambda p: pack(p.view(np.int32)), "int32"),
        (lambda p: pack(p.astype(">f4")), ">f4"),
        (lambda p: pack(np.asfortranarray(p)), "by columns"),
        (lambda p: pack(p[:4]), "unpacks to"),
        (lambda p: pack(p.reshape(2, 5, 128)), r"(2, 5, 128)"),
        (lambda p: pack(p, more=p), "alone"),
        (lambda p: pack(np.array([{}], object)), "unpacks to"),
        (lambda p: pack(p)[:-30], "not readable"),
        (lambda p: b"", "not readable"),
        (lambda p: b"PK\x03\x04 no archive", "not readable"),
        (lambda p: zip_of("other.npy", b"1"), "alone"),
        (lambda p: zip_of("embeddings.npy", bytes(p.nbytes + 128)), "not readable"),
        (lambda p: encrypt(pack(p)), "encrypted"),
    ],
)
def test_prompts_that_are_something_else_are_one_line(bundle, make, reason):
    assert reason in refuse_prompts(bundle, make(make_prompts()))


def test_an_archive_of_a_megabyte_that_unpacks_to_gigabytes_is_refused_unread(bundle):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (1 << 28,)}
    )
    data = zip_of("embeddings.npy", header.getvalue() + bytes(1 << 28))
    assert len(data) < 1 << 20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "unpacks to" in refuse_prompts(bundle, data)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 50_000  # kB; unpacked it would be 262,144


def open_elsewhere(bundle):
    """Open a bundle in a process with 2 GB of memory and ten seconds, and return what it says."""
    code = "import sys; from maclip_runtime import open_bundle; open_bundle(sys.argv[1])"
    limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (1 << 31, 1 << 31))  # noqa: E731
    return subprocess.run(
        [sys.executable, "-c", code, str(bundle)],
        capture_output=True,
        text=True,
        timeout=10,
        preexec_fn=limit,
    ).stderr.splitlines()[-1]


def test_a_manifest_that_is_a_fifo_does_not_hang(bundle):
    (bundle / MANIFEST_NAME).unlink()
    os.mkfifo(bundle / MANIFEST_NAME)
    assert "manifest.json: not a regular file" in open_elsewhere(bundle)


def test_a_manifest_that_is_an_endless_device_is_not_read(bundle):
    (bundle / MANIFEST_NAME).unlink()
    (bundle / MANIFEST_NAME).symlink_to("/dev/zero")
    assert "manifest.json: not a regular file" in open_elsewhere(bundle)


def test_a_manifest_of_gigabytes_is_not_read(bundle):
    os.truncate(bundle / MANIFEST_NAME, 5 << 30)
    assert "manifest.json: 5368709120 bytes, more than" in open_elsewhere(bundle)


def test_a_link_to_a_file_inside_is_followed(bundle):
    (bundle / MANIFEST_NAME).rename(bundle / "real.json")
    (bundle / MANIFEST_NAME).symlink_to("real.json")
    assert open_bundle(bundle).load_prompts().shape == SHAPE


@pytest.mark.parametrize("use", ["resolve", "locate", "read", "read_unverified"])
def test_a_file_of_another_size_is_not_read(bundle, use):
    os.truncate(bundle / "prompts.npz", 1 << 40)
    opened = open_bundle(bundle)
    with pytest.raises(BundleError, match="1099511627776 bytes, and the manifest says 5394"):
        getattr(opened, use)(opened.find("prompts"))


def test_a_fifo_in_a_files_place_does_not_hang(bundle):
    (bundle / "prompts.npz").unlink()
    os.mkfifo(bundle / "prompts.npz")
    with pytest.raises(BundleError, match="not a regular file"):
        open_bundle(bundle).load_prompts()


@pytest.mark.parametrize("name", [MANIFEST_NAME, "prompts.npz"])
def test_a_file_without_permission_is_one_line(bundle, name, monkeypatch):
    (bundle / name).chmod(0)
    if os.access(bundle / name, os.R_OK):  # root reads everything: the refusal is put on
        real = os.open

        def refuse(path, flags, *more, **named):
            if str(path).endswith(name):
                raise PermissionError(13, "Permission denied", str(path))
            return real(path, flags, *more, **named)

        monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(BundleError, match=rf"{name}: not readable \(Permission denied\)"):
        open_bundle(bundle).load_prompts()


@pytest.mark.parametrize("name", ["a\nb", "\x1b[2Jx", "a\0b", "\ud800", "x" * 300])
def test_names_that_no_file_has_or_that_forge_lines_are_refused(bundle, name):
    text = json.loads((bundle / MANIFEST_NAME).read_text())
    text["files"][0]["path"] = name
    (bundle / MANIFEST_NAME).write_text(json.dumps(text))
    with pytest.raises(BundleError) as caught:
        open_bundle(bundle).load_prompts()
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("path", ["a\0b", "x" * 300])
def test_a_bundle_path_that_cannot_be_is_one_line(path):
    with pytest.raises(BundleError):
        open_bundle(path)


def tag(field, payload):
    """A length-delimited field of Protocol Buffers; short ones only."""
    assert len(payload) < 128
    head = field << 3 | 2
    return (
        (bytes([head]) if head < 128 else bytes([head & 127 | 128, head >> 7]))
        + bytes([len(payload)])
        + payload
    )


EXTERNAL, INSIDE = b"\x70\x01", b"\x70\x00"  # data_location, field 14


@pytest.mark.parametrize(
    "wrap",
    [
        lambda t: tag(7, tag(5, t)),  # an initializer
        lambda t: tag(7, tag(15, tag(1, t))),  # a sparse one's values
        lambda t: tag(7, tag(1, tag(5, tag(5, t)))),  # a Constant's value
        lambda t: tag(7, tag(1, tag(5, tag(6, tag(5, t))))),  # in a branch of an If
        lambda t: tag(25, tag(7, tag(5, tag(10, t)))),  # in a function
        lambda t: tag(20, tag(1, tag(5, t))),  # in training's initialization
    ],
)
def test_external_data_is_found_wherever_a_tensor_can_be(wrap):
    refuse_external_data(wrap(INSIDE))
    with pytest.raises(BundleError, match="another file"):
        refuse_external_data(wrap(EXTERNAL))
    with pytest.raises(BundleError, match="another file"):
        refuse_external_data(wrap(tag(13, b"")))


@pytest.mark.parametrize("data", [b"\x3a", b"\x3a\x05ab", b"\x3b", b"\xff" * 11, b"no graph"])
def test_what_is_no_protocol_buffer_is_refused(data):
    with pytest.raises(BundleError, match="not an ONNX graph"):
        refuse_external_data(data)
