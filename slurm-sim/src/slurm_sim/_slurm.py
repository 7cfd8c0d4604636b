"""Shell commands for Slurm that several parts of slurm-sim use."""

from __future__ import annotations

from slurm_sim.config import GATE_PARTITION, USER
from slurm_sim.spec import Spec

AWAIT_CONTROLLER = "until scontrol ping >/dev/null; do sleep 0.1; done # slurmctld sends no notice when it answers\n"
"""Waits until the controller answers."""


AWAIT_ACCOUNTING = (
    "until sacctmgr --noheader --parsable2 show cluster format=controlhost | grep --quiet . &&"
    " sdiag | grep --quiet 'DBD Agent queue size: 0$'; do sleep 0.1; done # nor when its records have been written\n"
)
"""Waits until slurmdbd answers, knows the controller, and has all of its records."""


def empty_queue(selection: str = "") -> str:
    """Return the commands that cancel every job that an option of squeue selects, and wait until none is left."""
    squeue = f"squeue --noheader {selection}".rstrip()
    return (
        f"{squeue} --format=%A | sort --unique | xargs --no-run-if-empty scancel\n"
        f'until [ -z "$({squeue})" ]; do sleep 0.05; done # Slurm sends no notice of an empty queue\n'
    )


def gate_job(spec: Spec) -> tuple[str, list[str]]:
    """Return the user and the options of a job that may use all nodes, regardless of partitions and limits."""
    return (USER, []) if spec.plain else ("root", [f"--partition={GATE_PARTITION}"])
