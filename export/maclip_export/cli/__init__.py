"""`maclip export` and `maclip prompts`, which the runtime's command line finds by their registration."""

from maclip_export.cli.commands import export, prompts

__all__ = ["export", "prompts"]
