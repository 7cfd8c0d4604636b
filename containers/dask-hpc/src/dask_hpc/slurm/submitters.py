"""From which machines Slurm accepts jobs: some sites accept none from compute nodes."""

from __future__ import annotations

import re
from collections.abc import Iterable

from dask_hpc.slurm.commands import ask


def refused_nodes(partition: str, among: Iterable[str]) -> list[str]:
    """Return the machines, of those given, that may not submit jobs to a partition.

    Args:
        partition: its name, or several separated by commas.
        among: names of machines.

    Raises:
        ClusterError: Slurm does not answer.
    """
    found = [re.search(r"\bAllocNodes=(\S+)", _show(one)) for one in partition.split(",")]
    limits = [match[1] for match in found if match and match[1] not in {"ALL", "(null)"}]
    allowed = [set(ask("scontrol", "show", "hostnames", one).split()) for one in limits]
    return sorted(name for name in among if any(name not in names for names in allowed))


def _show(partition: str) -> str:
    return ask("scontrol", "--oneliner", "show", "partition", partition)
