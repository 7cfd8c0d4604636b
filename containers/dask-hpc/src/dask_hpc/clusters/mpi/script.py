"""The job script of a dask-mpi cluster: what a person could have written."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from typing import Any

from dask_hpc.clusters.mpi.folder import Folder
from dask_hpc.clusters.mpi.plan import Request
from dask_hpc.clusters.sif import Sif
from dask_hpc.params import format_walltime

__all__ = ["job_script"]


def job_script(request: Request, options: Mapping[str, Any], name: str, folder: Folder, image: Sif | None) -> str:
    """Return the script.

    Args:
        request: the job's size.
        options: the command line's.
        name: the job's name.
        folder: the cluster's private one: the script names it, and holds no secret.
        image: the SIF that the ranks run in, if they do.
    """
    return "\n".join(
        [
            "#!/bin/bash",
            *_directives(request, options, name),
            "",
            "set -eu",
            "export SLURM_PMIX_FENCE=ring  # with Slurm's default, MPI_Init over several nodes crashes now and then",
            *_step(request, options, folder, image),
            "",
        ]
    )


def _directives(request: Request, options: Mapping[str, Any], name: str) -> list[str]:
    logs = request.log_directory
    asked = {
        "job-name": name,
        "output": f"{logs}/{name}-%j.out",
        "error": f"{logs}/{name}-%j.err",
        "partition": request.partition,
        "account": options["account"],
        "nodes": request.nodes,
        "ntasks-per-node": request.ranks_per_node,
        "cpus-per-task": request.threads,
        "mem": f"{request.memory * request.ranks_per_node}M",
        "time": format_walltime(request.walltime),
    }
    lines = [f"#SBATCH --{key}={value}" for key, value in asked.items() if value is not None]
    # started again after a node was lost, it would wait for a client that has gone
    return [*lines, "#SBATCH --no-requeue", *(f"#SBATCH {option}" for option in options["sbatch_option"])]


def _step(request: Request, options: Mapping[str, Any], folder: Folder, image: Sif | None) -> list[str]:
    rank = ["-m", "dask_hpc.clusters.mpi.rank", "--folder", str(folder.path)]
    rank += ["--local-directory", request.local_directory, "--dashboard-address", options["dashboard"]]
    rank += ["--interface", options["interface"]] if options["interface"] else []
    # one dead rank ends the step: the others would wait for it in MPI
    srun = f"srun --mpi=pmix --kill-on-bad-exit=1 --cpus-per-task={request.threads}"
    if image is None:
        return [f"exec {srun} {shlex.quote(sys.executable)} {shlex.join(rank)}"]
    python = image.python([request.local_directory, str(folder.path)], options["sbatch_option"])
    prologue = image.prologue([folder.config])
    inside = "\n".join(["set -eu", *prologue, f"exec {python} {shlex.join(rank)}"])
    return ["# on every node: what may lack there is named", f"exec {srun} bash -c {shlex.quote(inside)}"]
