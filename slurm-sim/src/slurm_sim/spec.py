"""Specify a mini-cluster, and check the specification before anything starts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, TypedDict

import msgspec

from slurm_sim.errors import SpecError

__all__ = ["Spec"]

MAX_NODES = 512
"""More containers than this are more than one host's bridge and process table take with ease."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}")
_CONF_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_MEMORY = re.compile(r"([0-9]{1,12}(?:\.[0-9]+)?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
_MOST_MEBIBYTES = 1024**3
_MEBIBYTES = {"K": 1 / 1024, "": 1, "M": 1, "G": 1024, "T": 1024**2}

Count = Annotated[int, msgspec.Meta(ge=1)]


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """The size of a mini-cluster and the images that it is made of.

    Attributes:
        name: Its Compose project; a DNS label.
        nodes: Compute nodes when it starts.
        cpus_per_node: What a node tells Slurm, whatever the host has.
        memory_mb: Memory of a node in MiB, likewise.
        controller_image: The image of slurmctld.
        login_image: The image of the login node.
        node_image: The image of the compute nodes.
        bare: Whether login node and compute nodes may run Apptainer, and have nothing else to run.
        sif: A file of this host that they find in /shared, if there is one.
        jupyter: Whether the login node has JupyterLab, on a port of this host's loopback.
        slurm_conf: Lines of slurm.conf that replace the default ones, as keys and values.
    """

    name: str
    nodes: Count
    cpus_per_node: Count
    memory_mb: Count
    controller_image: str
    login_image: str
    node_image: str
    bare: bool = False
    sif: str | None = None
    jupyter: bool = False
    slurm_conf: dict[str, str] = {}


class Arguments(TypedDict, total=False):
    """The arguments of `SlurmSim`, but for its name, which an option, a marker or a fixture may leave out."""

    nodes: int
    cpus_per_node: int
    memory_per_node: str | int
    image: str | None
    bare: bool
    sif: str | Path | None
    jupyter: bool
    slurm_conf: Mapping[str, object] | None
    verbose: bool


def check_name(name: str) -> str:
    """Return `name` if Compose and DNS take it; else raise `SpecError`."""
    if not _NAME.fullmatch(name):
        raise SpecError(
            f"{name!r} cannot name a mini-cluster.",
            todo="take small letters, digits, '-' and '_', starting with a letter or a digit, 41 at most.",
        )
    return name


def check_count(what: str, count: int, most: int) -> int:
    """Return `count` if it is from 1 to `most`; else raise `SpecError`."""
    if not 1 <= count <= most:
        raise SpecError(f"{count} {what} cannot be had.", todo=f"take a number from 1 to {most}.")
    return count


def parse_memory(text: str | int) -> int:
    """Return mebibytes: `4G` is 4096, and a bare number is MiB, as in Slurm. Raises `SpecError`."""
    match = _MEMORY.fullmatch(str(text).strip())
    mebibytes = int(float(match[1]) * _MEBIBYTES[match[2].upper()]) if match else 0
    if not 64 <= mebibytes <= _MOST_MEBIBYTES:
        raise SpecError(
            f"{text!r} is no memory of a node.",
            f"{mebibytes} MiB" if match else "not a number with a unit",
            "say it as Slurm does: 512M, 4G; from 64M to 1024T.",
        )
    return mebibytes


def check_slurm_conf(lines: Mapping[str, object]) -> dict[str, str]:
    """Return keys and values for slurm.conf as text. Raises `SpecError` for what would not be one line of it."""
    for key, value in lines.items():
        if not _CONF_KEY.fullmatch(key) or not str(value).strip() or not str(value).isprintable():
            raise SpecError(
                f"{key}={value} is not a line of slurm.conf.",
                todo="write KEY=VALUE, such as KillWait=2: https://slurm.schedmd.com/slurm.conf.html.",
            )
    return {key: str(value) for key, value in lines.items()}
