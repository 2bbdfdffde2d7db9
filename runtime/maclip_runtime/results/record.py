"""Results as records: what JSON, JSON lines and CSV have of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from maclip_runtime.errors import PictureError
from maclip_runtime.results.score import Score
from maclip_runtime.stream.status import Observation

Value = str | float | int | bool
Record = dict[str, Value | dict[str, float]]

_FIGURES = ("path", "score", "similarity", "magnitude", "weight")
_CIRCUMSTANCES = (
    "views", "width", "height", "enlarged", "preset", "engine", "precision", "view_mode", "bundle",
)  # fmt: skip
_WATCH = (
    "source", "frame", "time", "score", "similarity", "magnitude", "attributes", "views", "refreshed",
    "fresh", "dropped", "latency_ms", "event",
)  # fmt: skip
_PREFIX = "attribute_"  # in flat records, where a pair's name might be a column's


def to_record(result: Score | PictureError) -> Record:
    """A result as an object of its JSON output: `path` and `error` only, for one that failed."""
    if isinstance(result, PictureError):
        return {"path": result.picture, "error": result.reason}
    return {
        **{name: _round(getattr(result, name)) for name in _FIGURES},
        "attributes": {name: _round(value) for name, value in result.attributes.items()},
        **{name: getattr(result, name) for name in _CIRCUMSTANCES},
    }


def to_watch_record(seen: Observation) -> Record:
    """A line of `watch`; what an observation does not have is left out."""
    record: dict[str, Any] = {"source": seen.source, "frame": seen.frame, "dropped": seen.dropped}
    if seen.time is not None:
        record["time"] = round(seen.time, 6)
    if seen.reading is not None:
        for name in ("score", "similarity", "magnitude", "views", "refreshed", "fresh"):
            record[name] = _round(getattr(seen.reading, name))
        record["attributes"] = {k: _round(v) for k, v in seen.reading.attributes.items()}
    if seen.latency is not None:
        record["latency_ms"] = round(1000 * seen.latency, 2)
    if seen.event is not None:
        record["event"] = seen.event.name
    return {name: record[name] for name in _WATCH if record.get(name) is not None}


def flatten(record: Record) -> dict[str, Value]:
    """A record as a row of a table: a column per attribute, `attribute_` before its name."""
    flat: dict[str, Value] = {}
    for name, value in record.items():
        if isinstance(value, dict):
            flat.update({f"{_PREFIX}{key}": item for key, item in value.items()})
        else:
            flat[name] = value
    return flat


def list_columns(attributes: Sequence[str]) -> tuple[str, ...]:
    """The columns of flat records with attributes of these names; `error` is the last."""
    return (*_FIGURES, *_prefix(attributes), *_CIRCUMSTANCES, "error")


def list_watch_columns(attributes: Sequence[str]) -> tuple[str, ...]:
    """The columns of flat lines of `watch` with attributes of these names."""
    place = _WATCH.index("attributes")
    return (*_WATCH[:place], *_prefix(attributes), *_WATCH[place + 1 :])


def _prefix(attributes: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{_PREFIX}{name}" for name in attributes)


def _round(value: Any) -> Any:
    """Scores are float32: more digits than seven say nothing."""
    return float(f"{value:.7g}") if isinstance(value, float) else value
