"""Ask Slurm, and a short job on the idle nodes, for all that `jobqueue.yaml` has to know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from dask_hpc.doctor.site import Site
from dask_hpc.errors import DaskHpcError, RequestError
from dask_hpc.jobqueue_config.on_node import NodeFacts, parse_reports
from dask_hpc.network import Interface
from dask_hpc.sif import Sif
from dask_hpc.slurm.accounts import Accounts, accounts
from dask_hpc.slurm.commands import require, would_take
from dask_hpc.slurm.nodes import Node, default_partition, partitions
from dask_hpc.slurm.srun import find_room, once_a_node, srun


@dataclass(frozen=True)
class Reports:
    """The nodes' answers, or the reason that there are none."""

    nodes: tuple[NodeFacts, ...] = ()
    why_none: str = ""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What was seen.

    Attributes:
        partitions: their nodes.
        partition: the one for the file.
        asked_for: whether that was named, and not Slurm's default.
        accounts: the user's.
        refusal: what sbatch says to a job without an account, if it refuses that.
        memory_refusal: what it says to --mem, if it refuses that alone.
        interface: the login node's.
        home: the user's home.
        sif: the SIF that this runs in, if it does.
        reports: of the nodes.
    """

    partitions: Mapping[str, Sequence[Node]]
    partition: str
    asked_for: bool
    accounts: Accounts
    refusal: str
    memory_refusal: str
    interface: Interface
    home: str
    sif: Sif | None = None
    reports: Reports = Reports()

    @property
    def smallest(self) -> Node:
        """The node with the fewest CPUs in the partition, of those that are up: a job has to fit on every one."""
        nodes = [node for node in self.partitions[self.partition] if node.up] or self.partitions[self.partition]
        return min(nodes, key=lambda node: (node.cpus, node.memory))


def look(site: Site, home: str) -> Facts:
    """Return what is seen; raises `ClusterError` without Slurm, `RequestError` without nodes in the partition."""
    require()
    there = partitions()
    partition = site.partition or default_partition(chain.from_iterable(there.values()))
    if not there.get(partition):
        raise RequestError(f"There is no node in partition {partition!r}.", f"There are: {', '.join(there) or 'none'}")
    interface = site.interface
    reports = _ask_nodes(site)
    own = accounts()
    refusal = _refusal(partition)
    account = [f"--account={own.names[0]}"] if own.names and refusal else []
    return Facts(
        partitions=there,
        partition=partition,
        asked_for=bool(site.partition),
        accounts=own,
        refusal=refusal,
        memory_refusal=_memory_refusal(there[partition], account),
        interface=interface,
        home=home,
        sif=site.sif,
        reports=reports,
    )


def _ask_nodes(site: Site) -> Reports:
    if not site.jobs:
        return Reports(why_none="no node was asked (--no-job)")
    try:
        room = find_room(site.environ, site.partition)
    except DaskHpcError as error:
        return Reports(why_none=error.message)
    if not room.nodes:
        return Reports(why_none="no node was idle, to be asked")
    program = [*site.node_python, "-m", "dask_hpc.jobqueue_config.on_node"]
    answer = srun(*room.options, *once_a_node(room.nodes), *program, timeout=60, environ=site.environ)
    found = parse_reports(answer.out)
    return Reports(tuple(found), "" if found else f"no node answered: {answer.said}")


def _refusal(partition: str) -> str:
    answer = would_take(f"--partition={partition}")
    return "" if answer.status == 0 else answer.said


def _memory_refusal(nodes: Sequence[Node], account: Sequence[str]) -> str:
    smallest = min(nodes, key=lambda node: node.memory)
    options = [f"--partition={smallest.partition}", *account]
    without = would_take(*options)
    with_memory = would_take(*options, f"--mem={smallest.memory}M")
    return with_memory.said if without.status == 0 and with_memory.status != 0 else ""
