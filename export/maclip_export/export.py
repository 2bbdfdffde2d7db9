"""Export: from a checkpoint to a bundle, whole or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from maclip_export.checkpoints import Checkpoint
from maclip_export.encoders.text import TextEncoder
from maclip_export.graphs.entries import describe_graph, record_file
from maclip_export.graphs.tracing import trace_graph
from maclip_export.image_graphs import export_image_graphs
from maclip_export.prompts import check_scored, embed_prompts, tokenize
from maclip_export.selection import GraphSelection
from maclip_export.verification import TOLERANCE, run_torch, verify_graph
from maclip_export.vocabulary import Report
from maclip_runtime.bundle.bundle import Bundle, open_bundle
from maclip_runtime.bundle.manifest import BundleFile, Manifest, Method, PromptPair
from maclip_runtime.bundle.signatures import find_signing_key, sign
from maclip_runtime.bundle.staging import stage_bundle, write_manifest, write_prompts
from maclip_runtime.method.head import Head
from maclip_runtime.version import __version__


def export_bundle(
    checkpoint: Checkpoint,
    destination: Path,
    prompts: tuple[PromptPair, ...],
    selection: GraphSelection = GraphSelection(),  # noqa: B008  it is immutable
    *,
    text_encoder: bool = True,
    replace_existing: bool = False,
    signing_key: Path | None = None,
    report: Report = lambda step: None,
) -> Bundle:
    """Write the bundle of a checkpoint to `destination`, every graph verified.

    selection: the image encoder's graphs; float32 is always among them, as the one the others are held
    against. text_encoder: also put the text graph in, which `maclip prompts` needs to change prompts later.
    signing_key: an Ed25519 private key (PEM); default: MACLIP_SIGNING_KEY. report: called with the name of
    each step as it begins. Raises BundleError if the destination exists (and is not to be replaced) or the
    key is none, VerificationError if a graph is not right; nothing is left behind then.
    """
    check_scored(prompts)
    key = signing_key or find_signing_key()
    if key is not None:
        sign(b"", key)  # a key that is none is found before the long work
    encode_text = TextEncoder(checkpoint.model).eval()
    context_length = checkpoint.model.context_length
    method = Method(checkpoint.views, float(checkpoint.model.logit_scale), Head())
    texts = [text for pair in prompts for text in (pair.good, pair.bad)]
    with stage_bundle(destination, replace=replace_existing) as directory:
        report("embedding the prompts")
        embeddings = embed_prompts(prompts, run_torch(encode_text), context_length)
        manifest = Manifest(
            created_by=f"maclip-edge {__version__}, torch {torch.__version__}",
            weights=checkpoint.weights,
            architecture=checkpoint.architecture,
            method=method,
            prompts=prompts,
            files=(write_prompts(directory, embeddings),),
        )
        bundle = Bundle(directory, manifest)
        if text_encoder:
            tokens = tokenize(texts, context_length)
            entry = _export_text_encoder(directory, encode_text, tokens, report)
            bundle = record_file(bundle, entry)
        bundle = export_image_graphs(checkpoint, bundle, selection, report)
        write_manifest(directory, bundle.manifest, key)
    return open_bundle(destination)


def _export_text_encoder(
    directory: Path, encoder: TextEncoder, tokens: NDArray[np.int64], report: Report
) -> BundleFile:
    report("tracing the text encoder")
    graph = trace_graph(encoder, torch.from_numpy(tokens[:2]), ("tokens", "embeddings", "texts"))
    path = directory / "text_encoder.fp32.onnx"
    onnx.save(graph, path)
    report("verifying the text encoder")
    content = f"the bundle's prompts, N = 1 and {len(tokens)}"
    cases = [tokens[:1], tokens]
    check = verify_graph(path, run_torch(encoder), cases, TOLERANCE["fp32"], content)
    return replace(describe_graph(path, "text_encoder", "fp32"), verification=check)
