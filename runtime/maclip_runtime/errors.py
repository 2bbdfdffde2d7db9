"""Errors a user can act on: a cause that names the file, and a remedy.

`str(error)` is one line for whoever calls the library, settings written as Python has them
(`engine="onnxruntime-cpu"`). The command line renders the same error with its own options
(`--engine onnxruntime-cpu`), so that no module below it knows how it spells them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Remedy:
    """What to do about an error.

    text: in words; `{name}` stands for one of `settings`. command: the `maclip` command that does it,
    with its arguments; the settings are its options then. settings: by the names that the library has for
    them; None stands for a value that the user must choose.
    """

    text: str
    command: tuple[str, ...] = ()
    settings: Mapping[str, object] = field(default_factory=dict)

    def render(self, show: Callable[[str, object], str]) -> str:
        """The remedy in one line, each setting as `show(name, value)` writes it."""
        shown = {name: show(name, value) for name, value in self.settings.items()}
        text = self.text.format(**shown)
        if not self.command:
            return text
        return f"{text}: {' '.join(['maclip', *self.command, *shown.values()])}"


def show_keyword(name: str, value: object) -> str:
    """A setting as Python writes it: `engine="onnxruntime-cpu"`, or `frames=...`."""
    if value is None:
        return f"{name}=..."
    return f'{name}="{value}"' if isinstance(value, str) else f"{name}={value}"


class MaclipError(Exception):
    """Base of every error this project raises on purpose.

    cause: what is wrong, naming the file. remedy: what to do; where its words need no settings, plain
    text will do.
    """

    def __init__(self, cause: str, remedy: str | Remedy = "") -> None:
        super().__init__(cause, remedy)
        self.cause = cause
        self.remedy: Remedy = Remedy(remedy) if isinstance(remedy, str) else remedy

    def render(self, show: Callable[[str, object], str]) -> str:
        """Cause and remedy in one line, settings as `show(name, value)` writes them."""
        remedy = self.remedy.render(show)
        return f"{self.cause}; {remedy}" if remedy else self.cause

    def __str__(self) -> str:
        return self.render(show_keyword)

    def within(self, place: object) -> MaclipError:
        """The same error, its cause preceded by the file it is about."""
        return type(self)(f"{place}: {self.cause}", self.remedy)


class UsageError(MaclipError, ValueError):
    """An argument that the library does not take."""


class PictureError(MaclipError):
    """A picture that cannot be scored; the others of a run still can.

    `picture` is the path as it was given, or a short description of an in-memory picture.
    """

    def __init__(self, picture: str, reason: str, remedy: str | Remedy = "") -> None:
        super().__init__(f"{picture}: {reason}", remedy)
        self.picture = picture
        self._reason = reason

    @property
    def reason(self) -> str:
        """What is wrong and what to do, without the picture's name."""
        remedy = self.remedy.render(show_keyword)
        return f"{self._reason}; {remedy}" if remedy else self._reason


class FrameError(MaclipError):
    """A frame that an engine cannot take; others it still can."""


class SourceError(MaclipError):
    """A video, camera or pipe that cannot be opened, or a camera that was lost.

    `source` is its name, without passwords. `transient`: trying again may help, as when a camera
    does not answer; it does not where a library is missing or the pipeline has a typing error.
    """

    def __init__(self, source: str, reason: str, *, transient: bool = False) -> None:
        super().__init__(f"{source}: {reason}")
        self.source = source
        self.reason = reason
        self.transient = transient


class OutputError(MaclipError):
    """A file, device or pipe that results cannot be written to."""


class BundleError(MaclipError):
    """A bundle that is missing, damaged, or made for another version."""


class GateError(MaclipError):
    """A gate file that is missing, damaged, or made for other settings than those in use."""


class EngineError(MaclipError):
    """An inference engine that is not installed, or cannot run this bundle on this machine."""


def refuse_unknown(what: str, value: Any, known: tuple[Any, ...]) -> None:
    """Raise UsageError unless `value` is one of `known`."""
    if value not in known:
        raise UsageError(f"unknown {what} {value!r}", f"use one of {', '.join(map(str, known))}")
