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
"""Limit of one host, whose bridge and process table do not cope with many more containers."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}")
_CONF_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_MEMORY = re.compile(r"([0-9]{1,12}(?:\.[0-9]+)?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
_MOST_MEBIBYTES = 1024**3
_MEBIBYTES = {"K": 1 / 1024, "": 1, "M": 1, "G": 1024, "T": 1024**2}

Count = Annotated[int, msgspec.Meta(ge=1)]


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """The size of a mini-cluster and the images that it is made of.

    Attributes:
        name: Name of the Compose project; a DNS label.
        nodes: Number of compute nodes at the start.
        cpus_per_node: CPUs per node, as reported to Slurm, regardless of the host's.
        memory_mb: Memory per node in MiB, likewise.
        controller_image: Image of slurmctld.
        login_image: Image of the login node.
        node_image: Image of the compute nodes.
        bare: Whether login and compute nodes can run Apptainer, and have nothing else to run.
        sif: File on this host that they find in /shared, or None.
        jupyter: Whether the login node has JupyterLab, published on this host's loopback.
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
    """The arguments of `SlurmSim` except `name`; options, markers and fixtures may leave any of them out."""

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
    """Return `name` if Compose and DNS accept it; else raise `SpecError`."""
    if not _NAME.fullmatch(name):
        raise SpecError(
            f"Invalid mini-cluster name {name!r}.",
            todo="use at most 41 lowercase letters, digits, '-' and '_', starting with a letter or a digit.",
        )
    return name


def check_count(what: str, count: int, most: int) -> int:
    """Return `count` if it is from 1 to `most`; else raise `SpecError`."""
    if not 1 <= count <= most:
        raise SpecError(f"{what} must be between 1 and {most}, not {count}.")
    return count


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


def check_slurm_conf(lines: Mapping[str, object]) -> dict[str, str]:
    """Return keys and values for slurm.conf as text. Raises `SpecError` for an invalid line."""
    for key, value in lines.items():
        if not _CONF_KEY.fullmatch(key) or not str(value).strip() or not str(value).isprintable():
            raise SpecError(
                f"{key}={value} is not a valid line of slurm.conf.",
                todo="write KEY=VALUE, such as KillWait=2: https://slurm.schedmd.com/slurm.conf.html.",
            )
    return {key: str(value) for key, value in lines.items()}
