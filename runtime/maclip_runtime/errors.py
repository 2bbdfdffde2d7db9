"""Errors a user can act on. Each message is one line that names the file and says what to do."""

from __future__ import annotations


class MaclipError(Exception):
    """Base of every error this project raises on purpose."""


class UsageError(MaclipError, ValueError):
    """An argument that the library does not take."""


class PictureError(MaclipError):
    """A picture that cannot be scored; the others of a run still can.

    `picture` is the path as it was given, or a short description of an in-memory picture.
    """

    def __init__(self, picture: str, reason: str) -> None:
        super().__init__(f"{picture}: {reason}")
        self.picture = picture
        self.reason = reason


class BundleError(MaclipError):
    """A bundle that is missing, damaged, or made for another version."""


class EngineError(MaclipError):
    """An inference engine that is not installed, or cannot run this bundle on this machine."""
