"""Score a stream of raw RGB frames from stdin: one JSON line a frame, as it comes.

    ffmpeg -i camera.mp4 -f rawvideo -pix_fmt rgb24 - | \
        python examples/score_stream.py --bundle rn50.maclip --size 1080x1920

Frames are `[H, W, 3]` bytes, row by row without padding. Reading, scoring and, on a GPU, the upload of
the next frame overlap; so a score comes one frame after its own.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from typing import Annotated, BinaryIO

import numpy as np
import typer
from numpy.typing import NDArray

from maclip_runtime import Scorer
from maclip_runtime.errors import MaclipError, PictureError, UsageError


def parse_size(text: str) -> tuple[int, int]:
    """`1080x1920` to (1080, 1920)."""
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if not match or not int(match[1]) * int(match[2]):
        raise UsageError(f"--size {text}: give height x width, such as 1080x1920")
    return int(match[1]), int(match[2])


def read_frames(stream: BinaryIO, height: int, width: int) -> Iterator[NDArray[np.uint8]]:
    """Frames `[H, W, 3]` until the stream ends; UsageError if it ends inside of one."""
    size = height * width * 3
    while data := stream.read(size):
        if len(data) != size:
            raise UsageError(
                f"stdin ended inside a frame ({len(data)} of {size} bytes); is --size right?"
            )
        yield np.frombuffer(data, np.uint8).reshape(height, width, 3)


def main(
    size: Annotated[str, typer.Option(help="Of every frame, height x width.", metavar="HxW")],
    bundle: Annotated[str, typer.Option(help="The bundle.", metavar="DIR|demo")] = "demo",
    engine: Annotated[str, typer.Option(help="As for `maclip score`.")] = "auto",
) -> None:
    """Score raw RGB frames from stdin."""
    height, width = parse_size(size)
    with Scorer(bundle, engine=engine) as scorer:
        frames = read_frames(sys.stdin.buffer, height, width)
        for number, result in enumerate(scorer.score_many(frames)):
            if isinstance(result, PictureError):
                raise result
            line = {
                "frame": number,
                "score": result.score,
                "similarity": result.similarity,
                "magnitude": result.magnitude,
                "engine": result.engine,
                "precision": result.precision,
            }
            typer.echo(json.dumps(line))


if __name__ == "__main__":
    try:
        typer.run(main)
    except MaclipError as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(2) from None
