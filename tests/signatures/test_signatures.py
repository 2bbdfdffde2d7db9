"""Signed bundles: whoever trusts some keys opens what they signed, unchanged, and nothing else."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from maclip_runtime import BundleError, Scorer, open_bundle
from maclip_runtime.bundle.staging import add_file, sign_bundle


def make_pair(folder, name):
    """A private key, and its public key, as PEM files."""
    key = Ed25519PrivateKey.generate()
    private, public = folder / f"{name}.pem", folder / f"{name}.pub.pem"
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
    return private, public


@pytest.fixture
def ours(tmp_path):
    return make_pair(tmp_path, "ours")


@pytest.fixture
def theirs(tmp_path):
    return make_pair(tmp_path, "theirs")


@pytest.fixture
def bundle(tmp_path):
    path = tmp_path / "copy.maclip"
    shutil.copytree(open_bundle("demo").path, path)
    return path


@pytest.fixture
def trusting(monkeypatch, ours):
    """Only our key is trusted; a signature is made first where a test asks for it."""
    monkeypatch.setenv("MACLIP_TRUSTED_KEYS", str(ours[1]))


def test_a_signed_bundle_opens_where_its_key_is_trusted(bundle, ours, trusting):
    sign_bundle(bundle, ours[0])
    assert open_bundle(bundle).manifest.prompts
    Scorer(bundle)


def test_an_unsigned_bundle_is_refused_by_every_user_of_bundles(bundle, trusting):
    for use in (open_bundle, Scorer):
        with pytest.raises(BundleError, match=r"copy.maclip: not signed; sign it: maclip sign"):
            use(bundle)


def test_the_bundle_inside_the_package_is_trusted_as_its_code_is(trusting):
    assert open_bundle("demo").manifest.weights.demo


def test_another_key_is_refused_by_its_name(bundle, theirs, trusting):
    name = sign_bundle(bundle, theirs[0])
    with pytest.raises(BundleError, match=f"signed with the key {name}, which is not trusted"):
        open_bundle(bundle)


def test_a_folder_of_keys_trusts_each(bundle, ours, theirs, tmp_path, monkeypatch):
    folder = tmp_path / "keys"
    folder.mkdir()
    for pair in (ours, theirs):
        shutil.copy(pair[1], folder)
    monkeypatch.setenv("MACLIP_TRUSTED_KEYS", str(folder))
    for pair in (ours, theirs):
        sign_bundle(bundle, pair[0])
        open_bundle(bundle)


def test_one_changed_byte_of_the_manifest_is_refused(bundle, ours, trusting):
    sign_bundle(bundle, ours[0])
    manifest = bundle / "manifest.json"
    manifest.write_bytes(manifest.read_bytes() + b" ")
    with pytest.raises(BundleError, match="signature does not fit its manifest"):
        open_bundle(bundle)


def test_a_changed_graph_is_refused_by_its_checksum(bundle, ours, trusting):
    sign_bundle(bundle, ours[0])
    graph = bundle / "image_encoder.fp32.onnx"
    graph.write_bytes(graph.read_bytes() + b" ")
    with pytest.raises(BundleError, match="image_encoder"):
        Scorer(bundle)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"algorithm": "ed25519"}', b'{"key": 1, "signature": "!"}', b"\xff"],
)
def test_a_signature_file_that_is_none_is_refused_in_one_line(bundle, trusting, content):
    (bundle / "manifest.json.sig").write_bytes(content)
    with pytest.raises(BundleError, match="not a signature") as caught:
        open_bundle(bundle)
    assert "\n" not in str(caught.value)


def test_a_key_that_is_none_is_refused(bundle, tmp_path, ours, monkeypatch):
    (tmp_path / "text").write_text("no key")
    monkeypatch.setenv("MACLIP_TRUSTED_KEYS", str(tmp_path / "text"))
    with pytest.raises(BundleError, match="not an Ed25519 public key"):
        open_bundle(bundle)
    with pytest.raises(BundleError, match="not an Ed25519 private key"):
        sign_bundle(bundle, ours[1])


def test_a_damaged_bundle_is_not_signed(bundle, ours):
    (bundle / "prompts.npz").write_bytes(b"other")
    with pytest.raises(BundleError, match="prompts.npz"):
        sign_bundle(bundle, ours[0])
    assert not (bundle / "manifest.json.sig").exists()


def add_a_plan(bundle):
    opened = open_bundle(bundle)
    graph = opened.manifest.files[-1]
    add_file(opened, replace(graph, path="extra.onnx"), b"a plan")


def test_adding_a_plan_takes_a_key_where_only_signed_bundles_are_trusted(bundle, ours, trusting):
    sign_bundle(bundle, ours[0])
    with pytest.raises(BundleError, match="set MACLIP_SIGNING_KEY to a private key"):
        add_a_plan(bundle)
    assert not (bundle / "extra.onnx").exists()
    open_bundle(bundle)


def test_adding_a_plan_signs_with_the_key_of_the_device(bundle, ours, trusting, monkeypatch):
    sign_bundle(bundle, ours[0])
    monkeypatch.setenv("MACLIP_SIGNING_KEY", str(ours[0]))
    add_a_plan(bundle)
    assert "extra.onnx" in [file.path for file in open_bundle(bundle).manifest.files]


def test_adding_a_plan_without_a_key_leaves_an_unsigned_bundle_and_says_so(bundle, ours, caplog):
    sign_bundle(bundle, ours[0])
    add_a_plan(bundle)
    assert not (bundle / "manifest.json.sig").exists()
    assert "no longer signed" in caplog.text


def test_the_signature_is_one_that_openssl_verifies(bundle, ours):
    import base64

    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    sign_bundle(bundle, ours[0])
    signature = json.loads((bundle / "manifest.json.sig").read_text())["signature"]
    (bundle / "raw").write_bytes(base64.b64decode(signature))
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", ours[1], "-rawin"]
    files = ["-in", bundle / "manifest.json", "-sigfile", bundle / "raw"]
    done = subprocess.run([*command, *files], capture_output=True, text=True)
    assert "Verified Successfully" in done.stdout, done.stderr


def test_the_commands_sign_and_verify(maclip, bundle, ours, theirs):
    assert "signed with the key" in maclip("sign", bundle, "--key", ours[0]).stdout
    verified = maclip("inspect", bundle, "--verify", ours[1])
    assert verified.returncode == 0
    assert "signed with the key" in verified.stderr
    refused = maclip("inspect", bundle, "--verify", theirs[1])
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1


def test_without_the_package_it_says_what_to_install(bundle):
    script = (
        "import sys; sys.modules['cryptography'] = None\n"
        "from maclip_runtime import open_bundle, BundleError\n"
        "import os; os.environ['MACLIP_TRUSTED_KEYS'] = '/nowhere'\n"
        "try: open_bundle(sys.argv[1])\n"
        "except BundleError as error: print(error)\n"
    )
    command = [sys.executable, "-c", script, str(bundle)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "pip install 'maclip-edge[sign]'" in done.stdout


def test_importing_the_runtime_and_opening_a_bundle_loads_no_cryptography(bundle):
    script = (
        "import sys; from maclip_runtime import open_bundle; open_bundle(sys.argv[1])\n"
        "assert 'cryptography' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script, str(bundle)], check=True)
