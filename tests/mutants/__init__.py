"""Mutation tests: make small changes to the code, one at a time, and count those that the unit tests notice.

`make mutants` runs mutmut over each package of `PACKAGES`; `make mutants ARGS=channel` over one. An interrupted run
continues where it stopped. A verdict holds until its function changes; survivors are tried again when tests change.

mutmut takes a module's name from its path. So each package gets a copy of the checkout, `.cache/mutants/NAME`, with
the package in `src`. To see what a mutant changes, run `mutmut show MUTANT` in that folder.

Not mutated: messages (`layout.WORDING`), module-level code, and decorated functions, which mutmut skips.

This file is also the pytest plugin of the runs.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TREES = ROOT / ".cache/mutants"


@dataclass(frozen=True)
class Package:
    """A package's folder, as mutmut finds it, and its unit tests."""

    folder: str
    tests: str
    script: str = ""
    """Module that tests run as a separate program without installed packages, so it cannot import mutmut."""


PACKAGES = {
    "slurm_sim": Package("src/slurm_sim", "tests/unit/slurm_sim"),
    "clusters": Package("src/dask_hpc/clusters", "tests/unit/dask_hpc/clusters"),
    "slurm": Package("src/dask_hpc/slurm", "tests/unit/dask_hpc/slurm"),
    "jobqueue_config": Package("src/dask_hpc/jobqueue_config", "tests/unit/dask_hpc/jobqueue_config"),
    "bridge": Package("src/dask_hpc/bridge", "tests/unit/dask_hpc/test_bridge.py", script="dask_hpc/bridge/shim.py"),
    "channel": Package("containers/channel", "tests/unit/channel"),
}


def pytest_configure() -> None:
    """Make programs that tests start import the mutated packages, and record their calls."""
    os.environ |= {"PYTHONPATH": str(Path("src").absolute()), "MUTANTS_CALLS": str(Path("calls.txt").absolute())}


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown() -> None:
    """Add the calls of a test's programs to those that mutmut has seen."""
    from mutmut.state import state

    calls = Path(os.environ["MUTANTS_CALLS"])
    if calls.exists():
        state()._stats.update(calls.read_text(encoding="utf-8").split())
        calls.unlink()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the fastest tests first: one failure is enough."""
    try:
        known = json.loads(Path("mutmut-stats.json").read_text(encoding="utf-8"))["duration_by_test"]
    except OSError:
        return
    items.sort(key=lambda item: float(known.get(item.nodeid, 0)))
