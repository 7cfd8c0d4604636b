"""Defaults for a job, worked out from the partition's nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dask_hpc.clusters.asked import Asked
from dask_hpc.clusters.options import ClusterOptions
from dask_hpc.clusters.request import Chooser, describe_nodes, refuse_long, smallest_idle, usable
from dask_hpc.errors import RequestError
from dask_hpc.slurm.nodes import Node

USABLE = [
    "idle",
    "mix",
    "alloc",
    "comp",
    "resv",
    "plnd",
    "maint",
    "boot",
    "block",
    "pow_dn",
    "pow_up",
    "idle~",
    "alloc#",
    "mix+",
    "mix-",
    "alloc-",
    "idle%",
    "idle!",
    "alloc@",
    "idle^",
    "mix$",
]


def chooser(**given: Any) -> Chooser:
    """Return a chooser for these options."""
    return Chooser(Asked(ClusterOptions(**given), {}, dict.fromkeys(given, "asked for"), []))


def node(name: str = "n", **given: Any) -> Node:
    """Return an idle node of four cores."""
    fields: dict[str, Any] = {"cpus": 4, "memory": 4000, "state": "idle", "idle_cpus": 4, "limit": None}
    return Node(name=name, partition="batch", default=True, **fields | given)


@pytest.mark.parametrize(
    "state",
    USABLE,
)
def test_nodes_that_jobs_can_start_on_are_usable(state: str) -> None:
    """Now or later, and those that a cloud has to start first."""
    assert usable([node(state=state)], None) == [node(state=state)]


@pytest.mark.parametrize(
    "state",
    ["down", "drain", "drng", "fail", "failg", "unk", "futr", "inval", "idle*", "down*", "down~", "drain$", "drng@"],
)
def test_nodes_that_no_job_can_start_on_are_not(state: str) -> None:
    """A node that does not answer is marked with a star."""
    with pytest.raises(RequestError, match=r"n: 4 cores"):
        usable([node(state=state)], None)


@pytest.mark.parametrize(("partition", "word"), [("gpu", "partition gpu"), (None, "default partition")])
def test_an_empty_partition_is_named(partition: str | None, word: str) -> None:
    """The error says where there is no node."""
    with pytest.raises(RequestError, match=word):
        usable([], partition)


def test_the_smallest_is_taken_of_the_idle_nodes() -> None:
    """A node with one busy core is not idle, and a small busy node does not shrink the job."""
    small, large, larger = (
        node("s", cpus=2, idle_cpus=1),
        node("l", cpus=8, idle_cpus=8),
        node("x", cpus=9, idle_cpus=9),
    )
    assert smallest_idle([small, larger, large]) == (2, large)


def test_without_an_idle_node_the_smallest_is_taken_of_all() -> None:
    """The job waits then, and must fit on any."""
    busy, smaller = node("b", idle_cpus=0), node("s", cpus=2, idle_cpus=1)
    assert smallest_idle([busy, smaller]) == (2, smaller)


@pytest.mark.parametrize(("limit", "walltime"), [(None, 600), (3600, 600), (601, 600), (300, 300)])
def test_the_wall_time_fits_the_partition(limit: int | None, walltime: int) -> None:
    """Ten minutes, or what the partition allows."""
    assert chooser().walltime(node(limit=limit)) == walltime


def test_logs_and_disk_have_their_places() -> None:
    """Logs are shared, and workers spill to the node's own disk."""
    assert chooser().log_directory(Path("/logs")) == Path("/logs")
    assert chooser().local_directory() == "/tmp"


def test_prefers_given_values_to_defaults() -> None:
    """A zero counts as given, and each setting has its reason."""
    chosen = chooser(cores=0, log_directory="/b")
    assert chosen.choose("cores", 4, "the node has them") == 0
    assert chosen.choose("memory", 100, "its share") == 100
    assert chosen.choose("log_directory", Path("/a"), "shared") == Path("/b")
    assert chosen.reasons == {
        "partition": "Slurm's default",
        "cores": "asked for",
        "memory": "its share",
        "log_directory": "asked for",
    }


@pytest.mark.parametrize(("walltime", "limit"), [(60, None), (60, 60), (59, 60)])
def test_a_job_may_last_as_long_as_its_partition_lets_it(walltime: int, limit: int | None) -> None:
    """The limit itself is allowed."""
    refuse_long(walltime, [node(limit=limit)])


def test_a_longer_job_is_refused() -> None:
    """The message has both times."""
    with pytest.raises(RequestError) as refused:
        refuse_long(61, [node(limit=60)])
    assert "00:01:00" in refused.value.message
    assert "00:01:01" in refused.value.message


def test_nodes_are_described_up_to_ten() -> None:
    """A large partition does not fill the screen."""
    assert describe_nodes([]) == "  (none)"
    assert describe_nodes([node()]) == "  n: 4 cores, 4000 MiB, idle"
    ten = describe_nodes([node(str(number)) for number in range(10)]).splitlines()
    assert (len(ten), ten[-1]) == (10, "  9: 4 cores, 4000 MiB, idle")
    more = describe_nodes([node(str(number)) for number in range(13)]).splitlines()
    assert (len(more), more[-1]) == (11, "  … and 3 more")
