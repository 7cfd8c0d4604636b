"""Every workload is a script that needs only Dask and NumPy; here it runs in an environment with nothing else."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, get_task_stream
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from dask_hpc.tutorial import discovery

UNDER_MPI = {"mpi-hello", "dask-mpi", "hybrid-mpi"}  # tests/images has these, where mpirun is
MOST_LINES = 125  # "about 120"
PLAIN = ("dask", "distributed", "numpy")

ALONE = """
import json, runpy, sys
from importlib.machinery import PathFinder

absent = set(json.loads(sys.argv.pop(1)))

class Plain(PathFinder):
    @classmethod
    def find_spec(cls, name, *rest):
        return None if name.partition(".")[0] in absent else super().find_spec(name, *rest)

sys.meta_path[:] = [Plain if finder is PathFinder else finder for finder in sys.meta_path]
runpy.run_path(sys.argv[1], run_name="__main__")
"""
"""A program that runs a script in an environment without some packages."""


def required(*names: str) -> set[str]:
    """Return the normalized names of these distributions and of all their requirements."""
    found: set[str] = set()
    to_do = [canonicalize_name(name) for name in names]
    while to_do:
        name = to_do.pop()
        if name in found:
            continue
        try:
            needs = distribution(name).requires or []
        except PackageNotFoundError:  # required on another system or by another Python
            continue
        found.add(name)
        parsed = [Requirement(need) for need in needs]
        to_do += [canonicalize_name(one.name) for one in parsed if not one.marker or one.marker.evaluate({"extra": ""})]
    return found


@pytest.fixture(scope="module")
def absent() -> str:
    """Return, as JSON, the modules of this environment that an environment with Dask and NumPy does not have."""
    from importlib.metadata import packages_distributions

    plain = required(*PLAIN)
    modules = {
        module
        for module, owners in packages_distributions().items()
        if not {canonicalize_name(owner) for owner in owners} & plain
    }
    assert {"cryptography", "rich", "threadpoolctl"} <= modules
    return json.dumps(sorted(modules | {"dask_hpc"}))


def run_alone(script: Path, absent: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a copy of a script in another folder.

    Once in some hundred runs, a worker's last message finds its connection closed. Dask logs that at level INFO, with a
    traceback, and shows this level again as soon as the cluster is closed.
    """
    copy = folder / script.name
    copy.write_bytes(script.read_bytes())
    return subprocess.run(
        [sys.executable, "-I", "-c", ALONE, absent, str(copy)],
        cwd=folder,
        env=os.environ | {"DASK_LOGGING__DISTRIBUTED": "warning"},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("name", [name for name in discovery.available() if name not in UNDER_MPI])
def test_runs_with_dask_and_numpy_alone(name: str, absent: str, tmp_path: Path) -> None:
    """The script starts a LocalCluster, prints its result, and leaves no error."""
    done = run_alone(discovery.available()[name], absent, tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(r"\d", done.stdout), "it prints its result"
    assert "Traceback" not in done.stderr
    assert "ERROR" not in done.stderr


def test_tutorial_runs_with_dask_and_numpy_alone(root: Path, absent: str, tmp_path: Path) -> None:
    """The learner's first script also runs without Slurm, MPI and `dask_hpc`."""
    done = run_alone(root / "workloads" / "tutorial.py", absent, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "762.94 MiB in all, 106.81 MiB in this block" in done.stdout
    assert "the eigenvalues of A² are the squares of A's" in done.stdout
    assert done.stderr.count("Sending large graph") == 1


SMALL: dict[str, dict[str, Any]] = {
    "data-locality": {"n": 50},
    "delayed-sum": {"n": 50},
    "eigenvalues": {"n": 20, "matrices": 2},
    "futures-pipeline": {"n": 20, "matrices": 2, "compare": 1},
    "local-cluster": {"samples": 1000, "n_workers": 1},
    "monte-carlo-pi": {"samples": 1000, "chunks": 3},
    "partitioned-array": {"rows": (4, 3), "columns": (2, 2)},
    "pinned-tasks": {"n": 10},
}


@pytest.mark.parametrize("name", [name for name in discovery.available() if name not in UNDER_MPI])
def test_main_computes_on_given_client(name: str, two_workers: Client) -> None:
    """A notebook can import `main` and call it with its own client, which need not be Dask's current one."""
    main = import_module(f"workloads.{name.replace('-', '_')}").main
    with get_task_stream(two_workers) as stream:
        assert main(two_workers, **SMALL.get(name, {}))
    assert stream.data


@pytest.mark.parametrize("name", discovery.available())
def test_script_is_short(name: str) -> None:
    """A workload is short enough to read in one sitting."""
    assert len(discovery.available()[name].read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def test_detects_import_of_absent_package(absent: str, tmp_path: Path) -> None:
    """A script that needs more than Dask and NumPy fails."""
    for module in ("dask_hpc.tutorial", "rich", "threadpoolctl"):
        (tmp_path / "more.py").write_text(f"import {module}\n")
        folder = tmp_path / module
        folder.mkdir()
        done = run_alone(tmp_path / "more.py", absent, folder)
        assert done.returncode == 1
        assert f"ModuleNotFoundError: No module named '{module.partition('.')[0]}'" in done.stderr
