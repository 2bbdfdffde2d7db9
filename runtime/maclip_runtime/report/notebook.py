"""A score as a notebook shows it: its figures, its attributes, and its map."""

from __future__ import annotations

from html import escape

from maclip_runtime.report.axes import span_map
from maclip_runtime.report.page import to_data_uri
from maclip_runtime.report.thumbnails import encode_map
from maclip_runtime.results.names import show_name
from maclip_runtime.results.score import Score

_WIDTH = 240  # pixels of the map


def show_score(score: Score) -> str:
    """HTML of a score, safe whatever the picture's name; needs nothing but Pillow."""
    quality_map = score.map()
    low, high = span_map(quality_map)
    rows, columns = quality_map.values.shape
    address = to_data_uri(encode_map(quality_map.values, low, high), "image/png")
    figures = {
        "score": score.score,
        "similarity": score.similarity,
        "magnitude": score.magnitude,
        **{escape(show_name(name)): value for name, value in score.attributes.items()},
    }
    lines = "".join(
        f'<tr><td style="text-align:left">{name}</td><td>{value:.4f}</td></tr>'
        for name, value in figures.items()
    )
    made = f"{score.bundle}, preset {score.preset}, {score.engine} {score.precision}"
    return (
        f"<div><b>{escape(show_name(score.path))}</b><br>"
        f"<small>{score.width} &times; {score.height}, {score.views} views; "
        f"{escape(show_name(made))}</small>"
        f'<div style="display:flex;gap:1.5em;align-items:flex-start"><table>{lines}</table>'
        f'<figure style="margin:0"><img alt="quality map" width="{_WIDTH}" '
        f'height="{max(1, round(_WIDTH * rows / columns))}" src="{address}">'
        f"<figcaption><small>map of the score: dark {low:.3g}, light {high:.3g}; "
        f"windows see {quality_map.seen:.0%} of the frame</small></figcaption></figure></div></div>"
    )
