"""Query Slurm, and the idle nodes in a short job, for the facts that `jobqueue.yaml` needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from dask_hpc.doctor.site import Site
from dask_hpc.errors import DaskHpcError, RequestError
from dask_hpc.jobqueue_config.on_node import NodeFacts, parse_reports
from dask_hpc.network import Interface
from dask_hpc.sif import Sif
from dask_hpc.slurm.accounts import Accounts, accounts
from dask_hpc.slurm.commands import require, would_take
from dask_hpc.slurm.nodes import Node, default_partition, partitions
from dask_hpc.slurm.rules import Rules
from dask_hpc.slurm.srun import find_room, once_a_node, srun


@dataclass(frozen=True)
class Reports:
    """The nodes' reports, or the reason for having none."""

    nodes: tuple[NodeFacts, ...] = ()
    why_none: str = ""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """The facts found on this site.

    Attributes:
        partitions: nodes of each partition.
        partition: the partition for the file.
        asked_for: True if the user named the partition, False if it is Slurm's default.
        accounts: accounts of the user.
        refusal: sbatch's error for a job without an account, or empty.
        memory_refusal: sbatch's error for a job with --mem, if it accepts the same job without; else empty.
        interface: interface of the login node.
        home: home folder of the user.
        sif: the SIF that this process runs in, or None.
        reports: reports of the nodes.
        rules: rules for jobs: preemption, and from where they may be submitted.
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
    rules: Rules = field(default_factory=Rules)

    @property
    def smallest(self) -> Node:
        """The node with the fewest CPUs in the partition, of those that are up: a job must fit on each of them."""
        nodes = [node for node in self.partitions[self.partition] if node.up] or self.partitions[self.partition]
        return min(nodes, key=lambda node: (node.cpus, node.memory))


def look(site: Site, home: str) -> Facts:
    """Return the facts; raise `ClusterError` without Slurm, `RequestError` without nodes in the partition."""
    require()
    there = partitions()
    partition = site.partition or default_partition(chain.from_iterable(there.values()))
    if not there.get(partition):
        raise RequestError(f"No nodes found in partition {partition!r}.", f"Available: {', '.join(there) or 'none'}")
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
        rules=site.rules,
    )


def _ask_nodes(site: Site) -> Reports:
    if not site.jobs:
        return Reports(why_none="nodes were not queried (--no-job)")
    try:
        room = find_room(site.environ, site.partition)
    except DaskHpcError as error:
        return Reports(why_none=error.message)
    if not room.nodes:
        return Reports(why_none="no node was idle")
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
