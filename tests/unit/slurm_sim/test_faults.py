"""Faults by name."""

from __future__ import annotations

import pytest

from slurm_sim import Fault, SpecError


@pytest.mark.parametrize("fault", list(Fault))
def test_parses_every_fault(fault: Fault) -> None:
    """A fault is parsed from its name, or returned as it is."""
    assert Fault.parse(fault.value) is fault
    assert Fault.parse(fault) is fault


def test_suggests_nearest_fault() -> None:
    """A near miss gets a suggestion; anything else gets the list."""
    with pytest.raises(SpecError, match="did you mean 'node-lost'"):
        Fault.parse("nodelost")
    with pytest.raises(SpecError, match="one of node-lost, node-hangs"):
        Fault.parse("banana")
