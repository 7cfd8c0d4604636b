"""Settings from which dask-jobqueue writes the workers' job script."""

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
"""Section of Dask's `jobqueue` configuration, beside `slurm`, with the settings of a run's jobs."""

_RESTARTABLE = "dask_hpc.clusters.slurm.worker.RestartableWorker"


def cluster_settings(request: WorkerJobs, options: ClusterOptions, name: str) -> dict[str, Any]:
    """Return the arguments for `SLURMCluster`.

    Workers without a nanny and a dashboard import Dask once instead of twice, and never import Bokeh: two of them
    connect in a fifth of the time. In place of the nanny, Slurm limits memory, the prologue sets the threads, and the
    worker restarts itself. With several processes per job there is a nanny, as dask-worker requires one.

    The worker replaces its job's script (`exec`): it receives Slurm's signals, and ends together with the job. If Slurm
    tracks processes only by their parents (without cgroups), a child of the script would outlive the job: a worker that
    is computing ends only when its task does.
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
        "job_directives_skip": [""],  # skip all: ours are quoted, and the user's options override them
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
    """Return the arguments for `SLURMCluster` that differ if its workers run in a SIF."""
    folders = [request.local_directory, *([str(tls)] if tls else [])]
    needed = [tls / "cert.pem"] if tls else []
    python = image.python(folders, map(str, request.asked.sbatch))
    return {
        "python": f"exec {python}",
        "job_script_prologue": [*settings["job_script_prologue"], *image.prologue(needed, request.local_directory)],
    }
