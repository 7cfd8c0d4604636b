"""Clean the environment of Slurm's commands, so that variables of the user or of a job do not change them.

Slurm's commands read options from variables, which override those of a job script: `SBATCH_JOB_NAME` renames our jobs,
and `SQUEUE_STATES` hides them. A job also has variables that describe it, which `srun` would take for its own.
https://slurm.schedmd.com/sbatch.html#SECTION_INPUT-ENVIRONMENT-VARIABLES
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

CHOICES = {
    "account": "SBATCH_ACCOUNT",
    "partition": "SBATCH_PARTITION",
    "reservation": "SBATCH_RESERVATION",
    "qos": "SBATCH_QOS",
}
"""Variables with which users of many sites choose where jobs run; they become part of the plan."""

_OPTIONS = re.compile(
    r"(S(ACCT|ALLOC|BATCH|CANCEL|CONTROL|INFO|LURM|QUEUE|RUN|STAT)|PMI|PRTE|OMPI_COMM)_"
    r"|PMIX_(NAMESPACE|RANK|SERVER|DSTORE|GDS|HOSTNAME|VERSION|SYSTEM|SECURITY|BFROP)"
)
_OF_THE_SITE = re.compile(r"SLURM_(CONF(_SERVER)?|PMIX_\w+|SPANK_\w+|UMASK)")
"""Variables that locate Slurm and configure its MPI plugin; they are not options of a job."""


def place(environ: Mapping[str, str]) -> list[str]:
    """Return the `CHOICES` that are set, except the partition, as options of any Slurm command that starts a job."""
    names = [name for name, variable in CHOICES.items() if name != "partition" and environ.get(variable)]
    return [f"--{name}={environ[CHOICES[name]]}" for name in names]


def plain(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return an environment without variables that set an option of a Slurm command or describe a job."""
    return {name: value for name, value in environ.items() if _OF_THE_SITE.fullmatch(name) or not _OPTIONS.match(name)}
