"""What an archive is tried with: pictures, their scores, and a scorer."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from archives import DISTINCT
from PIL import Image

from maclip_runtime import Scorer
from maclip_runtime.results.record import Record, to_record
from reference.make_images import picture

if os.environ.get("CI") == "true":  # elsewhere each file skips without them
    import pyarrow  # noqa: F401
    import ray  # noqa: F401


@pytest.fixture(scope="session")
def encoded() -> list[bytes]:
    """Encoded pictures that differ: JPEG and PNG in turns."""
    rng = np.random.RandomState(3)
    found = []
    for index in range(DISTINCT):
        stream = io.BytesIO()
        image = Image.fromarray(picture(rng, 240, 230 + index))
        image.save(stream, "JPEG" if index % 2 else "PNG")
        found.append(stream.getvalue())
    return found


@pytest.fixture(scope="session")
def scorer() -> Scorer:
    return Scorer("demo", threads=1)


@pytest.fixture(scope="session")
def records(encoded: list[bytes], scorer: Scorer) -> list[Record]:
    """What `maclip score` has of each encoded picture, but its path."""
    return [to_record(scorer.score(data)) for data in encoded]


@pytest.fixture(scope="session")
def make_pictures(encoded: list[bytes]) -> Callable[[Path, int], list[Path]]:
    """Write files of the encoded pictures, over and over, the second of them broken."""

    def make(folder: Path, number: int) -> list[Path]:
        folder.mkdir(parents=True)
        files = []
        for index in range(number):
            file = folder / f"{index:04}.jpg"
            file.write_bytes(b"broken" if index == 1 else encoded[index % DISTINCT])
            files.append(file)
        return files

    return make
