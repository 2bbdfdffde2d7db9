"""The range of a number that a manifest may hold, written beside its type: `Annotated[int, Range(2)]`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Range:
    """From `least` to `most`, both included; `above` instead of `least` excludes the bound itself."""

    least: float | None = None
    most: float | None = None
    above: float | None = None

    def holds(self, value: float) -> bool:
        """Whether a number is in the range; NaN never is."""
        return (
            value == value
            and (self.least is None or value >= self.least)
            and (self.most is None or value <= self.most)
            and (self.above is None or value > self.above)
        )

    def __str__(self) -> str:
        parts = (("at least", self.least), ("above", self.above), ("at most", self.most))
        return " and ".join(f"{words} {bound:g}" for words, bound in parts if bound is not None)
