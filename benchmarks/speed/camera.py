"""A simulated camera: still photographs filmed in three shots with what happens to cameras in the field.

    shot 1   slow defocus and back
    shot 2   after a cut: part of the picture is covered and uncovered, then a pan
    shot 3   after a cut: two exposure steps, then an object moves through the picture

Sensor noise lies over all of it. A seed determines every pixel. Nothing is drawn that a scheduler of views
could know beforehand: places, directions and the noise come from the seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from maclip_runtime.errors import UsageError
from maclip_runtime.method.pixels import Frame

_MARGIN = 1.2  # of the frame's size: what a pan has to move in
_NOISE_ROOM = 64  # pixels by which the noise is shifted from frame to frame


@dataclass(frozen=True)
class Event:
    """Something begins or ends. `sudden`: within one frame."""

    frame: int
    name: str
    sudden: bool


@dataclass(frozen=True)
class Script:
    """What happens when, in frames; `length` frames in all."""

    defocus: tuple[int, int, int, int] = (
        30,
        150,
        165,
        285,
    )  # begins, deepest, returns, sharp again
    cut: int = 315
    covered: tuple[int, int] = (345, 375)
    pan: tuple[int, int] = (400, 460)
    second_cut: int = 480
    exposure: tuple[int, int] = (510, 535)
    moving: tuple[int, int] = (550, 590)
    length: int = 600

    def scale(self, factor: float) -> Script:
        """The same in another time: `factor` 0.5 is half as many frames."""

        def shorten(frame: int) -> int:
            return round(frame * factor)

        return Script(
            defocus=(*map(shorten, self.defocus),),  # type: ignore[arg-type]
            cut=shorten(self.cut),
            covered=(shorten(self.covered[0]), shorten(self.covered[1])),
            pan=(shorten(self.pan[0]), shorten(self.pan[1])),
            second_cut=shorten(self.second_cut),
            exposure=(shorten(self.exposure[0]), shorten(self.exposure[1])),
            moving=(shorten(self.moving[0]), shorten(self.moving[1])),
            length=shorten(self.length),
        )

    def list_events(self) -> list[Event]:
        """Every begin and end, in order of time."""
        begins, deepest, returns, sharp = self.defocus
        return [
            Event(begins, "defocus begins", sudden=False),
            Event(deepest, "defocus is deepest", sudden=False),
            Event(returns, "focus returns", sudden=False),
            Event(sharp, "in focus", sudden=False),
            Event(self.cut, "cut", sudden=True),
            Event(self.covered[0], "covered", sudden=True),
            Event(self.covered[1], "uncovered", sudden=True),
            Event(self.pan[0], "pan begins", sudden=False),
            Event(self.pan[1], "pan ends", sudden=False),
            Event(self.second_cut, "second cut", sudden=True),
            Event(self.exposure[0], "exposure up", sudden=True),
            Event(self.exposure[1], "exposure down", sudden=True),
            Event(self.moving[0], "object enters", sudden=False),
            Event(self.moving[1], "object leaves", sudden=False),
        ]


class Camera:
    """Frames uint8 RGB `[height, width, 3]` of three photographs.

    photographs: three, uint8 RGB, each at least as large as a frame. noise: standard deviation of the
    sensor noise in 8-bit steps. blur: the deepest defocus, a Gaussian's standard deviation in pixels of a
    720-line frame; pan: pixels a frame, likewise.
    """

    def __init__(
        self,
        photographs: Sequence[Frame],
        width: int,
        height: int,
        *,
        seed: int,
        noise: float = 2.0,
        blur: float = 3.0,
        pan: float = 3.0,
        script: Script | None = None,
    ) -> None:
        if len(photographs) != 3:
            raise UsageError(f"the camera films three photographs, not {len(photographs)}")
        self.script = script or Script()
        self.events = self.script.list_events()
        self.width, self.height = width, height
        scale = height / 720
        self._blur, self._pan = blur * scale, pan * scale
        self._seed = seed
        self._rng = rng = np.random.default_rng(seed)
        self._scenes = [self._fit(photograph) for photograph in photographs]
        shape = (height + _NOISE_ROOM, width + _NOISE_ROOM, 3)
        self._noise = np.rint(rng.normal(0, noise, shape)).astype(np.int16)
        self._cover = self._make_cover()
        self._object, self._mask = self._make_object()
        self._pan_sign = int(rng.choice((-1, 1)))  # to the left or to the right
        self._path = float(rng.uniform(0.3, 0.7))  # height of the moving object's middle

    def film(self) -> Iterator[Frame]:
        """The stream from its beginning."""
        return map(self.take, range(self.script.length))

    def take(self, number: int) -> Frame:
        """Frame `number` of the stream; the same every time."""
        return self._expose(self._draw(number), np.random.default_rng((self._seed, number)))

    def _draw(self, number: int) -> Frame:
        script = self.script
        if number < script.cut:
            return self._defocus(self._crop(0, 0), number)
        if number < script.second_cut:
            shift = np.clip(number - script.pan[0], 0, script.pan[1] - script.pan[0]) * self._pan
            frame = self._crop(1, self._pan_sign * round(float(shift)))
            if script.covered[0] <= number < script.covered[1]:
                alpha = self._cover
                frame = (frame * (1 - alpha) + np.float32(35) * alpha).astype(np.uint8)
            return frame
        frame = self._crop(2, 0)
        if script.exposure[0] <= number < script.exposure[1]:
            frame = np.minimum(frame * np.float32(1.5), 255).astype(np.uint8)
        if script.moving[0] <= number < script.moving[1]:
            frame = self._paste(frame, number)
        return frame

    def _defocus(self, frame: Frame, number: int) -> Frame:
        begins, deepest, returns, sharp = self.script.defocus
        depth = float(np.interp(number, (begins, deepest, returns, sharp), (0, 1, 1, 0)))
        if depth == 0:
            return frame
        blurred = Image.fromarray(frame).filter(ImageFilter.GaussianBlur(self._blur * depth))
        return np.asarray(blurred)

    def _paste(self, frame: Frame, number: int) -> Frame:
        """The object on its way from the left of the picture to the right."""
        first, last = self.script.moving
        side = len(self._object)
        left = round((self.width + side) * (number - first) / (last - first)) - side
        top = round(self._path * self.height - side / 2)
        start, stop = max(left, 0), min(left + side, self.width)
        if stop <= start:
            return frame
        part = slice(start - left, stop - left)
        frame = frame.copy()
        under = frame[top : top + side, start:stop]
        alpha = self._mask[:, part]
        under[...] = under * (1 - alpha) + self._object[:, part] * alpha
        return frame

    def _expose(self, frame: Frame, rng: np.random.Generator) -> Frame:
        top, left = rng.integers(0, _NOISE_ROOM, 2)
        noise = self._noise[top : top + self.height, left : left + self.width]
        return np.clip(frame + noise, 0, 255).astype(np.uint8)

    def _fit(self, photograph: Frame) -> Frame:
        """A photograph scaled until it is as much larger than a frame as a pan needs."""
        height, width = photograph.shape[:2]
        if height < self.height or width < self.width:
            raise UsageError(
                f"a photograph of {width} x {height} is too small for frames of "
                f"{self.width} x {self.height}"
            )
        scale = _MARGIN * max(self.height / height, self.width / width)
        size = (round(width * scale), round(height * scale))
        return np.asarray(Image.fromarray(photograph).resize(size, Image.Resampling.LANCZOS))

    def _crop(self, scene: int, shift: int) -> Frame:
        """The frame from the middle of a scene, moved by `shift` pixels to the right."""
        picture = self._scenes[scene]
        room_y, room_x = picture.shape[0] - self.height, picture.shape[1] - self.width
        # A pan to the left starts at the right and the other way round, so that it has room.
        start = 0.5 - 0.45 * self._pan_sign if scene == 1 else 0.5
        left = int(np.clip(round(start * room_x) + shift, 0, room_x))
        top = room_y // 2
        return picture[top : top + self.height, left : left + self.width]

    def _make_cover(self) -> NDArray[np.float32]:
        """How opaque the obstruction is, `[height, width, 1]`: an ellipse that reaches in from a side."""
        mask = Image.new("L", (self.width, self.height))
        middle = self._rng.uniform((-0.1, 0.2), (0.2, 0.8)) * (self.width, self.height)
        if self._rng.random() < 0.5:
            middle[0] = self.width - middle[0]
        radius = np.array((0.42 * self.width, 0.45 * self.height))
        ImageDraw.Draw(mask).ellipse((*(middle - radius), *(middle + radius)), fill=255)
        mask = mask.filter(ImageFilter.GaussianBlur(self.height / 60))
        return np.asarray(mask, np.float32)[..., None] / np.float32(255)

    def _make_object(self) -> tuple[Frame, NDArray[np.float32]]:
        """A disc cut from the first photograph, a quarter of the frame high, and its mask."""
        side = self.height // 4
        picture = self._scenes[0]
        top = int(self._rng.integers(0, picture.shape[0] - side))
        left = int(self._rng.integers(0, picture.shape[1] - side))
        mask = Image.new("L", (side, side))
        ImageDraw.Draw(mask).ellipse((2, 2, side - 3, side - 3), fill=255)
        mask = mask.filter(ImageFilter.GaussianBlur(1))
        alpha = np.asarray(mask, np.float32)[..., None] / np.float32(255)
        return picture[top : top + side, left : left + side], alpha
