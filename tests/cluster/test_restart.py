"""Restarting the workers of a Dask cluster: they come back empty, in the same Slurm jobs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from slurm_sim import SlurmSim

pytestmark = pytest.mark.timeout(250)

RESTARTED = """
import json, os, subprocess, sys, time
from dask_hpc import cluster

def forever():
    time.sleep(600)

def slow(number):
    time.sleep(1)
    return number

def jobs():
    return subprocess.run(["squeue", "-h", "-o", "%i %T"], capture_output=True, text=True).stdout

found = {"counts": []}
with cluster(on=sys.argv[1], **json.loads(sys.argv[2])) as dask_cluster:
    client = dask_cluster.client
    before, count = jobs(), len(client.nthreads())
    client.run(setattr, os, "mark", 1)

    kept = client.submit(sum, [1, 2])
    kept.result()
    client.restart(timeout=60)
    found["kept"], found["marked"] = kept.status, sum(client.run(hasattr, os, "mark").values())
    found["counts"].append(len(client.nthreads()))

    running = client.map(lambda _: forever(), range(count))
    while not any(client.processing().values()):
        time.sleep(0.05)
    client.restart(timeout=60)
    found["running"] = sorted({future.status for future in running})
    found["counts"].append(len(client.nthreads()))

    client.restart(wait_for_workers=False)
    client.wait_for_workers(count, timeout=60)
    found["counts"].append(len(client.nthreads()))

    names = [worker["name"] for worker in client.scheduler_info(n_workers=-1)["workers"].values()]
    again = client.map(slow, range(2))
    found["by name"] = sorted(set(client.restart_workers(names, timeout=60).values()))
    found["results"], found["counts"] = client.gather(again), [*found["counts"], len(client.nthreads())]
    found["same jobs"] = before == jobs()
print(json.dumps(found))
"""

REFUSED = """
from dask_hpc import RequestError, cluster

with cluster(on="mpi", nodes=2, ranks_per_node=2) as dask_cluster:
    client = dask_cluster.client
    workers = list(client.scheduler_info(n_workers=-1)["workers"])
    ways = [(client.restart, {}), (client.restart, {"wait_for_workers": False})]
    for restart, how in [*ways, (client.restart_workers, {"workers": workers})]:
        try:
            restart(**how)
        except (RuntimeError, ValueError) as error:
            print("refused", error)
    for change in (dask_cluster.scale, dask_cluster.adapt):
        try:
            change(8)
        except RequestError as error:
            print("fixed", error.message.splitlines()[0])
    print("computes", client.submit(sum, [1, 2]).result())
"""

LOST = """
import subprocess, sys, time
from dask_hpc import cluster

with cluster(on="slurm", jobs=2) as dask_cluster:
    client = dask_cluster.client
    dask_cluster.scale(0)
    while client.nthreads():
        time.sleep(0.1)
    dask_cluster.scale(jobs=1)
    client.wait_for_workers(1, timeout=60)
    print("scaled", client.submit(sum, [1, 2]).result(timeout=60))

    subprocess.run(["scancel", "--me"], check=True)
    if sys.argv[1:] == ["restart"]:
        client.restart(timeout=120)
    print("replaced", client.submit(sum, [1, 2]).result(timeout=120))
"""


@pytest.mark.parametrize(
    ("backend", "options"),
    [("slurm", {"jobs": 2}), ("slurm", {"jobs": 1, "processes": 2}), ("local", {"workers": 2})],
)
def test_workers_restart_in_place(slurm_sim: SlurmSim, backend: str, options: dict[str, Any]) -> None:
    """Restarted workers come back without their state, as many as before; futures and running tasks are cancelled."""
    done = slurm_sim.exec("python", "-c", RESTARTED, backend, json.dumps(options), timeout=240)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found == {
        "kept": "cancelled",
        "marked": 0,
        "running": ["cancelled"],
        "by name": ["OK"],
        "results": [0, 1],
        "counts": [2] * 4,
        "same jobs": True,
    }


def test_mpi_cluster_refuses_to_restart_and_to_scale(slurm_sim: SlurmSim) -> None:
    """The error gives the reason, and the cluster continues to work."""
    told = slurm_sim.exec("python", "-c", REFUSED, timeout=120).stdout.splitlines()
    refused = [line for line in told if line.startswith("refused")]
    assert len(refused) == 3
    assert all("MPI ranks, which cannot be restarted" in line for line in refused[:2])
    assert len([line for line in told if line.startswith("fixed A Dask cluster on MPI cannot be scaled")]) == 2
    assert told[-1] == "computes 3"


@pytest.mark.parametrize("how", ["", "restart"])
def test_cancelled_jobs_are_replaced_also_after_scaling_to_zero(slurm_sim: SlurmSim, how: str) -> None:
    """A Dask cluster that has no worker, because of scaling or scancel, gets some again, also during a restart."""
    done = slurm_sim.exec("python", "-c", LOST, *filter(None, [how]), timeout=200)
    assert done.stdout.splitlines()[-2:] == ["scaled 3", "replaced 3"]
    assert "distributed" not in done.stderr
