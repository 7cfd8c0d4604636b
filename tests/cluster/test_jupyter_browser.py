"""JupyterLab and Dask's dashboard in a real browser."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.support.wait import WebDriverWait

from slurm_sim import SlurmSim
from tests.support.browser import Browser
from tests.support.lab import ask, token_of
from tests.support.waiting import until_in

pytestmark = [pytest.mark.slurm_sim(jupyter=True), pytest.mark.timeout(300)]

_SAYS = "return document.querySelector(arguments[0])?.innerText ?? ''"
_IDLE = "return document.querySelector('#jp-main-statusbar')?.innerText.includes('dask-hpc | Idle')"
_QUEUE = "return / dask-hpc +hpc +R /.test(document.querySelector('.jp-Notebook').innerText)"
_WORKERS = """
const seen = new Set(), look = (root) => { for (const one of root.querySelectorAll("*")) {
  if (one.shadowRoot) look(one.shadowRoot);
  if (!one.children.length && /^tls:/.test(one.textContent)) seen.add(one.textContent);
} };
look(document); return seen.size;
"""
"""Counts the worker addresses on the page, including those inside Bokeh's figures."""

_TERMINAL = """
if (window.terminal === undefined) {
  window.terminal = "";
  const headers = {"X-XSRFToken": document.cookie.match(/_xsrf=([^;]+)/)[1]};
  fetch("/api/terminals", {method: "POST", headers}).then((answer) => answer.json()).then(({name}) => {
    const socket = new WebSocket(`ws://${location.host}/terminals/websocket/${name}`);
    socket.onmessage = (message) => { window.terminal += JSON.parse(message.data).slice(1).join(""); };
    const command = "echo $(command -v python dask-hpc) $OMP_NUM_THREADS\\r";
    socket.onopen = () => socket.send(JSON.stringify(["stdin", command]));
    socket.onclose = () => { window.terminal = undefined; };
  }).catch(() => { window.terminal = undefined; });
}
return window.terminal?.includes("/opt/env/bin/python /opt/env/bin/dask-hpc 1");
"""
"""Opens a terminal as JupyterLab does, and returns whether it has the environment.

Chromium aborts requests when a network interface changes; the next call then opens another terminal.
"""

FIRST_CELLS = 8
"""Number of cells up to the queue: text, imports, the Dask cluster, the client."""


def complaints(browser: Browser) -> list[str]:
    """Return the console's messages, except those that a busy machine causes.

    Those are about slow plugins, and about requests that Chromium aborts and repeats when a network changes.
    """
    return [said for said in browser.console() if not re.search("ERR_NETWORK_CHANGED|to activate", said)]


def test_shows_login_page_without_token(slurm_sim: SlurmSim, browser: Browser) -> None:
    """Without the token, the browser shows a form that asks for it."""
    root = slurm_sim.jupyter().address.split("/lab")[0]
    browser.open(f"{root}/login")
    browser.driver.delete_all_cookies()
    browser.open(f"{root}/lab")
    assert "/login" in browser.driver.current_url
    assert "Password or token" in browser.run(_SAYS, "body")


def test_terminal_has_environment(slurm_sim: SlurmSim, browser: Browser) -> None:
    """JupyterLab's terminal is a login shell."""
    browser.open(slurm_sim.jupyter().address)
    browser.wait_for(_TERMINAL)


# Alone: Chromium aborts requests when a network appears or disappears. JupyterLab once never became ready.
@pytest.mark.alone
def test_notebook_starts_cluster_and_dashboard_shows_it(slurm_sim: SlurmSim, browser: Browser, tmp_path: Path) -> None:
    """The notebook starts a Dask cluster, the dashboard shows its two workers, and ending the kernel ends its jobs."""
    lab = slurm_sim.jupyter()
    browser.open(lab.address.replace("/lab?", "/lab/tree/tutorial.ipynb?"))
    browser.wait_for(_IDLE, 150)
    for _ in range(FIRST_CELLS):
        ActionChains(browser.driver).key_down(Keys.SHIFT).send_keys(Keys.ENTER).key_up(Keys.SHIFT).perform()
    browser.wait_for(_QUEUE, 150)
    links = browser.run("return [...document.querySelectorAll('.jp-OutputArea a')].map((one) => one.href)")
    browser.driver.save_screenshot(str(tmp_path / "notebook.png"))
    root = lab.address.split("/lab")[0]
    assert f"{root}/proxy/8787/status" in links
    assert not complaints(browser)

    browser.open(lab.pages["Dask's dashboard"])
    browser.wait_for("return document.title.includes('Dask')")
    drawn = WebDriverWait(browser.driver, 150)
    drawn.until(lambda _: max((one["colours"] for one in browser.canvases()), default=0) > 10)
    browser.driver.save_screenshot(str(tmp_path / "status.png"))
    browser.open(f"{root}/proxy/8787/workers")
    browser.wait_for(f"return (() => {{ {_WORKERS} }})() === 2")
    browser.driver.save_screenshot(str(tmp_path / "workers.png"))
    assert not complaints(browser)

    for kernel in json.loads(ask(lab, "/api/kernels", token=token_of(lab))[1]):
        ask(lab, f"/api/kernels/{kernel['id']}", token=token_of(lab), method="DELETE")
    until_in(slurm_sim, '[ -z "$(squeue --noheader)" ]')
    assert slurm_sim.exec("sh", "-c", "ls -d ~/.dask-hpc/*.tls 2>/dev/null", check=False).stdout == ""
