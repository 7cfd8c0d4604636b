"""A site's rules for jobs: whether and how they are preempted, and from where they may be submitted.

https://slurm.schedmd.com/preempt.html
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from dask_hpc.slurm.commands import run

Outcome = Literal["requeue", "cancel", "suspend"]

ANY = "ALL"
"""AllocNodes of a partition to which every machine may submit jobs."""

_OUTCOMES: dict[str, Outcome] = {"REQUEUE": "requeue", "CANCEL": "cancel", "SUSPEND": "suspend"}
_FATES: dict[Outcome, str] = {
    "requeue": "a job is put back into the queue",
    "cancel": "a job is cancelled",
    "suspend": "a job is suspended, and continues later",
}


@dataclass(frozen=True, kw_only=True)
class Preemption:
    """How jobs of one kind are preempted.

    Attributes:
        whose: the preempted jobs: `partition NAME` or `QOS NAME`.
        by: names of the partitions or QOS whose jobs preempt them.
        outcome: what happens to a preempted job.
        grace: seconds that it still has. A batch job gets no signal at their beginning, seen with Slurm 24.11.5: only
            its steps do. At their end, it gets SIGTERM, and SIGKILL after KillWait.
    """

    whose: str
    by: tuple[str, ...]
    outcome: Outcome
    grace: int

    @property
    def sentence(self) -> str:
        """The fate of a preempted job, as a sentence without a full stop."""
        grace = f" after {self.grace} s (GraceTime)" if self.grace and self.outcome != "suspend" else ""
        return f"{self.whose} is preempted by {_and(self.by)}: {_FATES[self.outcome]}{grace}"


@dataclass(frozen=True, kw_only=True)
class PartitionRules:
    """The rules of a partition, from `scontrol show partition`.

    Attributes:
        name: name of the partition.
        default: True if it is Slurm's default.
        hidden: True if users do not see it, or may not use it.
        nodes: its nodes; None if their names could not be read.
        submitters: machines that may submit jobs to it, in Slurm's notation; `ALL` for every machine.
        tier: its PriorityTier.
        mode: its PreemptMode.
        grace: its GraceTime, in seconds.
    """

    name: str
    default: bool = False
    hidden: bool = False
    nodes: frozenset[str] | None = None
    submitters: str = ANY
    tier: int = 1
    mode: str = "OFF"
    grace: int = 0

    @property
    def open_to_its_nodes(self) -> bool:
        """True if a job on any of its nodes may submit jobs to it."""
        allowed = expand(self.submitters)
        return self.submitters == ANY or not self.nodes or allowed is None or self.nodes <= allowed

    def meets(self, other: PartitionRules) -> bool:
        """Return whether the partitions share nodes, as far as their names could be read."""
        return self.nodes is None or other.nodes is None or bool(self.nodes & other.nodes)


@dataclass(frozen=True, kw_only=True)
class Qos:
    """A QOS: the names of those that it preempts, and how its own jobs are preempted."""

    name: str
    preempts: tuple[str, ...] = ()
    mode: str = "CLUSTER"
    grace: int = 0


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The rules of a site.

    Attributes:
        partitions: the partitions, in Slurm's order, also hidden ones.
        config: lines of `scontrol show config`.
        qos: the QOS; empty unless they decide about preemption.
        unknown: reason for not knowing the QOS, or empty.
    """

    partitions: Sequence[PartitionRules] = ()
    config: Mapping[str, str] = field(default_factory=dict)
    qos: Sequence[Qos] = ()
    unknown: str = ""

    def chosen(self, partition: str | None) -> list[PartitionRules]:
        """Return the partitions of a comma-separated list; by default Slurm's default, or the first one."""
        if partition:
            return [one for one in self.partitions if one.name in partition.split(",")]
        return [one for one in self.partitions if one.default] or list(self.partitions[:1])

    def open_to_all(self) -> list[str]:
        """Return the names of the partitions that accept jobs from every machine."""
        return [one.name for one in self.partitions if one.submitters == ANY and not one.hidden]

    @property
    def kill_wait(self) -> int:
        """Seconds between SIGTERM and SIGKILL at the end of a job."""
        return _seconds(self.config.get("KillWait", "30"))

    @property
    def end(self) -> str:
        """How jobs are ended, at their wall time and in preemption."""
        return f"ended with SIGTERM, and SIGKILL {self.kill_wait} s later (KillWait)"

    @property
    def by_qos(self) -> bool:
        """True if the QOS of jobs decides which jobs are preempted."""
        return self.config.get("PreemptType") == "preempt/qos"

    def preemptions(self, partitions: Iterable[PartitionRules]) -> list[Preemption]:
        """Return how jobs in these partitions are preempted; with preemption by QOS, how those of each QOS are."""
        found = self._of_qos() if self.by_qos else [self._of_partition(one) for one in partitions]
        return [one for one in found if one]

    def _of_partition(self, partition: PartitionRules) -> Preemption | None:
        if self.config.get("PreemptType") != "preempt/partition_prio":
            return None
        by = [one.name for one in self.partitions if one.tier > partition.tier and one.meets(partition)]
        return self._preemption(f"partition {partition.name}", by, partition.mode, partition.grace)

    def _of_qos(self) -> list[Preemption | None]:
        found = []
        for qos in self.qos:
            cluster = qos.mode.upper() in {"", "CLUSTER", "OFF"}
            by = [one.name for one in self.qos if qos.name in one.preempts]
            mode = self.config.get("PreemptMode", "") if cluster else qos.mode
            found.append(self._preemption(f"QOS {qos.name}", by, mode, qos.grace))
        return found

    def _preemption(self, whose: str, by: Sequence[str], mode: str, grace: int) -> Preemption | None:
        known = [_OUTCOMES[word] for word in re.split(r"\W+", mode.upper()) if word in _OUTCOMES]
        if not by or not known:
            return None
        outcome = "cancel" if known[0] == "requeue" and self.config.get("JobRequeue") == "0" else known[0]
        # seen with Slurm 24.11.5: where jobs may also be suspended, those that are cancelled get no grace time
        gang = "GANG" in self.config.get("PreemptMode", "")
        return Preemption(whose=whose, by=tuple(by), outcome=outcome, grace=0 if gang else grace)


