"""`maclip map`: a picture beside its quality map."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from maclip_runtime.cli.console import tell
from maclip_runtime.cli.options import (
    BundleOption,
    DeviceOption,
    EngineOption,
    ExifOption,
    PrecisionOption,
    PresetOption,
    ThreadsOption,
    ViewsOption,
)
from maclip_runtime.cli.scoring import check_quantity, describe_settings, open_scorer
from maclip_runtime.errors import PictureError
from maclip_runtime.files import check_output, write_whole
from maclip_runtime.report.drawing import check_suffix, draw_map, encode_picture
from maclip_runtime.sources.pictures import read_frame


def map_picture(
    picture: Annotated[str, typer.Argument(metavar="PICTURE", help="The picture.")],
    output: Annotated[
        Path,
        typer.Option(help="The picture to write: .png, .jpg or .webp.", metavar="FILE"),
    ],
    show: Annotated[
        str,
        typer.Option(
            help="What to map: score, similarity, magnitude, or an attribute by its name.",
            metavar="QUANTITY",
        ),
    ] = "score",
    side: Annotated[
        int,
        typer.Option(
            min=128,
            max=4096,
            help="Longest side of each of the two, in pixels.",
            metavar="PIXELS",
        ),
    ] = 640,
    bundle: BundleOption = None,
    engine: EngineOption = "auto",
    device: DeviceOption = None,
    precision: PrecisionOption = "auto",
    views: ViewsOption = "exact",
    preset: PresetOption = "native",
    exif_orientation: ExifOption = False,
    threads: ThreadsOption = None,
) -> None:
    """Show where a picture is good and where it is not.

    The picture and its quality map are drawn side by side.

    Exit status: 0 done, 1 the picture cannot be scored, 2 wrong usage or an unusable bundle.

    \b
    Example:
      maclip map photo.jpg --output map.png --show sharpness
    """
    check_output(output, [picture])
    check_suffix(output.suffix)
    scorer = open_scorer(
        bundle,
        engine=engine,
        device=device,
        precision=precision,
        views=views,
        preset=preset,
        threads=threads,
        exif_orientation=exif_orientation,
    )
    check_quantity(scorer, show)
    try:
        frame = read_frame(picture, exif_orientation=exif_orientation)
        result = scorer.score(picture)
    except PictureError as error:
        tell(error)
        raise typer.Exit(1) from None
    quality_map = result.map(show)
    settings = describe_settings(scorer)
    notes = [f"bundle {settings['bundle']}, preset {settings['preset']}, {settings['engine']}"]
    if scorer.bundle.manifest.weights.demo:
        notes.append("demo encoder, not CLIP")
    title = f"{os.path.basename(picture)}: {show} {result.quantities[show]:.4f}"  # noqa: PTH119  a name
    image = draw_map(frame, quality_map, title=title, notes=notes, side=side)
    data = encode_picture(image, output.suffix)
    write_whole(output, data)
    tell(f"{output}: {show} from {quality_map.values.min():.4f} to {quality_map.values.max():.4f}")
