"""Names of nodes."""

from __future__ import annotations

import pytest

from slurm_sim._node_names import node_names


@pytest.mark.parametrize(("count", "names"), [(0, []), (1, ["c1"]), (3, ["c1", "c2", "c3"])])
def test_nodes_are_numbered_from_one(count: int, names: list[str]) -> None:
    """Names are c1…cN."""
    assert node_names(count) == names
