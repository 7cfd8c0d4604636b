"""The launcher on a bare mini-cluster, as users install it: next to the SIF, on the shared file system."""

from __future__ import annotations

from typing import Any

from slurm_sim import Completed, SlurmSim
from tests.support.bridge_site import LAUNCHER
from tests.support.waiting import left_after_a_minute

COMMAND = "/home/hpc/dask-hpc"
RUN = ("run", "monte-carlo-pi", "--on", "slurm", "--samples", "1e7")

_LEFT = """
exec 2>/dev/null
{
ls -d /tmp/dask-hpc-* /run/user/*/dask-hpc-* ~/.dask-hpc/*.tls
ps -u hpc -o pid=,ppid=,etime=,args= | grep -iE 'dask-hpc|apptainer|squashfuse' | grep -v -e squeue -e grep
} | sed "s/^/$(hostname): /"
"""


def install(sim: SlurmSim) -> None:
    """Copy the launcher to the user's home."""
    sim.put(LAUNCHER, COMMAND)
    sim.exec("chmod", "+x", COMMAND)


def launch(sim: SlurmSim, shared: str, *words: str, **how: Any) -> Completed:
    """Run the launcher on the login node."""
    how.setdefault("timeout", 120)
    return sim.exec(COMMAND, *words, env={"DASK_HPC_SIF": shared} | how.pop("env", {}), **how)


def left(sim: SlurmSim) -> str:
    """Return the bridge's jobs, sockets, credentials and processes that are left on any node after a minute."""
    return left_after_a_minute(sim, _LEFT)
