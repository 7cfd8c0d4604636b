"""Plans for a running dask-mpi cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dask_hpc.clusters.mpi.join import JoinPlan, plan
from dask_hpc.clusters.options import ClusterOptions
from dask_hpc.errors import ClusterError, RequestError
from dask_hpc.mpi import scheduler_file as mpi_scheduler_file
from dask_hpc.mpi.scheduler_file import Origin
from dask_hpc.screen import Screen

IDENTITY = {"type": "Scheduler", "id": "Scheduler-1", "address": "tls://192.0.2.1:1", "services": {}}
WORLD = Origin(world=8, node="c1", mpi="Open MPI v5")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Publish a scheduler file."""
    path = tmp_path / "scheduler.json"
    mpi_scheduler_file.publish(path, IDENTITY, WORLD)
    return path


def planned(file: Path, **given: Any) -> JoinPlan:
    """Plan as the command does."""
    return plan(ClusterOptions(scheduler_file=file, **given), file)


def test_plans_from_scheduler_file(file: Path) -> None:
    """All ranks but the scheduler's are workers."""
    seen = planned(file)
    assert seen.workers == 7
    assert seen.settings == {"world": 8, "mpi": "Open MPI v5", "scheduler_node": "c1", "launched": "before"}
    shown = {name: value for name, value, _ in seen.rows}
    assert shown == {"scheduler": "tls://192.0.2.1:1", "ranks": "8", "TLS": "on"}
    assert seen.file == file


def test_accepts_file_of_plain_dask_mpi(file: Path) -> None:
    """A file that dask-mpi itself wrote is accepted; the number of ranks is unknown."""
    mpi_scheduler_file.publish(file, IDENTITY, Origin())
    seen = planned(file)
    assert seen.workers == 0
    assert {name: value for name, value, _ in seen.rows}["ranks"] == "unknown"


def test_warns_of_cluster_without_tls(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """TLS is on or off as the cluster was started, regardless of `--tls`, and its absence prints a warning."""
    planned(file).show(Screen())
    assert "TLS" not in capsys.readouterr().err
    mpi_scheduler_file.publish(file, {**IDENTITY, "address": "tcp://192.0.2.1:1"}, WORLD)
    seen = planned(file)
    seen.show(Screen())
    assert "no TLS" in capsys.readouterr().err
    assert {name: value for name, value, _ in seen.rows}["TLS"] == "off"


@pytest.mark.parametrize(
    ("option", "value", "word"),
    [
        ("nodes", 2, "--nodes"),
        ("local_directory", "/x", "--local-directory"),
        ("sbatch_option", ("-x",), "--sbatch-option"),
    ],
)
def test_rejects_job_options(file: Path, option: str, value: object, word: str) -> None:
    """Options of a new job have no effect on a running cluster, and are rejected."""
    with pytest.raises(RequestError, match=word):
        planned(file, **{option: value})


def test_reports_missing_file(tmp_path: Path) -> None:
    """A missing scheduler file is an error."""
    with pytest.raises(ClusterError, match=r"gone\.json not found"):
        planned(tmp_path / "gone.json")


def test_uses_credentials_beside_file(file: Path) -> None:
    """Credentials beside the file are used, if there are any and the cluster has TLS."""
    assert planned(file).security() is None
    (file.parent / "tls").mkdir()
    found = planned(file).security()
    assert found is not None
    assert found.tls_ca_file == str(file.parent / "tls" / "cert.pem")
    mpi_scheduler_file.publish(file, {**IDENTITY, "address": "tcp://192.0.2.1:1"}, WORLD)
    assert planned(file).security() is None
