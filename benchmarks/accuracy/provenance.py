"""How scores came about, in words and as JSON: bundle, weights, constants, pictures that failed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from benchmarks.accuracy.feature_cache import identify_encoder
from benchmarks.report import list_versions, name_weights
from maclip_runtime import PictureError, Scorer
from maclip_runtime.method.head import Head


def describe_bundle(scorer: Scorer) -> dict[str, Any]:
    """What made the scores: bundle, weights, graph, engine, preset and versions."""
    manifest = scorer.bundle.manifest
    return {
        "bundle": scorer.bundle.name,
        "weights": manifest.weights.name,
        "weights_source": manifest.weights.source,
        "demo": manifest.weights.demo,
        "graph_sha256": identify_encoder(scorer),
        "preset": scorer.preset,
        "prompts": [[pair.good, pair.bad] for pair in manifest.prompts],
        "versions": list_versions(("maclip-edge", "numpy", "scipy")),
    }


def describe_weights(scorer: Scorer) -> str:
    """The weights in a few words, with a warning where they are not CLIP's."""
    weights = scorer.bundle.manifest.weights
    warning = " (the demo encoder, not CLIP)" if weights.demo else ""
    return f"weights {name_weights(weights)}{warning}"


def describe_constants(constants: Head) -> str:
    """The head's constants in one line."""
    return (
        f"lambda {constants.magnitude.boxcox_lambda:g}, alpha {constants.alpha:g}, "
        f"bases {constants.similarity.base:g} and {constants.magnitude.base:g}"
    )


def list_failures(failures: Iterable[PictureError]) -> list[dict[str, str]]:
    """The pictures that failed, each with its reason, as JSON."""
    return [{"path": failure.picture, "error": failure.reason} for failure in failures]
