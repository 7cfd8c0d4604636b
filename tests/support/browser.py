"""A real Chromium for tests that look at pages, driven by Selenium; `tests/install-clients.sh` installs it."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import pytest
from selenium.common.exceptions import TimeoutException, WebDriverException
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.support.wait import WebDriverWait

from tests.support import lacking

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
)
"""No sandbox, which refuses to run as root, and no background traffic on the network."""


class Canvas(TypedDict):
    """A canvas on the page: its size in CSS pixels, and its number of colours."""

    width: float
    height: float
    colours: int


_CANVASES = """
const found = [], look = (root) => { for (const one of root.querySelectorAll("*")) {
  if (one.shadowRoot) look(one.shadowRoot);
  if (one instanceof HTMLCanvasElement && one.width && one.height) {
    const pixels = new Uint32Array(one.getContext("2d").getImageData(0, 0, one.width, one.height).data.buffer);
    const box = one.getBoundingClientRect();
    found.push({width: box.width, height: box.height, colours: new Set(pixels).size});
  } } };
look(document); return found;
"""
_TOO_WIDE = """
const most = document.documentElement.clientWidth + 1, scrolls = (one) => one && one !== document.body &&
  (["auto", "scroll", "hidden"].includes(getComputedStyle(one).overflowX) || scrolls(one.parentElement));
return [...document.body.querySelectorAll("*")].filter((one) => one.getBoundingClientRect().right > most &&
  !scrolls(one.parentElement)).map((one) => `${one.tagName}.${one.className}: ${one.textContent.slice(0, 60)}`)
  .concat(document.documentElement.scrollWidth > most ? [`the page: ${document.documentElement.scrollWidth}`] : []);
"""


@dataclass(frozen=True)
class Browser:
    """One Chromium; `driver` gives access to everything else in Selenium."""

    driver: Chrome

    def open(self, url: str, width: int = 1280, height: int = 900) -> None:
        """Load a page in a window of that size, in CSS pixels, and clear its console."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.console()
        WebDriverWait(self.driver, 120, poll_frequency=0.1).until(lambda _: self._loads(url), f"cannot load {url}")
        self.wait_for("return document.readyState === 'complete'")

    def _loads(self, url: str) -> bool:
        """Load a page; return false if Chromium aborted the request because a network interface changed."""
        try:
            self.driver.get(url)
        except WebDriverException as error:
            if "ERR_NETWORK_CHANGED" not in str(error.msg):
                raise
            return False
        return True

    def run(self, script: str, *arguments: Any) -> Any:
        """Return what JavaScript returns."""
        return self.driver.execute_script(script, *arguments)

    def wait_for(self, script: str, seconds: float = 120) -> Any:
        """Return what JavaScript returns as soon as that is true.

        Raises:
            TimeoutException: Selenium's, with the text of the page and of its console.
        """
        try:
            return WebDriverWait(self.driver, seconds, poll_frequency=0.1).until(lambda _: self.run(script))
        except TimeoutException as error:
            page = self.run("return document.body.innerText")
            console = "\n".join(self.console())
            raise TimeoutException(f"{script}\n{page}\nThe console:\n{console}") from error

    def console(self) -> list[str]:
        """Return the warnings and errors in the page's console since the last call."""
        entries = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        return [entry["message"] for entry in entries if entry["level"] in ("SEVERE", "WARNING")]

    def canvases(self) -> list[Canvas]:
        """Return all canvases, including those inside Bokeh's figures."""
        found: list[Canvas] = self.run(_CANVASES)
        return found

    def too_wide(self) -> list[str]:
        """Return the elements that extend beyond the page's right edge, except those in a scrollable frame."""
        found: list[str] = self.run(_TOO_WIDE)
        return found

    def screenshot(self, file: Path) -> None:
        """Save a picture of the whole page, including the part below the window."""
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})
        file.write_bytes(base64.b64decode(shot["data"]))


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One Chromium with an empty profile for all tests. If it is not installed, skip them, or fail in CI."""
    chromium = shutil.which("chromium")
    driver = shutil.which("chromedriver")
    if not chromium or not driver:
        lacking("chromium or chromedriver not found: install them with tests/install-clients.sh")
    options = ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with Chrome(options=options, service=ChromeService(executable_path=driver)) as chrome:
        yield Browser(chrome)
