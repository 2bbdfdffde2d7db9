"""The yardstick of speed: the published method in eager PyTorch, from the checkpoint of a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from maclip_runtime.bundle.bundle import Bundle, hash_file
from maclip_runtime.errors import EngineError, UsageError

if TYPE_CHECKING:  # a device need not have torch
    from maclip_export.published import PublishedMethod


def check_checkpoint(checkpoint: Path, bundle: Bundle) -> None:
    """Raise UsageError unless the bundle was made from this very file."""
    if not checkpoint.is_file():
        raise UsageError(f"--checkpoint {checkpoint}: no such file")
    weights = bundle.manifest.weights
    if hash_file(checkpoint) != weights.sha256:
        raise UsageError(
            f"--checkpoint {checkpoint}: not what {bundle.path} was made from ({weights.source}, "
            f"SHA-256 {weights.sha256[:12]}...); give that file, or export it again"
        )


def open_baseline(bundle: Bundle, checkpoint: Path, **options: Any) -> PublishedMethod:
    """The published method with a bundle's prompts and constants; options: as PublishedMethod's.

    Raises EngineError where torch or open_clip is missing.
    """
    try:
        from maclip_export.checkpoints import load_file
        from maclip_export.published import PublishedMethod
    except ImportError as error:
        raise EngineError(
            f"the baseline needs torch and open_clip ({error}); pip install 'maclip-edge[export]'"
        ) from None
    manifest = bundle.manifest
    method = manifest.method
    model = load_file(checkpoint).model
    scored = tuple(pair for pair in manifest.prompts if pair.scored)
    return PublishedMethod(model, scored, method.views, method.head, **options)
