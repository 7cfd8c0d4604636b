"""Plans for one job of many ranks, from sinfo's output."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dask_hpc.clusters.mpi.request import make_request
from dask_hpc.errors import RequestError
from dask_hpc.slurm.nodes import parse_nodes
from tests.support.requests import mpi_asked, mpi_request


def test_takes_defaults_from_idle_nodes() -> None:
    """The default is one rank per core on both idle nodes, with its share of the memory; rank 0 runs the scheduler."""
    request = mpi_request()
    assert (request.nodes, request.ranks_per_node, request.threads, request.memory) == (2, 4, 1, 1000)
    assert request.world == 8
    assert any("7 are workers" in row[2] for row in request.rows())
    assert {row[0].replace(" ", "_") for row in request.rows()} == set(request.settings())


def test_threads_reduce_ranks() -> None:
    """With two threads per rank, half as many ranks have twice the memory each."""
    request = mpi_request(threads=2)
    assert (request.ranks_per_node, request.memory) == (2, 2000)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"nodes": 3}, ["3 nodes", "c1: 4 cores", "--nodes"]),
        ({"ranks_per_node": 5}, ["5 cores", "5 ranks"]),
        ({"ranks_per_node": 2, "threads": 3}, ["6 cores"]),
        ({"memory": 1001}, ["4004 MiB", "4000 MiB"]),
        ({"nodes": 1, "ranks_per_node": 1}, ["A world of 1 rank", "a worker"]),
        ({"walltime": 7200}, ["01:00:00", "02:00:00"]),
    ],
)
def test_rejects_impossible_request(given: dict[str, Any], words: list[str]) -> None:
    """A request for more than the nodes have, or less than a cluster needs, is rejected with both figures."""
    with pytest.raises(RequestError) as caught:
        mpi_request(**given)
    assert all(word in caught.value.message for word in words), caught.value.message


def test_plans_one_rank_on_one_core() -> None:
    """Nodes with one core get one rank each."""
    one = parse_nodes("\n".join(f"c{number}|batch*|1|1000|idle|0/1/0/1|30:00" for number in (1, 2, 3)))
    request = make_request(mpi_asked(), one, logs=Path("/logs"))
    assert (request.nodes, request.ranks_per_node, request.world, request.memory) == (2, 1, 2, 1000)
    assert request.log_directory == Path("/logs")
    assert request.settings()["log_directory"] == "/logs"


def test_plans_eight_ranks_on_large_node() -> None:
    """A large node gets at most eight ranks, each with its share of the memory by cores."""
    large = parse_nodes("c1|batch*|64|64000|idle|0/64/0/64|infinite")
    request = make_request(mpi_asked(), large, logs=Path("/logs"))
    assert (request.nodes, request.ranks_per_node, request.memory) == (1, 8, 1000)


def test_shows_each_setting_with_its_reason() -> None:
    """The table shows the same settings as the JSON."""
    request = mpi_request(walltime=120)
    shown = {name.replace(" ", "_"): value for name, value, _ in request.rows()}
    assert shown == {name: str(value) for name, value in request.settings().items()}
    assert {name: why for name, _, why in request.rows()}["walltime"] == "asked for"


def test_names_partition_without_usable_nodes() -> None:
    """The error names the requested partition."""
    with pytest.raises(RequestError, match="partition gpu"):
        make_request(mpi_asked(partition="gpu"), [], logs=Path("/logs"))
