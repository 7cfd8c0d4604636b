"""What goes into `jobqueue.yaml`, and why."""

from __future__ import annotations

import json
import sys
from typing import Any

from dask_hpc.jobqueue_config.look import Facts
from dask_hpc.units import format_walltime

__all__ = ["Setting", "render", "settings"]

Setting = tuple[str, Any, str]
_HOUR = 3600
_QUIET = ("--no-dashboard", "--dashboard-address", "127.0.0.1:0")
_HEAD = """\
# dask-jobqueue's settings for this site, made by 'dask-hpc jobqueue-config' out of what Slurm and its nodes said.
# With it in ~/.config/dask, this starts two jobs:
#
#     from dask_jobqueue import SLURMCluster
#     cluster = SLURMCluster(security=True)  # without security, whoever reaches the scheduler can run anything as you
#     cluster.scale(jobs=2)
#
# What is given to SLURMCluster() goes before what is written here. https://jobqueue.dask.org/en/latest/configuration.html
"""


def settings(facts: Facts) -> list[Setting]:
    """Return key, value and reason of every line."""
    return [*_place(facts), *_size(facts), *_network(facts), *_files(facts)]


def _place(facts: Facts) -> list[Setting]:
    others = [name for name in facts.partitions if name != facts.partition]
    which = "asked for" if facts.asked_for else "Slurm's default partition"
    names, why_none = facts.accounts
    if facts.refusal:
        account = names[0] if names else None
        why = f"sbatch wants one ({facts.refusal})" + (f"; yours: {' '.join(names)}" if names else f"; {why_none}")
    else:
        account, why = None, "sbatch takes jobs without; " + (f"yours: {' '.join(names)}" if names else why_none)
    return [
        ("name", "dask-worker", "the jobs' name in squeue"),
        ("queue", facts.partition, which + (f"; others: {' '.join(others)}" if others else ", and the only one")),
        ("account", account, why),
    ]


def _size(facts: Facts) -> list[Setting]:
    node = facts.smallest
    limit = node.limit
    ends = f"the partition ends jobs after {format_walltime(limit)}" if limit else "the partition has no limit"
    return [
        ("cores", node.cpus, f"of a job: all that {node.name} has, the smallest node here"),
        ("processes", 1, "of a job: NumPy lets threads run side by side; more for pure Python"),
        ("memory", _memory(facts), f"of a job: what {node.name} has; Dask spills before it is full"),
        *_mem(facts),
        ("walltime", format_walltime(min(limit or _HOUR, _HOUR)), f"of a job; {ends}; short jobs start sooner"),
    ]


def _mem(facts: Facts) -> list[Setting]:
    if facts.memory_refusal:
        return [("job-directives-skip", ["--mem="], f"sbatch refuses --mem here: {facts.memory_refusal}")]
    return [("job-directives-skip", [], "sbatch takes them all")]


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
    seen = sorted({str(node["interface"]) for node in facts.nodes if node["interface"]})
    scheduler = {"interface": name, "dashboard_address": "127.0.0.1:0"}
    if seen and len(seen) == 1:
        worker: Setting = ("interface", seen[0], "the workers': what nodes are reached by")
    else:
        reason = f"nodes have several: {' '.join(seen)}" if seen else facts.silent
        worker = ("interface", None, f"the workers' is the one that leads to the scheduler: {reason}")
    return [
        worker,
        (
            "scheduler-options",
            scheduler,
            f"the scheduler runs here: {why}; its dashboard is a socket of yours alone",
        ),
        (
            "worker-extra-args",
            list(_QUIET),
            "workers show nothing to the network",
        ),
        ("death-timeout", 60, "seconds: a worker that finds no scheduler ends, and its job with it"),
    ]


def _files(facts: Facts) -> list[Setting]:
    folder, why = _disk(facts)
    return [
        *_python(facts, folder),
        ("local-directory", folder, why),
        ("shared-temp-directory", facts.home, "credentials of security=True: shared with the nodes, yours alone"),
        ("log-directory", f"{facts.home}/.dask-hpc/logs", "what jobs print: a shared folder"),
    ]


def _python(facts: Facts, folder: str) -> list[Setting]:
    if facts.sif is None:
        return [("python", sys.executable, "the Python that this ran in, the same on the nodes")]
    return [
        ("python", facts.sif.python([folder], []), "the one in the SIF that this ran in"),
        (
            "job-script-prologue",
            facts.sif.prologue([], folder),
            "names what a node lacks, and passes variables into the SIF",
        ),
    ]


def _disk(facts: Facts) -> tuple[str, str]:
    disks = [node["disk"] for node in facts.nodes if node["disk"]]
    if not disks:
        reason = facts.silent or "no usual folder there is on the node's own disk with 1 GiB free"
        return "/tmp", f"where workers spill to: a guess, {reason}"  # noqa: S108 (Dask makes a folder of its own in it)
    if len(folders := sorted({str(disk["folder"]) for disk in disks})) > 1:
        return "/tmp", f"where workers spill to: every node has it; their own disks differ: {' '.join(folders)}"  # noqa: S108
    least = min(disks, key=lambda disk: int(disk["gib"]))
    kind = "in the node's memory, for want of a disk" if least["type"] == "tmpfs" else "the node's own disk"
    return str(least["folder"]), f"where workers spill to: {kind} ({least['type']}, {least['gib']} GiB free)"


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
    for key, value, reason in settings(facts):
        lines += [f"    # {' '.join(reason.split())}", f"    {key}: {json.dumps(value, ensure_ascii=False)}"]
    return "\n".join(lines) + "\n"
