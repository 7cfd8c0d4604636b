"""Short jobs and steps on nodes."""

from __future__ import annotations

import os

import pytest

from dask_hpc.errors import ClusterError
from dask_hpc.slurm.srun import MOST_NODES, Room, find_room, once_a_node, srun
from tests.support.requests import SLURM_SINFO
from tests.support.site_commands import Commands

ALLOCATION = {"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "n[2-3]"}


def test_on_a_login_node_there_is_room_on_idle_nodes(commands: Commands) -> None:
    """Not on one that is down or has a job; the job goes where the user's jobs go, and other people's first."""
    commands.sinfo("batch*", nodes=SLURM_SINFO)
    found = find_room({"SBATCH_ACCOUNT": "chem", "SBATCH_QOS": "high"}, None)
    assert found.nodes == ("c1", "c2")
    assert {"--partition=batch", "--account=chem", "--qos=high", "--immediate=15", "--time=1"} <= set(found.options)


def test_of_many_nodes_only_some_are_taken(commands: Commands) -> None:
    """They are enough to find what is wrong."""
    commands.sinfo("batch*", nodes="".join(f"c{n}|batch*|2|4000|idle|0/2/0/2|1:00:00\n" for n in range(200)))
    assert len(find_room({}, "batch").nodes) == MOST_NODES


def test_in_an_allocation_there_is_room_on_its_nodes(commands: Commands) -> None:
    """A step beside those that run there; if Slurm does not list the nodes, that is an error."""
    commands["scontrol"] = "printf 'n2\\nn3\\n'"
    assert find_room(ALLOCATION, None) == Room(("--jobid=7", "--overlap", "--mem=0"), ("n2", "n3"))
    assert commands.calls("scontrol") == ["show hostnames n[2-3]"]
    commands["scontrol"] = "echo down >&2; exit 1"
    with pytest.raises(ClusterError, match="down"):
        find_room(ALLOCATION, None)


def test_one_task_runs_on_each_node() -> None:
    """It is no MPI rank."""
    options = once_a_node(["c1", "c2"])
    assert options == ["--nodelist=c1,c2", "--nodes=2", "--ntasks=2", "--ntasks-per-node=1", "--mpi=none"]


def test_a_step_does_not_inherit_the_size_of_the_one_around_it(commands: Commands) -> None:
    """The configuration of Slurm and PMIx stays; PMIx waits in a ring, with which MPI does not crash."""
    commands["srun"] = "env"
    environ = {"SLURM_NTASKS": "4", "SLURM_CONF": "/c", "PMIX_RANK": "0", "PMIX_MCA_gds": "hash"}
    out = srun("-n1", "true", timeout=9, environ={**os.environ, **environ}).out.splitlines()
    assert {"SLURM_CONF=/c", "PMIX_MCA_gds=hash", "SLURM_PMIX_FENCE=ring"} <= set(out)
    assert not [line for line in out if line.startswith(("SLURM_NTASKS", "PMIX_RANK"))]
    assert commands.calls("srun") == ["-n1 true"]
