"""A scorer for units: what a worker holds. It knows nothing of where it runs."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from maclip_runtime.archive.units import Named, Unit, read_unit
from maclip_runtime.errors import PictureError
from maclip_runtime.gate.settings import find_settings
from maclip_runtime.results.record import Record, to_record
from maclip_runtime.scorer import Scorer

_EVERY = 5.0  # seconds after which results are handed on, so that others see work go on


@dataclass(frozen=True)
class Scored:
    """Results of a unit, of its pictures from `first` on. total: how many it has, with its last."""

    unit: int
    first: int
    records: list[Record] = field(default_factory=list)
    total: int | None = None


def open_unit_scorer(options: Mapping[str, Any]) -> UnitScorer:
    """A scorer of units with these options of `Scorer`."""
    return UnitScorer(Scorer(**options))


class UnitScorer:
    """Scores units with a scorer, a picture decoded while the one before it is encoded."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer

    @property
    def settings(self) -> dict[str, str]:
        """What the scores depend on, beside the machine."""
        return describe_settings(self.scorer)

    @property
    def attributes(self) -> list[str]:
        """The names of all attributes."""
        return [pair.name for pair in self.scorer.bundle.manifest.prompts]

    def score(self, unit: Unit) -> Iterator[Scored]:
        """Score what is left of a unit; results come every few seconds, in the order of its pictures.

        A picture that cannot be scored is a record with its error. Raises EngineError.
        """
        first, records, begun = unit.skip, list[Record](), time.monotonic()
        for record in self._score(unit):
            records.append(record)
            if unit.careful or time.monotonic() - begun > _EVERY:
                yield Scored(unit.number, first, records)
                first, records, begun = first + len(records), [], time.monotonic()
        yield Scored(unit.number, first, records, total=first + len(records))

    def _score(self, unit: Unit) -> Iterator[Record]:
        named = read_unit(unit)
        if unit.condemned:
            for name, _ in named:
                reason = "whatever scored it ended, every time; it may take too much memory"
                yield {"path": name, "error": reason}
                break
        names: deque[str] = deque()

        def hand_over() -> Iterator[Any]:
            each: Named
            for each in named:
                names.append(each[0])
                yield each[1]

        for result in self.scorer.score_many(hand_over(), ahead=0 if unit.careful else 2):
            name = names.popleft()
            if isinstance(result, PictureError):
                yield {"path": name, "error": result.reason}
            else:
                yield {**to_record(result), "path": name}


def describe_settings(scorer: Scorer) -> dict[str, str]:
    """What makes scores of one archive comparable, name to value."""
    settings = asdict(find_settings(scorer))
    method = json.dumps(asdict(scorer.bundle.manifest.method), sort_keys=True)
    return {**{name: str(value) for name, value in settings.items()}, "method": method}
