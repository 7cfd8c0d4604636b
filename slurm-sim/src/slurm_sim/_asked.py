"""Combine the arguments of `SlurmSim` with a `cluster.toml` into one configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from slurm_sim._suggest import did_you_mean
from slurm_sim.config import DEFAULT_GROUP, MAX_NODES, Config, ConfigError, NodeGroup, Partition, User, check
from slurm_sim.errors import SpecError
from slurm_sim.spec import check_count, check_slurm_conf

if TYPE_CHECKING:
    from slurm_sim._cluster_toml import ClusterToml

_PARTITION_KEYS = ("nodes", "time", "default_time", "priority", "preempt", "users", "accounts", "qos", "default")


def configuration(
    file: str | Path | None,
    *,
    nodes: int | None,
    cpus_per_node: int | None,
    memory_per_node: str | int | None,
    gpus_per_node: str | int | None,
    partitions: Sequence[str],
    accounting: bool,
    users: Sequence[str],
    ssh: bool,
    rest: bool,
    slurm_conf: Mapping[str, object],
) -> Config:
    """Return the combined configuration. Raises `SpecError`."""
    toml = _read(file) if file is not None else None
    base = toml.config if toml else Config()
    given = {
        "nodes": nodes,
        "cpus_per_node": cpus_per_node,
        "memory_per_node": memory_per_node,
        "gpus_per_node": gpus_per_node,
    }
    both = [name for name, value in given.items() if value is not None]
    if base.groups and both:
        todo = "change the file, or leave out the option."
        raise SpecError(f"{both[0]!r} and the nodes of {file} exclude each other.", todo=todo)
    group = NodeGroup(
        count=2 if nodes is None else check_count("nodes", nodes, MAX_NODES),
        cpus=2 if cpus_per_node is None else check_count("CPUs per node", cpus_per_node, 1024),
        memory="4G" if memory_per_node is None else memory_per_node,
        gpus=[] if gpus_per_node is None else gpus_per_node,
    )
    named = [_partition(text) for text in partitions]
    twice = [name for name, _ in named if name in base.partitions or [n for n, _ in named].count(name) > 1]
    if twice:
        raise SpecError(f"Partition {twice[0]!r} is given twice.")
    config = msgspec.structs.replace(
        base,
        groups=base.groups or {DEFAULT_GROUP: group},
        partitions=base.partitions | dict(named),
        accounting=base.accounting or accounting,
        users=dict.fromkeys(users, User()) | base.users,
        ssh=base.ssh or ssh,
        rest=base.rest or rest,
        slurm_conf=base.slurm_conf | check_slurm_conf(slurm_conf),
    )
    try:
        check(config)
    except ConfigError as error:
        raise (toml.located(error) if toml else SpecError(error.what, error.seen, error.todo)) from None
    return msgspec.structs.replace(config, groups={name: _plain(group) for name, group in config.groups.items()})


def _plain(group: NodeGroup) -> NodeGroup:
    """Return the same group, written as every equal one: `4G` and `4096` are the same memory."""
    gpus = [f"{kind}:{count}" if kind else str(count) for kind, count in group.gpu_types.items()]
    return msgspec.structs.replace(group, memory=group.memory_mb, gpus=gpus)


def _read(file: str | Path) -> ClusterToml:
    from slurm_sim._cluster_toml import ClusterToml  # only mini-clusters with a file need it

    return ClusterToml(file)


def _partition(text: str) -> tuple[str, Partition]:
    """Parse an option such as `debug:nodes=1,time=10` or `gpu:nodes=gpu+c[1-2]`. Raises `SpecError`."""
    name, _, rest = text.partition(":")
    values: dict[str, object] = {}
    for part in re.findall(r"[^,\[]+(?:\[[^\]]*\][^,\[]*)*", rest):
        key, equals, value = part.strip().partition("=")
        key = key.replace("-", "_")
        if key not in _PARTITION_KEYS:
            todo = did_you_mean(key, _PARTITION_KEYS, f"use one of {', '.join(_PARTITION_KEYS)}.")
            raise SpecError(f"Unknown key {key!r} of partition {name!r}.", todo=todo)
        if key == "default" and not equals:
            value = "true"
        values[key] = _value(key, value)
    try:
        return name, msgspec.convert(values, Partition, strict=False)
    except msgspec.ValidationError as error:
        example = "write NAME:KEY=VALUE,…, such as debug:nodes=1,time=10,priority=5."
        raise SpecError(f"Invalid partition {text!r}.", str(error).replace("`", ""), example) from None


def _value(key: str, text: str) -> object:
    if key in ("nodes", "priority"):
        return int(text) if text.isdigit() else text.split("+") if key == "nodes" else text
    return text.split("+") if key in ("users", "accounts") else text
