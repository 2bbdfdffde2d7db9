"""Prompt pairs and their embeddings, for a new bundle and in an existing one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import open_clip
import yaml
from numpy.typing import NDArray

from maclip_export.errors import PromptsError
from maclip_export.graphs.running import open_graph
from maclip_runtime.bundle.bundle import Bundle, open_bundle
from maclip_runtime.bundle.manifest import PromptPair
from maclip_runtime.bundle.staging import (
    hold_bundle,
    stage_bundle,
    write_manifest,
    write_prompts,
)
from maclip_runtime.errors import Remedy
from maclip_runtime.results.score import QUANTITIES

# The five pairs of the published method, capitals as published (the tokenizer lower-cases).
PUBLISHED_PROMPTS = (
    PromptPair("quality", "Good image", "bad image"),
    PromptPair("sharpness", "Sharp image", "blurry image"),
    PromptPair("edges", "sharp edges", "blurry edges"),
    PromptPair("resolution", "High resolution image", "low resolution image"),
    PromptPair("noise", "Noise-free image", "noisy image"),
)

Encode = Callable[[NDArray[np.int64]], NDArray[np.float32]]


def read_prompts(path: Path) -> tuple[PromptPair, ...]:
    """Prompt pairs from a YAML or JSON file: a mapping of names to `{good: ..., bad: ...}`.

    `scored: false` beside them makes a pair's attribute reported only: it changes no score.
    """
    example = "{sharpness: {good: Sharp image, bad: blurry image}}"
    try:
        # JSON is YAML, so one reader takes both.
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PromptsError(f"{path}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, RecursionError) as error:
        # The reader's own, no text, and what its constructors raise: dates of month 13, unhashable names.
        first = " ".join(str(error).split())
        raise PromptsError(f"{path}: neither YAML nor JSON ({first})") from None
    if not isinstance(data, dict) or not data:
        raise PromptsError(f"{path}: no prompt pairs; write them as {example}")
    pairs = []
    for name, pair in data.items():
        if str(name) in QUANTITIES:
            raise PromptsError(f"{path}: pair {name!r} has the name of a cue; give it another one")
        if not isinstance(pair, dict) or pair.keys() - {"scored"} != {"good", "bad"}:
            raise PromptsError(f"{path}: pair {name!r} needs `good` and `bad`, as in {example}")
        texts, scored = (pair["good"], pair["bad"]), pair.get("scored", True)
        if not all(isinstance(text, str) and text.strip() for text in texts):
            raise PromptsError(f"{path}: pair {name!r} has an empty prompt, or one that is no text")
        if not isinstance(scored, bool):
            raise PromptsError(f"{path}: pair {name!r} has `scored: {scored}`; use true or false")
        pairs.append(PromptPair(str(name), *texts, scored))
    return tuple(pairs)


def add_prompts(
    own: tuple[PromptPair, ...], added: tuple[PromptPair, ...]
) -> tuple[PromptPair, ...]:
    """The pairs of a bundle and others after them; one of the same name takes the other's place."""
    return tuple({pair.name: pair for pair in (*own, *added)}.values())


def check_scored(pairs: tuple[PromptPair, ...]) -> None:
    """Raise PromptsError unless at least one pair is scored."""
    if not any(pair.scored for pair in pairs):
        raise PromptsError(
            "all pairs have `scored: false`, so there is nothing to score by",
            Remedy(
                "leave it out of one, or keep the bundle's own pairs with {add}",
                settings={"add": True},
            ),
        )


def tokenize(texts: list[str], context_length: int) -> NDArray[np.int64]:
    """CLIP's tokens `[N, context_length]` of texts; PromptsError if one does not fit."""
    tokenizer = open_clip.SimpleTokenizer()
    for text in texts:
        needed = len(tokenizer.encode(text)) + 2  # start and end tokens
        if needed > context_length:
            raise PromptsError(
                f"prompt {text[:40]!r}... has {needed} tokens, of at most {context_length}; shorten it"
            )
    tokens: NDArray[np.int64] = tokenizer(texts, context_length=context_length).numpy()
    return tokens


def embed_prompts(
    pairs: tuple[PromptPair, ...], encode: Encode, context_length: int
) -> NDArray[np.float32]:
    """Unit-length embeddings `[K, 2, D]` of the pairs, (good, bad) each."""
    texts = [text for pair in pairs for text in (pair.good, pair.bad)]
    embeddings = encode(tokenize(texts, context_length))
    embeddings = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    return embeddings.reshape(len(pairs), 2, -1).astype(np.float32)


def replace_prompts(path: Path, prompts: tuple[PromptPair, ...], *, add: bool = False) -> Bundle:
    """Replace a bundle's prompts by others, or with `add` put others after them.

    They are embedded through the bundle's own text graph. Pairs that it has already keep their embeddings,
    so that added ones change nothing but what they add; one of the same name takes the other's place. The
    bundle is replaced whole, while nobody else changes it; its other files are linked, not copied, into
    the new one. Score graphs (and plans of them) hold the old prompts, so a bundle with any is refused.
    """
    with hold_bundle(path):
        bundle = open_bundle(path)
        return _put_prompts(
            bundle, add_prompts(bundle.manifest.prompts, prompts) if add else prompts
        )


def _put_prompts(bundle: Bundle, prompts: tuple[PromptPair, ...]) -> Bundle:
    check_scored(prompts)
    holders = [file.path for file in bundle.manifest.files if file.role == "score_graph"]
    if holders:
        raise PromptsError(
            f"{bundle.path}: {', '.join(holders)} would keep the old prompts",
            Remedy("export the bundle again with {prompts}", settings={"prompts": None}),
        )
    entry = bundle.find("text_encoder")
    session = open_graph(bundle.locate(entry))
    context_length = entry.inputs["tokens"].shape[1]
    assert isinstance(context_length, int)

    def encode(tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        embeddings: NDArray[np.float32] = session.run(["embeddings"], {"tokens": tokens})[0]
        return embeddings

    own = zip(bundle.manifest.prompts, bundle.load_prompts(), strict=True)
    embedded = {(pair.good, pair.bad): embedding for pair, embedding in own}
    new = tuple(pair for pair in prompts if (pair.good, pair.bad) not in embedded)
    if new:
        fresh = zip(new, embed_prompts(new, encode, context_length), strict=True)
        embedded.update({(pair.good, pair.bad): embedding for pair, embedding in fresh})
    embeddings = np.stack([embedded[pair.good, pair.bad] for pair in prompts])
    kept = [file for file in bundle.manifest.files if file.role != "prompts"]
    with stage_bundle(bundle.path, replace=True) as directory:
        for file in kept:
            (directory / file.path).hardlink_to(bundle.path / file.path)
        files = (*kept, write_prompts(directory, embeddings))
        write_manifest(directory, replace(bundle.manifest, prompts=prompts, files=files))
    return open_bundle(bundle.path)
