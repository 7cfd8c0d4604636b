"""`dask-hpc run --all` on a mini-cluster, once for all tests that check its results."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class AllRun:
    """Status, entries, messages and results folder, copied to this machine, of one `dask-hpc run --all --on slurm`.

    `before` lists the runs' folder in the home before the run.
    """

    status: int
    entries: list[dict[str, Any]]
    said: str
    results: Path
    before: str


def own_folder(sim: Any) -> str:
    """List the folder that runs keep in the home, in which the logs of failed runs stay."""
    found: str = sim.exec("sh", "-c", "ls ~/.dask-hpc 2>/dev/null || true").stdout
    return found


ALL = ("dask-hpc", "run", "--all", "--on", "slurm")
"""The README's command, which also fetches the results."""

_RUN = pytest.StashKey[AllRun]()
_LIMIT = 900  # seconds, on a busy machine; alone it takes about one minute


@pytest.fixture
def all_run(slurm_sim: Any, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AllRun:
    """Every workload on the session's mini-cluster, run once for all tests."""
    stash = request.config.stash
    if _RUN not in stash:
        before = own_folder(slurm_sim)
        folder = tmp_path_factory.mktemp("all")
        done = slurm_sim.exec(*ALL, "--results", "/home/hpc/all", "--json", check=False, timeout=_LIMIT)
        slurm_sim.get("/home/hpc/all", folder)
        entries = json.loads(done.stdout)
        stash[_RUN] = AllRun(done.returncode, entries, done.stderr, folder / "all", before)
    return stash[_RUN]
