"""The documentation as a site: it builds without a warning, and its pages fetch nothing from elsewhere."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# What a browser fetches by itself when it shows a page; links (`a`) are for the reader to follow.
FETCHED = {
    "audio": ("src",), "embed": ("src",), "iframe": ("src",), "img": ("src", "srcset"), "input": ("src",),
    "link": ("href",), "object": ("data",), "script": ("src",), "source": ("src", "srcset"),
    "track": ("src",), "use": ("href", "xlink:href"), "video": ("src", "poster"),
}  # fmt: skip
ABSOLUTE = re.compile(r"(?:https?:)?//", re.IGNORECASE)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site as `make docs` builds it, elsewhere."""
    directory = tmp_path_factory.mktemp("site")
    command = ["-m", "mkdocs", "build", "--strict", "--site-dir", str(directory)]
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, timeout=300,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return directory


class Fetches(HTMLParser):
    """Everything that a page makes a browser fetch."""

    def __init__(self):
        super().__init__()
        self.addresses = []

    def handle_starttag(self, tag, attributes):
        wanted = FETCHED.get(tag, ())
        self.addresses += [value for name, value in attributes if name in wanted and value]


def test_pages_fetch_nothing_from_elsewhere(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        parser = Fetches()
        parser.feed(page.read_text(encoding="utf-8"))
        assert parser.addresses, page
        for address in parser.addresses:
            assert not ABSOLUTE.match(address), f"{page.name} fetches {address}"
    for sheet in site.rglob("*.css"):
        text = re.sub(r"/\*.*?\*/", "", sheet.read_text(encoding="utf-8"), flags=re.DOTALL)
        for address in re.findall(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)", text):
            assert not ABSOLUTE.match("".join(address)), f"{sheet.name} fetches {address}"


def test_every_page_is_in_the_navigation_and_every_command_on_its_page(site, maclip):
    home = (site / "index.html").read_text(encoding="utf-8")
    for page in (ROOT / "docs").rglob("*.md"):
        address = page.relative_to(ROOT / "docs").with_suffix(".html").as_posix()
        assert f'href="{address}"' in home or address == "index.html", address
    commands = (site / "commands.html").read_text(encoding="utf-8")
    listing = maclip("--help", COLUMNS="80").stdout.split("Commands:\n")[1]
    for line in listing.splitlines():
        assert f"Usage: maclip {line.split()[0]} " in commands


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_what_the_repositorys_own_pages_link_to_is_there(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    for address in re.findall(r"\]\(([^)#]+)", text):
        assert ABSOLUTE.match(address) or (ROOT / address).exists(), address


def test_the_api_page_has_everything_that_is_exported(site):
    import maclip_runtime

    page = (site / "api.html").read_text(encoding="utf-8")
    for name in set(maclip_runtime.__all__) - {"__version__"}:
        assert f'id="maclip_runtime.{name}"' in page, name


def test_the_browsers_page_is_embedded_where_it_has_been_assembled(site):
    page = (site / "try.html").read_text(encoding="utf-8")
    assembled = (ROOT / "build" / "web" / "index.html").exists()
    assert ('<iframe src="web/index.html"' in page) == assembled
    assert (site / "web" / "index.html").exists() == assembled
