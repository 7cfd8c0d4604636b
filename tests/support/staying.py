"""Clusters that stay, started and used as users do: by commands and programs on the login node."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from slurm_sim import Completed, SlurmSim
from tests.support.kept import PROGRAM
from tests.support.waiting import left_after_a_minute, until_in

SMALL = ("--cores", "1", "--memory", "500MiB")
ANSWER = """
import dask_hpc
with dask_hpc.attach("mine") as client:
    print("right:", sum(client.gather(client.map(pow, range(10), [2] * 10))))
"""
RIGHT = "right: 285\n"
WAITING = """
import time
from pathlib import Path
import dask_hpc
with dask_hpc.attach("mine") as client:
    future = client.submit(time.sleep, 200)
    client.wait_for_workers(1)
    Path("at-work").touch()
    future.result()
"""
ATTACHED = PROGRAM.replace("from dask_hpc import cluster", "import dask_hpc").replace(
    """with cluster(on="slurm", **json.loads(sys.argv[1])) as dask_cluster:
    client = dask_cluster.client
""",
    """with dask_hpc.attach("mine") as client:
""",
)
"""`tests.support.kept.PROGRAM`, on the cluster."""

LEFT = "pgrep -af '[d]istributed.cli|[c]luster serve'; ls -d ~/.dask-hpc/clusters/* ~/.dask-hpc/*.tls 2>/dev/null"


def cluster(sim: SlurmSim, *words: str, command: str = "dask-hpc", **how: Any) -> Completed:
    """Run `dask-hpc cluster` on the login node."""
    return sim.exec(*command.split(), "cluster", *words, **{"timeout": 120, **how})


def status(sim: SlurmSim, name: str = "mine", **how: Any) -> dict[str, Any]:
    """Return what `status` says about a cluster."""
    found: dict[str, Any] = json.loads(cluster(sim, "status", name, "--json", check=False, **how).stdout)
    return found


@contextmanager
def staying(sim: SlurmSim, *options: str, **how: Any) -> Iterator[Completed]:
    """Start the cluster `mine` with small jobs, and yield what that printed; at the end, nothing may be left."""
    started = cluster(sim, "start", "mine", *SMALL, *options, **how)
    try:
        yield started
    finally:
        cluster(sim, "stop", "mine", check=False, **how)
    assert left_after_a_minute(sim, LEFT) == ""


def program(sim: SlurmSim, text: str, python: str = "python", **how: Any) -> Completed:
    """Run a Python program on the login node."""
    return sim.exec(*python.split(), "-", stdin=text, **{"timeout": 120, **how})


def begin(sim: SlurmSim, text: str, python: str = "python") -> None:
    """Start a Python program on the login node that writes `out`, creates `at-work`, and at its end `ended`."""
    sim.exec("sh", "-c", "rm -f at-work ended out; cat >begun.py", stdin=text)
    sim.exec("sh", "-c", f"({python} -u begun.py >out 2>&1; echo $? >ended) >/dev/null 2>&1 </dev/null & echo $!")
    until_in(sim, "[ -e at-work ] || [ -e ended ]")


def output(sim: SlurmSim) -> str:
    """Return the output of that program, once it has ended."""
    until_in(sim, "[ -e ended ]")
    return sim.exec("cat", "out").stdout
