"""Specify a mini-cluster, and check the specification before anything starts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self, TypedDict

import msgspec

from slurm_sim.config import DEFAULT_PARTITION, Config
from slurm_sim.errors import SpecError

__all__ = ["Spec"]

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}")
_CONF_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class Spec(Config, frozen=True, kw_only=True):
    """A mini-cluster: its configuration, its name and the images that it is made of.

    Attributes:
        name: Name of the Compose project; a DNS label.
        controller_image: Image of slurmctld.
        login_image: Image of the login node.
        node_image: Image of the compute nodes.
        bare: Whether login and compute nodes can run Apptainer, and have nothing else to run.
        sif: File on this host that they find in /shared, or None.
        jupyter: Whether the login node has JupyterLab, published on this host's loopback.
    """

    name: str
    controller_image: str
    login_image: str
    node_image: str
    bare: bool = False
    sif: str | None = None
    jupyter: bool = False

    @property
    def services(self) -> tuple[str, ...]:
        """Its services, besides its compute nodes."""
        database = ("database", "slurmdbd") if self.accounting else ()
        return (*database, "slurmctld", "login", *["slurmrestd"] * self.rest)

    @property
    def plain(self) -> bool:
        """Whether `hpc` can run a job on all nodes in the default partition, which no limit of accounting prevents."""
        changed = DEFAULT_PARTITION in self.partitions or any(one.default for one in self.partitions.values())
        return not (self.accounting or changed)

    def resized(self, counts: Mapping[str, int]) -> Self:
        """Return the same with other numbers of nodes."""
        replace = msgspec.structs.replace
        groups = {name: replace(group, count=counts.get(name, group.count)) for name, group in self.groups.items()}
        return replace(self, groups=groups)

    def settings(self) -> dict[str, object]:
        """Return all settings by their place in a `cluster.toml`: `nodes.c.cpus`, `partitions.debug.time`."""
        return _flat(self)


def _flat(table: msgspec.Struct | Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Return the values of a table and of the tables in it; a named table is "given"."""
    if isinstance(table, msgspec.Struct):
        values = {field.encode_name: getattr(table, field.name) for field in msgspec.structs.fields(table)}
        return _flat(values, prefix)
    found: dict[str, object] = {}
    for key, value in table.items():
        if isinstance(value, msgspec.Struct):
            found[prefix + key] = "given"
        found |= (
            _flat(value, f"{prefix}{key}.") if isinstance(value, msgspec.Struct | Mapping) else {prefix + key: value}
        )
    return found


class Arguments(TypedDict, total=False):
    """The arguments of `SlurmSim` except `name`; options, markers and fixtures may leave any of them out."""

    nodes: int | None
    cpus_per_node: int | None
    memory_per_node: str | int | None
    gpus_per_node: str | int | None
    partitions: Sequence[str]
    accounting: bool
    users: Sequence[str]
    ssh: bool
    rest: bool
    config: str | Path | None
    image: str | None
    bare: bool
    sif: str | Path | None
    jupyter: bool
    slurm_conf: Mapping[str, object] | None
    verbose: bool


def check_name(name: str) -> str:
    """Return `name` if Compose and DNS accept it; else raise `SpecError`."""
    if not _NAME.fullmatch(name):
        raise SpecError(
            f"Invalid mini-cluster name {name!r}.",
            todo="use at most 41 lowercase letters, digits, '-' and '_', starting with a letter or a digit.",
        )
    return name


def check_count(what: str, count: int, most: int, least: int = 1) -> int:
    """Return `count` if it is from `least` to `most`; else raise `SpecError`."""
    if not least <= count <= most:
        raise SpecError(f"{what} must be between {least} and {most}, not {count}.")
    return count


def check_slurm_conf(lines: Mapping[str, object]) -> dict[str, str | list[str]]:
    """Return keys and values for slurm.conf as text; a list is several lines. Raises `SpecError` for an invalid one."""
    checked: dict[str, str | list[str]] = {}
    for key, given in lines.items():
        values = [_yes_or_no(value) for value in (given if isinstance(given, list) else [given])]
        for value in values:
            if (
                isinstance(given, Mapping)
                or not _CONF_KEY.fullmatch(key)
                or not value.strip()
                or not value.isprintable()
            ):
                raise SpecError(
                    f"{key}={value} is not a valid line of slurm.conf.",
                    todo="write KEY=VALUE, such as KillWait=2: https://slurm.schedmd.com/slurm.conf.html.",
                )
        checked[key] = values if isinstance(given, list) else values[0]
    return checked


def _yes_or_no(value: object) -> str:
    return str(value) if not isinstance(value, bool) else "YES" if value else "NO"
