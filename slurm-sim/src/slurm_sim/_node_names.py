"""Names of nodes, in Slurm, in DNS and as hostnames."""

from __future__ import annotations


def node_names(count: int) -> list[str]:
    """Return c1…cN."""
    return [f"c{number}" for number in range(1, count + 1)]


def node_number(node: str) -> int:
    """Return the N of cN."""
    return int(node[1:])
