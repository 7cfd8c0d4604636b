"""Short jobs and steps on nodes."""

from __future__ import annotations

import os

import pytest

from dask_hpc.errors import ClusterError
from dask_hpc.slurm.srun import MOST_NODES, Room, find_room, once_a_node, srun
from tests.support.requests import SLURM_SINFO
from tests.support.site_commands import Commands

ALLOCATION = {"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "n[2-3]"}


def test_chooses_idle_nodes_on_login_node(commands: Commands) -> None:
    """Busy and down nodes are left out; the job has the user's account and QOS, and gives way to other jobs."""
    commands.sinfo("batch*", nodes=SLURM_SINFO)
    found = find_room({"SBATCH_ACCOUNT": "chem", "SBATCH_QOS": "high"}, None)
    assert found.nodes == ("c1", "c2")
    assert {"--partition=batch", "--account=chem", "--qos=high", "--immediate=15", "--time=1"} <= set(found.options)


def test_limits_number_of_nodes(commands: Commands) -> None:
    """At most `MOST_NODES` nodes are chosen."""
    commands.sinfo("batch*", nodes="".join(f"c{n}|batch*|2|4000|idle|0/2/0/2|1:00:00\n" for n in range(200)))
    assert len(find_room({}, "batch").nodes) == MOST_NODES


def test_chooses_nodes_of_allocation(commands: Commands) -> None:
    """The step overlaps with running steps; an error of Slurm's is raised."""
    commands["scontrol"] = "printf 'n2\\nn3\\n'"
    assert find_room(ALLOCATION, None) == Room(("--jobid=7", "--overlap", "--mem=0"), ("n2", "n3"))
    assert commands.calls("scontrol") == ["show hostnames n[2-3]"]
    commands["scontrol"] = "echo down >&2; exit 1"
    with pytest.raises(ClusterError, match="down"):
        find_room(ALLOCATION, None)


def test_runs_one_task_per_node() -> None:
    """The tasks are not MPI ranks."""
    options = once_a_node(["c1", "c2"])
    assert options == ["--nodelist=c1,c2", "--nodes=2", "--ntasks=2", "--ntasks-per-node=1", "--mpi=none"]


def test_step_does_not_inherit_size_of_outer_step(commands: Commands) -> None:
    """The configuration of Slurm and PMIx is kept; PMIx uses ring fences, with which MPI does not crash."""
    commands["srun"] = "env"
    environ = {"SLURM_NTASKS": "4", "SLURM_CONF": "/c", "PMIX_RANK": "0", "PMIX_MCA_gds": "hash"}
    out = srun("-n1", "true", timeout=9, environ={**os.environ, **environ}).out.splitlines()
    assert {"SLURM_CONF=/c", "PMIX_MCA_gds=hash", "SLURM_PMIX_FENCE=ring"} <= set(out)
    assert not [line for line in out if line.startswith(("SLURM_NTASKS", "PMIX_RANK"))]
    assert commands.calls("srun") == ["-n1 true"]
