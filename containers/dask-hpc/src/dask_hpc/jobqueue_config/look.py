"""Asking Slurm, and a short job on the idle nodes, for all that `jobqueue.yaml` has to know."""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dask_hpc.doctor.commands import run, srun_environment
from dask_hpc.doctor.site import Site
from dask_hpc.doctor.survey import on, step_options
from dask_hpc.errors import DaskHpcError, RequestError
from dask_hpc.sif import Sif
from dask_hpc.slurm import ask
from dask_hpc.slurm.ask import Node
from dask_hpc.slurm.environment import CHOICES

__all__ = ["Facts", "accounts", "look"]


@dataclass(frozen=True)
class Facts:
    """What was seen.

    Attributes:
        partitions: their nodes.
        partition: the one for the file.
        asked_for: whether that was named, and not Slurm's default.
        accounts: the user's, and why there are none, if so.
        refusal: what sbatch says to a job without an account, if it refuses that.
        memory_refusal: what it says to --mem, if it refuses that alone.
        interface: the login node's, and why it is the one.
        nodes: what nodes said of themselves.
        silent: why none did, if so.
        sif: the SIF that this runs in, if it does.
        home: the user's home.
    """

    partitions: Mapping[str, Sequence[Node]]
    partition: str
    asked_for: bool
    accounts: tuple[list[str], str]
    refusal: str
    memory_refusal: str
    interface: tuple[str, str]
    home: str
    sif: Sif | None = None
    nodes: list[dict[str, Any]] = field(default_factory=list)
    silent: str = ""

    @property
    def smallest(self) -> Node:
        """The node with the fewest CPUs in the partition, of those that are up: a job has to fit on every one."""
        nodes = [node for node in self.partitions[self.partition] if node.up] or self.partitions[self.partition]
        return min(nodes, key=lambda node: (node.cpus, node.memory))


def look(site: Site, home: str) -> Facts:
    """Return what is seen; raises `ClusterError` without Slurm, `RequestError` without nodes in the partition."""
    ask.require()
    partitions = _partitions()
    partition = site.partition or _default(partitions)
    if not partitions.get(partition):
        raise RequestError(
            f"There is no node in partition {partition!r}.", f"There are: {', '.join(partitions) or 'none'}"
        )
    name, why, _ = site.interface
    own, silent = _ask_nodes(site)
    mine = accounts()
    refusal = _refusal(partition)
    account = [f"--account={mine[0][0]}"] if mine[0] and refusal else []
    return Facts(
        partitions, partition, bool(site.partition), mine, refusal, _memory_refusal(partitions[partition], account),
        (name, why), home, site.sif, own, silent,
    )  # fmt: skip


def _partitions() -> dict[str, list[Node]]:
    names = dict.fromkeys(line.strip().rstrip("*") for line in ask.ask("sinfo", "-h", "-o", "%P").splitlines())
    return {name: ask.nodes(name) for name in names if name}


def _default(partitions: Mapping[str, Sequence[Node]]) -> str:
    return next(
        (name for name, nodes in partitions.items() if any(node.default for node in nodes)), next(iter(partitions), "")
    )


def accounts() -> tuple[list[str], str]:
    """Return the accounts that this user may charge, the default one first, or why they are not known.

    $SBATCH_ACCOUNT goes before them all.
    """
    if chosen := os.environ.get(CHOICES["account"]):
        return [chosen], ""
    answer = run("sacctmgr", "-nP", "show", "assoc", f"user={getpass.getuser()}", "format=account")
    if answer.status is None:
        return [], "sacctmgr is not here to be asked"
    if answer.status:
        return [], "this Slurm keeps no accounts" if "accounting_storage" in answer.err else f"sacctmgr: {answer.said}"
    found = list(dict.fromkeys(line.strip() for line in answer.out.splitlines() if line.strip()))
    default = run("sacctmgr", "-nP", "show", "user", getpass.getuser(), "format=defaultaccount").out.strip()
    return sorted(found, key=lambda name: name != default), "" if found else "sacctmgr knows none of yours"


def _refusal(partition: str) -> str:
    answer = _test_only(partition)
    return "" if answer.status == 0 else answer.said


def _memory_refusal(nodes: Sequence[Node], account: Sequence[str]) -> str:
    smallest = min(nodes, key=lambda node: node.memory)
    without = _test_only(smallest.partition, *account)
    with_ = _test_only(smallest.partition, *account, f"--mem={smallest.memory}M")
    return with_.said if without.status == 0 and with_.status != 0 else ""


def _test_only(partition: str, *options: str) -> Any:
    return run("sbatch", "--test-only", f"--partition={partition}", "--ntasks=1", "--time=1", *options, "--wrap=true")


def _ask_nodes(site: Site) -> tuple[list[dict[str, Any]], str]:
    if not site.jobs:
        return [], "no node was asked (--no-job)"
    try:
        options, nodes = step_options(site.environ, site.partition)
    except DaskHpcError as error:
        return [], error.message
    if not nodes:
        return [], "no node was idle, to be asked"
    size = [*on(nodes), f"--ntasks={len(nodes)}", "--ntasks-per-node=1", "--mpi=none"]
    command = ["srun", *options, *size, *site.node_python, "-m", "dask_hpc.jobqueue_config.on_node"]
    answer = run(*command, timeout=60, env=srun_environment(site.environ))
    said = [json.loads(line) for line in answer.out.splitlines() if line.startswith('{"node"')]
    return said, "" if said else f"no node answered: {answer.said}"
