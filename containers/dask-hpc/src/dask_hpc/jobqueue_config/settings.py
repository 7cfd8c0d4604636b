"""Choose the settings in `jobqueue.yaml`, and give their reasons."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dask_hpc.jobqueue_config.look import Facts
from dask_hpc.slurm.rules import Rules
from dask_hpc.units import format_walltime

_EVERYWHERE = "/tmp"  # noqa: S108 (Dask makes a private folder in it)
_HOUR = 3600
_LIFETIME = (
    "${SLURM_JOB_END_TIME:+"
    "--lifetime $(( (SLURM_JOB_END_TIME - $(date +%s)) * 11 / 12 ))s "
    "--lifetime-stagger $(( (SLURM_JOB_END_TIME - $(date +%s)) / 15 ))s}"
)
"""Options for a worker to end before its job: of an hour, 55 minutes, give or take 4. The job's script calculates them,
for a wall time that is an argument of SLURMCluster(), too; Slurm before 23.02 has no such variable."""
_QUIET = ("--no-dashboard", "--dashboard-address", "127.0.0.1:0")
_HEAD = """\
# dask-jobqueue's settings for this site, written by 'dask-hpc jobqueue-config' from what Slurm and its nodes report.
# With this file in ~/.config/dask, this program starts two jobs:
#
#     from dask_jobqueue import SLURMCluster
#     cluster = SLURMCluster(security=True)  # without it, anyone who reaches the scheduler can run code as you
#     cluster.scale(jobs=2)
#
# To replace jobs that end before your work does, by wall time or preemption, use this in place of scale():
#
#     cluster.adapt(minimum_jobs=2, maximum_jobs=2)
#
# Arguments of SLURMCluster() override this file. https://jobqueue.dask.org/en/latest/configuration.html
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
    which = "requested" if facts.asked_for else "Slurm's default partition"
    names = facts.accounts.names
    yours = f"your accounts: {' '.join(names)}" if names else facts.accounts.why_none
    account = names[0] if names and facts.refusal else None
    why = f"sbatch requires one ({facts.refusal}); {yours}" if facts.refusal else f"sbatch requires none; {yours}"
    beside = f"; others: {' '.join(others)}" if others else ", and the only one"
    return [
        Setting("name", "dask-worker", "the jobs' name in squeue"),
        Setting("queue", facts.partition, which + beside + _preempted(facts)),
        Setting("account", account, why),
    ]


def _preempted(facts: Facts) -> str:
    found = facts.rules.preemptions(facts.rules.chosen(facts.partition))
    return "; its jobs may be preempted: use adapt(), see above" if found else ""


def _rules(rules: Rules) -> list[str]:
    """Return a line for each rule about ends and submission of jobs that a Dask cluster may meet."""
    closed = [one for one in rules.partitions if not (one.hidden or one.open_to_its_nodes)]
    return [
        *(one.sentence for one in rules.preemptions(one for one in rules.partitions if not one.hidden)),
        *([f"QOS decides about preemption, and cannot be listed: {rules.unknown}"] if rules.unknown else []),
        *([f"jobs are {rules.end}"] if rules.config else []),
        *(f"partition {one.name} accepts jobs only from {one.submitters} (AllocNodes)" for one in closed),
    ]


def _size(facts: Facts) -> list[Setting]:
    node = facts.smallest
    limit = node.limit
    ends = f"the partition ends jobs after {format_walltime(limit)}" if limit else "the partition has no limit"
    return [
        Setting("cores", node.cpus, f"per job: all cores of {node.name}, the smallest node"),
        Setting("processes", 1, "per job: NumPy runs in parallel in threads; more processes suit pure Python"),
        Setting("memory", _memory(facts), f"per job: all memory of {node.name}; Dask spills before it is full"),
        *_mem(facts),
        Setting("walltime", format_walltime(min(limit or _HOUR, _HOUR)), f"per job; {ends}; short jobs start sooner"),
    ]


