"""Faults by name."""

from __future__ import annotations

import pytest

from slurm_sim import Fault, SpecError


@pytest.mark.parametrize("fault", list(Fault))
def test_every_fault_is_known_by_its_name(fault: Fault) -> None:
    """A fault's name gives the fault, and so does the fault itself."""
    assert Fault.parse(fault.value) is fault
    assert Fault.parse(fault) is fault


def test_a_mistyped_fault_names_the_nearest() -> None:
    """A near miss asks whether that was meant; anything else lists what there is."""
    with pytest.raises(SpecError, match="did you mean 'node-lost'"):
        Fault.parse("nodelost")
    with pytest.raises(SpecError, match="one of node-lost, node-hangs"):
        Fault.parse("banana")
