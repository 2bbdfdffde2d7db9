"""The yardsticks of speed: the published method in PyTorch, plain and tuned, from a bundle's checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from maclip_runtime.bundle.bundle import Bundle, hash_file
from maclip_runtime.errors import EngineError, UsageError

if TYPE_CHECKING:  # a device need not have torch
    from maclip_export.published import PublishedMethod


@dataclass(frozen=True)
class Tuning:
    """What PyTorch itself offers to make the method fast; see `TunedMethod`."""

    channels_last: bool = False
    compiled: bool = False
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"

    def __str__(self) -> str:
        named = {
            self.dtype: self.dtype != "float32",
            "torch.compile": self.compiled,
            "channels_last": self.channels_last,
        }
        return ", ".join(name for name, chosen in named.items() if chosen)


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


def open_baseline(
    bundle: Bundle, checkpoint: Path, *, tuning: Tuning | None = None, **options: Any
) -> PublishedMethod:
    """The published method with a bundle's prompts and constants; options: as PublishedMethod's.

    tuning: None for eager PyTorch as it is. Raises EngineError where torch or open_clip is missing.
    """
    try:
        from benchmarks.speed.tuned import TunedMethod
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
    if tuning is not None:
        return TunedMethod(model, scored, method.views, method.head, tuning=tuning, **options)
    return PublishedMethod(model, scored, method.views, method.head, **options)
