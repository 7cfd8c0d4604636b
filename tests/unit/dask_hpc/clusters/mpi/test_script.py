"""The job script of a dask-mpi cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dask_hpc.clusters.mpi.folder import Folder
from dask_hpc.clusters.mpi.script import job_script
from dask_hpc.clusters.sif import Sif
from tests.support.requests import MPI_OPTIONS, mpi_request

FOLDER = Folder(Path("/home/me/.dask-hpc/one.mpi"))


def script(image: Sif | None = None, **given: Any) -> str:
    return job_script(mpi_request(**given), MPI_OPTIONS | given, "one", FOLDER, image)


def test_script_requests_what_was_planned() -> None:
    """The script is one job with one step, which ends if a rank dies; it names the private folder, not its secrets."""
    text = script(threads=2, walltime=60, account="me", sbatch_option=("--qos=debug",))
    for line in ("nodes=2", "ntasks-per-node=2", "cpus-per-task=2", "mem=4000M", "time=00:01:00", "qos=debug"):
        assert f"#SBATCH --{line}\n" in text
    assert "#SBATCH --no-requeue\n" in text
    assert "exec srun --mpi=pmix --kill-on-bad-exit=1 --cpus-per-task=2 python -m dask_hpc.clusters.mpi.rank" in text
    assert f"--folder {FOLDER.path}" in text
    assert "--interface" not in text
    assert "--interface ib0" in script(interface="ib0")


def test_script_checks_every_node_for_sif() -> None:
    """In a SIF each rank's shell reports what its node lacks, and PMIx's variables pass into the SIF."""
    text = script(Sif("/shared/dask hpc.sif", "apptainer", ("/data",)))
    assert "exec srun --mpi=pmix --kill-on-bad-exit=1 --cpus-per-task=1 bash -c '" in text
    for word in ("there is no apptainer on PATH", "${!PMIX_*}", "${!SLURM_*}", "/data", "dask hpc.sif"):
        assert word in text
