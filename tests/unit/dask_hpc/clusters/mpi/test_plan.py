"""From what sinfo says to one job of many ranks, and its script."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dask_hpc.clusters.mpi.backend import MpiBackend
from dask_hpc.clusters.mpi.folder import Folder
from dask_hpc.clusters.mpi.plan import Request, make_request
from dask_hpc.clusters.mpi.script import job_script
from dask_hpc.clusters.sif import Sif
from dask_hpc.clusters.slurm.ask import parse_nodes
from dask_hpc.errors import RequestError

SINFO = """\
c1|batch*|4|4000|idle|0/4/0/4|1:00:00
c2|batch*|4|4000|idle|0/4/0/4|1:00:00
c3|batch*|64|250000|down*|0/0/64/64|1:00:00
"""
OPTIONS = dict.fromkeys(MpiBackend.options) | {"sbatch_option": (), "dashboard": "127.0.0.1:0", "tls": True}
FOLDER = Folder(Path("/home/me/.dask-hpc/one.mpi"))


def plan(**given: Any) -> Request:
    return make_request(OPTIONS | given, parse_nodes(SINFO), Path("/home/me/.dask-hpc/one"))


def script(image: Sif | None = None, **given: Any) -> str:
    return job_script(plan(**given), OPTIONS | given, "one", FOLDER, image)


def test_defaults_come_from_the_idle_nodes() -> None:
    """A rank a core on both idle nodes, each with its share of the memory; one of them all is the scheduler."""
    request = plan()
    assert (request.nodes, request.ranks_per_node, request.threads, request.memory) == (2, 4, 1, 1000)
    assert request.world == 8
    assert any("7 are workers" in row[2] for row in request.rows())
    assert {row[0].replace(" ", "_") for row in request.rows()} == set(request.settings())


def test_threads_take_cores_from_ranks() -> None:
    """With two threads a rank, half as many ranks have twice the memory each."""
    request = plan(threads=2)
    assert (request.ranks_per_node, request.memory) == (2, 2000)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"nodes": 3}, ["3 nodes", "c1: 4 cores", "--nodes"]),
        ({"ranks_per_node": 5}, ["5 cores", "5 ranks"]),
        ({"ranks_per_node": 2, "threads": 3}, ["6 cores"]),
        ({"memory": 1001}, ["4004 MiB", "4000 MiB"]),
        ({"nodes": 1, "ranks_per_node": 1}, ["A world of 1 rank", "a worker"]),
        ({"walltime": 7200}, ["01:00:00", "02:00:00"]),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Any], words: list[str]) -> None:
    """More than the nodes have, or less than a cluster needs, ends with both sides before anything is submitted."""
    with pytest.raises(RequestError) as caught:
        plan(**given)
    assert all(word in caught.value.message for word in words), caught.value.message


def test_the_script_asks_for_what_was_planned() -> None:
    """One job, one step, and one dead rank ends it; the script names the private folder, and holds no secret."""
    text = script(threads=2, walltime=60, account="me", sbatch_option=("--qos=debug",))
    for line in ("nodes=2", "ntasks-per-node=2", "cpus-per-task=2", "mem=4000M", "time=00:01:00", "qos=debug"):
        assert f"#SBATCH --{line}\n" in text
    assert "#SBATCH --no-requeue\n" in text
    assert "exec srun --mpi=pmix --kill-on-bad-exit=1 --cpus-per-task=2 python -m dask_hpc.clusters.mpi.rank" in text
    assert f"--folder {FOLDER.path}" in text
    assert "--interface" not in text
    assert "--interface ib0" in script(interface="ib0")


def test_in_a_sif_every_node_is_looked_at() -> None:
    """In a SIF each rank's own shell says what lacks on its node, and PMIx's variables pass into it."""
    text = script(Sif("/shared/dask hpc.sif", "apptainer", ("/data",)))
    assert "exec srun --mpi=pmix --kill-on-bad-exit=1 --cpus-per-task=1 bash -c '" in text
    for word in ("there is no apptainer on PATH", "${!PMIX_*}", "${!SLURM_*}", "/data", "dask hpc.sif"):
        assert word in text
