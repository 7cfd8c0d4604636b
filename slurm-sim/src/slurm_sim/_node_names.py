"""Names of nodes, in Slurm, in DNS and as hostnames: the group's name and a number from 1."""

from __future__ import annotations

import re
from collections.abc import Mapping

_NODE = re.compile(r"(?P<group>[a-z](?:[a-z0-9-]*[a-z])?)(?P<number>[1-9][0-9]*)")
_RANGES = re.compile(r"(?P<group>[a-z](?:[a-z0-9-]*[a-z])?)\[(?P<ranges>[0-9,-]+)\]")


def node_names(counts: Mapping[str, int]) -> list[str]:
    """Return the nodes of groups with these numbers of nodes: `{"c": 2, "gpu": 1}` is c1, c2, gpu1."""
    return [f"{group}{number}" for group, count in counts.items() for number in range(1, count + 1)]


def group_of(node: str) -> str:
    """Return the group of a node; "" if this is no name of a node."""
    match = _NODE.fullmatch(node)
    return match["group"] if match else ""


def node_number(node: str) -> int:
    """Return the number of a node in its group."""
    return int(node[len(group_of(node)) :])


def count_groups(nodes: list[str]) -> dict[str, int]:
    """Return the number of each group's last node."""
    counts: dict[str, int] = {}
    for node in nodes:
        counts[group_of(node)] = max(counts.get(group_of(node), 0), node_number(node))
    return counts


def expand(text: str) -> list[str]:
    """Return the groups and nodes in a list such as `gpu,c[1-2,5]`: gpu, c1, c2, c5. Other text stays."""
    found: list[str] = []
    for part in re.findall(r"[^,\[]+(?:\[[^\]]*\])?", text):
        match = _RANGES.fullmatch(part.strip())
        if not match:
            found.append(part.strip())
            continue
        for piece in match["ranges"].split(","):
            first, _, last = piece.partition("-")
            numbers = range(int(first), int(last or first) + 1) if first.isdigit() and (last or first).isdigit() else []
            found += [f"{match['group']}{number}" for number in numbers] or [part.strip()]
    return found
