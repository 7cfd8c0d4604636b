"""The job script of a worker, and its command in a SIF."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from dask_jobqueue.slurm import SLURMJob

from dask_hpc.clusters.sif import Sif
from dask_hpc.clusters.slurm.backend import SlurmBackend, cluster_settings, in_sif
from dask_hpc.clusters.slurm.plan import Request
from dask_hpc.errors import DaskHpcError
from tests.support.requests import slurm_request

SETTINGS = {"local_directory": "/tmp", "job_extra_directives": [], "job_script_prologue": ["export OMP_NUM_THREADS=1"]}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every test its own home: dask-jobqueue creates the log folder early."""
    monkeypatch.setenv("HOME", str(tmp_path))


def script(request: Request, **given: Any) -> str:
    options = {"interface": None, "account": None, "sbatch_option": (), "dashboard": "127.0.0.1:0", "tls": True} | given
    settings = cluster_settings(request, options, "dask-hpc-test")
    del settings["scheduler_options"]
    return str(SLURMJob("tls://192.0.2.1:8786", name="one", **settings).job_script())


def test_job_script_requests_what_was_planned() -> None:
    """Cores, memory to the MiB, wall time and partition are in the script; workers have no open dashboard."""
    text = script(slurm_request())
    for line in ("--cpus-per-task=2", "--mem=4000M", "-t 00:10:00", "-p batch", "-J dask-hpc-test"):
        assert f"#SBATCH {line}\n" in text
    for word in ("--nthreads 2", "--no-nanny", "--no-dashboard", "--local-directory /tmp", "OMP_NUM_THREADS=1"):
        assert word in text


def test_several_processes_use_nanny() -> None:
    """Two processes per job share its cores under a nanny, which dask-worker requires for several."""
    text = script(slurm_request(processes=2))
    assert "--nthreads 1" in text
    assert "--nworkers 2 --nanny" in text
    assert "--preload-nanny dask_hpc.openssl_errors" in text
    assert "openssl_errors" not in script(slurm_request(), tls=False)


def test_passes_interface_to_workers_only_on_request() -> None:
    """Without --interface, workers use the route to the scheduler: their interface may have another name."""
    assert "--interface" not in script(slurm_request())
    assert "--interface ib0" in script(slurm_request(interface="ib0"), interface="ib0")


def test_reports_missing_slurm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On a laptop the error names the missing command and `--on local`."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DaskHpcError) as caught:
        SlurmBackend().plan({}, None)  # type: ignore[arg-type]
    assert "sbatch" in caught.value.message
    assert "--on local" in caught.value.message


@pytest.mark.parametrize("option", ["--gres=gpu:1", "--gpus=2", "-G 1", "--gpus-per-node=1"])
def test_adds_nv_for_gpu_jobs(option: str) -> None:
    """If a job requests a GPU, --nv shows it in the SIF; otherwise it would only warn."""
    sif = Sif("/shared/the.sif", "apptainer")
    assert " --nv " in in_sif(sif, SETTINGS | {"job_extra_directives": [option]}, None)["python"]
    assert "--nv" not in in_sif(sif, SETTINGS, None)["python"]
