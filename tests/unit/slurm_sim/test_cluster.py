"""Arguments of a mini-cluster, before anything starts."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from slurm_sim import SlurmSim, SpecError
from slurm_sim.config import NodeGroup
from slurm_sim.spec import Arguments


def test_has_two_nodes_of_two_cpus_by_default() -> None:
    """The defaults are the same as the command's; each mini-cluster gets a unique name."""
    one = SlurmSim(bare=True)
    other = SlurmSim(bare=True)
    assert one.spec.groups == {"c": NodeGroup(count=2, cpus=2, memory=4096)}
    assert one.name != other.name
    assert one.name.startswith("slurm-sim-")


def test_arguments_reach_spec() -> None:
    """Every argument reaches the spec, and containers are named after the mini-cluster."""
    sim = SlurmSim(nodes=3, cpus_per_node=1024, memory_per_node="2G", name="mine", image="i", bare=True)
    assert (sim.spec.groups, sim.spec.name) == ({"c": NodeGroup(count=3, cpus=1024, memory=2048)}, "mine")
    assert (sim.spec.bare, sim.spec.sif, sim.spec.jupyter) == (True, None, False)
    assert sim.container("c1") == "mine-c1-1"


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"nodes": 513}, "nodes must be between 1 and 512, not 513"),
        ({"nodes": 0}, "nodes"),
        ({"cpus_per_node": 0}, "CPUs per node"),
        ({"cpus_per_node": 1025}, "CPUs per node"),
        ({"memory_per_node": "1M"}, "'1M'"),
        ({"name": "Upper"}, "'Upper'"),
        ({"name": ""}, "''"),
    ],
)
def test_rejects_invalid_arguments(wrong: dict[str, Any], word: str) -> None:
    """The error names the argument or its value, and nothing is started."""
    with pytest.raises(SpecError, match=word):
        SlurmSim(bare=True, **wrong)


def test_arguments_type_has_all_but_name() -> None:
    """`Arguments` has all arguments of `SlurmSim` except the name."""
    assert [*Arguments.__annotations__, "name"] == sorted(
        inspect.signature(SlurmSim).parameters, key=lambda name: name == "name"
    )
