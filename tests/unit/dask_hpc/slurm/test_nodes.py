"""Slurm's nodes and partitions."""

from __future__ import annotations

import pytest

from dask_hpc.errors import ClusterError, RequestError
from dask_hpc.slurm.nodes import Node, default_partition, nodes, parse_nodes, partitions
from tests.support.requests import SLURM_SINFO
from tests.support.site_commands import Commands


def test_parses_nodes() -> None:
    """Every field of sinfo's line is read, and a partition's star means the default."""
    first = parse_nodes(SLURM_SINFO)[0]
    assert first == Node(
        name="c1", partition="batch", default=True, cpus=4, memory=4000, state="idle", idle_cpus=4, limit=3600
    )
    assert parse_nodes("c1|debug|2+|900+|idle|0/2/0/2|infinite")[0].limit is None


@pytest.mark.parametrize("line", ["banana", "c1|batch|x|1|idle|0/1/0/1|1", "c1|batch|1|1|idle|n/a|1"])
def test_rejects_unexpected_sinfo_line(line: str) -> None:
    """An invalid line is an error that quotes it."""
    with pytest.raises(ClusterError, match=line.split("|", maxsplit=1)[0]):
        parse_nodes(line)


OTHERS = SLURM_SINFO + "c9|gpu|32|64000|idle|0/32/0/32|infinite\n"


@pytest.mark.parametrize(
    ("partition", "names"),
    [(None, ["c1", "c2", "c3", "c4"]), ("gpu", ["c9"]), ("gpu,batch", ["c1", "c2", "c3", "c4", "c9"])],
)
def test_lists_nodes_of_partition(commands: Commands, partition: str | None, names: list[str]) -> None:
    """The partition is Slurm's default, or the given one or several."""
    commands.sinfo("batch*", "gpu", nodes=OTHERS)
    assert [node.name for node in nodes(partition)] == names
    assert commands.calls("sinfo") == ["-h -a -N -o %N|%P|%c|%m|%t|%C|%l"]


def test_uses_first_partition_without_default(commands: Commands) -> None:
    """sinfo lists them in the order of slurm.conf."""
    commands.sinfo("batch", "gpu", nodes=OTHERS.replace("*|", "|", 4).replace("down*", "down"))
    assert {node.partition for node in nodes()} == {"batch"}


def test_accepts_partition_without_nodes(commands: Commands) -> None:
    """An empty partition exists, so it is not an error."""
    commands.sinfo("batch*", "empty", nodes=SLURM_SINFO)
    assert nodes("empty") == []
    commands.sinfo("batch*", nodes="")
    assert nodes() == []


@pytest.mark.parametrize(
    ("typed", "hint"), [("bacth", "did you mean --partition batch?"), ("x", "give --partition one of these")]
)
def test_rejects_unknown_partition(commands: Commands, typed: str, hint: str) -> None:
    """The error lists the partitions, and suggests a similar name."""
    commands.sinfo("batch*", "gpu", nodes=OTHERS)
    with pytest.raises(RequestError) as refused:
        nodes(typed)
    assert "Available: batch, gpu" in refused.value.message
    assert hint in refused.value.message


def test_lists_partitions_in_slurm_order(commands: Commands) -> None:
    """A partition without nodes is listed too; sinfo is called once for all nodes."""
    commands.sinfo("gpu", "batch*", "empty", nodes=OTHERS)
    found = partitions()
    assert {name: [node.name for node in members] for name, members in found.items()} == {
        "gpu": ["c9"],
        "batch": ["c1", "c2", "c3", "c4"],
        "empty": [],
    }
    assert len(commands.calls("sinfo")) == 2


def test_default_partition_has_star() -> None:
    """Without a star the first is the default; without nodes there is none."""
    found = parse_nodes(OTHERS)
    assert default_partition(reversed(found)) == "batch"
    assert default_partition(found[-1:]) == "gpu"
    assert default_partition([]) == ""