def _mem(facts: Facts) -> list[Setting]:
    if facts.memory_refusal:
        return [Setting("job-directives-skip", ["--mem="], f"sbatch rejects --mem here: {facts.memory_refusal}")]
    return [Setting("job-directives-skip", [], "sbatch accepts all directives")]


def _memory(facts: Facts) -> str:
    """Return a node's memory, in whole GiB if it has at least one: dask-jobqueue rounds its request to Slurm up.

    A line `job-mem` would be exact to the MiB, but would also override the `memory` argument of SLURMCluster().
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
        worker = Setting("interface", seen[0], "for workers: the interface through which nodes are reached")
    else:
        reason = f"nodes have several: {' '.join(seen)}" if seen else facts.reports.why_none
        worker = Setting("interface", None, f"for workers: the route to the scheduler decides ({reason})")
    return [
        worker,
        Setting(
            "scheduler-options",
            scheduler,
            f"the scheduler runs here: {why}; its dashboard is a socket only you can open",
        ),
        Setting(
            "worker-extra-args",
            [*_QUIET, _LIFETIME],
            "workers open no dashboard to the network; they move their results and end at 11/12 of the wall time, "
            "give or take 1/15",
        ),
        Setting("death-timeout", 60, "seconds after which a worker without a scheduler ends, and its job with it"),
    ]


def _files(facts: Facts) -> list[Setting]:
    folder, why = _disk(facts)
    return [
        *_python(facts, folder),
        Setting("local-directory", folder, why),
        Setting(
            "shared-temp-directory",
            facts.home,
            "credentials of security=True: shared with the nodes, readable only by you",
        ),
        Setting("log-directory", f"{facts.home}/.dask-hpc/logs", "output of jobs: a folder shared with the nodes"),
    ]


def _python(facts: Facts, folder: str) -> list[Setting]:
    if facts.sif is None:
        return [Setting("python", sys.executable, "the Python of this command, the same on the nodes")]
    return [
        Setting("python", facts.sif.python([folder], []), "the Python in the SIF of this command"),
        Setting(
            "job-script-prologue",
            facts.sif.prologue([], folder),
            "reports what a node lacks, and passes variables into the SIF",
        ),
    ]


def _disk(facts: Facts) -> tuple[str, str]:
    disks = [node.disk for node in facts.reports.nodes if node.disk]
    if not disks:
        reason = facts.reports.why_none or "no common folder is on a local disk with 1 GiB free"
        return _EVERYWHERE, f"folder that workers spill to: a guess, {reason}"
    if len(folders := sorted({disk.folder for disk in disks})) > 1:
        return _EVERYWHERE, f"folder that workers spill to: every node has it; local disks differ: {' '.join(folders)}"
    least = min(disks, key=lambda disk: disk.gib)
    kind = "in the node's memory, without a local disk" if least.type == "tmpfs" else "on the node's local disk"
    return least.folder, f"folder that workers spill to: {kind} ({least.type}, {least.gib} GiB free)"


def render(facts: Facts) -> str:
    """Return the file's text: every setting under its reason."""
    lines = [_HEAD.rstrip(), "#", "# Partitions:"]
    for name, nodes in facts.partitions.items():
        limit = nodes[0].limit if nodes else None
        size = f"{min(node.cpus for node in nodes)} cores, {min(node.memory for node in nodes)} MiB" if nodes else "-"
        lines.append(
            f"#   {name}: {len(nodes)} nodes of {size} or more, " + (format_walltime(limit) if limit else "no limit")
        )
    if found := _rules(facts.rules):
        lines += ["#", "# Preemption, ends and submission of jobs:", *(f"#   {rule}" for rule in found)]
    lines += ["", "jobqueue:", "  slurm:"]
    for one in settings(facts):
        lines += [
            f"    # {' '.join(one.reason.split())}",
            f"    {one.key}: {json.dumps(one.value, ensure_ascii=False)}",
        ]
    return "\n".join(lines) + "\n"
