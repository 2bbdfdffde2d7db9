"""What every reader returns: rated pictures, and what their scores mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from maclip_runtime.errors import MaclipError
from maclip_runtime.vocabulary import Preset


class DatasetError(MaclipError):
    """A dataset whose files are not where, or not as, its owners distribute them."""


@dataclass(frozen=True)
class Scale:
    """The opinion scores of a dataset: their name, their range in words, and their direction."""

    name: str
    range: str
    higher_is_better: bool

    def describe(self) -> str:
        """The scale in a few words, its direction included."""
        direction = "higher is better" if self.higher_is_better else "lower is better"
        return f"{self.name}, {self.range}, {direction}"


@dataclass(frozen=True)
class RatedPicture:
    """One picture and its opinion score, in the owners' units.

    `content` names the scene: the pristine original of a distorted picture, or the picture itself.
    Confidence intervals resample scenes, since pictures of one scene are not independent.
    """

    path: Path
    opinion: float
    content: str


@dataclass(frozen=True)
class Dataset:
    """A dataset as read: its pictures in the annotations' order; `notes` say what was decided.

    A picture that the annotations name and the folder lacks is in the list all the same: it fails
    when it is scored, and is counted there.
    """

    name: str
    title: str
    scale: Scale
    pictures: tuple[RatedPicture, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReadOptions:
    """What may be asked of a reader beside the root folder.

    `split`: one part of an official split. `labels` and `lower_is_better` are for one's own CSV.
    """

    split: str | None = None
    labels: Path | None = None
    lower_is_better: bool = False


@dataclass(frozen=True)
class Reader:
    """A dataset family: how to read it, its preset as published, and its official splits."""

    title: str
    read: Callable[[Path, ReadOptions], Dataset]
    preset: Preset = "native"
    splits: tuple[str, ...] = field(default=())
