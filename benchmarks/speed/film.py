"""Films of the simulated camera with the exact cues of all views of every frame, kept on disk."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.console import track
from benchmarks.speed.camera import Camera
from maclip_runtime import Scorer
from maclip_runtime.errors import UsageError
from maclip_runtime.method.pixels import Floats, Frame
from maclip_runtime.stream.change import measure_cells

FRAME_SIZES = {"720p": (1280, 720), "1080p": (1920, 1080)}
SUFFIXES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class Film:
    """One stream: the cues of all views of every frame, and the cells that turns see of it.

    cues: `[F, V, 3]`, similarity, magnitude and score. cells: a frame's each, see `measure_cells`.
    """

    name: str
    camera: Camera
    cues: Floats
    cells: Sequence[Floats]

    @property
    def exact(self) -> Floats:
        """The published score of every frame, `[F]`."""
        return self.cues[..., 2].mean(axis=1)

    @property
    def jitter(self) -> float:
        """How far exact scores go from frame to frame by noise alone: no turns can foresee it."""
        return float(np.abs(np.diff(self.exact[: self.camera.events[0].frame])).mean())


def load_photographs(
    folder: Path, streams: int, width: int, height: int
) -> list[list[tuple[str, Frame]]]:
    """Three photographs, as large as a frame or larger, for each stream, with their names."""
    loaded: list[tuple[str, Frame]] = []
    for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES):
        with Image.open(path) as image:
            if image.width >= width and image.height >= height and len(loaded) < 3 * streams:
                loaded.append((path.stem, np.asarray(image.convert("RGB"))))
    if len(loaded) < 3 * streams:
        raise UsageError(
            f"{folder}: has {len(loaded)} photographs of {width} x {height} or more; {streams} "
            f"streams need {3 * streams}"
        )
    return [loaded[3 * k : 3 * k + 3] for k in range(streams)]


def shoot(
    scorer: Scorer, photographs: Sequence[tuple[str, Frame]], camera: Camera, cache: Path
) -> Film:
    """A camera's film with its exact cues, which are made where the cache lacks them."""
    name = ", ".join(name for name, _ in photographs)
    cells = [measure_cells(frame) for frame in camera.film()]
    return Film(name, camera, _record(scorer, camera, cache), cells)


def _record(scorer: Scorer, camera: Camera, cache: Path) -> Floats:
    """The exact cues `[F, V, 3]` of a stream, from the cache if they are there."""
    key = json.dumps(_identify(scorer, camera), sort_keys=True)
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    path = cache / f"stream-{digest}.npy"
    if path.exists():
        return np.load(path, allow_pickle=False)
    cues = []
    for frame in track(list(range(camera.script.length)), "all views of every frame"):
        seen = scorer.score(camera.take(frame)).cues
        cues.append(np.stack([seen.similarity, seen.magnitude, seen.score], axis=1))
    cache.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    np.save(buffer, np.stack(cues))
    partial = path.with_suffix(".partial")
    partial.write_bytes(buffer.getvalue())
    partial.replace(path)
    return np.stack(cues)


def _identify(scorer: Scorer, camera: Camera) -> dict[str, object]:
    """All that the exact cues depend on; of the frames, one of each part of the stream."""
    return {
        "files": {file.path: file.sha256 for file in scorer.bundle.manifest.files},
        "engine": scorer.engine.name,
        "precision": scorer.engine.precision,
        "length": camera.script.length,
        "frames": [
            hashlib.sha256(camera.take(event.frame + 1).tobytes()).hexdigest()
            for event in camera.events
        ],
    }
