"""Results as records: what JSON, JSON lines and CSV have of each."""

from __future__ import annotations

from maclip_runtime.errors import PictureError
from maclip_runtime.results.score import Score

Record = dict[str, str | float | int | bool]

COLUMNS = (
    "path", "score", "similarity", "magnitude", "weight", "views", "width", "height", "enlarged",
    "preset", "engine", "precision", "view_mode", "bundle",
)  # fmt: skip


def to_record(result: Score | PictureError) -> Record:
    """A result as an object of its JSON output: `path` and `error` only, for one that failed."""
    if isinstance(result, PictureError):
        return {"path": result.picture, "error": result.reason}
    record: Record = {name: getattr(result, name) for name in COLUMNS}
    # Scores are float32: more digits than seven say nothing.
    return {k: float(f"{v:.7g}") if isinstance(v, float) else v for k, v in record.items()}
