"""Common mistakes with dask-mpi end every rank with an error that says what to type, and kill no worker."""

from __future__ import annotations

import pytest

from slurm_sim import SlurmSim
from tests.support.mpi_site import left

RUN = "dask-hpc run monte-carlo-pi --on mpi"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (f"srun --mpi=pmix -n1 {RUN}", ["A world of 1 rank is too small", "srun --mpi=pmix -n"]),
        (f"srun --mpi=pmix -n2 {RUN}", ["A world of 2 ranks is too small", "Needed: 3"]),
        (f"srun --mpi=none -n3 {RUN}", ["launched 3 tasks", "has size 1", "srun --mpi=pmix"]),
        (f"srun --mpi=pmix -n3 {RUN} --nodes 2", ["--nodes has no effect inside a job step"]),
        (f"srun --mpi=pmix -n3 {RUN} --interface eth7", ["eth7", "Available: "]),
        (f"srun --mpi=pmix -n3 {RUN} --samples banana", ["'banana' is not a number"]),
        ("srun --mpi=pmix -n1 dask-hpc mpi", ["A world of 1 rank is too small"]),
        ("srun --mpi=none -n2 dask-hpc mpi", ["launched 2 tasks", "srun --mpi=pmix"]),
        ("srun --mpi=pmix -n2 dask-hpc mpi --no-nanny", ["--no-nanny", "--worker-class distributed.Worker"]),
        ("srun --mpi=pmix -n2 dask-hpc mpi --worker-class distributed.Nanny", ["--worker-class distributed.Worker"]),
        ("srun --mpi=pmix -n2 dask-hpc mpi --banana", ["No such option", "--banana"]),
        ("srun -n1 -c2 mpirun -np 3 dask-hpc mpi", ["3 ranks of", "too many", "--ntasks-per-node=3"]),
        (f"{RUN} --ranks-per-node 3", ["Too few nodes", "3 ranks", "c1: 2 cores"]),
        (f"{RUN} --nodes 1 --ranks-per-node 1", ["A world of 1 rank is too small"]),
        (f"{RUN} --scheduler-file nowhere.json", ["Scheduler file nowhere.json not found"]),
    ],
)
def test_explains_common_mistakes(slurm_sim: SlurmSim, command: str, words: list[str]) -> None:
    """The error appears once, and says how to fix the command."""
    done = slurm_sim.exec(*command.split(), check=False, timeout=150)
    said = done.stdout + done.stderr
    assert done.returncode in (1, 2), said
    assert all(word in said for word in words), said
    assert said.count(words[0]) == 1, said
    assert "Traceback" not in said


def test_mistakes_leave_nothing_behind(slurm_sim: SlurmSim) -> None:
    """After the commands above, no job, process or private folder is left."""
    assert left(slurm_sim) == ""