def configuration() -> dict[str, str]:
    """Return Slurm's configuration; empty if the controller does not answer."""
    return parse_configuration(run("scontrol", "show", "config").out)


def partition_rules() -> tuple[PartitionRules, ...]:
    """Return the rules of all partitions; empty if the controller does not answer."""
    return parse_partitions(run("scontrol", "--all", "--oneliner", "show", "partition").out)


def refused_nodes(of: str, to: str) -> list[str]:
    """Return the nodes of some partitions that may not submit jobs to others; asks Slurm once.

    Args:
        of: names of the partitions whose nodes they are, separated by commas.
        to: names of the other ones.
    """
    known = {one.name: one for one in partition_rules()}
    nodes = {node for name in of.split(",") if name in known for node in known[name].nodes or ()}
    limits = [known[name].submitters for name in to.split(",") if name in known]
    allowed = [expand(limit) for limit in limits if limit != ANY]
    return sorted(node for node in nodes if any(names is not None and node not in names for names in allowed))


def rules(config: Mapping[str, str]) -> Rules:
    """Return the site's rules: one query for its partitions, and one for the QOS if they decide about preemption."""
    partitions = partition_rules()
    known = Rules(partitions=partitions, config=config)
    if not known.by_qos:
        return known
    answer = run("sacctmgr", "-nP", "show", "qos", "format=name,preempt,preemptmode,gracetime")
    if answer.status != 0:
        return Rules(partitions=partitions, config=config, unknown=answer.said)
    return Rules(partitions=partitions, config=config, qos=parse_qos(answer.out))


def parse_configuration(text: str) -> dict[str, str]:
    """Return the values in the output of `scontrol show config`."""
    return dict(re.findall(r"^(\w+)\s*= (.*?)\s*$", text, re.MULTILINE))


def parse_partitions(text: str) -> tuple[PartitionRules, ...]:
    """Return the partitions in the output of `scontrol --oneliner show partition`; other lines are ignored."""
    lines = [dict(word.partition("=")[::2] for word in line.split()) for line in text.splitlines()]
    return tuple(
        PartitionRules(
            name=said["PartitionName"],
            default=said.get("Default") == "YES",
            hidden="YES" in (said.get("Hidden"), said.get("RootOnly")),
            nodes=expand(said.get("Nodes", "(null)")),
            submitters=said.get("AllocNodes", ANY),
            tier=_number(said.get("PriorityTier", "1")),
            mode=said.get("PreemptMode", "OFF"),
            grace=_number(said.get("GraceTime", "0")),
        )
        for said in lines
        if "PartitionName" in said
    )


def parse_qos(text: str) -> tuple[Qos, ...]:
    """Return the QOS in the output of `sacctmgr -nP show qos format=name,preempt,preemptmode,gracetime`."""
    rows = [line.split("|") for line in text.splitlines()]
    return tuple(
        Qos(name=row[0], preempts=tuple(row[1].split(",")), mode=row[2], grace=_seconds(row[3]))
        for row in rows
        if len(row) == 4 and row[0]
    )


def expand(text: str) -> frozenset[str] | None:
    """Return the names in Slurm's notation, such as `c[1-2],login`; None if it has another form."""
    if text == "(null)":
        return frozenset()
    names: set[str] = set()
    for word in re.split(r",(?![^\[]*\])", text):
        parts = re.split(r"\[([\d,-]+)\]", word)  # texts and, between them, the contents of brackets
        if any(re.search(r"[\[\]()]", part) for part in parts):
            return None
        choices = [[part] if index % 2 == 0 else list(_numbers(part)) for index, part in enumerate(parts)]
        names |= {"".join(choice) for choice in itertools.product(*choices)}
    return frozenset(names)


def _numbers(text: str) -> Iterable[str]:
    for one in text.split(","):
        first, _, last = one.partition("-")
        yield from (str(number).zfill(len(first)) for number in range(_number(first), _number(last or first) + 1))


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0


def _seconds(text: str) -> int:
    """Return the seconds in `5 sec`, `30` or `1-00:00:30`."""
    days, _, clock = text.split()[0].rpartition("-") if text.strip() else ("", "", "0")
    seconds = 0
    for part in clock.split(":"):
        seconds = seconds * 60 + _number(part)
    return seconds + _number(days) * 86400


def _and(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return " ".join(names[:most]) + more
