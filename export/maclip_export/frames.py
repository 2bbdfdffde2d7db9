"""Scenes laid out in the pixel formats that graphs take, and the RGB that the runtime makes of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maclip_runtime.bundle.manifest import VideoColour
from maclip_runtime.method.pixels import Frame
from maclip_runtime.sources.colour import convert_yuv
from maclip_runtime.sources.pictures import read_frame
from maclip_runtime.vocabulary import GraphPixelFormat


def lay_out(
    scene: Frame, pixel_format: GraphPixelFormat, colour: VideoColour | None
) -> tuple[NDArray[np.uint8], Frame]:
    """A frame of a format with a scene's content, and what it is in RGB.

    With alpha, the scene fades out to the right; as nv12, which wants even sides, its green becomes luma
    and the others chroma: no likeness, but every value occurs.
    """
    if pixel_format == "bgr24":
        return np.ascontiguousarray(scene[:, :, ::-1]), scene
    if pixel_format == "rgba":
        alpha = np.linspace(255, 0, scene.shape[1]).astype(np.uint8)
        over = np.dstack([scene, np.broadcast_to(alpha, scene.shape[:2])])
        return over, read_frame(Image.fromarray(over))
    if pixel_format == "nv12":
        assert colour is not None
        luma, pairs = scene[:, :, 1], scene[::2, ::2, [2, 0]]
        frame = np.concatenate([luma, pairs.reshape(-1, scene.shape[1])])
        return frame, convert_yuv(luma, pairs[:, :, 0], pairs[:, :, 1], colour.matrix, colour.range)
    return scene, scene
