"""The parts of a mini-cluster that options and a `cluster.toml` can ask for, with their rules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Literal

import msgspec

from slurm_sim._node_names import expand, node_names
from slurm_sim._suggest import did_you_mean
from slurm_sim.errors import SpecError

__all__ = ["Account", "Config", "NodeGroup", "Partition", "Preemption", "Qos", "Scripts", "User"]

MAX_NODES = 512
"""Limit of one host, whose bridge and process table do not cope with many more containers."""

DEFAULT_GROUP = "c"
"""Group of nodes in a mini-cluster without named groups: its nodes are c1…cN."""

DEFAULT_PARTITION = "general"
"""Partition of all nodes."""

LOGIN = "login"
"""Login node."""

GATE_PARTITION = "slurm-sim"
"""Hidden partition in which only root can run jobs: the gate's, if ordinary users cannot use all nodes."""

DEFAULT_QOS = "normal"
"""QOS that slurmdbd makes, and that every user may choose."""

USER = "hpc"
"""User that jobs and commands run as by default."""

_GROUP = re.compile(r"[a-z](?:[a-z0-9-]{0,30}[a-z])?")
_PERSON = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,39}")
_GPUS = re.compile(r"(?:(?P<type>[0-9]*[A-Za-z][A-Za-z0-9_.-]*):)?(?P<count>[0-9]{1,3})")
_MEMORY = re.compile(r"([0-9]{1,12}(?:\.[0-9]+)?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
_MOST_MEBIBYTES = 1024**3
_MEBIBYTES = {"K": 1 / 1024, "": 1, "M": 1, "G": 1024, "T": 1024**2}
_MOST_GPUS = 128
_TAKEN = {
    *("root", "daemon", "bin", "sys", "sync", "games", "man", "lp", "mail", "news", "uucp", "proxy", "www-data"),
    *("backup", "list", "irc", "nobody", "munge", "slurm", "slurmrestd", "sshd", "mysql", "_apt"),
    # groups: each user has one of the same name
    *("adm", "tty", "disk", "kmem", "dialout", "fax", "voice", "cdrom", "floppy", "tape", "sudo", "audio", "dip"),
    *("operator", "src", "shadow", "utmp", "video", "sasl", "plugdev", "staff", "users", "nogroup", "input", "render"),
}
"""Users and groups of Debian and of its packages for Slurm."""

_LEASES = "pytest-"
"""Prefix of the partitions that tests on a shared mini-cluster get."""

_OF_ASSOCIATIONS = (
    *("GrpJobs", "GrpJobsAccrue", "GrpSubmitJobs", "GrpTRES", "GrpTRESMins", "GrpTRESRunMins", "GrpWall"),
    *("MaxJobs", "MaxJobsAccrue", "MaxSubmitJobs", "MaxTRESMinsPerJob", "MaxTRESPerJob", "MaxTRESPerNode"),
    *("MaxWallDurationPerJob", "Priority"),
)
_OF_QOS = (
    *("GrpJobs", "GrpJobsAccrue", "GrpSubmitJobs", "GrpTRES", "GrpTRESMins", "GrpTRESRunMins", "GrpWall"),
    *("MaxJobsAccruePerAccount", "MaxJobsAccruePerUser", "MaxJobsPerAccount", "MaxJobsPerUser"),
    *("MaxSubmitJobsPerAccount", "MaxSubmitJobsPerUser", "MaxTRESMinsPerJob", "MaxTRESPerAccount", "MaxTRESPerJob"),
    *("MaxTRESPerNode", "MaxTRESPerUser", "MaxWallDurationPerJob", "MinPrioThreshold", "MinTRESPerJob"),
    *("GraceTime", "PreemptExemptTime", "UsageFactor", "UsageThreshold", "LimitFactor"),
)

Limits = dict[str, str | int | float]
"""Limits by the names that sacctmgr has for them. Source: https://slurm.schedmd.com/sacctmgr.html."""

Count = Annotated[int, msgspec.Meta(ge=1, le=1024)]
Shares = Annotated[int, msgspec.Meta(ge=0)]


class ConfigError(SpecError):
    """A rule of `Config` that is not met.

    Args:
        what: The failure, in one sentence.
        seen: The value.
        todo: Advice.
        at: Place of the value in a `cluster.toml`, as keys from the outside to the inside.
    """

    def __init__(self, what: str, seen: str = "", todo: str = "", *, at: tuple[str, ...] = ()) -> None:
        self.at = at
        super().__init__(what, seen, todo)


class NodeGroup(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Nodes of one kind; those of the group `gpu` are named gpu1…gpuN.

    Attributes:
        count: Number of nodes.
        cpus: CPUs per node, as reported to Slurm, regardless of the host's.
        sockets: Sockets per node.
        cores: Cores per socket.
        threads: Threads per core.
        memory: Memory per node: `4G`, `512M`, or a number of MiB.
        gpus: Simulated GPUs per node: `2`, `a100:2`, or a list of such texts.
        features: Slurm's features, which jobs select by --constraint.
        weight: Slurm's weight: of the nodes that suit a job, it uses the lightest first.
    """

    count: Annotated[int, msgspec.Meta(ge=0, le=MAX_NODES)] = 1
    cpus: Count = 2
    sockets: Count | None = None
    cores: Count | None = None
    threads: Count | None = None
    memory: str | int = "4G"
    gpus: str | int | list[str] = []
    features: list[str] = []
    weight: Annotated[int, msgspec.Meta(ge=1, le=65533)] | None = None

    @property
    def memory_mb(self) -> int:
        """Memory per node in MiB."""
        return parse_memory(self.memory)

    @property
    def gpu_types(self) -> dict[str, int]:
        """Number of GPUs per node by their type; GPUs without a type have the type ""."""
        return parse_gpus(self.gpus)


class Partition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A partition.

    Attributes:
        nodes: A number of nodes (the first ones), or groups and nodes: `gpu`, `["gpu", "c[1-4]"]`. Default: all nodes.
        default: Whether jobs that name no partition use it.
        time: Time limit of jobs, in minutes or in Slurm's notation.
        default_time: Time limit of jobs that ask for none.
        priority: Slurm's PriorityTier; jobs of a higher one start first, and may preempt others.
        preempt: How its jobs are preempted: `requeue`, `cancel`, `suspend` or `off`.
        grace_time: Seconds that a preempted job still has before it is requeued or cancelled.
        users: Users that may submit to it. Default: all.
        submit_from: Where jobs may be submitted to it: `login`, groups of nodes, and nodes. Default: everywhere.
        accounts: Accounts that may submit to it. Default: all.
        allow_qos: QOS that jobs in it may have. Default: all.
        qos: QOS whose limits hold for the whole partition.
        min_nodes: Least number of nodes per job.
        max_nodes: Largest number of nodes per job.
        options: Further options, in the words of slurm.conf: `{OverSubscribe = "EXCLUSIVE"}`.
    """

    nodes: int | str | list[str] | None = None
    default: bool = False
    time: str | int | None = None
    default_time: str | int | None = None
    priority: Annotated[int, msgspec.Meta(ge=0, le=65533)] | None = None
    preempt: Literal["requeue", "cancel", "suspend", "off"] | None = None
    grace_time: Annotated[int, msgspec.Meta(ge=0)] | None = None
    users: list[str] = []
    submit_from: list[str] = []
    accounts: list[str] = []
    allow_qos: list[str] = []
    qos: str | None = None
    min_nodes: Count | None = None
    max_nodes: Count | None = None
    options: dict[str, str | int] = {}


class User(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A user besides `hpc`, or `hpc`.

    Attributes:
        account: Account that the user's jobs are charged to by default. Default: one with the user's name.
        accounts: Further accounts of the user.
        admin: Whether the user is an administrator of Slurm's accounting.
        fairshare: Shares of the default account.
        qos: QOS that the user may choose. Default: all.
        limits: Limits, in the words of sacctmgr: `{MaxJobs = 2, GrpTRES = "cpu=8"}`.
    """

    account: str | None = None
    accounts: list[str] = []
    admin: bool = False
    fairshare: Shares | None = None
    qos: list[str] = []
    limits: Limits = {}


class Account(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An account, to which jobs are charged.

    Attributes:
        parent: Account above it. Default: `root`.
        description: Description.
        fairshare: Shares of its parent's.
        limits: Limits, in the words of sacctmgr.
    """

    parent: str | None = None
    description: str = ""
    fairshare: Shares | None = None
    limits: Limits = {}


class Qos(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A quality of service.

    Attributes:
        priority: Priority of its jobs.
        preempts: QOS whose jobs its jobs preempt.
        preempt: How its jobs are preempted: `requeue`, `cancel`, `suspend` or `off`.
        flags: Flags, in the words of sacctmgr, such as `DenyOnLimit`.
        limits: Limits, in the words of sacctmgr: `{MaxJobsPerUser = 2}`.
    """

    priority: Shares | None = None
    preempts: list[str] = []
    preempt: Literal["requeue", "cancel", "suspend", "off"] | None = None
    flags: list[str] = []
    limits: Limits = {}


class Preemption(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Preemption, which is of one type per cluster.

    Attributes:
        by: Criterion by which jobs preempt others: the priority of their partitions, or their QOS.
        mode: How jobs are preempted, unless their partition or QOS has another mode.
    """

    by: Literal["partition", "qos"]
    mode: Literal["requeue", "cancel", "suspend"] = "requeue"


class Scripts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A site's own scripts, as texts; in a `cluster.toml`, the names of their files.

    Attributes:
        prolog: Runs as root on each node of a job, before it.
        epilog: Runs as root on each node of a job, after it.
        job_submit: Changes or rejects jobs when they are submitted, in Lua. Source:
            https://slurm.schedmd.com/job_submit_plugins.html
    """

    prolog: str = ""
    epilog: str = ""
    job_submit: str = ""


class Config(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The parts of a mini-cluster, except its images; the contents of a `cluster.toml`.

    Attributes:
        groups: Groups of nodes by name; the table `nodes` of the file.
        partitions: Partitions by name, besides `general`, which has all nodes; a table of this name replaces it.
        accounting: Whether it has slurmdbd and a database.
        users: Users by name, besides `hpc`; a table of that name is for its account and limits.
        accounts: Accounts by name.
        qos: QOS by name, besides `normal`; a table of that name is for its limits.
        preemption: Preemption, or None.
        ssh: Whether the login node has sshd, published on this host's loopback.
        rest: Whether it has slurmrestd, published on this host's loopback.
        slurm_conf: Lines of slurm.conf that replace the default ones; the table `slurm` of the file.
        scripts: Prolog and epilog of jobs, in addition to ours, and the filter of submitted jobs.
    """

    groups: dict[str, NodeGroup] = msgspec.field(name="nodes", default_factory=dict)
    partitions: dict[str, Partition] = {}
    accounting: bool = False
    users: dict[str, User] = {}
    accounts: dict[str, Account] = {}
    qos: dict[str, Qos] = {}
    preemption: Preemption | None = None
    ssh: bool = False
    rest: bool = False
    slurm_conf: dict[str, str | list[str]] = msgspec.field(name="slurm", default_factory=dict)
    scripts: Scripts = Scripts()

    @property
    def counts(self) -> dict[str, int]:
        """Number of nodes per group."""
        return {name: group.count for name, group in self.groups.items()}

    @property
    def nodes(self) -> int:
        """Number of all nodes."""
        return sum(self.counts.values())

    def partition_nodes(self, name: str) -> list[str] | None:
        """Return the groups and single nodes of a partition; None for all nodes, present and future."""
        nodes = self.partitions[name].nodes
        match nodes:
            case None:
                return None
            case int():
                return node_names(self.counts)[:nodes]
            case str():
                return expand(nodes)
            case _:
                return [node for text in nodes for node in expand(text)]


def parse_memory(text: str | int) -> int:
    """Return a memory size in MiB: `4G` is 4096, and a bare number is MiB, as in Slurm. Raises `SpecError`."""
    match = _MEMORY.fullmatch(str(text).strip())
    mebibytes = int(float(match[1]) * _MEBIBYTES[match[2].upper()]) if match else 0
    if not 64 <= mebibytes <= _MOST_MEBIBYTES:
        raise SpecError(
            f"Invalid memory size {text!r}.",
            f"{mebibytes} MiB" if match else "not a number with a unit",
            "use Slurm's notation, such as 512M or 4G, from 64M to 1024T.",
        )
    return mebibytes


def parse_gpus(given: str | int | list[str]) -> dict[str, int]:
    """Return the number of GPUs per type: `a100:2` is `{"a100": 2}`, and `2` is `{"": 2}`. Raises `SpecError`."""
    found: dict[str, int] = {}
    for text in given if isinstance(given, list) else str(given).split(","):
        match = _GPUS.fullmatch(str(text).strip())
        kind = (match["type"] or "") if match else ""
        if not match or int(match["count"]) < 1 or kind in found:
            what = f"GPUs of type {kind!r} are given twice." if match and kind in found else f"Invalid GPUs {text!r}."
            raise SpecError(what, todo="write TYPE:NUMBER or NUMBER, such as a100:2; several with commas between.")
        found[kind] = int(match["count"])
    if sum(found.values()) > _MOST_GPUS:
        raise SpecError(f"Too many GPUs: {sum(found.values())} per node.", todo=f"use at most {_MOST_GPUS}.")
    if "" in found and len(found) > 1:
        raise SpecError("Some GPUs of a node have a type, others have none.", todo="give all of them a type.")
    return found


def check(config: Config) -> None:
    """Raise `ConfigError` if a configuration breaks a rule."""
    for rule in (_groups, _partitions, _users, _accounting, _preemption):
        for error in rule(config):
            raise error


def _name(kind: str, name: str, pattern: re.Pattern[str], rule: str, *at: str) -> Iterator[ConfigError]:
    if not pattern.fullmatch(name):
        yield ConfigError(f"Invalid name of a {kind}: {name!r}.", todo=rule, at=at)


def _groups(config: Config) -> Iterator[ConfigError]:
    for name, group in config.groups.items():
        at = ("nodes", name)
        rule = "use lowercase letters, digits and '-', from a letter to a letter: its nodes have numbers at the end."
        yield from _name("group of nodes", name, _GROUP, rule, *at)
        for key, read in (("memory", parse_memory), ("gpus", parse_gpus)):
            value = getattr(group, key)
            try:
                if value != []:
                    read(value)
            except SpecError as error:
                yield ConfigError(error.what, error.seen, error.todo, at=(*at, key))
        for feature in group.features:
            rule = "use letters, digits, '_', '.' and '-'."
            yield from _name("feature", feature, _WORD, rule, *at, "features")
        yield from _topology(group, at)
    if config.groups and not config.nodes:
        yield ConfigError("No group has a node.", todo="give one of them a count of 1 or more.", at=("nodes",))
    if config.nodes > MAX_NODES:
        yield ConfigError(f"Too many nodes: {config.nodes}.", todo=f"use at most {MAX_NODES}.", at=("nodes",))


def _topology(group: NodeGroup, at: tuple[str, ...]) -> Iterator[ConfigError]:
    parts = {"sockets": group.sockets, "cores": group.cores, "threads": group.threads}
    given = {name: count for name, count in parts.items() if count is not None}
    product = (group.sockets or 1) * (group.cores or 1) * (group.threads or 1)
    if given and product != group.cpus:
        seen = f"cpus is {group.cpus}, " + " × ".join(f"{count} {name}" for name, count in given.items())
        todo = f"cpus is sockets × cores × threads: use cpus = {product}, or change these."
        yield ConfigError("The CPUs of a node do not match its cores.", seen, todo, at=(*at, next(iter(given))))


def _partitions(config: Config) -> Iterator[ConfigError]:
    default = [name for name, partition in config.partitions.items() if partition.default]
    if len(default) > 1:
        todo = "leave `default = true` in one of them."
        seen = ", ".join(default)
        yield ConfigError("Several partitions are the default one.", seen, todo, at=("partitions", default[1]))
    for name, partition in config.partitions.items():
        at = ("partitions", name)
        yield from _name("partition", name, _WORD, "use letters, digits, '_', '.' and '-'.", *at)
        if name.lower() == "default":
            yield ConfigError(f"Slurm does not accept {name!r} as the name of a partition.", at=at)
        if name == GATE_PARTITION or name.startswith(_LEASES):
            todo = "choose another name."
            yield ConfigError(f"slurm-sim itself uses the partition {name!r}.", todo=todo, at=at)
        yield from _members(config, name, partition)
        yield from _known("user", partition.users, [USER, *config.users], *at, "users")
        machines = [LOGIN, *config.groups, *node_names(config.counts)]
        yield from _known("machine", partition.submit_from, machines, *at, "submit_from")
        lists = (("QOS", partition.allow_qos, config.qos, "allow_qos"), ("QOS", partition.qos, config.qos, "qos"))
        for kind, names, known, key in lists:
            given = [names] if isinstance(names, str) else names or []
            yield from _known(kind, given, [DEFAULT_QOS, *known], *at, key)
        yield from _known("account", partition.accounts, all_accounts(config), *at, "accounts")


def _members(config: Config, name: str, partition: Partition) -> Iterator[ConfigError]:
    at = ("partitions", name, "nodes")
    what = f"Partition {name!r} has nodes that are not there."
    if isinstance(partition.nodes, int) and not 1 <= partition.nodes <= config.nodes:
        yield ConfigError(what, f"{partition.nodes} of {config.nodes} nodes", f"use 1 to {config.nodes}.", at=at)
        return
    there = {*config.groups, *node_names(config.counts)}
    for node in config.partition_nodes(name) or []:
        if node not in there:
            groups = ", ".join(f"{group} ({count} nodes)" for group, count in config.counts.items())
            todo = did_you_mean(node, there, "use these groups, or nodes such as c1 or c[1-2].")
            yield ConfigError(what, f"{node}; existing groups: {groups}", todo, at=at)


def _users(config: Config) -> Iterator[ConfigError]:
    for name in config.users:
        rule = "use at most 32 lowercase letters, digits, '_' and '-', starting with a letter."
        yield from _name("user", name, _PERSON, rule, "users", name)
        if name in _TAKEN or name.startswith("systemd-"):
            todo = "choose another name."
            yield ConfigError(f"{name!r} is a user or a group of the system.", todo=todo, at=("users", name))


def _accounting(config: Config) -> Iterator[ConfigError]:
    for key, given in (("accounts", config.accounts), ("qos", config.qos)):
        if given and not config.accounting:
            yield _needs_accounting(key, (key,))
    for name, user in config.users.items():
        at = ("users", name)
        if user != User() and not config.accounting:
            yield _needs_accounting(next(iter(msgspec.to_builtins(user))), at)
        named = [user.account] if user.account else []
        yield from _known("account", [*named, *user.accounts], all_accounts(config), *at, "account")
        yield from _known("QOS", user.qos, [DEFAULT_QOS, *config.qos], *at, "qos")
        yield from _limits(user.limits, _OF_ASSOCIATIONS, *at)
    for name, account in config.accounts.items():
        at = ("accounts", name)
        yield from _name("account", name, _WORD, "use letters, digits, '_', '.' and '-'.", *at)
        if name == "root":
            yield ConfigError("Slurm has the account 'root' already.", todo="choose another name.", at=at)
        if account.parent:
            yield from _known("account", [account.parent], ["root", *config.accounts], *at, "parent")
        yield from _limits(account.limits, _OF_ASSOCIATIONS, *at)
        if name in ancestors(config, name):
            yield ConfigError(f"Account {name!r} is above itself.", f"parent {account.parent}", at=(*at, "parent"))
    for name, qos in config.qos.items():
        at = ("qos", name)
        yield from _name("QOS", name, _WORD, "use letters, digits, '_', '.' and '-'.", *at)
        yield from _known("QOS", qos.preempts, [DEFAULT_QOS, *config.qos], *at, "preempts")
        yield from _limits(qos.limits, _OF_QOS, *at)
    for name, partition in config.partitions.items():
        for key in ("accounts", "allow_qos", "qos"):
            if getattr(partition, key) and not config.accounting:
                yield _needs_accounting(key, ("partitions", name, key))


def _needs_accounting(key: str, at: tuple[str, ...]) -> ConfigError:
    return ConfigError(f"{key!r} needs accounting.", todo="add `accounting = true`, or --accounting.", at=at)


def _limits(limits: Limits, known: Iterable[str], *at: str) -> Iterator[ConfigError]:
    lower = {name.lower() for name in known}
    for name in limits:
        if name.lower() not in lower:
            todo = did_you_mean(name, known, f"use one of {', '.join(known)}.")
            yield ConfigError(f"Unknown limit {name!r}.", todo=todo, at=(*at, "limits", name))


def all_accounts(config: Config) -> list[str]:
    """Return the accounts: those of the configuration, and those that users without an account get."""
    own = [name for name, user in ({USER: User()} | config.users).items() if not user.account]
    return list(dict.fromkeys([*config.accounts, *own]))


def ancestors(config: Config, account: str) -> list[str]:
    """Return the accounts above an account, from the nearest; a cycle ends with the account itself."""
    found: list[str] = []
    above = config.accounts[account].parent
    while above in config.accounts and above not in found:
        found.append(above)
        above = config.accounts[above].parent
    return found


def _preemption(config: Config) -> Iterator[ConfigError]:
    by = config.preemption.by if config.preemption else None
    if by == "qos" and not config.accounting:
        yield _needs_accounting('by = "qos"', ("preemption", "by"))
    if config.preemption and config.preemption.mode == "suspend" and by == "qos":
        what = "Preemption by QOS cannot suspend jobs here."
        seen = "Slurm resumes suspended jobs by gang scheduling, which works within partitions"
        yield ConfigError(
            what, seen, 'use mode = "requeue" or "cancel", or by = "partition".', at=("preemption", "mode")
        )
    for name, qos in config.qos.items():
        if qos.preempts and by != "qos":
            yield _no_preemption("qos", by, ("qos", name, "preempts"))
    for name, partition in config.partitions.items():
        at = ("partitions", name, "preempt")
        if partition.preempt and by is None:
            yield _no_preemption("partition", by, at)
        if partition.preempt == "suspend" and config.preemption and config.preemption.mode != "suspend":
            todo = 'use mode = "suspend" in [preemption], and another `preempt` in the other partitions.'
            yield ConfigError(f"Partition {name!r} can suspend jobs only if the mini-cluster can.", todo=todo, at=at)


def _no_preemption(needs: str, by: str | None, at: tuple[str, ...]) -> ConfigError:
    seen = f"preemption is by {by}" if by else "there is no preemption"
    return ConfigError(f"{at[-1]!r} has no effect.", seen, f'add [preemption] with by = "{needs}".', at=at)


def _known(kind: str, given: Iterable[str], known: Iterable[str], *at: str) -> Iterator[ConfigError]:
    there = list(known)
    for name in given:
        if name not in there:
            todo = did_you_mean(name, there, f"use one of {', '.join(there)}.")
            yield ConfigError(f"Unknown {kind} {name!r}.", todo=todo, at=at)
