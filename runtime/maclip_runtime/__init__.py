"""maclip_runtime: no-reference image quality scores from a MA-CLIP bundle, without torch.

    from maclip_runtime import Scorer
    print(Scorer("rn50.maclip").score("photo.jpg").score)

Importing this loads NumPy and Pillow; an inference engine is imported when a Scorer is made.
"""

from maclip_runtime.bundle.bundle import Bundle, open_bundle
from maclip_runtime.errors import (
    BundleError,
    EngineError,
    FrameError,
    GateError,
    MaclipError,
    PictureError,
    UsageError,
)
from maclip_runtime.method.head import Cues
from maclip_runtime.method.quality_map import QualityMap
from maclip_runtime.results.score import Score
from maclip_runtime.scorer import Scorer
from maclip_runtime.stream.stream import Reading, Stream
from maclip_runtime.version import __version__

__all__ = [
    "Bundle",
    "BundleError",
    "Cues",
    "EngineError",
    "FrameError",
    "GateError",
    "MaclipError",
    "PictureError",
    "QualityMap",
    "Reading",
    "Score",
    "Scorer",
    "Stream",
    "UsageError",
    "__version__",
    "open_bundle",
]
