"""`maclip archive`: millions of pictures to Parquet, on this machine or a Ray cluster."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from maclip_runtime.archive.filling import Summary, fill, hold_archive, summarise
from maclip_runtime.archive.inventory import take_inventory
from maclip_runtime.archive.plan import (
    FOLDER,
    Plan,
    check_plan,
    check_settings,
    drop_plan,
    make_plan,
    read_plan,
    write_manifest,
)
from maclip_runtime.archive.storage import import_pyarrow, resolve
from maclip_runtime.archive.workers import Crew, RayWorkers
from maclip_runtime.bundle.bundle import DEMO_NAME, open_bundle
from maclip_runtime.cli.console import show_progress, tell
from maclip_runtime.cli.options import (
    BundleOption,
    EngineOption,
    ExifOption,
    PrecisionOption,
    PresetOption,
    ThreadsOption,
    ViewsOption,
    parse_precision,
)
from maclip_runtime.cli.scoring import choose_bundle
from maclip_runtime.errors import MaclipError
from maclip_runtime.signals import Interrupted


def archive(
    input: Annotated[
        str,
        typer.Argument(
            metavar="INPUT",
            help="A folder or bucket prefix (s3://, gs://) with pictures, .tar (WebDataset) and .parquet "
            "files anywhere in it; one such file; or a list of them, .txt, a line each.",
        ),
    ],
    output: Annotated[
        Path, typer.Option(help="The directory for the Parquet files.", metavar="DIR")
    ],
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where a run into this directory ended.")
    ] = False,
    shard_pictures: Annotated[
        int, typer.Option(min=1, help="Pictures in a shard, a Parquet file each; about.")
    ] = 100_000,
    column: Annotated[
        str | None,
        typer.Option(
            help="Of Parquet files in INPUT: the pictures' bytes or paths.", metavar="NAME"
        ),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(
            help="Join the Ray cluster there, HOST:PORT; default: this machine alone.",
            metavar="ADDRESS",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, help="Workers at most; default: one per GPU, or per core.", metavar="N"
        ),
    ] = None,
    stall_seconds: Annotated[
        float,
        typer.Option(min=1, help="Without a result for so long, Ray counts as hung.", metavar="S"),
    ] = 900.0,
    bundle: BundleOption = None,
    engine: EngineOption = "auto",
    precision: PrecisionOption = "auto",
    views: ViewsOption = "exact",
    preset: PresetOption = "native",
    exif_orientation: ExifOption = False,
    threads: ThreadsOption = None,
) -> None:
    """Score an archive of pictures into Parquet on Ray Data, resumably.

    A picture that cannot be scored is a row with an error. A shard's file appears whole, or not at all;
    whatever dies, --resume goes on with what is left. Exit status: 0 all scored, 1 some failed, 2 wrong
    usage, an unusable bundle, or workers that were lost for good; 128 + n after signal n.
    """
    import_pyarrow()
    location = resolve(input)
    bundle = choose_bundle(bundle)
    if bundle != DEMO_NAME:
        bundle = os.path.abspath(bundle)  # noqa: PTH100  workers have other working directories
    if address is None:
        open_bundle(bundle)  # an error at once, not after Ray's start
    options = {
        "bundle": bundle,
        "engine": engine,
        "precision": parse_precision(precision),
        "views": views,
        "preset": preset,
        "threads": threads,
        "exif_orientation": exif_orientation,
    }
    with hold_archive(output):
        begun = read_plan(output)
        if begun is not None:
            check_plan(begun, location, shard_pictures, resume=resume)
        plan = begun or make_plan(
            output, location, take_inventory(location, column), shard_pictures
        )
        team = RayWorkers(
            options,
            address=address,
            limit=workers,
            stall=stall_seconds,
            log=output.absolute() / FOLDER / "ray.log",
        )
        if begun is not None and not begun.list_unfinished():
            _conclude(begun, summarise(begun))
            return
        with team:
            _fill(plan, team, begun=begun is not None)
    _conclude(plan, summarise(plan))


def _fill(plan: Plan, team: RayWorkers, *, begun: bool) -> None:
    try:
        crew = team.introduce()
    except BaseException:
        if not begun:
            drop_plan(plan.directory)
        raise
    if begun:
        check_settings(plan, plan.settings, crew.settings)
    else:
        plan = replace(plan, settings=crew.settings)
        write_manifest(plan)
    try:
        _fill_on(plan, team, crew)
    except (MaclipError, Interrupted):
        tell(f"what was scored is kept in {plan.directory}; go on with --resume")
        raise


def _fill_on(plan: Plan, team: RayWorkers, crew: Crew) -> None:
    finished = plan.shards - len(plan.list_unfinished())
    left = plan.pictures - summarise(plan).pictures
    kind = "GPU" if crew.gpus else "CPU"
    tell(
        f"about {plan.pictures} pictures in {plan.shards} shards, {finished} of them finished; "
        f"{crew.workers} {kind} workers"
    )
    with show_progress("scoring", max(left, 2)) as advance:
        fill(plan, team, crew, advance=advance, tell=tell)


def _conclude(plan: Plan, summary: Summary) -> None:
    failed = f", {summary.failed} of them could not be scored" if summary.failed else ""
    tell(f"{plan.directory}: {summary.pictures} pictures in {plan.shards} files{failed}")
    if summary.failed:
        raise typer.Exit(1)
