"""The page in a headless Chromium, as its tests use it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

PATIENCE = 120  # seconds after which something that is waited for will not come
_OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # for root, as whom CI runs
    "--disable-dev-shm-usage",
    "--force-prefers-reduced-motion",  # so that nothing moves away from under a click
)


def open_browser(*options: str) -> Chrome:
    chosen = ChromeOptions()
    chosen.binary_location = "/usr/bin/chromium"
    for option in (*_OPTIONS, *options):
        chosen.add_argument(option)
    chosen.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options=chosen, service=Service("/usr/bin/chromedriver"))
    driver.set_script_timeout(PATIENCE)
    return driver


OpenPage = Callable[..., "Page"]
"""The fixture `open_page`: address, options= of the browser, width=, height=, dark=."""


class Page:
    """One tab. width and height in CSS pixels; dark: the user's colour scheme."""

    def __init__(
        self,
        driver: Chrome,
        address: str,
        *,
        width: int = 1280,
        height: int = 900,
        dark: bool = False,
    ) -> None:
        self.driver = driver
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        driver.get(address)

    def close(self) -> list[str]:
        """Close it; the errors that its console had."""
        errors = [
            entry["message"]
            for entry in self.driver.get_log("browser")
            if entry["level"] == "SEVERE"
        ]
        self.driver.quit()
        return errors

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def find_all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        """An element's text, whether it can be seen or not."""
        return self.find(selector).get_property("textContent").strip()

    def wait(self, condition: Callable[[], Any]) -> Any:
        """Wait until a condition holds; its value."""
        return WebDriverWait(self.driver, PATIENCE, 0.05).until(lambda _: condition())

    def wait_for_demo(self) -> None:
        self.wait(lambda: self.find_all("#lab.ready"))

    def run(self, script: str, *arguments: Any) -> Any:
        """The value of an async function's body; `args` are the arguments, `app` is the page's module.

        Values come back through JSON, so typed arrays must be made plain ones.
        """
        wrapped = f"""
            const done = arguments[arguments.length - 1], args = [...arguments].slice(0, -1);
            (async () => {{ const app = await import("/app.js"); {script} }})()
                .then((value) => done({{value}}), (error) => done({{error: String(error)}}));
        """
        reply = self.driver.execute_async_script(wrapped, *arguments)
        assert "error" not in reply, reply["error"]
        return reply.get("value")

    def add_pictures(self, paths: Iterable[Path]) -> None:
        """Choose pictures, and wait until each has its score or its error."""
        given = list(paths)
        before = len(self.find_all("#pictures > li"))
        self.find("#choose-pictures").send_keys("\n".join(map(str, given)))
        self.wait(lambda: len(self.find_all("#pictures > li")) == before + len(given))
        self.wait_for_scores()

    def wait_for_scores(self) -> None:
        self.wait(lambda: self.run(_ALL_DONE))

    def clear(self) -> None:
        if self.find_all("#pictures > li"):
            self.find("#clear").click()

    def read_scores(self) -> dict[str, dict[str, Any]]:
        """What the worker said of each picture that has a score, and its maps, by file name."""
        return self.run(_SCORES)

    def read_order(self) -> list[str]:
        return [element.text for element in self.find_all("#pictures h3")]


_ALL_DONE = """
    return app.gallery.cards.every(({scored, item}) => scored || item.classList.contains("failed"));
"""
_SCORES = """
    const quantities = ["score", "similarity", "magnitude", ...app.session.pairs];
    const map = (scored, quantity) => {
        const made = app.session.makeMap(scored, quantity);
        return {...made, values: [...made.values]};
    };
    const scored = app.gallery.cards.filter(({scored}) => scored);
    return Object.fromEntries(scored.map(({file, scored}) => {
        const maps = Object.fromEntries(quantities.map((name) => [name, map(scored, name)]));
        return [file.name, {...scored, preview: null, maps}];
    }));
"""
