"""Defaults for a job, chosen from the partition's nodes."""

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
    """Return an idle node with four cores."""
    fields: dict[str, Any] = {"cpus": 4, "memory": 4000, "state": "idle", "idle_cpus": 4, "limit": None}
    return Node(name=name, partition="batch", default=True, **fields | given)


@pytest.mark.parametrize(
    "state",
    USABLE,
)
def test_accepts_usable_node(state: str) -> None:
    """A node on which jobs can start, now or later, is usable, including a cloud node that must boot first."""
    assert usable([node(state=state)], None) == [node(state=state)]


@pytest.mark.parametrize(
    "state",
    ["down", "drain", "drng", "fail", "failg", "unk", "futr", "inval", "idle*", "down*", "down~", "drain$", "drng@"],
)
def test_rejects_unusable_node(state: str) -> None:
    """A node that is down, drained or not responding (marked with a star) is not usable."""
    with pytest.raises(RequestError, match=r"n: 4 cores"):
        usable([node(state=state)], None)


@pytest.mark.parametrize(("partition", "word"), [("gpu", "partition gpu"), (None, "default partition")])
def test_names_empty_partition(partition: str | None, word: str) -> None:
    """The error names the partition without nodes."""
    with pytest.raises(RequestError, match=word):
        usable([], partition)


def test_chooses_smallest_idle_node() -> None:
    """The smallest idle node counts; a node with a busy core is not idle."""
    small, large, larger = (
        node("s", cpus=2, idle_cpus=1),
        node("l", cpus=8, idle_cpus=8),
        node("x", cpus=9, idle_cpus=9),
    )
    assert smallest_idle([small, larger, large]) == (2, large)


def test_chooses_smallest_node_if_none_is_idle() -> None:
    """If no node is idle, the smallest of all counts, as the job may start on any of them."""
    busy, smaller = node("b", idle_cpus=0), node("s", cpus=2, idle_cpus=1)
    assert smallest_idle([busy, smaller]) == (2, smaller)


@pytest.mark.parametrize(("limit", "walltime"), [(None, 600), (3600, 600), (601, 600), (300, 300)])
def test_default_walltime_fits_partition(limit: int | None, walltime: int) -> None:
    """The default is ten minutes, or the partition's limit if that is shorter."""
    assert chooser().walltime(node(limit=limit)) == walltime


def test_chooses_default_folders() -> None:
    """Logs go to the given shared folder, and workers spill to the node's own disk."""
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
def test_accepts_walltime_within_limit(walltime: int, limit: int | None) -> None:
    """A wall time up to the partition's limit is accepted."""
    refuse_long(walltime, [node(limit=limit)])


def test_rejects_walltime_beyond_limit() -> None:
    """A longer wall time is rejected, and the error has both times."""
    with pytest.raises(RequestError) as refused:
        refuse_long(61, [node(limit=60)])
    assert "00:01:00" in refused.value.message
    assert "00:01:01" in refused.value.message


def test_describes_at_most_ten_nodes() -> None:
    """Ten nodes are listed, and the others are counted."""
    assert describe_nodes([]) == "  (none)"
    assert describe_nodes([node()]) == "  n: 4 cores, 4000 MiB, idle"
    ten = describe_nodes([node(str(number)) for number in range(10)]).splitlines()
    assert (len(ten), ten[-1]) == (10, "  9: 4 cores, 4000 MiB, idle")
    more = describe_nodes([node(str(number)) for number in range(13)]).splitlines()
    assert (len(more), more[-1]) == (11, "  … and 3 more")
