"""Self-contained HTML pages: Jinja2 with autoescape, and a policy that runs no script but the page's own.

File names come from strangers. Autoescape keeps them text; should it ever be forgotten, the page's content
security policy still lets nothing load from anywhere and no other script run.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maclip_runtime.errors import UsageError
from maclip_runtime.files import open_whole
from maclip_runtime.version import __version__

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATES = Path(__file__).parent / "templates"


def open_templates() -> Environment:
    """The templates; UsageError, saying what to install, where Jinja2 is missing."""
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ModuleNotFoundError:
        raise UsageError("reports need Jinja2", "run: pip install 'maclip-edge[report]'") from None
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = show_figure
    environment.filters["data_uri"] = to_data_uri
    return environment


def write_page(path: Path, template: str, script: str | None = None, **content: Any) -> None:
    """Render a template into a file that appears whole; what it iterates over is read as it is written.

    script: the file name of its JavaScript. OutputError where the file cannot be written.
    """
    page = open_templates().get_template(template)
    code = "" if script is None else (_TEMPLATES / script).read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    from markupsafe import Markup

    pieces: Iterator[str] = page.generate(
        style=Markup((_TEMPLATES / "style.css").read_text(encoding="utf-8")),
        script=Markup(code),
        script_policy=f"'sha256-{digest}'" if code else "'none'",
        made=f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC, maclip-edge {__version__}",
        **content,
    )
    with open_whole(path, "w") as stream:
        stream.writelines(pieces)  # type: ignore[arg-type]


def show_figure(value: float | None) -> str:
    """A figure as pages show it: four decimals, as the table of `maclip score`."""
    return "" if value is None else f"{value:.4f}"


def to_data_uri(data: bytes, kind: str) -> str:
    """Bytes of the media type `kind` as an address that needs no network."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
