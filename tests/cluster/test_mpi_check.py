"""Ranks that do not find each other are told, on a real Slurm."""

from __future__ import annotations

import json

import pytest

from slurm_sim import SlurmSim

CHECK = ("python", "-m", "dask_hpc.mpi")


@pytest.mark.parametrize(
    "launcher",
    [
        ("srun", "--mpi=pmix", "-N2", "-n4"),
        ("mpirun", "-n", "4"),
        ("salloc", "-Q", "-N2", "mpirun", "-n", "4"),
        ("salloc", "-Q", "-n2"),
        (),
    ],
    ids=" ".join,
)
def test_a_whole_world_says_nothing(slurm_sim: SlurmSim, launcher: tuple[str, ...]) -> None:
    """All ranks are there: status 0, and not a word."""
    done = slurm_sim.exec(*launcher, *CHECK, timeout=60)
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize(
    ("between", "words"),
    [
        (("--mpi=none",), ["srun --mpi=none", "srun --mpi=pmix", "srun --mpi=list"]),
        (("--mpi=pmi2",), ["srun --mpi=pmi2"]),
        (("--mpi=pmix", "env", "-u", "PMIX_NAMESPACE", "-u", "PMIX_RANK"), ["cleaned"]),
        (("--mpi=pmix", "env", "-i", "PATH=/opt/env/bin"), ["cleaned", "--cleanenv"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_singletons_are_not_silent(slurm_sim: SlurmSim, between: tuple[str, ...], words: list[str]) -> None:
    """Every rank fails, and one of them says how many were launched, why they are alone, and what to do."""
    done = slurm_sim.exec("srun", "-n4", "-N2", *between, *CHECK, check=False, timeout=60)
    assert done.returncode == 1
    said = [line for line in done.stderr.splitlines() if line.startswith("MPI: srun launched")]
    # where nothing tells a task which one it is, each that sees no other on its node speaks
    assert 1 <= len(said) <= (4 if "-i" in between else 1), done.stderr
    assert "size 1" in said[0]
    assert all(word in done.stderr for word in words), done.stderr


def test_every_rank_fails(slurm_sim: SlurmSim) -> None:
    """A batch script that looks at one rank's status sees the failure, whichever rank that is."""
    each = "python -m dask_hpc.mpi 2>/dev/null; echo $?"
    assert slurm_sim.exec("srun", "--mpi=none", "-n4", "-N2", "bash", "-c", each).stdout.split() == ["1"] * 4


def test_any_script_can_ask(slurm_sim: SlurmSim) -> None:
    """`check_world` ends a script of a person's own before it computes, and gives the size of a whole world."""
    script = "from dask_hpc.mpi import check_world; print('size', check_world())"
    alone = slurm_sim.exec("srun", "--mpi=none", "-n2", "python", "-c", script, check=False, timeout=60)
    assert alone.returncode == 1
    assert "size" not in alone.stdout
    assert "Traceback" not in alone.stderr
    assert slurm_sim.exec("srun", "--mpi=pmix", "-n2", "python", "-c", script).stdout.split() == ["size", "2"] * 2


def test_the_facts_as_json(slurm_sim: SlurmSim) -> None:
    """`--json` prints once what was seen."""
    done = slurm_sim.exec("srun", "--mpi=pmix", "-n2", *CHECK, "--json", timeout=60)
    seen = json.loads(done.stdout)
    assert (seen["size"], seen["launched"], seen["by"]) == (2, 2, "srun")
    assert seen["pmix"].startswith("5.")
