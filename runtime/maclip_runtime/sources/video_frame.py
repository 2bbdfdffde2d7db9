"""One decoded video frame to RGB: matrix, range, rotation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from maclip_runtime.errors import SourceError
from maclip_runtime.method.pixels import Frame
from maclip_runtime.sources.colour import assume_matrix, convert_gray
from maclip_runtime.sources.source import Notice, Notices
from maclip_runtime.vocabulary import ColourMatrix

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

# FFmpeg's numbers (AVColorSpace, from ITU-T H.273) for the matrices that libswscale converts. The
# two names of BT.601, 5 and 6, are one matrix.
_SWSCALE_MATRIX = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
_ASSUMED: dict[ColourMatrix, int] = {"bt709": 1, "bt601": 5, "bt2020": 9}
_RGB, _UNSPECIFIED, _RESERVED = 0, 2, 3
_LIMITED, _FULL = 1, 2  # AVColorRange; 0 is unspecified
# Gray without a word on its range is full in images and from devices, but limited by these standards.
_LIMITED_BY_DEFAULT = ("h264", "hevc")
_HDR_TRANSFERS = {16: "PQ", 18: "HLG"}  # AVColorTransferCharacteristic


class FrameConverter:
    """Converts the frames of one stream; `notices` gives what there was to say about them."""

    def __init__(self, name: str, codec: str, notices: Notices) -> None:
        self._name = name
        self._codec = codec
        self._once = notices.once
        self._pending: list[Notice] = []

    def convert(self, frame: VideoFrame) -> Frame:
        """RGB as it is to be shown: uint8 `[H, W, 3]`, C-contiguous."""
        if frame.color_trc in _HDR_TRANSFERS:
            transfer = _HDR_TRANSFERS[frame.color_trc]
            text = f"HDR ({transfer}) is not tone-mapped: its scores compare only with their like"
            self._pending += self._once("colour", text)
        try:
            pixels = self._to_gray(frame) if _is_gray(frame) else self._to_rgb(frame)
        except (ValueError, OSError) as error:  # of both kinds are PyAV's own
            reason = f"pixels of format {frame.format.name} cannot be converted: {error}"
            raise SourceError(self._name, reason) from None
        return np.ascontiguousarray(self._orient(pixels, frame))

    def _to_rgb(self, frame: VideoFrame) -> Frame:
        converted = frame.reformat(
            format="rgb24",
            src_colorspace=self._matrix(frame),
            src_color_range=_FULL
            if frame.format.is_rgb or frame.color_range == _FULL
            else _LIMITED,
            dst_color_range=_FULL,
        )
        return converted.to_ndarray().astype(np.uint8, copy=False)  # bytes already

    def _to_gray(self, frame: VideoFrame) -> Frame:
        """By our own table: libswscale takes gray for full range, whatever the frame says."""
        luma = frame.reformat(format="gray").to_ndarray().astype(np.uint8, copy=False)
        limited = frame.color_range == _LIMITED or (
            frame.color_range != _FULL and self._codec in _LIMITED_BY_DEFAULT
        )
        return convert_gray(luma, "limited" if limited else "full")

    def notices(self) -> list[Notice]:
        """What is to be said since the last call."""
        pending, self._pending = self._pending, []
        return pending

    def _matrix(self, frame: VideoFrame) -> int:
        if frame.colorspace in _SWSCALE_MATRIX:
            return _SWSCALE_MATRIX[frame.colorspace]
        matrix = assume_matrix(frame.width, frame.height)
        if frame.colorspace not in (_RGB, _UNSPECIFIED, _RESERVED):
            text = f"colour matrix {frame.colorspace} (H.273) is not known; taken as {matrix}"
            self._pending += self._once("colour", text)
        return _ASSUMED[matrix]

    def _orient(self, pixels: Frame, frame: VideoFrame) -> Frame:
        """Apply the display matrix: quarter turns and mirrorings, as video players do."""
        matrix = _display_matrix(frame)
        if matrix is None:
            return pixels
        # FFmpeg: x' = a x + c y, y' = b x + d y, stored as a, b, u, c, d, v, x, y, w.
        a, b, c, d = (int(matrix[place]) for place in (0, 1, 3, 4))
        if a and d and not (b or c):
            turned, across, down = pixels, a, d
        elif b and c and not (a or d):
            turned, across, down = pixels.swapaxes(0, 1), c, b
        else:
            text = f"the rotation flag ({frame.rotation} degrees) is no quarter turn: not applied"
            self._pending += self._once("rotated", text)
            return pixels
        if turned is pixels and across > 0 and down > 0:
            return pixels
        text = "turned or mirrored as its rotation flag says"
        self._pending += self._once("rotated", text)
        return turned[:: 1 if down > 0 else -1, :: 1 if across > 0 else -1]


def _is_gray(frame: VideoFrame) -> bool:
    return frame.format.name.startswith("gray")


def _display_matrix(frame: VideoFrame) -> NDArray[np.int32] | None:
    sides: Any = frame.side_data
    for place in range(len(sides)):  # its iterator gives what are no keys of it
        side = sides[place]
        if side.type.name == "DISPLAYMATRIX":
            return np.frombuffer(bytes(side), np.int32)
    return None
