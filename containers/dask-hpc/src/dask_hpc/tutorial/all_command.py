"""`dask-hpc run --all`: the options that all workloads share, passed on as typed."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from dask_hpc.clusters import BACKENDS, backend
from dask_hpc.clusters.options import CLUSTER_OPTIONS, SectionedCommand, SectionedOption
from dask_hpc.paths import LocalPath
from dask_hpc.tutorial.run_all import Order, run_all
from dask_hpc.tutorial.workload import DEFAULT_SIZE

ALL = "--all"


def run_option(*names: str, **kwargs: Any) -> SectionedOption:
    """Return an option for the section "Run" of a help page."""
    return SectionedOption(names, section="Run", **kwargs)


def on_option() -> SectionedOption:
    """Return --on."""
    ways = f"[{'|'.join(BACKENDS)}|CLUSTER]"
    return run_option("--on", metavar=ways, default="local", show_default=True, help="Where to run.")


def results_option(holds: str) -> SectionedOption:
    """Return --results; `holds` names the files that are written."""
    return run_option(
        "--results",
        type=LocalPath(),
        default=Path("results"),
        show_default=True,
        help=f"Folder for {holds}.",
    )


class AllCommand(SectionedCommand):
    """The command that runs every workload."""

    def __init__(self) -> None:
        options = [
            on_option(),
            run_option("--size", default=DEFAULT_SIZE, show_default=True, help="Size, for workloads that have it."),
            results_option("index.html, and WORKLOAD/TIME/ of each workload"),
            run_option("--json", "as_json", is_flag=True, help="For programs: verdicts as JSON on standard output."),
        ]
        text = "Run every workload where it can run, and summarise all runs in one table and one page."
        super().__init__(ALL, params=[*options, *CLUSTER_OPTIONS], callback=_run, help=text)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep the options as typed: each workload's own command parses them again."""
        ctx.meta[ALL] = self.make_parser(ctx).parse_args(list(args))[0]
        return super().parse_args(ctx, args)


def _run(on: str, size: str, results: Path, as_json: bool, **_: Any) -> None:
    typed = click.get_current_context().meta[ALL]
    ways = [*BACKENDS.values(), backend(on)]
    options = {one.name: as_typed(typed, one.options) for one in ways}
    sys.exit(run_all(Order(on, size, results, options), json=as_json))


def as_typed(values: Mapping[str, Any], names: frozenset[str]) -> list[str]:
    """Return these options as command-line arguments."""
    line: list[str] = []
    for option in CLUSTER_OPTIONS:
        if (name := str(option.name)) in names and name in values:
            value = values[name]
            if option.is_flag:
                line.append((option.opts if value else option.secondary_opts)[0])
            else:
                line += [f"{option.opts[0]}={one}" for one in (value if option.multiple else [value])]
    return line
