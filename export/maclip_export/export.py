"""Export: from a checkpoint to a bundle, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import nn

from maclip_export.checkpoints import Checkpoint
from maclip_export.encoders import TextEncoder, build_image_encoder
from maclip_export.graphs import export_graph, read_signature
from maclip_export.prompts import embed_prompts, tokenize
from maclip_export.verification import FP32_TOLERANCE, draw_views, verify_graph
from maclip_runtime.bundle import (
    Bundle,
    describe_file,
    open_bundle,
    stage_bundle,
    write_manifest,
    write_prompts,
)
from maclip_runtime.head import HeadConstants
from maclip_runtime.manifest import BundleFile, FileKind, Manifest, Method, PromptPair
from maclip_runtime.version import __version__

Report = Callable[[str], None]


def export_bundle(
    checkpoint: Checkpoint,
    destination: Path,
    prompts: tuple[PromptPair, ...],
    *,
    text_encoder: bool = True,
    replace_existing: bool = False,
    report: Report = lambda step: None,
) -> Bundle:
    """Write the bundle of a checkpoint to `destination`, every graph verified against torch.

    text_encoder: also put the text graph in, which `maclip prompts` needs to change prompts later.
    report: called with the name of each step as it begins. Raises BundleError if the destination
    exists (and is not to be replaced), VerificationError if a graph is not right; nothing is left
    behind then.
    """
    encode_text = TextEncoder(checkpoint.model).eval()
    context_length = checkpoint.model.context_length

    def encode(tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        with torch.no_grad():
            embeddings: NDArray[np.float32] = encode_text(torch.from_numpy(tokens)).numpy()
        return embeddings

    texts = [text for pair in prompts for text in (pair.good, pair.bad)]
    with stage_bundle(destination, replace=replace_existing) as directory:
        report("embedding the prompts")
        files = [write_prompts(directory, embed_prompts(prompts, encode, context_length))]
        files.append(
            _export_encoder(
                directory,
                "image_encoder",
                build_image_encoder(checkpoint.model),
                draw_views(checkpoint.views),
                names=("pixels", "features", "views"),
                content="views of a synthetic scene",
                report=report,
            )
        )
        if text_encoder:
            files.append(
                _export_encoder(
                    directory,
                    "text_encoder",
                    encode_text,
                    tokenize(texts, context_length),
                    names=("tokens", "embeddings", "texts"),
                    content="the bundle's prompts",
                    report=report,
                )
            )
        logit_scale = float(checkpoint.model.logit_scale)
        write_manifest(
            directory,
            Manifest(
                created_by=f"maclip-edge {__version__}, torch {torch.__version__}",
                weights=checkpoint.weights,
                architecture=checkpoint.architecture,
                method=Method(checkpoint.views, logit_scale, HeadConstants()),
                prompts=prompts,
                files=tuple(files),
            ),
        )
    return open_bundle(destination)


def _export_encoder(
    directory: Path,
    kind: FileKind,
    encoder: nn.Module,
    inputs: NDArray[np.generic],
    *,
    names: tuple[str, str, str],
    content: str,
    report: Report,
) -> BundleFile:
    """Trace and verify an encoder on `inputs`; `names` are its input, its output and their first axis."""
    path = directory / f"{kind}.fp32.onnx"
    title = kind.replace("_", " ")
    report(f"tracing the {title}")
    export_graph(encoder, torch.from_numpy(inputs[:2]), path, names)
    report(f"verifying the {title}")
    verification = verify_graph(
        path,
        encoder,
        inputs,
        batches=(1, len(inputs)),
        tolerance=FP32_TOLERANCE,
        content=content,
    )
    graph_inputs, graph_outputs = read_signature(path)
    return describe_file(
        path,
        kind,
        precision="fp32",
        inputs=graph_inputs,
        outputs=graph_outputs,
        verification=verification,
    )


def recache_prompts(bundle: Bundle, prompts: tuple[PromptPair, ...]) -> Bundle:
    """Replace a bundle's prompts by others, embedded through its own text graph.

    The bundle is replaced whole; its other files are linked, not copied, into the new one.
    """
    entry = bundle.find("text_encoder")
    session = onnxruntime.InferenceSession(bundle.locate(entry), providers=["CPUExecutionProvider"])
    context_length = entry.inputs["tokens"].shape[1]
    assert isinstance(context_length, int)

    def encode(tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        embeddings: NDArray[np.float32] = session.run(["embeddings"], {"tokens": tokens})[0]
        return embeddings

    embeddings = embed_prompts(prompts, encode, context_length)
    kept = [file for file in bundle.manifest.files if file.kind != "prompts"]
    with stage_bundle(bundle.path, replace=True) as directory:
        for file in kept:
            (directory / file.path).hardlink_to(bundle.path / file.path)
        files = (*kept, write_prompts(directory, embeddings))
        write_manifest(directory, replace(bundle.manifest, prompts=prompts, files=files))
    return open_bundle(bundle.path)
