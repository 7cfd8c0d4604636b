"""Plans for a dask-mpi cluster that is there already."""

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
    """A scheduler file."""
    path = tmp_path / "scheduler.json"
    mpi_scheduler_file.publish(path, IDENTITY, WORLD)
    return path


def planned(file: Path, **given: Any) -> JoinPlan:
    """Plan as the command does."""
    return plan(ClusterOptions(scheduler_file=file, **given), file)


def test_the_plan_is_what_the_file_says(file: Path) -> None:
    """One rank is the scheduler; nothing is started."""
    seen = planned(file)
    assert seen.workers == 7
    assert seen.settings == {"world": 8, "mpi": "Open MPI v5", "scheduler_node": "c1", "launched": "before"}
    shown = {name: value for name, value, _ in seen.rows}
    assert shown == {"scheduler": "tls://192.0.2.1:1", "ranks": "8", "TLS": "on"}
    assert seen.file == file


def test_a_file_of_dask_mpi_itself_is_enough(file: Path) -> None:
    """It does not say how many ranks there are."""
    mpi_scheduler_file.publish(file, IDENTITY, Origin())
    seen = planned(file)
    assert seen.workers == 0
    assert {name: value for name, value, _ in seen.rows}["ranks"] == "unknown"


def test_a_cluster_without_tls_is_warned_of(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It runs as it was started, whatever was asked for."""
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
def test_options_of_a_job_are_refused(file: Path, option: str, value: object, word: str) -> None:
    """There is no job to start: an option that changed nothing would mislead."""
    with pytest.raises(RequestError, match=word):
        planned(file, **{option: value})


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    """Nothing is planned."""
    with pytest.raises(ClusterError, match="no scheduler file"):
        planned(tmp_path / "gone.json")


def test_credentials_are_those_beside_the_file(file: Path) -> None:
    """Without them, Dask's configuration has to have some; without TLS, none are needed."""
    assert planned(file).security() is None
    (file.parent / "tls").mkdir()
    found = planned(file).security()
    assert found is not None
    assert found.tls_ca_file == str(file.parent / "tls" / "cert.pem")
    mpi_scheduler_file.publish(file, {**IDENTITY, "address": "tcp://192.0.2.1:1"}, WORLD)
    assert planned(file).security() is None
