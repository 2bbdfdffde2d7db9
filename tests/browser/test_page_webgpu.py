"""The page on WebGPU: here the one that Chromium emulates on the CPU, which "automatic" does not take."""

from __future__ import annotations

from pathlib import Path

import pytest
from page import OpenPage
from serving import Site

from maclip_runtime import Scorer

CHELSEA = Path(__file__).parents[2] / "samples/chelsea.jpg"
SWIFTSHADER = (
    "--enable-unsafe-webgpu",
    "--enable-features=Vulkan",
    "--use-vulkan=swiftshader",
    "--use-webgpu-adapter=swiftshader",
)


def test_scores_on_webgpu_are_those_of_the_package(open_page: OpenPage, site: Site) -> None:
    page = open_page(f"{site.address}?engine=webgpu", options=SWIFTSHADER)
    page.wait_for_demo()
    assert page.text("#bundle-status") == "Demo encoder \u00b7 WebGPU"
    means = page.run("return app.lab.original.means")
    with Scorer("demo") as scorer:
        expected = scorer.score(CHELSEA)
    assert means["score"] == pytest.approx(expected.score, abs=1e-4)
    assert means["attributes"] == pytest.approx(list(expected.attributes.values()), abs=1e-4)


def test_a_browser_without_webgpu_says_so_where_it_is_asked_for(
    open_page: OpenPage, site: Site
) -> None:
    page = open_page(f"{site.address}?engine=webgpu")
    page.wait(lambda: page.text("#bundle-error"))
    told = page.text("#bundle-error")
    assert told == "this browser has no WebGPU here; choose automatic or WebAssembly"
    page.find('#engine option[value="auto"]').click()
    page.wait_for_demo()
    assert "WebAssembly" in page.text("#bundle-status")
