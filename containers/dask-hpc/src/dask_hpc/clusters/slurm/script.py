"""The job script of workers: the settings from which dask-jobqueue writes it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dask_hpc import sif
from dask_hpc.clusters.options import ClusterOptions
from dask_hpc.clusters.slurm.request import WorkerJobs
from dask_hpc.paths import in_bash

CONFIG_NAME = "dask-hpc-run"
"""The section of Dask's configuration, beside `slurm`, that a run's jobs take their settings from."""

_RESTARTABLE = "dask_hpc.clusters.slurm.worker.RestartableWorker"


def cluster_settings(request: WorkerJobs, options: ClusterOptions, name: str) -> dict[str, Any]:
    """Return the arguments for `SLURMCluster`.

    Workers without a nanny and without a dashboard import Dask once rather than twice, and never import Bokeh:
    two of them connect in a fifth of the time. What the nanny did, Slurm does (memory), the prologue (threads), or the
    worker itself (restarts). It comes back with several processes a job, since dask-worker cannot start those without.

    The worker replaces its job's script (`exec`): Slurm's signals then reach the worker, the job lasts until it has
    ended, and it ends with the job. A child of the script outlives it where Slurm follows processes by their parents
    alone (without cgroups): a worker that computes ends only when its task does.
    """
    interface = {"interface": options.interface} if options.interface else {}
    environment = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    extra = ["--no-dashboard", "--dashboard-address", "127.0.0.1:0"]
    nanny = request.processes > 1
    return {
        "config_name": CONFIG_NAME,
        "python": f"exec {shlex.quote(sys.executable)}",
        "cores": request.cores,
        "processes": request.processes,
        "memory": f"{request.memory}MiB",
        "job_name": name,
        "job_directives_skip": [""],  # all: ours are quoted, and the user's replace them
        "job_extra_directives": [option.argument for option in request.sbatch(name)],
        "job_script_prologue": [f"export {key}={value}" for key, value in environment.items()],
        "local_directory": in_bash(request.local_directory),
        "log_directory": str(request.log_directory),
        "nanny": nanny,
        "worker_extra_args": extra if nanny else [*extra, "--worker-class", _RESTARTABLE],
        "scheduler_options": {"interface": request.interface, "dashboard_address": options.dashboard},
        **interface,
    }


def in_sif(image: sif.Sif, request: WorkerJobs, *, settings: Mapping[str, Any], tls: Path | None) -> dict[str, Any]:
    """Return the arguments for `SLURMCluster` that differ where its workers run in a SIF."""
    folders = [request.local_directory, *([str(tls)] if tls else [])]
    needed = [tls / "cert.pem"] if tls else []
    python = image.python(folders, map(str, request.asked.sbatch))
    return {
        "python": f"exec {python}",
        "job_script_prologue": [*settings["job_script_prologue"], *image.prologue(needed, request.local_directory)],
    }
