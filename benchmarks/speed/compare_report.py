"""The report of `compare`: a table in Markdown, all figures for JSON, and a plot."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.report import format_table, make_figure
from benchmarks.speed.contenders import EAGER, Contender, Run
from benchmarks.speed.heading import format_heading

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_HEADER = (
    "", "ms per view", "times as fast", "spread", "times the fastest", "CPU ms per view", "peak MB",
    "score off by at most",
)  # fmt: skip
_LEGEND = """\
From a decoded frame in memory to its score. Times as fast: as "{eager}" in the same
round, the median over the rounds; spread: the smallest and the largest. Times the fastest: the same against
PyTorch's fastest row, "{fastest}". CPU ms: of all threads together. Peak MB: of the process, libraries
included. Score off: from the first row's.
"""


@dataclass(frozen=True)
class Ratio:
    """How many times as fast as a yardstick of the same round: median, smallest and largest."""

    median: float
    lowest: float
    highest: float


@dataclass(frozen=True)
class Row:
    """One contender over all rounds: medians, the largest peak, the largest difference of a score.

    ratio: to eager PyTorch with all of a picture's views in one batch; ratio_fastest: to the fastest row of
    PyTorch. seconds: of each round, all pictures together.
    """

    name: str
    ms_per_view: float
    cpu_ms_per_view: float
    ratio: Ratio
    ratio_fastest: Ratio
    peak_mb: float
    score_difference: float
    seconds: tuple[float, ...]
    is_pytorch: bool = False


@dataclass(frozen=True)
class Comparison:
    """Everything the report is written from; faults: of contenders that could not be measured."""

    rows: list[Row]
    faults: dict[str, str]
    settings: dict[str, Any]
    machine: str

    def to_markdown(self) -> str:
        """The table, and what is needed to read it."""
        settings = self.settings
        yardsticks = [row for row in self.rows if row.is_pytorch]
        fastest = min(yardsticks, key=lambda row: row.ms_per_view).name if yardsticks else "none"
        sizes = sorted({f"{width} x {height}" for width, height in settings["sizes"]})
        extent = (
            f"{len(settings['pictures'])} pictures, {settings['views']} views ({', '.join(sizes)}); "
            f"{settings['rounds']} rounds, {settings['threads']} threads"
        )
        lines = [
            *format_heading(self.machine, settings, extent),
            _LEGEND.format(eager=EAGER.name, fastest=fastest),
            format_table(_HEADER, [_format_row(row) for row in self.rows]),
        ]
        lines += [f"- {name}: {fault}" for name, fault in self.faults.items()]
        return "\n".join(lines).rstrip() + "\n"

    def to_record(self) -> dict[str, Any]:
        """The comparison as JSON."""
        return asdict(self)


def summarise(runs: Mapping[Contender, Sequence[Run]], views: int) -> list[Row]:
    """A row for every contender that ran in every round. views: of all pictures together.

    Without eager PyTorch there is nothing to compare with, and no row.
    """
    whole = {c: done for c, done in runs.items() if done and not any(run.fault for run in done)}
    if EAGER not in whole:
        return []
    fastest = min((c for c in whole if c.is_pytorch), key=lambda c: _find_median(whole[c]))
    return [
        Row(
            name=contender.name,
            ms_per_view=_find_median(done) / views * 1e3,
            cpu_ms_per_view=statistics.median(run.cpu_seconds for run in done) / views * 1e3,
            ratio=compare_rounds(whole[EAGER], done),
            ratio_fastest=compare_rounds(whole[fastest], done),
            peak_mb=max(run.peak_mb for run in done),
            score_difference=float(
                np.abs(np.subtract(done[0].scores, whole[EAGER][0].scores)).max()
            ),
            seconds=tuple(run.seconds for run in done),
            is_pytorch=contender.is_pytorch,
        )
        for contender, done in whole.items()
    ]


def _find_median(runs: Sequence[Run]) -> float:
    return statistics.median(run.seconds for run in runs)


def compare_rounds(yardstick: Sequence[Run], runs: Sequence[Run]) -> Ratio:
    """How many times as fast the runs are, each against the yardstick's of its round."""
    ratios = [slow.seconds / run.seconds for slow, run in zip(yardstick, runs, strict=True)]
    return Ratio(statistics.median(ratios), min(ratios), max(ratios))


def draw_bars(comparison: Comparison) -> Figure:
    """A bar for every row: times as fast as eager PyTorch, with the spread over the rounds."""
    rows = comparison.rows[::-1]  # the first row on top
    figure = make_figure(8, 0.45 * len(rows) + 1.1, dpi=130)
    axes = figure.subplots()
    ratios = np.array([row.ratio.median for row in rows])
    spread = np.array([[row.ratio.lowest, row.ratio.highest] for row in rows]).reshape(-1, 2).T
    colours = ["#9a9a9a" if row.is_pytorch else "#3b7dd8" for row in rows]
    bars = axes.barh(
        [row.name for row in rows], ratios, xerr=np.abs(spread - ratios), color=colours, capsize=3
    )
    labels = [f"{row.ratio.median:.1f}x   {row.ms_per_view:.1f} ms" for row in rows]
    axes.bar_label(bars, labels, padding=8)
    axes.set_xlabel("times as fast as the published method in eager PyTorch; ms per view")
    axes.set_title(f"{comparison.settings['bundle']}, {comparison.settings['threads']} CPU threads")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.28)
    return figure


def _format_row(row: Row) -> list[str]:
    ratio = row.ratio
    return [
        row.name,
        f"{row.ms_per_view:.1f}",
        f"{ratio.median:.2f}",
        f"{ratio.lowest:.2f} to {ratio.highest:.2f}",
        f"{row.ratio_fastest.median:.2f}",
        f"{row.cpu_ms_per_view:.1f}",
        f"{row.peak_mb:.0f}",
        f"{row.score_difference:.1e}",
    ]
