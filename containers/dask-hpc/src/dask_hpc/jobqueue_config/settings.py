"""Decide what goes into `jobqueue.yaml`, and why."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dask_hpc.jobqueue_config.look import Facts
from dask_hpc.units import format_walltime

_EVERYWHERE = "/tmp"  # noqa: S108 (Dask makes a private folder in it)
_HOUR = 3600
_QUIET = ("--no-dashboard", "--dashboard-address", "127.0.0.1:0")
_HEAD = """\
# dask-jobqueue's settings for this site, made by 'dask-hpc jobqueue-config' out of what Slurm and its nodes said.
# With it in ~/.config/dask, this starts two jobs:
#
#     from dask_jobqueue import SLURMCluster
#     cluster = SLURMCluster(security=True)  # without it, anyone who reaches the scheduler can run code as you
#     cluster.scale(jobs=2)
#
# What is given to SLURMCluster() goes before what is written here. https://jobqueue.dask.org/en/latest/configuration.html
"""

Value = str | int | Sequence[str] | Mapping[str, str] | None


@dataclass(frozen=True)
class Setting:
    """A line of the file, and the reason for it."""

    key: str
    value: Value
    reason: str


def settings(facts: Facts) -> list[Setting]:
    """Return every line, with its reason."""
    return [*_place(facts), *_size(facts), *_network(facts), *_files(facts)]


def _place(facts: Facts) -> list[Setting]:
    others = [name for name in facts.partitions if name != facts.partition]
    which = "asked for" if facts.asked_for else "Slurm's default partition"
    names = facts.accounts.names
    yours = f"yours: {' '.join(names)}" if names else facts.accounts.why_none
    account = names[0] if names and facts.refusal else None
    why = f"sbatch wants one ({facts.refusal}); {yours}" if facts.refusal else f"sbatch takes jobs without; {yours}"
    beside = f"; others: {' '.join(others)}" if others else ", and the only one"
    return [
        Setting("name", "dask-worker", "the jobs' name in squeue"),
        Setting("queue", facts.partition, which + beside),
        Setting("account", account, why),
    ]


def _size(facts: Facts) -> list[Setting]:
    node = facts.smallest
    limit = node.limit
    ends = f"the partition ends jobs after {format_walltime(limit)}" if limit else "the partition has no limit"
    return [
        Setting("cores", node.cpus, f"of a job: all that {node.name} has, the smallest node here"),
        Setting("processes", 1, "of a job: NumPy lets threads run side by side; more for pure Python"),
        Setting("memory", _memory(facts), f"of a job: what {node.name} has; Dask spills before it is full"),
        *_mem(facts),
        Setting("walltime", format_walltime(min(limit or _HOUR, _HOUR)), f"of a job; {ends}; short jobs start sooner"),
    ]


def _mem(facts: Facts) -> list[Setting]:
    if facts.memory_refusal:
        return [Setting("job-directives-skip", ["--mem="], f"sbatch refuses --mem here: {facts.memory_refusal}")]
    return [Setting("job-directives-skip", [], "sbatch takes them all")]


def _memory(facts: Facts) -> str:
    """Return a node's memory, in whole GiB where there are any: dask-jobqueue asks Slurm for so many, rounded up.

    A line `job-mem`, which would say it to the MiB, would also go before the `memory` that is given to SLURMCluster().
    """
    mib = facts.smallest.memory
    if facts.memory_refusal:
        return f"{mib}MiB"
    return f"{mib >> 10}GiB" if mib >= 1024 else f"{mib}MiB"


def _network(facts: Facts) -> list[Setting]:
    name, why = facts.interface
    seen = sorted({node.interface for node in facts.reports.nodes if node.interface})
    scheduler = {"interface": name, "dashboard_address": "127.0.0.1:0"}
    if len(seen) == 1:
        worker = Setting("interface", seen[0], "the workers': what nodes are reached by")
    else:
        reason = f"nodes have several: {' '.join(seen)}" if seen else facts.reports.why_none
        worker = Setting("interface", None, f"the workers' is the one that leads to the scheduler: {reason}")
    return [
        worker,
        Setting(
            "scheduler-options", scheduler, f"the scheduler runs here: {why}; its dashboard is a socket of yours alone"
        ),
        Setting("worker-extra-args", list(_QUIET), "workers show nothing to the network"),
        Setting("death-timeout", 60, "seconds: a worker that finds no scheduler ends, and its job with it"),
    ]


def _files(facts: Facts) -> list[Setting]:
    folder, why = _disk(facts)
    return [
        *_python(facts, folder),
        Setting("local-directory", folder, why),
        Setting(
            "shared-temp-directory", facts.home, "credentials of security=True: shared with the nodes, yours alone"
        ),
        Setting("log-directory", f"{facts.home}/.dask-hpc/logs", "what jobs print: a shared folder"),
    ]


def _python(facts: Facts, folder: str) -> list[Setting]:
    if facts.sif is None:
        return [Setting("python", sys.executable, "the Python that this ran in, the same on the nodes")]
    return [
        Setting("python", facts.sif.python([folder], []), "the one in the SIF that this ran in"),
        Setting(
            "job-script-prologue",
            facts.sif.prologue([], folder),
            "names what a node lacks, and passes variables into the SIF",
        ),
    ]


def _disk(facts: Facts) -> tuple[str, str]:
    disks = [node.disk for node in facts.reports.nodes if node.disk]
    if not disks:
        reason = facts.reports.why_none or "no usual folder there is on the node's own disk with 1 GiB free"
        return _EVERYWHERE, f"where workers spill to: a guess, {reason}"
    if len(folders := sorted({disk.folder for disk in disks})) > 1:
        return _EVERYWHERE, f"where workers spill to: every node has it; their own disks differ: {' '.join(folders)}"
    least = min(disks, key=lambda disk: disk.gib)
    kind = "in the node's memory, for want of a disk" if least.type == "tmpfs" else "the node's own disk"
    return least.folder, f"where workers spill to: {kind} ({least.type}, {least.gib} GiB free)"


def render(facts: Facts) -> str:
    """Return the file's text: every setting under its reason."""
    lines = [_HEAD.rstrip(), "#", "# Partitions:"]
    for name, nodes in facts.partitions.items():
        limit = nodes[0].limit if nodes else None
        size = f"{min(node.cpus for node in nodes)} cores, {min(node.memory for node in nodes)} MiB" if nodes else "-"
        lines.append(
            f"#   {name}: {len(nodes)} nodes of {size} or more, " + (format_walltime(limit) if limit else "no limit")
        )
    lines += ["", "jobqueue:", "  slurm:"]
    for one in settings(facts):
        lines += [
            f"    # {' '.join(one.reason.split())}",
            f"    {one.key}: {json.dumps(one.value, ensure_ascii=False)}",
        ]
    return "\n".join(lines) + "\n"
