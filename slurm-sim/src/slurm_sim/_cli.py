"""The command `slurm-sim`."""

from __future__ import annotations

import re
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Unpack

import click
import msgspec

from slurm_sim import _files, _found, _lifecycle, _rest, _revive, _show, _ssh, _submission
from slurm_sim._attached import attached
from slurm_sim._docker import check_engine, replace_by_docker
from slurm_sim._engine import HOME
from slurm_sim._options import Commands, given_fields, json_option, name_option, size_options
from slurm_sim._signals import INTERRUPTS, Stopped, handling, ignore_interrupts, stop
from slurm_sim.cluster import SlurmSim
from slurm_sim.config import USER
from slurm_sim.errors import NotRunningError, SpecError
from slurm_sim.faults import Fault
from slurm_sim.spec import Arguments, check_name


def main() -> None:
    """Run the command; a signal raises an exception, so that nothing is left behind."""
    with handling(stop, *INTERRUPTS):
        cli(prog_name="slurm-sim")


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: slurm-sim up --nodes 4 && slurm-sim exec -- srun -N4 hostname; slurm-sim down",
)
@click.version_option(_files.versions()["VERSION"], prog_name="slurm-sim")
def cli() -> None:
    """A real Slurm cluster in containers, up in seconds."""


@cli.command()
@size_options
@click.option("--jupyter", is_flag=True, help="Run JupyterLab on the login node, published on this host's loopback.")
@name_option
@json_option
@click.pass_context
def up(ctx: click.Context, /, name: str, as_json: bool, **wanted: Unpack[Arguments]) -> None:
    """Start a mini-cluster; return when all of its nodes are idle and a job has run.

    A stopped mini-cluster comes back with its files and its queue.

    Example: slurm-sim up --accounting --user alice --gpus-per-node a100:2 --partition debug:nodes=1,time=10
    """
    sim = SlurmSim(name=name, **wanted)
    found = _found.existing(name)
    if found:
        _revive.refuse_others(found, sim.spec, given_fields(ctx))
        sim = SlurmSim.attach(name)
    with _show.progress(f"starting {sim.spec.nodes} nodes") as seconds:
        sim.start()
    try:
        _show.status(sim, as_json=as_json, note=f"ready in {seconds():.1f} s")
        ignore_interrupts()  # the caller knows that it is up
    except Stopped:
        if not found:
            sim.down()
        raise


