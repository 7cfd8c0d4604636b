"""The command `slurm-sim`."""

from __future__ import annotations

import difflib
import signal
import sys
from types import FrameType
from typing import Any

import click
import msgspec

from slurm_sim import _show, tree
from slurm_sim.cluster import USER, SlurmSim
from slurm_sim.errors import JobError, NotRunningError, SlurmSimError, SpecError
from slurm_sim.faults import Fault
from slurm_sim.running import exec_arguments, replace_by_docker

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
_NAME = click.option(
    "--name",
    default="slurm-sim",
    show_default=True,
    envvar="SLURM_SIM_NAME",
    help="Which mini-cluster ($SLURM_SIM_NAME).",
)


class _Commands(click.Group):
    """Suggests the nearest command, and turns what goes wrong into a message and a status."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        near = difflib.get_close_matches(args[0], self.commands, n=1) if args else []
        if near and near[0] != args[0]:
            ctx.fail(f"there is no command {args[0]!r}: did you mean {near[0]!r}?")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SlurmSimError as error:
            click.echo(f"slurm-sim: {error}", err=True)
            ctx.exit(2 if isinstance(error, SpecError) else 1)
        except OSError as error:
            click.echo(f"slurm-sim: {error.strerror}: {error.filename}", err=True)
            ctx.exit(1)


def main() -> None:
    """Runs the command; SIGTERM ends it as Ctrl-C does, so that nothing is left behind."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    cli(prog_name="slurm-sim")


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: slurm-sim up --nodes 4 && slurm-sim exec -- srun -N4 hostname; slurm-sim down",
)
@click.version_option(tree.versions()["VERSION"], prog_name="slurm-sim")
def cli() -> None:
    """A real Slurm cluster in containers, up in seconds."""


@cli.command()
@click.option("--nodes", default=2, show_default=True, help="Compute nodes, c1…cN.")
@click.option("--cpus-per-node", default=2, show_default=True, help="What a node tells Slurm, whatever the host has.")
@click.option("--memory-per-node", default="4G", show_default=True, help="As Slurm says it: 512M, 4G.")
@click.option("--image", help="Login and nodes run it. [default: slurm-sim/node where it is built, else plain Slurm]")
@click.option("--verbose", is_flag=True, help="Show what an image build prints.")
@_NAME
@_JSON
def up(name: str, as_json: bool, **wanted: Any) -> None:
    """Start a mini-cluster; returns when a job has run on all of its nodes."""
    sim = SlurmSim(name=name, **wanted)
    with _show.progress(f"starting {sim.spec.nodes} nodes") as seconds:
        sim.start()
    _show.status(sim, as_json, note=f"ready in {seconds():.1f} s")


@cli.command()
@_NAME
@_JSON
def status(name: str, as_json: bool) -> None:
    """Show the nodes and the queue of a mini-cluster."""
    _show.status(SlurmSim.attach(name), as_json)


@cli.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--on", default="login", show_default=True, help="login, slurmctld, or a node such as c1.")
@click.option("--user", default=USER, show_default=True, help="Whom it runs as.")
@click.option("--workdir", help="Where it runs. [default: the user's home]")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@_NAME
def exec(name: str, on: str, user: str, workdir: str | None, command: tuple[str, ...]) -> None:  # noqa: A001
    """Run a command in a mini-cluster: streams and exit status pass through.

    Example: slurm-sim exec --on c1 -- ps aux
    """
    sim = SlurmSim.attach(name)
    sim.check_service(on)
    tty = sys.stdin.isatty() and sys.stdout.isatty()
    replace_by_docker(*exec_arguments(sim.container(on), command, user=user, workdir=workdir, tty=tty))


@cli.command()
@click.option("--on", default="login", show_default=True, help="login, slurmctld, or a node such as c1.")
@click.option("--user", default=USER, show_default=True, help="Whom it runs as.")
@_NAME
@click.pass_context
def shell(ctx: click.Context, name: str, on: str, user: str) -> None:
    """Open a shell in a mini-cluster."""
    ctx.invoke(exec, name=name, on=on, user=user, workdir=None, command=("bash", "-l"))


