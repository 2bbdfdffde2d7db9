"""Decoders do not talk to the terminal: a bad picture is one line, whatever libtiff has to say."""

import io

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def damaged(tmp_path):
    """A TIFF of whose fax code libtiff complains on stderr."""
    stream = io.BytesIO()
    noise = np.random.default_rng(3).integers(0, 2, (20, 30)).astype(bool)
    Image.fromarray(noise).save(stream, "TIFF", compression="group4")
    data = bytearray(stream.getvalue())
    data[12:24] = bytes(255 - byte for byte in data[12:24])
    path = tmp_path / "fax.tif"
    path.write_bytes(data)
    return path


def test_libtiff_is_silent(maclip, rn_small_bundle, damaged):
    done = maclip("score", damaged, "--bundle", rn_small_bundle)
    assert all(line.startswith(f"maclip: {damaged}: ") for line in done.stderr.splitlines())


def test_libtiff_is_logged_when_asked(maclip, rn_small_bundle, damaged):
    done = maclip("--verbose", "score", damaged, "--bundle", rn_small_bundle)
    assert "maclip_runtime.cli.decoder_messages: Fax4Decode: Bad code word" in done.stderr
