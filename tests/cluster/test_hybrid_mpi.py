"""The MPI workloads, as ranks of an existing job and submitted from the login node."""

from __future__ import annotations

import json
from typing import Any

import pytest

from slurm_sim import SlurmSim

pytestmark = pytest.mark.timeout(240)

BATCH = ("srun", "--mpi=pmix", "-N2", "-n6", "--overcommit", "--mem=3G")  # a scheduler, the client, four workers
SMALL = ("--n", "600", "--iterations", "20")


def result(sim: SlurmSim, *command: str) -> dict[str, Any]:
    """Run a workload that must succeed, with all checks."""
    found: dict[str, Any] = json.loads(sim.exec(*command, "--on", "mpi", "--json", timeout=110).stdout)
    assert found["ok"], found["checks"]
    return found


def test_power_iteration_matches_numpy(slurm_sim: SlurmSim) -> None:
    """Four ranks on two nodes compute NumPy's eigenvalue from blocks that Dask holds."""
    found = result(slurm_sim, *BATCH, "dask-hpc", "run", "hybrid-mpi", *SMALL)
    assert found["values"]["ranks"] == found["cluster"]["workers"] == 4
    assert len(found["cluster"]["nodes"]) == 2
    assert found["values"]["eigenvalue"] == pytest.approx(300, rel=0.02)  # n/2, as for every such matrix
    assert min(found["values"]["mpi_step"], found["values"]["dask_step"]) > 0  # bench reports which is smaller


def test_power_iteration_runs_from_login_node(slurm_sim: SlurmSim) -> None:
    """From the login node the client is not a rank, and the collective is the same."""
    found = result(slurm_sim, "dask-hpc", "run", "hybrid-mpi", *SMALL)
    assert found["values"]["ranks"] == 3
    assert slurm_sim.exec("squeue", "-h").stdout == ""


def test_every_rank_says_hello(slurm_sim: SlurmSim) -> None:
    """Each of six ranks on two nodes reports once, including the scheduler and the client."""
    found = result(slurm_sim, *BATCH, "dask-hpc", "run", "mpi-hello")
    values = found["values"]
    assert (values["ranks"], values["size"], values["workers"], values["nodes"]) == (6, 6, 4, 2)
    assert values["library"].startswith("Open MPI v5")


def test_workers_share_allocation(slurm_sim: SlurmSim) -> None:
    """Every rank except the scheduler's is a worker, and together they do not exceed the job's resources."""
    values = result(slurm_sim, "dask-hpc", "run", "dask-mpi")["values"]
    assert (values["workers"], values["world"], values["nodes"]) == (3, 4, 2)
    assert values["threads"] == 3
    assert values["memory"] <= 2 * 4096 << 20


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--on", "local"), "hybrid-mpi does not support --on local"),
        (("--on", "mpi", "--nodes", "1", "--ranks-per-node", "2"), "hybrid-mpi needs at least 2 workers"),
    ],
)
def test_rejects_local_run_and_single_worker(slurm_sim: SlurmSim, words: tuple[str, ...], said: str) -> None:
    """Without MPI, or with only one worker, the run is rejected."""
    done = slurm_sim.exec("dask-hpc", "run", "hybrid-mpi", *words, check=False, timeout=150)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