@cli.command(context_settings={"allow_interspersed_args": False})
@size_options
@click.option(
    "--get",
    "wanted_files",
    multiple=True,
    metavar="PATH",
    help="Copy PATH from hpc's home to the current folder at the end (repeatable).",
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(wanted_files: tuple[str, ...], command: tuple[str, ...], **wanted: Unpack[Arguments]) -> None:
    """Run one command on the login node of a throw-away mini-cluster.

    Streams, signals and exit status pass through.

    Example: slurm-sim run --nodes 4 -- srun -N4 hostname
    """
    sim = SlurmSim(**wanted)
    with ExitStack() as stack:
        with _show.progress(f"starting {sim.spec.nodes} nodes") as seconds:
            stack.enter_context(sim)
        click.echo(f"mini-cluster with {sim.spec.nodes} nodes ready in {seconds():.1f} s", err=True)
        status = attached(sim.container("login"), command, user=USER)
        for path in wanted_files:
            sim.get(f"{HOME}/{path}", ".")
            click.echo(f"copied: {path} to {Path.cwd() / Path(path).name}", err=True)
    raise SystemExit(status)


@cli.command()
@name_option
@json_option
def status(name: str, as_json: bool) -> None:
    """Show the nodes and the queue of a mini-cluster."""
    _show.status(SlurmSim.attach(name), as_json=as_json)


@cli.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--on", default="login", show_default=True, help="Run on login, slurmctld or a node such as c1.")
@click.option("--user", default=USER, show_default=True, help="User to run as.")
@click.option("--workdir", help="Folder to run in. [default: the user's home]")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@name_option
def exec(*, name: str, on: str, user: str, workdir: str | None, command: tuple[str, ...]) -> None:  # noqa: A001
    """Run a command in a mini-cluster; streams, signals and exit status pass through.

    The command ends if slurm-sim is killed or loses its terminal.

    Example: slurm-sim exec --on c1 -- ps aux
    """
    sim = SlurmSim.attach(name)
    sim.check_service(on)
    raise SystemExit(attached(sim.container(on), command, user=user, workdir=workdir))


@cli.command()
@click.option("--on", default="login", show_default=True, help="Run on login, slurmctld or a node such as c1.")
@click.option("--user", default=USER, show_default=True, help="User to run as.")
@name_option
@click.pass_context
def shell(ctx: click.Context, *, name: str, on: str, user: str) -> None:
    """Open a shell in a mini-cluster."""
    ctx.invoke(exec, name=name, on=on, user=user, workdir=None, command=("bash", "-l"))


@cli.command()
@click.argument("source")
@click.argument("target")
@click.option("--user", default=USER, show_default=True, help="User that copies in the mini-cluster belong to.")
@name_option
def cp(*, name: str, source: str, target: str, user: str) -> None:
    """Copy files into or out of a mini-cluster; one side is NODE:PATH.

    Example: slurm-sim cp job.sbatch login:/home/hpc
    """
    sim = SlurmSim.attach(name)
    match _place(source), _place(target):
        case (None, (on, path)):
            sim.put(source, path, on=on, user=user)
        case ((on, path), None):
            sim.get(path, target, on=on)
        case _:
            raise SpecError(
                "One side must be in the mini-cluster, the other on this host.",
                todo="write one side as login:PATH or c1:PATH.",
            )


def _place(text: str) -> tuple[str, str] | None:
    on, colon, path = text.partition(":")
    return (on, path) if colon and "/" not in on else None


@cli.command()
@click.argument("script", type=click.Path(exists=True, dir_okay=False, readable=True))
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--wait",
    is_flag=True,
    help="Wait for the job's end and print its output; fail if any part of it failed.",
)
@click.option("--timeout", default=600.0, show_default=True, help="Time limit of --wait, in seconds.")
@click.option("--user", default=USER, show_default=True, help="User whose job it is.")
@name_option
@json_option
def submit(
    *, name: str, script: str, options: tuple[str, ...], wait: bool, timeout: float, user: str, as_json: bool
) -> None:
    """Submit a batch script from this host, with sbatch's OPTIONS after `--`.

    Ctrl-C ends the wait, not the job; cancel the job with `scancel`.

    Example: slurm-sim submit job.sbatch --wait -- --nodes=2
    """
    sim = SlurmSim.attach(name)
    done = _submission.submit(sim.engine, Path(script), options, user=user)
    if done.job_id is None and done.sbatch.returncode:
        raise _submission.no_job(sim.engine, script, done.sbatch)
    click.echo(done.sbatch.stderr, nl=False, err=True)
    if done.job_id is None:  # sbatch submitted no job, as with --test-only
        click.echo(done.sbatch.stdout, nl=False)
        return
    job = sim.job(done.job_id)
    if wait:
        _show.end_of(job, timeout, as_json=as_json)
        return
    click.echo(msgspec.json.encode(job.record()) if as_json else job.id)
    raise SystemExit(done.sbatch.returncode)  # the job's, with sbatch's own --wait


class _Token(msgspec.Struct, frozen=True, kw_only=True):
    """The output of `slurm-sim token --json`."""

    token: str
    user: str
    expires: datetime
    address: str
    socket: str
    openapi: str


@cli.command()
@click.option("--user", default=USER, show_default=True, help="User that the token acts as.")
@click.option("--lifetime", default=_rest.HOUR, show_default=True, help="Seconds until the token expires.")
@name_option
@json_option
def token(*, name: str, user: str, lifetime: int, as_json: bool) -> None:
    """Print a token for the REST API of a mini-cluster.

    Example: export SLURM_JWT=$(slurm-sim token)
    """
    sim = SlurmSim.attach(name)
    signed = sim.token(user, lifetime=lifetime)
    if not as_json:
        click.echo(signed)
        return
    claims, rest = _rest.claims(signed), sim.rest()
    told = _Token(
        token=signed,
        user=claims.sun,
        expires=claims.expires,
        address=rest.address,
        socket=rest.socket,
        openapi=rest.openapi,
    )
    click.echo(msgspec.json.encode(told))


@cli.command()
@click.argument("nodes", nargs=-1, required=True)
@name_option
@json_option
def scale(name: str, nodes: tuple[str, ...], as_json: bool) -> None:
    """Add nodes, or remove the last ones; NODES is a number, or GROUP=NUMBER for each group.

    Example: slurm-sim scale 4; slurm-sim scale gpu=3
    """
    total, groups = _numbers_of_nodes(nodes)
    sim = SlurmSim.attach(name)
    with _show.progress(f"scaling to {' '.join(nodes)} nodes"):
        sim.scale(total, **groups)
    _show.status(sim, as_json=as_json)


