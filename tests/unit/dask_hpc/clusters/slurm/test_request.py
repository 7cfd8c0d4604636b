"""Plans for worker jobs, from sinfo's output."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dask_hpc.errors import RequestError
from tests.support.requests import SLURM_SINFO, slurm_request


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every test its own home: dask-jobqueue creates the log folder early."""
    monkeypatch.setenv("HOME", str(tmp_path))


def test_takes_defaults_from_idle_nodes() -> None:
    """The default is one job per idle node, at most two, with the cores and memory of the smaller node."""
    request = slurm_request()
    assert (request.jobs, request.cores, request.processes, request.memory) == (2, 2, 1, 4000)
    assert request.walltime == 600
    assert request.partition == "batch"
    assert request.interface == "eth0"
    assert set(request.reasons) == set(request.settings())
    assert [row[0] for row in request.rows()] == [name.replace("_", " ") for name in request.settings()]


def test_memory_follows_cores() -> None:
    """Half of a node's cores come with half of its memory."""
    assert slurm_request(cores=1).memory == 2000


def test_options_override_defaults() -> None:
    """An option wins over its default, and its reason says that it was asked for."""
    request = slurm_request(jobs=3, cores=4, memory=1000, walltime=120, processes=2, log_directory="/scratch/logs")
    assert (request.jobs, request.cores, request.memory, request.walltime, request.processes) == (3, 4, 1000, 120, 2)
    assert request.log_directory == Path("/scratch/logs")
    assert request.reasons["cores"] == "asked for"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"cores": 65}, ["65 cores", "c1: 4 cores", "--cores"]),
        ({"cores": 64}, ["64 cores", "down"]),
        ({"sbatch_option": ("--mem=9T",)}, ["9437184 MiB"]),
        ({"memory": 999_999}, ["999999 MiB", "16000 MiB"]),
        ({"processes": 3}, ["3 processes", "2 cores"]),
        ({"walltime": 7200}, ["01:00:00", "02:00:00", "--walltime"]),
    ],
)
def test_rejects_impossible_request(given: dict[str, Any], words: list[str]) -> None:
    """A request that no usable node can hold is rejected with both figures."""
    with pytest.raises(RequestError) as caught:
        slurm_request(**given)
    assert all(word in caught.value.message for word in words)
    assert caught.value.exit_code == 2


def test_rejects_partition_without_usable_node() -> None:
    """A partition whose nodes are all down is an error that shows them."""
    with pytest.raises(RequestError, match="down"):
        slurm_request(SLURM_SINFO.splitlines()[2])
    with pytest.raises(RequestError, match="partition gpu"):
        slurm_request("", partition="gpu")
