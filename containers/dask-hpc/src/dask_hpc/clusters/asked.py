"""Collect the user's requests from options, `--sbatch-option`, and the variables that sbatch reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import click

from dask_hpc.clusters.options import ClusterOptions
from dask_hpc.errors import RequestError
from dask_hpc.slurm.environment import CHOICES
from dask_hpc.slurm.sbatch import SbatchOption, parse
from dask_hpc.units import Count, Walltime

GIVEN = "asked for"
_OURS = {name: name for name in CHOICES} | {"time": "walltime"}
_TYPES = {"walltime": Walltime()} | dict.fromkeys(("cores", "threads", "nodes", "ranks_per_node"), Count())


@dataclass(frozen=True)
class Asked:
    """The user's options and their sources.

    Attributes:
        options: the options, including values from sbatch options and variables.
        placement: account, partition, reservation and QOS, by name; None if not given.
        sources: the source of each value, by our option name.
        sbatch: options for sbatch that have no counterpart here, or override ours.
    """

    options: ClusterOptions
    placement: Mapping[str, str | None]
    sources: Mapping[str, str]
    sbatch: list[SbatchOption]

    def way(self, name: str) -> str:
        """Return the option or variable that gave a value, for an error message."""
        source = self.sources.get(name, GIVEN)
        return f"--{name.replace('_', '-')}" if source == GIVEN else source.partition("=")[0]

    def place(self) -> list[SbatchOption]:
        """Return the placement as options for sbatch and srun, without the partition, which may be Slurm's default."""
        return [SbatchOption(name, value) for name, value in self.placement.items() if name != "partition" and value]

    def rows(self) -> list[tuple[str, str, str]]:
        """Return, as table rows, the settings that are not part of the jobs' size."""
        rows = [(option.name, str(option.value), self.sources[option.name]) for option in self.place()]
        return rows + ([("sbatch options", " ".join(map(str, self.sbatch)), GIVEN)] if self.sbatch else [])

    def settings(self) -> dict[str, str]:
        """Return the same settings for programs."""
        return {name.replace(" ", "_"): value for name, value, _ in self.rows()}


def asked(options: ClusterOptions, environ: Mapping[str, str], more: Mapping[str, str]) -> Asked:
    """Return the user's requests.

    Args:
        options: the options from the command line.
        environ: variables that sbatch reads: many sites have users set account, partition, QOS or reservation there.
        more: our option name, by sbatch's name, for options that differ between backends.

    Raises:
        RequestError: an option is unknown, or a value is invalid.
    """
    ours = {**_OURS, **more}
    values: dict[str, Any] = {name: getattr(options, name, None) for name in CHOICES}
    sources = {field.name: GIVEN for field in fields(options) if getattr(options, field.name) is not None}
    rest = []
    for option in parse(options.sbatch_option):
        name = ours.get(option.name)
        if name is None:
            rest.append(option)
            continue
        values[name] = _converted(name, option)
        sources[name] = f"--sbatch-option={option}"
    for name, variable in CHOICES.items():
        if values[name] is None and environ.get(variable):
            values[name] = environ[variable]
            sources[name] = f"${variable}"
    known = {field.name for field in fields(options)}
    changed = replace(options, **{name: value for name, value in values.items() if name in known})
    return Asked(changed, {name: values[name] for name in CHOICES}, sources, rest)


def _converted(name: str, option: SbatchOption) -> Any:
    try:
        return _TYPES[name].convert(option.value, None, None) if name in _TYPES else option.value
    except click.BadParameter as error:
        raise RequestError(f"Invalid value in {option}.", error.message, f"use --{name.replace('_', '-')}.") from error
