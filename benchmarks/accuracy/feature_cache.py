"""Features on disk, one file per picture, so that a run goes on where it stopped.

A file's name is the SHA-256 of the picture's content; its folder's name is the SHA-256 of all that
the features depend on beside it: the image encoder's graph, the view geometry, the preset and the
engine. Prompts and head constants are not among them, so changing those encodes nothing again. Files
appear whole (written aside, then renamed), so a killed run leaves nothing that could be taken for
features.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import sqlite3
import zipfile
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maclip_runtime import Scorer
from maclip_runtime.bundle.bundle import hash_file
from maclip_runtime.files import write_whole

Features = NDArray[np.float32]

DEFAULT_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "maclip-features"


@dataclass(frozen=True)
class Encoded:
    """Features `[V, D]` of a picture; `enlarged`: it was smaller than a view, and scaled up."""

    features: Features
    enlarged: bool


def identify_encoder(scorer: Scorer) -> str:
    """The SHA-256 of the float32 image encoder, which every other graph and plan is made from."""
    return scorer.bundle.find("image_encoder", "fp32").sha256


class FeatureCache:
    """The features that one scorer makes, below `root`.

    Safe to share between runs at the same time: the worst is that a picture is encoded twice.
    """

    def __init__(self, root: Path, scorer: Scorer) -> None:
        manifest = scorer.bundle.manifest
        key = {
            "graph": identify_encoder(scorer),
            "views": asdict(manifest.method.views),
            "preset": scorer.preset,
            "exif_orientation": scorer.exif_orientation,
            # Engines differ in the last digits, precisions in more.
            "engine": scorer.engine.name,
            "precision": scorer.engine.precision,
        }
        text = json.dumps(key, sort_keys=True)
        self.width = manifest.architecture.features
        self.folder = root / hashlib.sha256(text.encode()).hexdigest()[:16]
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(self.folder / "key.json", text.encode())  # for whoever clears the cache

    def load(self, content: str) -> Encoded | None:
        """The features of a picture by its content's hash, or None if they must be made."""
        try:
            with np.load(self._locate(content), allow_pickle=False) as archive:
                features, enlarged = archive["features"], bool(archive["enlarged"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None  # damaged on disk; it is written again
        if features.dtype != np.float32 or features.ndim != 2 or features.shape[1] != self.width:
            return None
        return Encoded(features, enlarged)

    def store(self, content: str, encoded: Encoded) -> None:
        """Keep the features of a picture."""
        buffer = io.BytesIO()
        np.savez(buffer, features=encoded.features, enlarged=encoded.enlarged)
        path = self._locate(content)
        path.parent.mkdir(exist_ok=True)
        write_whole(path, buffer.getvalue())

    def _locate(self, content: str) -> Path:
        return self.folder / content[:2] / f"{content}.npz"


class PictureHashes:
    """SHA-256 of picture files, remembered by path, size and time of change.

    Some datasets are tens of gigabytes; reading them through only to find their features in the cache
    would take minutes.
    """

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self._path = root / "hashes.sqlite"
        with closing(self._open()) as database, database:
            database.execute(
                "CREATE TABLE IF NOT EXISTS hashes "
                "(path TEXT PRIMARY KEY, size INTEGER, changed INTEGER, sha256 TEXT)"
            )

    def hash(self, path: Path) -> str:
        """The hash of a file's content; OSError if it cannot be read."""
        status = path.stat()
        name = str(path.resolve())
        state = (status.st_size, status.st_mtime_ns)
        with closing(self._open()) as database, database:
            row = database.execute(
                "SELECT size, changed, sha256 FROM hashes WHERE path = ?", (name,)
            ).fetchone()
            if row is not None and row[:2] == state:
                return str(row[2])
            digest = hash_file(path)
            database.execute("REPLACE INTO hashes VALUES (?, ?, ?, ?)", (name, *state, digest))
        return digest

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=60)
