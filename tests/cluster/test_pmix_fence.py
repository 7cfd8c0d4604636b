"""MPI_Init relies on PMIx fences: no rank may leave one before all ranks on all nodes have entered it."""

from __future__ import annotations

import json

import pytest

from slurm_sim import SlurmSim
from tests.support.programs import PROGRAMS

RANKS = 4


def left_early(sim: SlurmSim, env: dict[str, str]) -> list[int]:
    """Return the fences that a rank left before the last rank, the one with the fence's number, entered them."""
    sim.put(PROGRAMS / "fence.py", "/home/hpc/fence.py")
    folder = sim.exec("mktemp", "--directory", "--tmpdir=/home/hpc").stdout.strip()
    words = ("srun", "--mpi=pmix", "-N2", f"-n{RANKS}", "python", "fence.py", f"{RANKS}", folder)
    told = [json.loads(line) for line in sim.exec(*words, env=env, timeout=90).stdout.splitlines()]
    sim.exec("rm", "-r", folder)
    assert len(told) == RANKS
    return sorted(fence for fences in told for fence in fences)


@pytest.mark.soak
def test_fences_hold_all_ranks(slurm_sim: SlurmSim) -> None:
    """With the mini-cluster's mpi.conf, no rank leaves a fence early."""
    assert left_early(slurm_sim, {}) == []


@pytest.mark.soak
@pytest.mark.parametrize("fence", ["tree", "mixed"])
def test_other_slurm_fences_let_ranks_leave_early(slurm_sim: SlurmSim, fence: str) -> None:
    """If this fails, Slurm is fixed: remove mpi.conf, SLURM_PMIX_FENCE in our scripts and doctor's warning."""
    assert left_early(slurm_sim, {"SLURM_PMIX_FENCE": fence}) != []