@cli.command()
@click.argument("source")
@click.argument("target")
@_NAME
def cp(name: str, source: str, target: str) -> None:
    """Copy files into a mini-cluster or out of it: one side is NODE:PATH.

    Example: slurm-sim cp job.sbatch login:/home/hpc
    """
    sim = SlurmSim.attach(name)
    match _place(source), _place(target):
        case (None, (on, path)):
            sim.put(source, path, on=on)
        case ((on, path), None):
            sim.get(path, target, on=on)
        case _:
            raise SpecError("one side has to be in the mini-cluster, the other one here", hint="login:PATH, c1:PATH")


def _place(text: str) -> tuple[str, str] | None:
    on, colon, path = text.partition(":")
    return (on, path) if colon and "/" not in on else None


@cli.command()
@click.argument("script", type=click.Path(exists=True, dir_okay=False, readable=True))
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
@click.option("--wait", is_flag=True, help="Until it has ended: prints its output, and fails if it failed.")
@click.option("--timeout", default=600.0, show_default=True, help="Seconds that --wait waits.")
@_NAME
@_JSON
def submit(name: str, script: str, options: tuple[str, ...], wait: bool, timeout: float, as_json: bool) -> None:
    """Submit a batch script of this host, with OPTIONS of sbatch behind `--`.

    Example: slurm-sim submit job.sbatch --wait -- --nodes=2
    """
    job = SlurmSim.attach(name).submit(script, *options)
    if not wait:
        click.echo(msgspec.json.encode(job.record()) if as_json else job.id)
        return
    with _show.progress(f"job {job.id}"):
        record = job.wait(timeout)
    click.echo(msgspec.json.encode(record) if as_json else job.output(), nl=as_json)
    if record.state != "COMPLETED":
        raise JobError(
            f"job {job.id} ended as {record.state}", seen=f"status {record.exit_code}, reason {record.reason}"
        )


@cli.command()
@click.argument("nodes", type=int)
@_NAME
@_JSON
def scale(name: str, nodes: int, as_json: bool) -> None:
    """Add nodes, or take the last ones away."""
    sim = SlurmSim.attach(name)
    with _show.progress(f"scaling to {nodes} nodes"):
        sim.scale(nodes)
    _show.status(sim, as_json)


@cli.command()
@click.argument("service", default="slurmctld")
@click.option("--follow", "-f", is_flag=True, help="Go on until Ctrl-C.")
@click.option("--lines", default=200, show_default=True, help="How many of the last lines.")
@_NAME
def logs(name: str, service: str, follow: bool, lines: int) -> None:
    """Show what a daemon wrote; SERVICE is slurmctld, login or a node."""
    sim = SlurmSim.attach(name)
    sim.check_service(service)
    replace_by_docker("logs", f"--tail={lines}", *["--follow"] * follow, sim.container(service))


@cli.command()
@click.argument("kind")
@click.argument("nodes", nargs=-1)
@_NAME
def fault(name: str, kind: str, nodes: tuple[str, ...]) -> None:
    """Break something on purpose, or heal it.

    KIND: node-lost, node-hangs, node-cut-off, node-drained, controller-lost, controller-restarted, heal.

    Example: slurm-sim fault node-lost c2; slurm-sim fault heal c2
    """
    SlurmSim.attach(name).fault(Fault.parse(kind), *nodes)


@cli.command(name="list")
@_JSON
def list_(as_json: bool) -> None:
    """Show every mini-cluster of this engine."""
    _show.listing(as_json)


@cli.command()
@click.option("--all", "everything", is_flag=True, help="Every mini-cluster of this engine.")
@_NAME
def down(name: str, everything: bool) -> None:
    """End a mini-cluster, with its containers, networks and volumes."""
    from slurm_sim import _lifecycle

    names = list(_lifecycle.find_all()) if everything else [name]
    for one in names:
        with _show.progress(f"ending {one}"):
            was_there = _lifecycle.remove(one)
        if not was_there:
            others = ", ".join(_lifecycle.find_all()) or "none runs"
            raise NotRunningError(f"there is no mini-cluster {one!r}", seen=others, hint="'slurm-sim list' shows all")
