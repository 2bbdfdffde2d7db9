"""What can be chosen of a model repository."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from maclip_runtime.errors import UsageError
from maclip_runtime.vocabulary import Preset

Device = Literal["auto", "cpu", "gpu"]
"""Where Triton runs a bundle's graphs; auto: on every GPU that it finds, else on the CPU."""

ServedPrecision = Literal["fp32", "fp16"]
"""Of a graph in Triton, whose onnxruntime backend cannot be told how INT8 stays right without VNNI."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True)
class ServingSettings:
    """How a bundle is served.

    name: what the models' names begin with. precision: of the graphs, by default fp16 on GPUs and fp32
    elsewhere. instances: processes that decode pictures, and so pictures under way at once. batch: views
    that the encoder runs at once. delay: microseconds that it waits for more of them. queue: requests that
    wait at most, and timeout: seconds that one waits at most; further ones are refused. largest_picture:
    bytes of an encoded picture. threads: CPU threads of a graph, by default all cores. version: of the
    models.
    """

    name: str = "maclip"
    device: Device = "auto"
    precision: ServedPrecision | None = None
    preset: Preset = "native"
    exif_orientation: bool = False
    instances: int = 4
    batch: int | None = None
    delay: int = 500
    queue: int = 128
    timeout: float = 30.0
    largest_picture: int = 64_000_000
    threads: int | None = None
    version: int = 1

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise UsageError(
                f"{self.name!r} cannot begin a model's name", "use letters, digits, _, . and -"
            )
        for what in ("instances", "queue", "timeout", "largest_picture", "version"):
            if getattr(self, what) <= 0:
                raise UsageError(f"{what} must be greater than 0, not {getattr(self, what)}")
