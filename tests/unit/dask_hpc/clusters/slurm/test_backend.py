"""Plans for Slurm jobs with workers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dask_hpc.clusters.options import ClusterOptions
from dask_hpc.clusters.slurm.backend import SlurmBackend, SlurmPlan
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
    """Return a function that plans at a site with Slurm's commands."""
    commands.sinfo("batch*", nodes=SLURM_SINFO)
    for name in ("sbatch", "squeue", "scancel"):
        commands[name] = ""

    def plan(**given: Any) -> SlurmPlan:
        return SlurmBackend().plan(ClusterOptions(**given))

    return plan


def test_a_plan_says_what_a_worker_will_have(planned: Callable[..., SlurmPlan]) -> None:
    """Workers, and the threads and memory of each, whatever the number of processes in a job."""
    plan = planned(jobs=2, cores=4, processes=2, memory=3000)
    assert (plan.workers, plan.threads, plan.worker_memory) == (4, 2, 1500 << 20)
    assert plan.settings == plan.request.settings()
    assert plan.settings["jobs"] == 2
    assert {name: value for name, value, _ in plan.rows}["TLS"] == "on"
    assert "SIF" not in {name for name, *_ in plan.rows}


def test_every_run_has_its_own_name_logs_and_credentials(planned: Callable[..., SlurmPlan]) -> None:
    """All are below the home that nodes share, and no other run has them."""
    one, other = planned(), planned()
    home = Path.home() / ".dask-hpc"
    assert one.request.log_directory == home / one.name
    assert one.credentials == home / f"{one.name}.tls"
    assert one.name != other.name


def test_without_tls_the_plan_warns(planned: Callable[..., SlurmPlan], capsys: pytest.CaptureFixture[str]) -> None:
    """Without TLS there are no credentials, and the warning explains the risk."""
    planned().show(Screen())
    assert "TLS:" not in capsys.readouterr().err
    plan = planned(tls=False)
    plan.show(Screen())
    assert "no TLS" in capsys.readouterr().err
    assert plan.credentials is None
    assert {name: value for name, value, _ in plan.rows}["TLS"] == "off"


def test_in_a_sif_the_plan_names_it(planned: Callable[..., SlurmPlan], monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers run in the same one."""
    monkeypatch.setenv("APPTAINER_CONTAINER", "/x.sif")
    assert {name: value for name, value, _ in planned().rows}["SIF"] == "/x.sif"


def test_an_unknown_interface_is_refused_before_anything_is_submitted(planned: Callable[..., SlurmPlan]) -> None:
    """One that this host has is taken."""
    with pytest.raises(RequestError, match="nosuch0"):
        planned(interface="nosuch0")
    assert planned(interface="lo").settings["interface"] == "lo"


def test_an_unknown_partition_is_refused_before_anything_is_submitted(planned: Callable[..., SlurmPlan]) -> None:
    """The partition is the one that was asked for."""
    with pytest.raises(RequestError, match="'gpu'"):
        planned(partition="gpu")
