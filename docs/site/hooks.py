"""What the documentation's site takes from elsewhere: the browser's page, and every command's help.

MkDocs calls these functions by their names; `mkdocs.yml` names this file.
"""

from __future__ import annotations

from pathlib import Path

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from typer.testing import CliRunner

from maclip_runtime.cli.app import build_app

ROOT = Path(__file__).parents[2]
WEB = ROOT / "build" / "web"  # where `make web` assembles the page that scores in the browser

_EMBEDDED = """
<iframe src="web/index.html" title="Score pictures here" class="web"
allow="camera; clipboard-read"></iframe>

[The page by itself](web/index.html)
"""
_NOT_ASSEMBLED = """!!! note "The page is not part of this build"

    Run `make web`, then `make docs`: the page is then here. Until then, `make demo` scores in a terminal.
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The browser's page goes into the site as it is, where it has been assembled."""
    for path in sorted(WEB.rglob("*")) if _is_assembled() else ():
        if path.is_file():
            name = Path("web") / path.relative_to(WEB)
            files.append(File.generated(config, str(name), abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The pages that have a mark where something is put in."""
    if page.file.src_uri == "try.md":
        return markdown.replace("<!-- web -->", _EMBEDDED if _is_assembled() else _NOT_ASSEMBLED)
    if page.file.src_uri == "commands.md":
        return markdown.replace("<!-- help -->", "\n".join(_list_help()))
    return markdown


def _is_assembled() -> bool:
    return (WEB / "index.html").exists()


def _list_help() -> list[str]:
    """A section for each command: its help, as a terminal of 80 columns shows it."""
    app = build_app()
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    sections = []
    for name in commands:
        shown = CliRunner().invoke(app, [name, "--help"], prog_name="maclip", env={"COLUMNS": "80"})
        assert shown.exit_code == 0, shown.output
        sections.append(f"## maclip {name}\n\n```text\n{shown.output.strip()}\n```\n")
    return sections
