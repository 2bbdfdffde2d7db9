"""Prompt pairs and their embeddings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import open_clip
import yaml
from numpy.typing import NDArray

from maclip_export.errors import PromptsError
from maclip_runtime.bundle.manifest import PromptPair

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
    """Prompt pairs from a YAML or JSON file: a mapping of names to `{good: ..., bad: ...}`."""
    example = "{sharpness: {good: Sharp image, bad: blurry image}}"
    try:
        # JSON is YAML, so one reader takes both.
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PromptsError(f"{path}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        first = " ".join(str(error).split())
        raise PromptsError(f"{path}: neither YAML nor JSON ({first})") from None
    if not isinstance(data, dict) or not data:
        raise PromptsError(f"{path}: no prompt pairs; write them as {example}")
    pairs = []
    for name, pair in data.items():
        if not isinstance(pair, dict) or pair.keys() != {"good", "bad"}:
            raise PromptsError(f"{path}: pair {name!r} needs `good` and `bad`, as in {example}")
        if not all(isinstance(text, str) and text.strip() for text in pair.values()):
            raise PromptsError(f"{path}: pair {name!r} has an empty prompt, or one that is no text")
        pairs.append(PromptPair(str(name), pair["good"], pair["bad"]))
    return tuple(pairs)


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
