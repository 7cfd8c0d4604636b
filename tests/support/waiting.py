"""Wait for what nothing announces: files, processes, containers and Slurm have to be asked."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from slurm_sim import SlurmSim
from slurm_sim._engine import Engine


def until(condition: Callable[[], Any], what: str, timeout: float = 60) -> Any:
    """Wait for a condition, and return it. The timeout only ends a test that has failed."""
    deadline = time.monotonic() + timeout
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not happen within {timeout} s"
        time.sleep(0.02)  # between two looks at a file, a process or Slurm, which send no event
    return found


def until_in(sim: SlurmSim | Engine, condition: str, *, timeout: float = 150, **how: Any) -> None:
    """Wait until a shell's condition holds in a container, by default on the login node.

    Args:
        sim: the mini-cluster.
        condition: what stands between `until` and `do`, such as `[ -s file ]`.
        timeout: seconds; it only ends a test that has failed.
        how: arguments of `SlurmSim.exec`, such as `on` and `user`.
    """
    ask = f"until {condition}; do sleep 0.1; done"  # between two looks at what sends no event
    sim.exec("bash", "-c", ask, timeout=timeout, **how)
