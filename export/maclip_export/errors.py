"""Errors of exporting."""

from maclip_runtime.errors import MaclipError


class CheckpointError(MaclipError):
    """Weights that cannot be loaded, or are not those of a supported CLIP."""


class PromptsError(MaclipError):
    """A prompts file that does not say what is needed."""


class CalibrationError(MaclipError):
    """Calibration pictures that are missing, too few or unreadable."""


class VerificationError(MaclipError):
    """A graph that does not compute what torch computes, within its tolerance."""
