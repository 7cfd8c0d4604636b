"""The array and `delayed` workloads on SLURMCluster with two nodes, run from the login node."""

from __future__ import annotations

import json
from typing import Any

import pytest


def run(sim: Any, name: str, *options: str) -> dict[str, Any]:
    """Run a workload on two nodes; assert that its checks pass, and return its result."""
    done = sim.exec("dask-hpc", "run", name, "--on", "slurm", "--jobs", "2", "--json", *options)
    result: dict[str, Any] = json.loads(done.stdout)
    assert result["ok"]
    assert len(result["cluster"]["nodes"]) == 2
    assert "Sending large graph" not in done.stderr
    return result


@pytest.mark.slurm_sim(nodes=2)
def test_partitioned_array_matches_numpy(slurm_sim: Any) -> None:
    """Every block's sum equals NumPy's, regardless of the node that drew the block."""
    result = run(slurm_sim, "partitioned-array", "--rows", "700,300", "--columns", "600,200,200")
    assert result["values"]["bytes"] == 8 * 1000 * 1000
    assert {"the sum of every block is NumPy's", "blocks[0,1] is drawn without the others"} <= names(result)


@pytest.mark.soak
@pytest.mark.slurm_sim(nodes=2)
def test_delayed_sum_runs_in_parallel(slurm_sim: Any) -> None:
    """Both nodes compute squares, and the sum equals NumPy's."""
    result = run(slurm_sim, "delayed-sum", "--n", "1500")
    assert "squares are computed by several threads" in names(result)
    assert 1 <= result["values"]["at_once"] <= result["values"]["threads"]


@pytest.mark.slurm_sim(nodes=2)
def test_eigenvalues_match_numpy(slurm_sim: Any) -> None:
    """One worker and two, each on its own node, find the same spectra as NumPy on the login node."""
    result = run(slurm_sim, "eigenvalues", "--n", "100", "--matrices", "4", "--repeats", "1")
    assert {"1 worker", "2 workers"} < set(result["timings"])
    assert {"all ways give the same spectra", "tasks ran on the intended workers"} <= names(result)


@pytest.mark.slurm_sim(nodes=2)
def test_sweep_varies_number_of_chunks(slurm_sim: Any) -> None:
    """From 1 to 128 chunks, the number of tasks equals the number of chunks, and π stays correct."""
    result = run(slurm_sim, "monte-carlo-pi", "--sweep", "--samples", "1e6", "--no-serial")
    assert {f"{chunks} chunks" for chunks in (2, 4, 8, 16, 32, 64, 128)} < set(result["timings"])
    assert "each number of chunks gives as many tasks" in names(result)
    assert result["values"]["seconds_per_task"] > 0


@pytest.mark.parametrize(
    ("name", "options", "size"),
    [
        ("eigenvalues", ["--n", "30000"], "GiB"),
        ("partitioned-array", ["--rows", "1e6", "--columns", "1e6", "--block", "0,0"], "TiB"),
    ],
)
def test_rejects_size_that_does_not_fit_worker(slurm_sim: Any, name: str, options: list[str], size: str) -> None:
    """A size that does not fit is rejected with needed and available memory, and no job is submitted."""
    done = slurm_sim.exec("dask-hpc", "run", name, "--on", "slurm", *options, check=False)
    assert done.returncode == 2
    assert all(word in done.stderr for word in ("does not fit into a worker's memory", size, "4.00 GiB"))
    assert "Traceback" not in done.stderr
    assert slurm_sim.exec("squeue", "-h").stdout == ""


def names(result: dict[str, Any]) -> set[str]:
    """Return the names of the checks."""
    return {check["name"] for check in result["checks"]}
