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


def left_after_a_minute(sim: SlurmSim | Engine, search: str) -> str:
    """Return the jobs and what a shell command finds on any node, once nothing is left or a minute has passed."""
    deadline = time.monotonic() + 60  # a job's processes may outlive it in the queue for a moment
    while True:
        found = sim.exec("squeue", "--noheader").stdout
        found += "".join(sim.exec("sh", "-c", search, check=False, on=on).stdout for on in ("login", *sim.nodes()))
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.1)  # processes and Slurm send no event
