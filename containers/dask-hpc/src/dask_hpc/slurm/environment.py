"""The environment for Slurm's commands: what is planned is what they do, whatever a user or a job has set.

Slurm's commands take options from variables, and those go before what a job script says: `SBATCH_JOB_NAME` renames our
jobs, `SQUEUE_STATES` hides them. In a job there are also the variables that describe it, and `srun` would take them
for its own. https://slurm.schedmd.com/sbatch.html#SECTION_INPUT-ENVIRONMENT-VARIABLES
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
"""The variables by which many sites have their users choose where jobs go: they become part of the plan."""

_OPTIONS = re.compile(
    r"(S(ACCT|ALLOC|BATCH|CANCEL|CONTROL|INFO|LURM|QUEUE|RUN|STAT)|PMI|PRTE|OMPI_COMM)_"
    r"|PMIX_(NAMESPACE|RANK|SERVER|DSTORE|GDS|HOSTNAME|VERSION|SYSTEM|SECURITY|BFROP)"
)
_OF_THE_SITE = re.compile(r"SLURM_(CONF(_SERVER)?|PMIX_\w+|SPANK_\w+|UMASK)")
"""Variables that locate Slurm and configure its MPI plugin, and are no options of a job."""


def place(environ: Mapping[str, str]) -> list[str]:
    """Return the options, for any of Slurm's commands that starts a job, of what was chosen; not the partition."""
    names = [name for name, variable in CHOICES.items() if name != "partition" and environ.get(variable)]
    return [f"--{name}={environ[CHOICES[name]]}" for name in names]


def plain(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return a process's environment without what changes an option of a Slurm command, or describes a job."""
    return {name: value for name, value in environ.items() if _OF_THE_SITE.fullmatch(name) or not _OPTIONS.match(name)}
