"""`maclip serve`: a bundle in a Triton that pip installs, on this machine's CPU."""

from __future__ import annotations

import logging
import tempfile
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
from maclip_runtime.serving.distribution import find_distribution
from maclip_runtime.serving.repository import write_repository
from maclip_runtime.serving.server import Addresses, run_server
from maclip_runtime.serving.settings import ServingSettings
from maclip_runtime.signals import Interrupted

_Port = typer.Option(min=0, max=65535, help="Port of this protocol; 0: a free one.", metavar="PORT")


def serve(
    bundle: BundleArgument,
    host: Annotated[
        str, typer.Option(help="Address to listen at; 0.0.0.0: all of this machine's.")
    ] = "127.0.0.1",
    http_port: Annotated[int, _Port] = 8000,
    grpc_port: Annotated[int, _Port] = 8001,
    metrics_port: Annotated[int, _Port] = 8002,
    name: NameOption = "maclip",
    precision: ServedPrecisionOption = "auto",
    preset: PresetOption = "native",
    instances: InstancesOption = 4,
    batch: BatchOption = None,
    delay: DelayOption = 500,
    queue: QueueOption = 128,
    timeout: TimeoutOption = 30.0,
    largest_picture: LargestPictureOption = 64.0,
    threads: ThreadsOption = None,
    exif_orientation: ExifOption = False,
    start_timeout: Annotated[
        float,
        typer.Option(min=1, help="Give up if the server is not ready by then.", metavar="SECONDS"),
    ] = 120.0,
    stop_timeout: Annotated[
        int,
        typer.Option(
            min=0,
            help="How long requests under way may take once it is stopped.",
            metavar="SECONDS",
        ),
    ] = 10,
) -> None:
    """Serve a bundle over HTTP and gRPC with NVIDIA Triton, on the CPU.

    Stopped by Ctrl-C or SIGTERM: requests under way are answered, then it ends with status 0. The server's
    own lines go to stderr; --verbose before the command shows them all.
    """
    settings = ServingSettings(
        name=name,
        device="cpu",
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
    )
    opened = open_bundle(bundle)
    distribution = find_distribution()
    addresses = Addresses(host, http_port, grpc_port, metrics_port).reserve()
    with tempfile.TemporaryDirectory(prefix="maclip-serve-") as folder:
        repository, backends = Path(folder, "models"), Path(folder, "backends")
        write_repository(opened, repository, settings)
        distribution.lay_out_backends(backends)
        try:
            with run_server(
                distribution,
                repository,
                backends,
                addresses,
                start_timeout=start_timeout,
                stop_timeout=stop_timeout,
                verbose=logging.getLogger().isEnabledFor(logging.INFO),
            ) as server:
                tell(
                    f"{opened.name}: {name}_picture is served at http://{addresses.show('http')} and "
                    f"grpc://{addresses.show('grpc')}, metrics at "
                    f"http://{addresses.show('metrics')}/metrics"
                )
                server.wait()
        except Interrupted as error:
            tell(f"stopped by {error}")
