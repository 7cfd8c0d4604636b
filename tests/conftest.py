"""Fixtures for all tests. A folder's name says what its tests need: see CONTRIBUTING.md."""

from __future__ import annotations

import signal
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.support.leftovers import end_processes
from tests.support.report import write_folder_times
from tests.support.turns import Turns

pytest_plugins = ["pytester", "tests.support.browser"]

_TURNS = pytest.StashKey[Turns]()
_TOGETHER = {
    "clients": "programs of other projects",  # one at a time: each keeps all cores busy
    "cluster/test_jupyter.py": "JupyterLab",
    "cluster/test_jupyter_browser.py": "JupyterLab",
    "cluster/test_report_in_browser.py": "all workloads",
    "cluster/test_run_all.py": "all workloads",
}
_FIRST = ("faults", "clients", "apptainer", "cluster", "images", "unit")
"""Order of folders: those whose tests mostly wait come first; short tests fill the gaps."""


def pytest_configure(config: pytest.Config) -> None:
    """Declare our markers, and join the other processes of this run if pytest-xdist has started several."""
    # nohup and background jobs ignore these signals, and programs under test would inherit that
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "alone: runs while no other test does, because it measures or fills the machine")
    config.addinivalue_line("markers", "soak(only=False): `make soak` runs it repeatedly on a busy machine")
    run = getattr(config, "workerinput", {}).get("testrunuid")
    if run:
        config.stash[_TURNS] = Turns(run)


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the processes that killed workers of this run have left, and remove the run's shared files."""
    session: Any = config.pluginmanager.get_plugin("dsession")
    if session is not None and session.nodemanager is not None:
        end_processes(session.nodemanager.testrunuid)
        Turns(session.nodemanager.testrunuid).remove()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Assign whole files, or groups of files, to processes."""
    return ByFile(config, log)


class ByFile(LoadScopeScheduling):  # type: ignore[misc]
    """Schedule the tests of a file, or of several files that share something costly, in one process."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0].removeprefix("tests/")
        folder = file.partition("/")[0]
        return _TOGETHER.get(file) or _TOGETHER.get(folder, file)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect tests for `make soak` only; in parallel runs, start with tests that wait, and end with those alone."""
    if "soak" not in config.option.markexpr:
        items[:] = [item for item in items if not _only_soak(item)]

    def rank(item: pytest.Item) -> tuple[bool, int]:
        folder = item.path.relative_to(config.rootpath / "tests").parts[0]
        return item.get_closest_marker("alone") is not None, _FIRST.index(folder)

    if hasattr(config, "workerinput"):
        items.sort(key=rank)  # stable: a file's tests stay in their order


def _only_soak(item: pytest.Item) -> bool:
    mark = item.get_closest_marker("soak")
    return mark is not None and mark.kwargs.get("only", False)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Wait for the test's turn, before its timeout starts."""
    turns = item.config.stash.get(_TURNS, None)
    if turns is None:
        return (yield)
    with turns.turn(alone=item.get_closest_marker("alone") is not None):
        return (yield)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the time of each folder."""
    write_folder_times(terminalreporter)


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """Return a folder that all processes of this run share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if hasattr(request.config, "workerinput") else base


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the checkout."""
    return Path(__file__).parents[1]


@pytest.fixture(scope="session")
def versions(root: Path) -> dict[str, str]:
    """Return the entries of `versions.env`."""
    lines = (root / "versions.env").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
