"""The report of a dataset: Markdown, JSON, a CSV of every picture's scores, and a scatter plot."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from benchmarks.accuracy.correlations import Agreement, Estimate
from benchmarks.accuracy.evaluation import Scored
from benchmarks.accuracy.head import CUE_TITLES, CUES, list_constants
from benchmarks.accuracy.provenance import (
    describe_bundle,
    describe_constants,
    describe_weights,
    list_failures,
)
from benchmarks.accuracy.published_figures import PUBLISHED
from benchmarks.accuracy.readers import Dataset
from benchmarks.report import Content, Rows, format_number, format_table, make_figure, write_files
from maclip_runtime import Scorer
from maclip_runtime.method.head import Head

_SHOWN_FAILURES = 10


@dataclass(frozen=True)
class Report:
    """Everything a dataset's report is written from."""

    dataset: Dataset
    scorer: Scorer
    constants: Head
    scored: Scored
    agreements: dict[str, Agreement]
    resamples: int
    seed: int

    def write(self, folder: Path) -> None:
        """Write report.md, report.json, scores.csv and scatter.png."""
        files: dict[str, Content] = {
            "report.md": self.to_markdown(),
            "report.json": self.to_record(),
            "scores.csv": self._list_rows(),
            "scatter.png": _draw_scatter(self),
        }
        write_files(folder, files)

    def to_markdown(self) -> str:
        """The table, and under it all that is needed to read it."""
        lines = [f"# {self.dataset.title} with {self.scorer.bundle.name}\n", self._tabulate()]
        lines += [f"- {note}\n" for note in self._describe()]
        failures = self.scored.failures
        if failures:
            lines.append(f"\n{len(failures)} pictures could not be scored:\n\n")
            lines += [f"- {failure}\n" for failure in failures[:_SHOWN_FAILURES]]
            if len(failures) > _SHOWN_FAILURES:
                lines.append(f"- and {len(failures) - _SHOWN_FAILURES} more, in report.json\n")
        return "\n".join(lines[:2]) + "\n" + "".join(lines[2:])

    def to_record(self) -> dict[str, object]:
        """The report as JSON."""
        published = PUBLISHED.get(self.dataset.name)
        return {
            "dataset": self.dataset.name,
            "title": self.dataset.title,
            "scale": asdict(self.dataset.scale),
            "notes": list(self.dataset.notes),
            **describe_bundle(self.scorer),
            "constants": list_constants(self.constants),
            "pictures": len(self.scored.pictures),
            "contents": len({picture.content for picture in self.scored.pictures}),
            "encoded": self.scored.encoded,
            "cached": self.scored.cached,
            "enlarged": self.scored.enlarged,
            "failures": list_failures(self.scored.failures),
            "agreement": {name: asdict(found) for name, found in self.agreements.items()},
            "published_srcc": asdict(published) if published else None,
            "bootstrap": {"resamples": self.resamples, "seed": self.seed, "confidence": 0.95},
        }

    def _list_rows(self) -> Rows:
        columns = (self.scored.cues[name] for name in CUES)
        return Rows(
            ("path", "opinion", "content", *CUES),
            (
                (picture.path, picture.opinion, picture.content, *values)
                for picture, *values in zip(self.scored.pictures, *columns, strict=True)
            ),
        )

    def _tabulate(self) -> str:
        header = ("", "SRCC", "KRCC", "PLCC before the fit", "PLCC", "RMSE", "SRCC of the fit")
        rows = []
        for name, found in self.agreements.items():
            estimates = (found.srcc, found.krcc, found.plcc_raw, found.plcc, found.rmse)
            cells = (_format_estimate(estimate) for estimate in estimates)
            rows.append((CUE_TITLES[name], *cells, format_number(found.srcc_fitted)))
        published = PUBLISHED.get(self.dataset.name)
        if published:
            blank = ("",) * (len(header) - 2)
            rows.append(("published: MA-CLIP, RN50", f"{published.maclip:.3f}", *blank))
            rows.append(("published: CLIP-IQA", f"{published.clip_iqa:.3f}", *blank))
        return format_table(header, rows)

    def _describe(self) -> list[str]:
        scored, scale = self.scored, self.dataset.scale
        notes = [
            f"{len(scored.pictures)} pictures scored, {len(scored.failures)} failed "
            f"({scored.encoded} encoded now, {scored.cached} from the cache)",
            f"opinions: {scale.describe()}",
            f"{describe_weights(self.scorer)}, preset {self.scorer.preset}, "
            + describe_constants(self.constants),
            *self.dataset.notes,
        ]
        if not scale.higher_is_better:
            notes.append(
                "SRCC, KRCC and PLCC before the fit have their sign turned: + is agreement"
            )
        if scored.enlarged:
            notes.append(
                f"{scored.enlarged} pictures were smaller than a view and were enlarged, which is out "
                "of the published method"
            )
        if self.resamples:
            notes.append(
                f"brackets: 95 % bootstrap percentiles over {self.resamples} resamples of scenes "
                f"(seed {self.seed}), the fitted curve kept"
            )
        if self.dataset.name in PUBLISHED:
            notes.append(
                "published: arXiv 2511.09948, OpenAI's RN50, which this bundle need not be"
            )
        for name, found in self.agreements.items():
            if found.fit.kind == "linear":
                notes.append(
                    f"{CUE_TITLES[name]}: a line instead of the logistic: {found.fit.reason}"
                )
            elif not found.fit.monotone:
                notes.append(f"{CUE_TITLES[name]}: the fitted logistic is not monotone")
        return notes


def _format_estimate(estimate: Estimate) -> str:
    text = format_number(estimate.value)
    if np.isnan(estimate.low):
        return text
    return f"{text} [{format_number(estimate.low)}, {format_number(estimate.high)}]"


def _draw_scatter(report: Report) -> Figure:
    """Opinions against each cue, with the fitted curve."""
    figure = make_figure(12, 4.2, dpi=120)
    opinions = report.scored.opinions
    crowded = len(opinions) > 2000
    axes = figure.subplots(1, len(CUES), sharey=True)
    for panel, name in zip(axes, CUES, strict=True):
        values, found = report.scored.cues[name], report.agreements[name]
        panel.scatter(
            values, opinions, s=3 if crowded else 12, alpha=0.25 if crowded else 0.6, linewidths=0
        )
        line = np.linspace(values.min(), values.max(), 200)
        panel.plot(line, found.fit.map(line), color="tab:red", label=f"{found.fit.kind} fit")
        panel.set_title(
            f"{CUE_TITLES[name]}: SRCC {format_number(found.srcc.value)}, "
            f"PLCC {format_number(found.plcc.value)}",
            fontsize=10,
        )
        panel.set_xlabel(CUE_TITLES[name])
        panel.legend(loc="best", fontsize=8)
    margin = 0.05 * (np.ptp(opinions) or 1.0)  # a bent curve may leave the opinions' range
    axes[0].set_ylim(opinions.min() - margin, opinions.max() + margin)
    scale = report.dataset.scale
    direction = "higher" if scale.higher_is_better else "lower"
    axes[0].set_ylabel(f"{scale.name} ({direction} is better)")
    figure.suptitle(f"{report.dataset.title}, bundle {report.scorer.bundle.name}")
    return figure
