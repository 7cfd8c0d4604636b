"""The futures workloads on SLURMCluster, over TLS, with workers on two nodes."""

from __future__ import annotations

import json
from typing import Any

import pytest

ON_SLURM = ("--on", "slurm", "--json")


def run(sim: Any, name: str, *options: str) -> dict[str, Any]:
    """Run a workload on two nodes over TLS; assert that its checks pass, and return its result."""
    result: dict[str, Any] = json.loads(sim.exec("dask-hpc", "run", name, *ON_SLURM, *options).stdout)
    assert [check for check in result["checks"] if not check["ok"]] == []
    assert len(set(result["cluster"]["nodes"])) == 2
    assert result["cluster"]["tls"]
    return result


def refused(sim: Any, name: str, *options: str) -> str:
    """Run a workload that must be rejected with status 2, before a job is submitted; return the error."""
    done = sim.exec("dask-hpc", "run", name, *ON_SLURM, *options, check=False)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "#SBATCH" not in done.stderr
    return str(done.stderr)


@pytest.mark.slurm_sim(nodes=2)
def test_matrices_stay_on_nodes(slurm_sim: Any) -> None:
    """Squares and eigenvalues equal NumPy's, and less than a tenth of 12 MB of matrices reaches the login node."""
    values = run(slurm_sim, "futures-pipeline", "--n", "300", "--matrices", "8")["values"]
    assert values["bytes_on_workers"] == 2 * 8 * 8 * 300**2
    assert values["bytes_received_by_client"] < values["bytes_on_workers"] / 10


@pytest.mark.slurm_sim(nodes=2)
def test_data_locality_counts_bytes_and_warnings(slurm_sim: Any) -> None:
    """Dask warns only about matrices in graphs, and bytes are counted over TLS."""
    values = run(slurm_sim, "data-locality", "--n", "1200")["values"]
    matrix = 8 * 1200**2
    assert values["submit, local matrix: warns"]
    assert values["submit, local matrix: client sends"] > 3 * matrix
    assert values["made on a worker: client sends"] < matrix / 10
    assert matrix < values["map, scattered matrix: client sends"] < 1.1 * matrix


@pytest.mark.slurm_sim(nodes=2)
def test_pinned_tasks_keep_copies_on_both_nodes(slurm_sim: Any) -> None:
    """Copies stay on two nodes while the memory manager is stopped, and on one once it runs."""
    values = run(slurm_sim, "pinned-tasks", "--n", "200")["values"]
    assert values["nodes"] == values["workers"] == 2
    assert values["copies_while_stopped"] == 2
    assert values["copies_with_manager"] == 1


@pytest.mark.slurm_sim(nodes=2)
def test_local_cluster_matches_slurm(slurm_sim: Any) -> None:
    """A LocalCluster on the login node gives the nodes' result, and leaves no process or folder behind."""
    run(slurm_sim, "local-cluster", "--samples", "1e6")
    assert "local-cluster-" not in slurm_sim.exec("ls", "/tmp").stdout
    assert slurm_sim.exec("sh", "-c", "cat /proc/[0-9]*/cmdline | grep -ac '[s]pawn_main'", check=False).stdout == "0\n"


def test_pinned_tasks_rejects_single_worker(slurm_sim: Any) -> None:
    """A Dask cluster with one worker is rejected, and the error gives the needed and the planned number."""
    said = refused(slurm_sim, "pinned-tasks", "--jobs", "1")
    assert "pinned-tasks needs at least 2 workers" in said
    assert "Planned: 1" in said


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("futures-pipeline", ("--n", "20000", "--compare", "0")),
        ("data-locality", ("--n", "9000")),
        ("pinned-tasks", ("--n", "20000")),
    ],
)
def test_rejects_size_that_does_not_fit_worker(slurm_sim: Any, name: str, options: tuple[str, ...]) -> None:
    """A size that needs more memory than a worker of a 4 GiB node has is rejected, with the amounts."""
    said = refused(slurm_sim, name, *options)
    assert f"{name} does not fit into" in said
    assert "GiB" in said
