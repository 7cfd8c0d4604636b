"""The message about missing ranks."""

from __future__ import annotations

import pytest

from dask_hpc.mpi.check import explain
from dask_hpc.mpi.launch import Launch


@pytest.mark.parametrize(
    ("found", "environ", "words"),
    [
        (Launch(by="srun", tasks=4, first=True), {}, ["srun --mpi=none", "srun --mpi=pmix", "srun --mpi=list"]),
        (Launch(by="srun", tasks=4, first=True), {"SLURM_MPI_TYPE": "pmi2"}, ["srun --mpi=pmi2"]),
        (Launch(by="srun", tasks=4, first=True), {"SLURM_MPI_TYPE": "pmix"}, ["cleaned", "--cleanenv"]),
        (
            Launch(by="srun", tasks=4, first=True),
            {"SLURM_MPI_TYPE": "pmix", "PMIX_NAMESPACE": "slurm.pmix.1.0", "PMIX_VERSION": "9.9"},
            ["9.9", "5.0.11", "incompatible", "srun --mpi=list"],
        ),
        (Launch(by="srun", tasks=4, first=True, cleaned=True), {}, ["cleaned", "env -i"]),
        (
            Launch(by="mpirun", tasks=4, first=True),
            {"PMIX_NAMESPACE": "x"},
            ["another Open MPI", "this environment's mpirun"],
        ),
        (Launch(by="mpirun", tasks=4, first=True), {}, ["cleaned"]),
    ],
)
def test_explains_cause_and_fix_of_missing_ranks(found: Launch, environ: dict[str, str], words: list[str]) -> None:
    """Each way to lose ranks has its own cause and fix in the message."""
    message = explain(1, found, environ=environ, pmix="5.0.11")
    assert "launched 4 tasks" in message
    assert "size 1" in message
    assert "What to do: " in message
    assert all(word in message for word in words), message
