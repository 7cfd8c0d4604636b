"""Poll files, processes, containers and Slurm, which announce no changes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from slurm_sim import SlurmSim
from slurm_sim._engine import Engine


def until(condition: Callable[[], Any], what: str, timeout: float = 60) -> Any:
    """Wait until a condition is true, and return its value. The timeout only ends a test that has failed."""
    deadline = time.monotonic() + timeout
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not happen within {timeout} s"
        time.sleep(0.02)  # files, processes and Slurm send no event
    return found


def until_in(sim: SlurmSim | Engine, condition: str, *, timeout: float = 150, **how: Any) -> None:
    """Wait until a shell's condition holds in a container, by default on the login node.

    Args:
        sim: the mini-cluster.
        condition: shell condition, such as `[ -s file ]`.
        timeout: seconds; it only ends a test that has failed.
        how: arguments of `SlurmSim.exec`, such as `on` and `user`.
    """
    ask = f"until {condition}; do sleep 0.1; done"  # files, processes and Slurm send no event
    sim.exec("bash", "-c", ask, timeout=timeout, **how)
