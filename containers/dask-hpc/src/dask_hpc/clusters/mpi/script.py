"""The job script of a dask-mpi cluster, written as a user would write it."""

from __future__ import annotations

import shlex
import sys

from dask_hpc.clusters.mpi.request import MpiJob
from dask_hpc.clusters.options import ClusterOptions
from dask_hpc.mpi.folder import Folder
from dask_hpc.paths import in_bash
from dask_hpc.sif import Sif


def job_script(request: MpiJob, options: ClusterOptions, *, name: str, folder: Folder, image: Sif | None) -> str:
    """Return the script.

    Args:
        request: the job's size.
        options: the options from the command line.
        name: the job's name.
        folder: the cluster's private folder; the script names it, but contains no secret.
        image: the SIF that the ranks run in, if any.
    """
    return "\n".join(
        [
            "#!/bin/bash",
            *(option.directive for option in request.sbatch(name)),
            "",
            "set -eu",
            "export SLURM_PMIX_FENCE=ring  # with Slurm's default, MPI_Init over several nodes sometimes crashes",
            *_step(request, options, folder=folder, image=image),
            "",
        ]
    )


def _step(request: MpiJob, options: ClusterOptions, *, folder: Folder, image: Sif | None) -> list[str]:
    words = ["-m", "dask_hpc.mpi.rank", "--folder", str(folder.path)]
    words += ["--dashboard-address", options.dashboard]
    words += ["--interface", options.interface] if options.interface else []
    rank = f"{shlex.join(words)} --local-directory {in_bash(request.local_directory)}"
    # a rank that dies ends the step: the others would wait for it in MPI
    srun = f"srun --mpi=pmix --kill-on-bad-exit=1 --cpus-per-task={request.threads}"
    if image is None:
        return [f"exec {srun} {shlex.quote(sys.executable)} {rank}"]
    python = image.python([request.local_directory, str(folder.path)], map(str, request.asked.sbatch))
    prologue = image.prologue([folder.config], request.local_directory)
    inside = "\n".join(["set -eu", *prologue, f"exec {python} {rank}"])
    return ["# on every node: report what is missing there", f"exec {srun} bash -c {shlex.quote(inside)}"]
