"""The MPI rank check on a real Slurm: ranks that do not find each other fail with an explanation."""

from __future__ import annotations

import json

import pytest

from slurm_sim import SlurmSim

CHECK = ("python", "-m", "dask_hpc.mpi")


@pytest.mark.parametrize(
    "launcher",
    [
        ("srun", "--quiet", "--mpi=pmix", "-N2", "-n4"),
        ("mpirun", "-n", "4"),
        ("salloc", "-Q", "-N2", "mpirun", "-n", "4"),
        ("salloc", "-Q", "-n2"),
        (),
    ],
    ids=" ".join,
)
def test_complete_world_prints_nothing(slurm_sim: SlurmSim, launcher: tuple[str, ...]) -> None:
    """If all ranks are present, the check exits with status 0 and prints nothing."""
    done = slurm_sim.exec(*launcher, *CHECK, timeout=150)
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
def test_explains_singleton_ranks(slurm_sim: SlurmSim, between: tuple[str, ...], words: list[str]) -> None:
    """Every rank fails, and one of them says how many were launched, why they are alone, and what to do."""
    done = slurm_sim.exec("srun", "-n4", "-N2", *between, *CHECK, check=False, timeout=150)
    assert done.returncode == 1
    said = [line for line in done.stderr.splitlines() if line.startswith("MPI: srun launched")]
    # without a rank in the environment, each task that sees no other on its node reports
    assert 1 <= len(said) <= (4 if "-i" in between else 1), done.stderr
    assert "size 1" in said[0]
    assert all(word in done.stderr for word in words), done.stderr


def test_every_singleton_rank_fails(slurm_sim: SlurmSim) -> None:
    """A batch script that checks the status of any single rank sees the failure."""
    each = "python -m dask_hpc.mpi 2>/dev/null; echo $?"
    assert slurm_sim.exec("srun", "--mpi=none", "-n4", "-N2", "bash", "-c", each).stdout.split() == ["1"] * 4


def test_check_world_works_in_any_script(slurm_sim: SlurmSim) -> None:
    """`check_world` stops a script whose ranks are missing before it computes, or returns the world's size."""
    script = "from dask_hpc.mpi import check_world; print('size', check_world())"
    alone = slurm_sim.exec("srun", "--mpi=none", "-n2", "python", "-c", script, check=False, timeout=150)
    assert alone.returncode == 1
    assert "size" not in alone.stdout
    assert "Traceback" not in alone.stderr
    assert slurm_sim.exec("srun", "--mpi=pmix", "-n2", "python", "-c", script).stdout.split() == ["size", "2"] * 2


def test_json_prints_findings_once(slurm_sim: SlurmSim) -> None:
    """`--json` prints the findings once."""
    done = slurm_sim.exec("srun", "--mpi=pmix", "-n2", *CHECK, "--json", timeout=150)
    seen = json.loads(done.stdout)
    assert (seen["size"], seen["launched"], seen["by"]) == (2, 2, "srun")
    assert seen["pmix"].startswith("5.")
