"""Specs of mini-clusters for tests that start none."""

from __future__ import annotations

from typing import Any

from slurm_sim import Spec
from slurm_sim.config import NodeGroup


def spec(name: str = "s", *, nodes: int = 2, cpus: int = 1, memory: str | int = 64, **more: Any) -> Spec:
    """Return the spec of a mini-cluster with one group of nodes, c1…cN; images are named a, b and b."""
    images = {"controller_image": "a", "login_image": "b", "node_image": "b"}
    groups = {"c": NodeGroup(count=nodes, cpus=cpus, memory=memory)}
    return Spec(name=name, **{"groups": groups, **images, **more})
