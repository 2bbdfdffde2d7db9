"""New prompts for an existing bundle, through its own text graph: no checkpoint, no torch weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from maclip_export.errors import PromptsError
from maclip_export.prompts import embed_prompts
from maclip_runtime.bundle.bundle import Bundle, open_bundle
from maclip_runtime.bundle.manifest import PromptPair
from maclip_runtime.bundle.staging import stage_bundle, write_manifest, write_prompts


def recache_prompts(bundle: Bundle, prompts: tuple[PromptPair, ...]) -> Bundle:
    """Replace a bundle's prompts by others, embedded through its own text graph.

    The bundle is replaced whole; its other files are linked, not copied, into the new one. Score
    graphs (and plans of them) hold the old prompts, so a bundle with any is refused.
    """
    stale = [file.path for file in bundle.manifest.files if "score" in file.outputs]
    if stale:
        raise PromptsError(
            f"{bundle.path}: {', '.join(stale)} would keep the old prompts; "
            "export the bundle again with --prompts"
        )
    entry = bundle.find("text_encoder")
    session = onnxruntime.InferenceSession(bundle.locate(entry), providers=["CPUExecutionProvider"])
    context_length = entry.inputs["tokens"].shape[1]
    assert isinstance(context_length, int)

    def encode(tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        embeddings: NDArray[np.float32] = session.run(["embeddings"], {"tokens": tokens})[0]
        return embeddings

    embeddings = embed_prompts(prompts, encode, context_length)
    kept = [file for file in bundle.manifest.files if file.role != "prompts"]
    with stage_bundle(bundle.path, replace=True) as directory:
        for file in kept:
            (directory / file.path).hardlink_to(bundle.path / file.path)
        files = (*kept, write_prompts(directory, embeddings))
        write_manifest(directory, replace(bundle.manifest, prompts=prompts, files=files))
    return open_bundle(bundle.path)
