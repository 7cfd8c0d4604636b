"""Names of nodes."""

from __future__ import annotations

import pytest

from slurm_sim._node_names import count_groups, expand, group_of, node_names, node_number


@pytest.mark.parametrize(
    ("counts", "names"),
    [
        ({"c": 0}, []),
        ({"c": 1}, ["c1"]),
        ({"c": 2, "gpu": 1}, ["c1", "c2", "gpu1"]),
        ({"a-b": 1}, ["a-b1"]),
    ],
)
def test_nodes_are_numbered_from_one(counts: dict[str, int], names: list[str]) -> None:
    """The names of a group's nodes are its own and a number; the names lead back to the numbers."""
    assert node_names(counts) == names
    assert count_groups(names) == {group: count for group, count in counts.items() if count}


@pytest.mark.parametrize(
    ("name", "group"),
    [("c1", "c"), ("gpu12", "gpu"), ("a-b3", "a-b"), ("login", ""), ("c", ""), ("c0", ""), ("-1", "")],
)
def test_group_is_name_without_number(name: str, group: str) -> None:
    """A node's group is its name without the number; services are no nodes."""
    assert group_of(name) == group
    assert not group or node_number(name) == int(name.removeprefix(group))


@pytest.mark.parametrize(
    ("text", "nodes"),
    [
        ("gpu", ["gpu"]),
        ("c1,gpu", ["c1", "gpu"]),
        ("c[1-3,5],gpu[2]", ["c1", "c2", "c3", "c5", "gpu2"]),
        ("c[x]", ["c[x]"]),
        ("c[1-]", ["c1"]),
        ("c[3-1]", ["c[3-1]"]),
        ("", []),
    ],
)
def test_expands_lists_of_nodes(text: str, nodes: list[str]) -> None:
    """Ranges become single names; other text is unchanged, for errors."""
    assert expand(text) == nodes
