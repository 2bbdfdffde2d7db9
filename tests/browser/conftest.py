"""Fixtures: the page as `make web` assembles it, served on this machine, in Debian's Chromium."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from page import OpenPage, Page, open_browser
from serving import Site, World, running, serve

from web.assemble import WEB, assemble, install_packages

PROGRAMS = ("chromium", "chromedriver", "npm")


@pytest.fixture(scope="session")
def page_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that is served: assembling it checks the modules' types."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)} (tests/system_packages.sh)")
    install_packages()
    folder = tmp_path_factory.mktemp("web") / "page"
    assemble(folder)
    return folder


@pytest.fixture(scope="session")
def site(page_folder: Path) -> Iterator[Site]:
    with serve(page_folder) as served:
        yield served


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    world = World()
    with running(world.server):
        yield world


@pytest.fixture(scope="module")
def open_page(site: Site) -> Iterator[OpenPage]:
    """Open the page in a browser of its own; at the end it must have written no error to its console."""
    opened: list[Page] = []

    def open_one(
        address: str = site.address, *, options: tuple[str, ...] = (), **look: Any
    ) -> Page:
        page = Page(open_browser(*options), address, **look)
        opened.append(page)
        return page

    yield open_one
    errors = [error for page in opened for error in page.close()]
    assert not errors, errors


@pytest.fixture(scope="module")
def page(open_page: OpenPage) -> Page:
    """The page with the demo bundle open, for all tests of a module."""
    opened = open_page()
    opened.wait_for_demo()
    return opened


@pytest.fixture(scope="session")
def axe_source() -> str:
    return (WEB / "node_modules/axe-core/axe.min.js").read_text("utf-8")
