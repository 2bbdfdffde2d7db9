"""The report of many pictures: worst first, with maps, attributes and their distribution; one file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maclip_runtime.errors import PictureError, UsageError
from maclip_runtime.method.quality_map import QualityMap
from maclip_runtime.report.axes import span_values
from maclip_runtime.report.charts import Histogram, draw_histogram
from maclip_runtime.report.colours import make_scale
from maclip_runtime.report.page import write_page
from maclip_runtime.report.thumbnails import encode_map, encode_thumbnail, shrink_map
from maclip_runtime.results.names import show_name
from maclip_runtime.results.score import QUANTITIES


@dataclass(frozen=True)
class _Entry:
    """What stays in memory of a picture: its figures, and where the rest lies in the spool."""

    name: str
    figures: tuple[float, ...]
    size: tuple[int, int]
    views: int
    enlarged: bool
    offset: int
    thumbnail: int
    map_shape: tuple[int, int]
    map_part: tuple[float, float]


@dataclass(frozen=True)
class Row:
    """A picture as the template shows it; `figures` in the order of the report's quantities."""

    name: str
    figures: tuple[float, ...]
    size: tuple[int, int]
    views: int
    enlarged: bool
    below: bool
    thumbnail: bytes
    map: bytes
    map_part: tuple[float, float]


class PictureReport:
    """Collects scored pictures and writes them as one page. Use it as a context manager.

    Thumbnails and maps wait in a temporary file, so memory grows by some hundred bytes a picture.
    settings: what the page says of how they were scored, name to value. threshold: pictures whose
    `quantity` is below it are marked.
    """

    def __init__(
        self,
        settings: Mapping[str, str],
        *,
        quantity: str = "score",
        threshold: float | None = None,
    ) -> None:
        self._settings = dict(settings)
        self._quantity, self._threshold = quantity, threshold
        self._entries: list[_Entry] = []
        self._failures: list[tuple[str, str]] = []
        self._names: tuple[str, ...] = ()
        self._shown = quantity
        self._lows: list[float] = []
        self._highs: list[float] = []
        self._spool = tempfile.TemporaryFile(prefix="maclip-report-")  # noqa: SIM115  closed on exit

    def __enter__(self) -> PictureReport:
        return self

    def __exit__(self, *exc: object) -> None:
        self._spool.close()

    def add(
        self, record: Mapping[str, Any], picture: NDArray[np.uint8], quality_map: QualityMap
    ) -> None:
        """Take a scored picture: its record as JSON has it, its pixels uint8 `[H, W, 3]`, its map."""
        attributes = record["attributes"]
        if not self._entries:
            self._names = tuple(attributes)
            self._shown = quality_map.quantity
        thumbnail = encode_thumbnail(picture)
        offset = self._spool.seek(0, 2)
        self._spool.write(thumbnail)
        cells = shrink_map(quality_map.values)  # a thumbnail shows no more of them
        self._spool.write(cells.tobytes())
        self._lows.append(float(quality_map.values.min()))
        self._highs.append(float(quality_map.values.max()))
        _, _, right, bottom = quality_map.box
        self._entries.append(
            _Entry(
                name=show_name(record["path"]),
                figures=tuple(
                    float(value)
                    for value in (
                        *(record[cue] for cue in QUANTITIES),
                        *(attributes[name] for name in self._names),
                    )
                ),
                size=(record["width"], record["height"]),
                views=record["views"],
                enlarged=record["enlarged"],
                offset=offset,
                thumbnail=len(thumbnail),
                map_shape=(cells.shape[0], cells.shape[1]),
                map_part=(
                    right / quality_map.picture_size[1],
                    bottom / quality_map.picture_size[0],
                ),
            )
        )

    def add_failure(self, error: PictureError) -> None:
        """Take a picture that could not be scored."""
        self._failures.append((show_name(error.picture), error.reason))

    def write(self, path: Path, notes: Sequence[str] = ()) -> None:
        """Write the page, with notes at its top.

        UsageError if there is nothing to show, OutputError if the file cannot be written.
        """
        if not self._entries and not self._failures:
            raise UsageError(f"{path}: no pictures to report on")
        quantities = (*QUANTITIES, *self._names)
        scores = [entry.figures[0] for entry in self._entries]
        low, high = self._span_maps()
        write_page(
            path,
            "pictures.html",
            "pictures.js",
            rows=self._read_rows(low, high),
            failures=self._failures,
            quantities=quantities,
            shown=self._shown,
            map_span=(low, high),
            scale=[f"#{bytes(colour).hex()}" for colour in make_scale(24)],
            settings=self._settings,
            notes=notes,
            count=len(self._entries),
            summary=_summarise(scores),
            histogram=_draw(scores),
            gate=None if self._threshold is None else (self._quantity, self._threshold),
            below=sum(self._is_below(entry) for entry in self._entries),
        )

    def _span_maps(self) -> tuple[float, float]:
        """One range of colours for all maps, so that they compare: all but the outermost hundredths."""
        if not self._lows:
            return 0.0, 1.0
        ends = (np.percentile(self._lows, 1), np.percentile(self._highs, 99))
        return span_values(np.array(ends, np.float32))

    def _is_below(self, entry: _Entry) -> bool:
        if self._threshold is None:
            return False
        place = (*QUANTITIES, *self._names).index(self._quantity)
        return not entry.figures[place] >= self._threshold

    def _read_rows(self, low: float, high: float) -> Iterator[Row]:
        """The pictures, worst first, each read from the spool when its turn comes."""
        for entry in sorted(self._entries, key=lambda entry: entry.figures[0]):
            self._spool.seek(entry.offset)
            thumbnail = self._spool.read(entry.thumbnail)
            raw = self._spool.read(4 * entry.map_shape[0] * entry.map_shape[1])
            values = np.frombuffer(raw, np.float32).reshape(entry.map_shape)
            yield Row(
                entry.name,
                entry.figures,
                entry.size,
                entry.views,
                entry.enlarged,
                self._is_below(entry),
                thumbnail,
                encode_map(values, low, high),
                entry.map_part,
            )


def _summarise(scores: list[float]) -> dict[str, float]:
    if not scores:
        return {}
    parts = {"lowest": 0, "5 %": 5, "median": 50, "95 %": 95, "highest": 100}
    return {
        **{name: float(np.percentile(scores, part)) for name, part in parts.items()},
        "mean": float(np.mean(scores)),
    }


def _draw(scores: list[float]) -> Histogram | None:
    return draw_histogram(scores) if scores else None
