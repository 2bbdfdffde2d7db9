"""`maclip triton`: a bundle as a model repository for NVIDIA Triton."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from maclip_runtime.bundle.bundle import open_bundle
from maclip_runtime.cli.console import tell
from maclip_runtime.cli.options import BundleArgument, ExifOption, PresetOption, ThreadsOption
from maclip_runtime.cli.serving import (
    BatchOption,
    DelayOption,
    InstancesOption,
    LargestPictureOption,
    NameOption,
    QueueOption,
    ServedPrecisionOption,
    TimeoutOption,
    parse_served_precision,
)
from maclip_runtime.serving.graphs import list_left_out
from maclip_runtime.serving.repository import write_repository
from maclip_runtime.serving.settings import Device, ServingSettings


def triton(
    bundle: BundleArgument,
    output: Annotated[
        Path, typer.Option(help="The folder to make; it must not exist.", metavar="REPOSITORY")
    ],
    name: NameOption = "maclip",
    device: Annotated[
        Device,
        typer.Option(help="Where Triton runs the graphs; auto: on every GPU, else on the CPU."),
    ] = "auto",
    precision: ServedPrecisionOption = "auto",
    preset: PresetOption = "native",
    instances: InstancesOption = 4,
    batch: BatchOption = None,
    delay: DelayOption = 500,
    queue: QueueOption = 128,
    timeout: TimeoutOption = 30.0,
    largest_picture: LargestPictureOption = 64.0,
    threads: ThreadsOption = None,
    model_version: Annotated[
        int, typer.Option(min=1, help="Version of the models.", metavar="N")
    ] = 1,
    exif_orientation: ExifOption = False,
) -> None:
    """Write a model repository for NVIDIA Triton from a bundle.

    NAME_picture takes encoded pictures, NAME_encoder views, NAME_score raw frames where the bundle has a
    score graph; TensorRT's plans of encoder and score graph become models of their own.
    """
    settings = ServingSettings(
        name=name,
        device=device,
        precision=parse_served_precision(precision),
        preset=preset,
        exif_orientation=exif_orientation,
        instances=instances,
        batch=batch,
        delay=delay,
        queue=queue,
        timeout=timeout,
        largest_picture=round(largest_picture * 1e6),
        threads=threads,
        version=model_version,
    )
    opened = open_bundle(bundle)
    models = write_repository(opened, output, settings)
    for reason in list_left_out(opened, settings):
        tell(reason)
    width = max(len(model.name) for model in models)
    for model in models:
        typer.echo(f"{model.name:{width}}  {model.backend:11}  {model.runs}")
