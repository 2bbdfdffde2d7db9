"""Command-line options that the accuracy benchmarks share, and what they open."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.accuracy.readers import READERS, Dataset, ReadOptions, read_dataset
from maclip_runtime import Scorer
from maclip_runtime.errors import UsageError
from maclip_runtime.vocabulary import PRESETS, EngineChoice

DatasetName = Enum("DatasetName", {name: name for name in READERS})  # type: ignore[misc]

DatasetOption = Annotated[DatasetName, typer.Option("--dataset", help="Which dataset.")]
RootOption = Annotated[
    Path, typer.Option("--root", help="The dataset's folder, as unpacked.", metavar="DIR")
]
SplitOption = Annotated[
    str | None,
    typer.Option("--split", help="koniq10k: training, validation or test of the official split."),
]
LabelsOption = Annotated[
    Path | None,
    typer.Option(
        "--labels", help="csv: the file of path and score; scores.csv in the root.", metavar="FILE"
    ),
]
LowerOption = Annotated[
    bool, typer.Option("--lower-is-better", help="csv: low scores are the good ones.")
]
PresetOption = Annotated[
    str | None,
    typer.Option("--preset", help="native, 448 or 224; by default as published.", metavar="PRESET"),
]
CacheOption = Annotated[
    Path, typer.Option("--cache", help="Where features are kept.", metavar="DIR")
]
OutputOption = Annotated[
    Path | None,
    typer.Option("--output", help="Folder of the report; else one below accuracy/.", metavar="DIR"),
]


def choose_folder(output: Path | None, *parts: str) -> Path:
    """The folder of a report: the one given, or one below `accuracy` named after its parts."""
    return output or Path("accuracy") / "-".join(parts)


def open_dataset(
    dataset: DatasetName,
    root: Path,
    options: ReadOptions,
    bundle: str,
    preset: str | None,
    engine: EngineChoice,
    threads: int | None,
) -> tuple[Dataset, Scorer]:
    """Read a dataset and open the bundle with the preset asked for, or else the published one."""
    name = str(dataset.value)
    data = read_dataset(name, root, options)
    wanted = preset or READERS[name].preset
    for known in PRESETS:
        if known == wanted:
            return data, Scorer(bundle, engine=engine, preset=known, threads=threads)
    raise UsageError(f"unknown preset {wanted!r}; use one of {', '.join(PRESETS)}")
