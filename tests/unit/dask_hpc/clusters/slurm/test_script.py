"""The job script of a worker, and its command in a SIF."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from dask_jobqueue.slurm import SLURMJob

from dask_hpc.clusters.options import ClusterOptions
from dask_hpc.clusters.slurm.request import WorkerJobs
from dask_hpc.clusters.slurm.script import cluster_settings, in_sif
from dask_hpc.sif import Sif
from tests.support.requests import slurm_request

SETTINGS = {"job_script_prologue": ["export OMP_NUM_THREADS=1"]}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every test its own home: dask-jobqueue creates the log folder early."""
    monkeypatch.setenv("HOME", str(tmp_path))


def script(request: WorkerJobs, **given: Any) -> str:
    settings = cluster_settings(request, ClusterOptions(**given), "dask-hpc-test")
    del settings["scheduler_options"], settings["config_name"]
    return str(SLURMJob("tls://192.0.2.1:8786", name="one", **settings).job_script())


def test_several_processes_use_nanny() -> None:
    """Two processes per job share its cores under a nanny, which dask-worker requires for several."""
    text = script(slurm_request(processes=2))
    assert "--nthreads 1" in text
    assert "--nworkers 2 --nanny" in text


def test_passes_interface_to_workers_only_on_request() -> None:
    """Without --interface, workers use the route to the scheduler, as their interface may have another name."""
    assert "--interface" not in script(slurm_request())
    assert "--interface ib0" in script(slurm_request(interface="ib0"), interface="ib0")


@pytest.mark.parametrize("option", ["--gres=gpu:1", "--gpus=2", "-G 1", "--gpus-per-node=1"])
def test_adds_nv_for_gpu_jobs(option: str) -> None:
    """If a job requests a GPU, --nv makes it visible in the SIF; without a GPU, --nv would print a warning."""
    sif = Sif("/shared/the.sif", "apptainer")
    assert " --nv " in in_sif(sif, slurm_request(sbatch_option=(option,)), settings=SETTINGS, tls=None)["python"]
    assert "--nv" not in in_sif(sif, slurm_request(), settings=SETTINGS, tls=None)["python"]


def test_settings_have_given_options_only() -> None:
    """Account, sbatch options and folders are passed on; interface and dashboard go to the scheduler."""
    options = ClusterOptions(dashboard="0.0.0.0:1")
    request = slurm_request(log_directory="/my logs", account="me", sbatch_option=("-q x",))
    seen = cluster_settings(request, options, "one")
    assert {"--account=me", "--qos=x", '"--output=/my logs/one-%j.out"'} < set(seen["job_extra_directives"])
    assert seen["log_directory"] == "/my logs"
    assert seen["scheduler_options"] == {"interface": "eth0", "dashboard_address": "0.0.0.0:1"}
    assert "interface" not in seen
    lines = {f"export {name}_NUM_THREADS=1" for name in ("OMP", "OPENBLAS", "MKL")}
    assert set(seen["job_script_prologue"]) == lines


@pytest.mark.parametrize("processes", [1, 2])
def test_workers_have_no_dashboard(processes: int) -> None:
    """Neither a worker nor a nanny opens a dashboard."""
    seen = cluster_settings(slurm_request(processes=processes), ClusterOptions(), "one")
    assert seen["worker_extra_args"][:3] == ["--no-dashboard", "--dashboard-address", "127.0.0.1:0"]
    restartable = ["--worker-class", "dask_hpc.clusters.slurm.worker.RestartableWorker"]
    assert seen["worker_extra_args"][3:] == ([] if processes > 1 else restartable)
    assert seen["nanny"] is (processes > 1)


def test_binds_credentials_into_sif() -> None:
    """The folder of the credentials is bound, and the prologue checks that the node can read them."""
    seen = in_sif(Sif("/x.sif", "apptainer"), slurm_request(), settings=SETTINGS, tls=Path("/home/me/one.tls"))
    assert "--bind /home/me/one.tls" in seen["python"]
    assert any("/home/me/one.tls/cert.pem" in line for line in seen["job_script_prologue"])
    assert seen["job_script_prologue"][0] == "export OMP_NUM_THREADS=1"
    without = in_sif(Sif("/x.sif", "apptainer"), slurm_request(), settings=SETTINGS, tls=None)
    assert "--bind" in without["python"]
    assert "cert.pem" not in str(without)


def test_worker_in_sif_replaces_job_script() -> None:
    """Apptainer replaces the script (`exec`), so that Slurm's signals reach the worker."""
    assert in_sif(Sif("/x.sif", "apptainer"), slurm_request(), settings=SETTINGS, tls=None)["python"].startswith(
        "exec apptainer exec "
    )


def test_job_script_requests_what_was_planned() -> None:
    """Cores, memory to the MiB, wall time and partition are in the script; workers have no open dashboard."""
    text = script(slurm_request())
    for line in ("cpus-per-task=2", "mem=4000M", "time=00:10:00", "partition=batch", "job-name=dask-hpc-test"):
        assert f"#SBATCH --{line}\n" in text
    for word in ("--nthreads 2", "--no-nanny", "--no-dashboard", "--local-directory /tmp", "OMP_NUM_THREADS=1"):
        assert word in text
