"""Read the resources of this process's job and step from the environment.

Slurm writes whole numbers, memory in MiB: `SLURM_MEM_PER_NODE=2048`, `SLURM_CPUS_ON_NODE=8`. The user may have set
these too, with units such as `2G`, since srun reads `SLURM_MEM_PER_NODE` as its `--mem`. Numbers for all nodes have
repetitions: `4(x2),3`. https://slurm.schedmd.com/sbatch.html#SECTION_OUTPUT-ENVIRONMENT-VARIABLES

Every rank of an MPI program imports this module, so it imports little.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

VARIABLES = {
    "job": "SLURM_JOB_ID",
    "step": "SLURM_STEP_ID",
    "node": "SLURMD_NODENAME",
    "nodes": "SLURM_JOB_NODELIST",
    "node_number": "SLURM_NODEID",
    "submit_host": "SLURM_SUBMIT_HOST",
    "cpus": "SLURM_CPUS_ON_NODE",
    "cpus_per_task": "SLURM_CPUS_PER_TASK",
    "memory_per_node": "SLURM_MEM_PER_NODE",
    "memory_per_cpu": "SLURM_MEM_PER_CPU",
    "tasks": "SLURM_STEP_NUM_TASKS",
    "tasks_per_node": "SLURM_STEP_TASKS_PER_NODE",
    "rank": "SLURM_PROCID",
    "mpi": "SLURM_MPI_TYPE",
    "overcommit": "SLURM_OVERCOMMIT",
    "pmix": "PMIX_NAMESPACE",
}
"""Slurm's variable for each fact."""

_MEMORY = re.compile(r"(\d+(?:\.\d+)?)([kmgt]?)b?", re.IGNORECASE)
_MEBIBYTES = {"k": 1 / 1024, "": 1, "m": 1, "g": 1024, "t": 1024 * 1024}


@dataclass(frozen=True, kw_only=True)
class Allocation:
    """The resources that Slurm reports to a process; a missing number is None, a missing text is empty.

    Attributes:
        job: number of the job.
        step: number of the step; empty in a batch script.
        node: name of this node.
        nodes: names of the job's nodes, in Slurm's notation.
        submit_host: name of the host that submitted the job.
        cpus: the job's CPUs on this node.
        cpus_per_task: requested CPUs per task.
        memory_per_node: memory per node in MiB; None also if the job has all of the node's.
        memory_per_cpu: memory per CPU in MiB; None likewise.
        tasks: number of tasks that srun started in this step, on all nodes.
        tasks_on_node: number of these tasks on this node.
        rank: number of this task in the step.
        mpi: value of srun's --mpi.
        overcommit: True if the step may have more tasks than CPUs.
        by_srun: True if this process has its PMIx from Slurm, and not from an mpirun inside or outside the step.
    """

    job: str = ""
    step: str = ""
    node: str = ""
    nodes: str = ""
    submit_host: str = ""
    cpus: int | None = None
    cpus_per_task: int | None = None
    memory_per_node: int | None = None
    memory_per_cpu: int | None = None
    tasks: int | None = None
    tasks_on_node: int | None = None
    rank: int | None = None
    mpi: str = ""
    overcommit: bool = False
    by_srun: bool = False

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Return the allocation of a process with this environment."""

        def text(fact: str) -> str:
            return environ.get(VARIABLES[fact], "")

        per_node = _per_node(text("tasks_per_node"))
        number = _number(text("node_number"))
        return cls(
            job=text("job"),
            step=text("step"),
            node=text("node"),
            nodes=text("nodes"),
            submit_host=text("submit_host"),
            cpus=_number(text("cpus")) or None,
            cpus_per_task=_number(text("cpus_per_task")) or None,
            memory_per_node=mebibytes(text("memory_per_node")) or None,
            memory_per_cpu=mebibytes(text("memory_per_cpu")) or None,
            tasks=_number(text("tasks")),
            tasks_on_node=per_node[number] if number is not None and number < len(per_node) else None,
            rank=_number(text("rank")),
            mpi=text("mpi"),
            overcommit=VARIABLES["overcommit"] in environ,
            by_srun=text("pmix").startswith("slurm."),
        )

    @property
    def memory(self) -> int | None:
        """The job's MiB on this node, if Slurm says how many."""
        if self.memory_per_node:
            return self.memory_per_node
        return self.memory_per_cpu * self.cpus if self.memory_per_cpu and self.cpus else None


def mebibytes(text: str | None) -> int | None:
    """Parse memory in Slurm's notation; return MiB, also the unit of a bare number, or None if it is invalid."""
    match = _MEMORY.fullmatch((text or "").strip())
    return math.ceil(float(match[1]) * _MEBIBYTES[match[2].lower()]) if match else None


def _number(text: str) -> int | None:
    """Return the number at the start of a text, or None."""
    found = re.match(r"\d+", text)
    return int(found[0]) if found else None


def _per_node(text: str) -> list[int]:
    """Return one number per node: `4(x2),3` is 4, 4 and 3."""
    numbers: list[int] = []
    for number, times in re.findall(r"(\d+)(?:\(x(\d+)\))?", text):
        numbers += [int(number)] * int(times or 1)
    return numbers