def _numbers_of_nodes(texts: tuple[str, ...]) -> tuple[int | None, dict[str, int]]:
    total, groups = None, dict[str, int]()
    for text in texts:
        group, _, number = text.rpartition("=")
        if not re.fullmatch("-?[0-9]{1,6}", number) or (group in groups if group else len(texts) > 1):
            raise SpecError(f"Invalid number of nodes {text!r}.", todo="write a number, or GROUP=NUMBER: gpu=3.")
        if group:
            groups[group] = int(number)
        else:
            total = int(number)
    return total, groups


@cli.command()
@click.argument("service", default="slurmctld")
@click.option("--follow", "-f", is_flag=True, help="Follow the log until Ctrl-C.")
@click.option("--lines", default=200, show_default=True, help="Number of lines to show from the end.")
@name_option
def logs(*, name: str, service: str, follow: bool, lines: int) -> None:
    """Show a daemon's log; SERVICE is slurmctld, login, a node, slurmrestd, slurmdbd or database."""
    sim = SlurmSim.attach(name)
    if not sim.state(service):  # a stopped one still has its log
        sim.check_service(service)
    replace_by_docker("logs", f"--tail={lines}", *["--follow"] * follow, sim.container(service))


_FAULT_HELP = f"""Inject a fault, or repair it.

KIND: {", ".join(Fault)}. `heal` repairs the named nodes or, without a name, the controller and accounting.

Example: slurm-sim fault node-lost c2; slurm-sim fault heal c2
"""


@cli.command(help=_FAULT_HELP)
@click.argument("kind")
@click.argument("nodes", nargs=-1)
@name_option
def fault(name: str, kind: str, nodes: tuple[str, ...]) -> None:
    """Inject a fault, or repair it."""
    SlurmSim.attach(name).fault(Fault.parse(kind), *nodes)


@cli.command()
@name_option
def roll_up(name: str) -> None:
    """Bring sreport and sshare up to date, with accounting.

    Slurm does this once an hour and once a minute. sreport counts hours.

    Example: slurm-sim roll-up; slurm-sim exec sreport user top start=now-30minutes
    """
    SlurmSim.attach(name).roll_up()


@cli.group(cls=Commands)
def user() -> None:
    """Add, remove or list users. Every mini-cluster has the user hpc."""


@user.command(name="add")
@click.argument("names", nargs=-1, required=True)
@click.option("--account", help="With accounting: account of their jobs. [default: one with the user's name]")
@name_option
def add_users(name: str, names: tuple[str, ...], account: str | None) -> None:
    """Add users, each with a home; a removed user gets the old home back.

    Example: slurm-sim user add alice && slurm-sim exec --user alice -- srun id
    """
    SlurmSim.attach(name).add_users(*names, account=account)


@user.command(name="remove")
@click.argument("names", nargs=-1, required=True)
@name_option
def remove_users(name: str, names: tuple[str, ...]) -> None:
    """Remove users with their jobs and their processes on the login node; their homes stay."""
    with _show.progress(f"removing {', '.join(names)}"):
        SlurmSim.attach(name).remove_users(*names)


@user.command(name="list")
@name_option
@json_option
def list_users(name: str, as_json: bool) -> None:
    """List the users who can submit jobs."""
    _show.users(SlurmSim.attach(name), as_json=as_json)


@cli.command()
@name_option
def ssh_config(name: str) -> None:
    """Print the path of a configuration for ssh to the login node of a mini-cluster that has ssh.

    Its host `login` is the login node, as hpc or as another user: alice@login. Each start may change the port: run this
    again after it.

    Example: ssh -F $(slurm-sim ssh-config) login squeue
    """
    sim = SlurmSim.attach(name)
    click.echo(sim.ssh_config())
    if tunnel := _ssh.tunnel(sim.engine):
        click.echo(f"slurm-sim: the engine is on another machine; first open a tunnel to it: {tunnel}", err=True)


@cli.command(name="list")
@json_option
def list_(as_json: bool) -> None:
    """List all mini-clusters of this engine."""
    _show.listing(as_json=as_json)


@cli.command()
@click.option("--all", "everything", is_flag=True, help="Remove all mini-clusters of this engine.")
@name_option
def down(name: str, everything: bool) -> None:
    """Remove a mini-cluster with its containers, networks and volumes."""
    check_engine()
    names = sorted(_lifecycle.projects()) if everything else [check_name(name)]
    for one in names:
        with _show.progress(f"removing {one}"):
            was_there = _lifecycle.remove(one)
        if not was_there:
            others = ", ".join(_found.find_all()) or "none"
            raise NotRunningError(
                f"Mini-cluster {one!r} not found.", f"existing: {others}", "'slurm-sim list' shows all mini-clusters."
            )
