"""Plans for Slurm jobs with workers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from dask_hpc.clusters.facts import Job
from dask_hpc.clusters.options import ClusterOptions
from dask_hpc.clusters.slurm.backend import SlurmBackend, SlurmPlan, _security, _with_nodes
from dask_hpc.errors import DaskHpcError, RequestError
from dask_hpc.screen import Screen
from tests.support.requests import SLURM_SINFO
from tests.support.site_commands import Commands


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every test its own home: dask-jobqueue creates the log folder early."""
    monkeypatch.setenv("HOME", str(tmp_path))


def test_reports_missing_slurm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On a laptop the error names the missing command and `--on local`."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DaskHpcError) as caught:
        SlurmBackend().plan(ClusterOptions())
    assert "sbatch" in caught.value.message
    assert "--on local" in caught.value.message


@pytest.fixture
def planned(commands: Commands) -> Callable[..., SlurmPlan]:
    """Return a function that makes a plan at a site with Slurm's commands."""
    commands.sinfo("batch*", nodes=SLURM_SINFO)
    for name in ("sbatch", "squeue", "scancel"):
        commands[name] = ""

    def plan(**given: Any) -> SlurmPlan:
        return SlurmBackend().plan(ClusterOptions(**given))

    return plan


def test_plan_has_resources_per_worker(planned: Callable[..., SlurmPlan]) -> None:
    """The plan has the number of workers, and each worker's threads and memory, also with several processes per job."""
    plan = planned(jobs=2, cores=4, processes=2, memory=3000)
    assert (plan.workers, plan.threads, plan.worker_memory) == (4, 2, 1500 << 20)
    assert plan.settings == plan.request.settings()
    assert plan.settings["jobs"] == 2
    assert {name: value for name, value, _ in plan.rows}["TLS"] == "on"
    assert "SIF" not in {name for name, *_ in plan.rows}


def test_each_run_has_its_own_name_logs_and_credentials(planned: Callable[..., SlurmPlan]) -> None:
    """Every run has a unique name; logs and credentials under that name are in the shared home."""
    one, other = planned(), planned()
    home = Path.home() / ".dask-hpc"
    assert one.request.log_directory == home / one.name
    assert one.credentials == home / f"{one.name}.tls"
    assert one.name != other.name


def test_credentials_outlast_the_jobs(planned: Callable[..., SlurmPlan]) -> None:
    """Jobs are replaced for as long as the work lasts, and new workers need a certificate that is valid."""
    plan = planned(walltime=60)
    with _security(plan):
        assert plan.credentials
        certificate = x509.load_pem_x509_certificate((plan.credentials / "cert.pem").read_bytes())
    assert certificate.not_valid_after_utc > datetime.now(UTC) + timedelta(days=3650)


def test_warns_without_tls(planned: Callable[..., SlurmPlan], capsys: pytest.CaptureFixture[str]) -> None:
    """Without TLS there are no credentials, and the warning explains the risk."""
    planned().show(Screen())
    assert "TLS:" not in capsys.readouterr().err
    plan = planned(tls=False)
    plan.show(Screen())
    assert "no TLS" in capsys.readouterr().err
    assert plan.credentials is None
    assert {name: value for name, value, _ in plan.rows}["TLS"] == "off"


def test_plan_names_sif(planned: Callable[..., SlurmPlan], monkeypatch: pytest.MonkeyPatch) -> None:
    """In a SIF, the plan shows it: workers run in the same SIF."""
    monkeypatch.setenv("APPTAINER_CONTAINER", "/x.sif")
    assert {name: value for name, value, _ in planned().rows}["SIF"] == "/x.sif"


def test_rejects_unknown_interface(planned: Callable[..., SlurmPlan]) -> None:
    """An unknown interface is rejected while planning; one that this host has is accepted."""
    with pytest.raises(RequestError, match="nosuch0"):
        planned(interface="nosuch0")
    assert planned(interface="lo").settings["interface"] == "lo"


def test_rejects_unknown_partition(planned: Callable[..., SlurmPlan]) -> None:
    """An unknown partition is rejected by name while planning."""
    with pytest.raises(RequestError, match="'gpu'"):
        planned(partition="gpu")


def test_jobs_that_with_nodes_have_nodes(commands: Commands) -> None:
    """After a short run, Slurm is asked for the nodes that the keeper does not know yet; otherwise it is not asked."""
    commands["squeue"] = (
        "printf '7|COMPLETED|None|c7|N/A|0:00\\n8|RUNNING|None|c2|N/A|1:00\\n9|PENDING|None||N/A|1:00\\n'"
    )
    known = [Job("7", "c1", came=1.0), Job("9", "")]
    assert _with_nodes(known, "one") == known
    assert commands.calls("squeue") == []
    found = [*known, Job("8", "", came=1.0)]
    assert _with_nodes(found, "one") == [*known, Job("8", "c2", came=1.0)]
    commands["squeue"] = "exit 1"
    assert _with_nodes(found, "one") == found
