"""Results as records: what JSON, JSON lines and CSV have of each."""

from __future__ import annotations

from maclip_runtime.errors import PictureError
from maclip_runtime.results.score import Score
from maclip_runtime.stream.status import Observation

Record = dict[str, str | float | int | bool]
Value = str | float | int | bool | None | dict[str, float]

COLUMNS = (
    "path", "score", "similarity", "magnitude", "weight", "views", "width", "height", "enlarged",
    "preset", "engine", "precision", "view_mode", "bundle",
)  # fmt: skip

WATCH_COLUMNS = (
    "source", "frame", "time", "score", "similarity", "magnitude", "attributes", "views", "refreshed",
    "fresh", "dropped", "latency_ms", "event",
)  # fmt: skip


def to_record(result: Score | PictureError) -> Record:
    """A result as an object of its JSON output: `path` and `error` only, for one that failed."""
    if isinstance(result, PictureError):
        return {"path": result.picture, "error": result.reason}
    record: Record = {name: getattr(result, name) for name in COLUMNS}
    return {k: round_float32(v) if isinstance(v, float) else v for k, v in record.items()}


def to_watch_record(seen: Observation) -> dict[str, Value]:
    """A line of `watch`: all of WATCH_COLUMNS, None where an event comes without a reading."""
    reading = seen.reading
    record: dict[str, Value] = dict.fromkeys(WATCH_COLUMNS)
    record |= {"source": seen.source, "frame": seen.frame, "dropped": seen.dropped}
    record["time"] = None if seen.time is None else round(seen.time, 6)
    if reading is not None:
        for name in ("score", "similarity", "magnitude", "fresh"):
            record[name] = round_float32(getattr(reading, name))
        record["attributes"] = {k: round_float32(v) for k, v in reading.attributes.items()}
        record["views"], record["refreshed"] = reading.views, reading.refreshed
    if seen.latency is not None:
        record["latency_ms"] = round(1000 * seen.latency, 2)
    if seen.event is not None:
        record["event"] = seen.event.name
    return record


def round_float32(value: float) -> float:
    """The number with seven digits: scores are float32, and more say nothing."""
    return float(f"{value:.7g}")
