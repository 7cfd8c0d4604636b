"""What MPI_Init relies on: no rank leaves a fence of PMIx before all of them, on all nodes, have come to it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slurm_sim import SlurmSim

PROGRAM = Path(__file__).with_name("fence_program.py")
RANKS = 4


def left_early(sim: SlurmSim, env: dict[str, str]) -> int:
    """Of how many fences some rank left before the last one came."""
    sim.put(PROGRAM, "/home/hpc/fence_program.py")
    words = ("srun", "--mpi=pmix", "-N2", f"-n{RANKS}", "python", "fence_program.py", f"{RANKS}")
    told = [json.loads(line) for line in sim.exec(*words, env=env, timeout=60).stdout.splitlines()]
    assert len(told) == RANKS
    fences = list(zip(*told, strict=True))
    return sum(min(left for _, left in fence) < max(came for came, _ in fence) for fence in fences)


def test_fences_hold_all_ranks(slurm_sim: SlurmSim) -> None:
    """As the mini-cluster is configured (mpi.conf)."""
    assert left_early(slurm_sim, {}) == 0


@pytest.mark.parametrize("fence", ["tree", "mixed"])
def test_slurms_other_fences_do_not(slurm_sim: SlurmSim, fence: str) -> None:
    """If this fails, Slurm is mended: then mpi.conf, SLURM_PMIX_FENCE in our scripts and doctor's warning can go."""
    assert left_early(slurm_sim, {"SLURM_PMIX_FENCE": fence}) > 0
