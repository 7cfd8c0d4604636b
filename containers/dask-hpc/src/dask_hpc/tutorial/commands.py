"""`dask-hpc list` and `dask-hpc run`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click
import msgspec

from dask_hpc.clusters import backend
from dask_hpc.clusters.options import CLUSTER_OPTIONS, ClusterOptions, SectionedCommand, no_meaning
from dask_hpc.errors import WorkloadError, did_you_mean
from dask_hpc.mpi.hush import speak
from dask_hpc.screen import Screen
from dask_hpc.tutorial import discovery
from dask_hpc.tutorial.all_command import ALL, AllCommand, on_option, results_option, run_option
from dask_hpc.tutorial.options import in_words
from dask_hpc.tutorial.run import Asked
from dask_hpc.tutorial.run import run as run_workload
from dask_hpc.tutorial.workload import DEFAULT_SIZE, Workload

_EXAMPLES = """\b
Examples:
  dask-hpc run {name}
  dask-hpc run {name} --on slurm --jobs 2 --cores 2
  dask-hpc run {name} --on slurm --json > result.json
  dask-hpc run ./my_script.py --on slurm
  dask-hpc run --all --on slurm"""


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="For programs: JSON on standard output.")
def list_(as_json: bool) -> None:
    """List the workloads."""
    found = [
        {"name": name, "summary": discovery.summary(file), "file": str(file)}
        for name, file in discovery.available().items()
    ]
    if as_json:
        click.echo(msgspec.json.encode(found))
        return
    rows = [(one["name"], one["summary"]) for one in found]
    screen = Screen()
    screen.table(f"Workloads in {discovery.folder()}", ("name", "what it does"), rows)
    if (tutorial := discovery.folder() / "tutorial.py").is_file():
        screen.note(f"New to Dask? Begin with python {tutorial}")


class Workloads(click.Group):
    """One command per workload; its file is loaded only when the command is used."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Treat --all, at any position, as the name of a workload."""
        if ALL in args:
            args = ["--", ALL, *(arg for arg in args if arg != ALL)]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the workloads' names."""
        return list(discovery.available())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return the command of a workload by its name or path, or None if it does not exist."""
        file = discovery.find(cmd_name)
        return _command(discovery.load(file)) if file else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the workload, or suggest the one that was probably meant."""
        if args and args[0] == ALL:
            return ALL, AllCommand(), args[1:]
        if args and not args[0].startswith("-") and not discovery.find(args[0]):
            raise click.UsageError(self._not_found(ctx, args[0]), ctx)
        return super().resolve_command(ctx, args)

    def _not_found(self, ctx: click.Context, name: str) -> str:
        if name.endswith(".py"):
            return f"File {name} not found."
        meant = did_you_mean(name.replace("_", "-"), self.list_commands(ctx), cutoff=0.5)
        hint = meant.capitalize() if meant else "'dask-hpc list' shows all workloads."
        return f"Unknown workload {name!r} in {discovery.folder()}. {hint}"

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the workloads without loading them."""
        with formatter.section("Workloads"):
            formatter.write_dl([(name, discovery.summary(file)) for name, file in discovery.available().items()])


@click.command(
    cls=Workloads,
    subcommand_metavar="WORKLOAD|--all [OPTIONS]...",
    epilog=_EXAMPLES.format(name="WORKLOAD"),
    params=[click.Option([ALL, "every"], is_flag=True, help="Run every workload; --all --help shows its options.")],
)
def run(**_: object) -> None:
    """Run a workload, or your own script with a function main(client, …).

    'dask-hpc run WORKLOAD --help' shows its options: the parameters of its main.
    """


def _command(workload: Workload) -> click.Command:
    def callback(**values: Any) -> None:
        _run(workload, values)

    others = [*_size_option(workload.checks.sizes), *_run_options(), *CLUSTER_OPTIONS]
    _refuse_taken_names(workload, others)
    return SectionedCommand(
        workload.name,
        params=[*workload.options, *others],
        callback=callback,
        help=workload.help,
        epilog=_EXAMPLES.format(name=workload.name),
    )


def _refuse_taken_names(workload: Workload, others: Sequence[click.Parameter]) -> None:
    """Refuse a `main` whose parameter would hide an option of the run or of the Dask cluster."""
    taken = {name for option in others for name in (option.name, *option.opts)} | {"--help"}
    if clashes := [option.opts[0] for option in workload.options if taken & {option.name, *option.opts}]:
        raise WorkloadError(
            f"The options of {workload.name} clash with those of dask-hpc run.",
            f"Both have {', '.join(clashes)}.",
            "rename these parameters of its main.",
        )


def _size_option(sizes: Mapping[str, Mapping[str, object]]) -> list[click.Parameter]:
    def change_defaults(ctx: click.Context, _param: click.Parameter, size: str) -> str:
        ctx.default_map = {**(ctx.default_map or {}), **sizes.get(size, {})}
        return size

    if not sizes:
        return []
    names = [DEFAULT_SIZE, *sizes]
    text = "Other defaults: " + "; ".join(f"{name}: {_listed(values)}" for name, values in sizes.items()) + "."
    return [
        click.Option(
            ["--size"],
            type=click.Choice(names),
            default=DEFAULT_SIZE,
            show_default=True,
            help=text,
            is_eager=True,
            callback=change_defaults,
        )
    ]


def _listed(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {in_words(value)}" for name, value in values.items())


def _run_options() -> list[click.Parameter]:
    return [
        on_option(),
        results_option("WORKLOAD/TIME/ with result.json and report.html"),
        run_option("--performance-report", is_flag=True, help="Also write Dask's own performance report."),
        run_option("--json", "as_json", is_flag=True, help="For programs: the result as JSON on standard output."),
    ]


def _run(workload: Workload, values: dict[str, Any]) -> None:
    chosen = backend(values["on"])
    if chosen.name != "mpi":
        speak()
    cluster = {str(option.name) for option in CLUSTER_OPTIONS}
    _refuse_foreign_options(chosen.name, cluster - chosen.options)
    parameters = {str(option.name): values[str(option.name)] for option in workload.options}
    options = ClusterOptions.of({name: values[name] for name in chosen.options})
    asked = Asked(workload, parameters, values.get("size", DEFAULT_SIZE), values["performance_report"])
    sys.exit(run_workload(asked, chosen, options, root=values["results"], json=values["as_json"]))


def _refuse_foreign_options(on: str, foreign: set[str]) -> None:
    ctx = click.get_current_context()
    for name in sorted(foreign):
        if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            raise no_meaning(name, where=f"with --on {on}")
