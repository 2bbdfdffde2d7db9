"""Published SRCC, for comparison: zero-shot MA-CLIP with OpenAI's RN50, and CLIP-IQA.

From "Beyond Cosine Similarity: Magnitude-Aware CLIP for No-Reference Image Quality Assessment",
arXiv 2511.09948. Datasets that are not listed have no figure here.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """SRCC on a whole dataset."""

    maclip: float
    clip_iqa: float


PUBLISHED = {
    "clive": Published(0.743, 0.702),
    "csiq": Published(0.737, 0.681),
    "tid2013": Published(0.599, 0.579),
    "kadid10k": Published(0.525, 0.501),
    "koniq10k": Published(0.765, 0.685),
    "spaq": Published(0.773, 0.714),
}
