"""The command `dask-hpc cluster`: start, show, scale and stop clusters that stay."""

from __future__ import annotations

import getpass
import shlex
import socket
import sys
from typing import Any

import click
import msgspec

from dask_hpc.clusters.options import CLUSTER_OPTIONS, ClusterOptions, SectionedCommand, SectionedOption
from dask_hpc.clusters.slurm.backend import SlurmBackend
from dask_hpc.clusters.staying import manage
from dask_hpc.clusters.staying.folder import find, folders
from dask_hpc.screen import Screen
from dask_hpc.units import Bounds, Count, Memory, Walltime

_EXAMPLES = """\b
Examples:
  dask-hpc cluster start mine --jobs 4 --walltime 02:00:00 --scheduler-walltime 3-0
  dask-hpc cluster start mine --jobs 0-8 --cores 16 --memory 32GiB
  dask-hpc run monte-carlo-pi --on mine
  dask-hpc cluster status mine
  dask-hpc cluster scale mine 8
  dask-hpc cluster stop mine"""
_NOT_HERE = {"tls", "dashboard"}
_JSON = click.option("--json", "as_json", is_flag=True, help="For programs: JSON on standard output.")


def _scheduler(*names: str, **kwargs: Any) -> SectionedOption:
    return SectionedOption(names, section="Scheduler", **kwargs)


_SCHEDULER_OPTIONS = [
    _scheduler(
        "--scheduler-walltime",
        type=Walltime(),
        help="Time limit of the scheduler's job, and with it of the cluster. [default: the partition's, at most a day]",
    ),
    _scheduler(
        "--scheduler-memory",
        type=Memory(),
        default="2GiB",
        show_default=True,
        help="Memory of the scheduler's job; none: request no memory from Slurm.",
    ),
    _scheduler("--scheduler-partition", help="Partition of the scheduler's job. [default: that of the workers]"),
    _scheduler(
        "--scheduler-sbatch-option",
        multiple=True,
        metavar="OPTION",
        help="Any other sbatch option for the scheduler's job, such as --qos=long.",
    ),
    _scheduler(
        "--idle-timeout",
        type=Walltime(),
        default="60",
        show_default=True,
        help="End the cluster after this time without work, in any form of a wall time; UNLIMITED for never.",
    ),
]
_OPTIONS = [one for one in CLUSTER_OPTIONS if one.name in SlurmBackend.options - _NOT_HERE]


@click.group(epilog=_EXAMPLES)
def cluster() -> None:
    """Dask clusters that stay: their scheduler is a Slurm job, and programs attach to them by name.

    From Python: with dask_hpc.attach("mine") as client: …
    """


def _start(name: str, **values: Any) -> None:
    from dask_hpc.clusters.staying.start import SchedulerOptions, start

    screen = Screen()
    own = {one: values[f"scheduler_{one}"] for one in ("walltime", "memory", "partition", "sbatch_option")}
    scheduler = SchedulerOptions(**own, idle=values["idle_timeout"])
    address = start(name, ClusterOptions.of(values), scheduler, screen)
    where = f"job {address.job} on {address.node}" if address.job else f"process {address.pid} on {address.node}"
    screen.note(f"The cluster {name} runs: {where}. Its worker jobs start as soon as Slurm has room for them.")
    screen.note(f'Attach to it: with dask_hpc.attach("{name}") as client: …, or dask-hpc run WORKLOAD --on {name}')


cluster.add_command(
    SectionedCommand(
        "start",
        params=[click.Argument(["name"]), *_SCHEDULER_OPTIONS, *_OPTIONS],
        callback=_start,
        help="Start a cluster, and return once its scheduler runs.",
        epilog="Example: dask-hpc cluster start mine --jobs 4 --walltime 02:00:00 --scheduler-walltime 3-0",
    )
)


@cluster.command("list")
@_JSON
def list_(as_json: bool) -> None:
    """List your clusters."""
    found = [manage.summary(folder) for folder in folders()]
    if as_json:
        click.echo(msgspec.json.encode(found))
        return
    screen = Screen()
    if not found:
        screen.note("You have no clusters. Start one: dask-hpc cluster start NAME --jobs 4")
        return
    rows = [(one["name"], one["state"], one["where"], str(one.get("workers", ""))) for one in found]
    screen.table("Dask clusters", ("name", "state", "scheduler", "workers"), rows)


@cluster.command()
@click.argument("name")
@_JSON
def status(name: str, as_json: bool) -> None:
    """Show a cluster: its jobs, workers, tasks and clients."""
    found = manage.details(find(name))
    if as_json:
        click.echo(msgspec.json.encode(found))
    else:
        manage.show(found, Screen())
    sys.exit(0 if found["state"] == "running" else 1)


@cluster.command(epilog="Example: dask-hpc cluster logs mine --lines 100")
@click.argument("name")
@click.option("--lines", type=Count(maximum=1_000_000), default="40", show_default=True, help="Last lines of each log.")
def logs(name: str, lines: int) -> None:
    """Show the end of the logs of the scheduler and of the worker jobs."""
    Screen().text(f"Logs in {find(name).path}", manage.logs(find(name), lines))


@cluster.command(epilog="\b\nExamples:\n  dask-hpc cluster scale mine 8\n  dask-hpc cluster scale mine 0-8")
@click.argument("name")
@click.argument("jobs", type=Bounds(minimum=0))
def scale(name: str, jobs: int | tuple[int, int]) -> None:
    """Change the number of worker jobs; a range follows the work."""
    fewest, most = jobs if isinstance(jobs, tuple) else (jobs, jobs)
    manage.scale(find(name), fewest, most)
    Screen().note(f"The cluster {name} keeps {fewest if fewest == most else f'{fewest} to {most}'} jobs from now on.")


@cluster.command()
@click.argument("name")
def stop(name: str) -> None:
    """End a cluster, with its jobs; what it holds in memory is lost."""
    screen = Screen()
    with screen.stage(f"ending the cluster {name}"):
        manage.stop(find(name))
    screen.note(f"The cluster {name} has ended; nothing of it is left.")


@cluster.command()
@click.argument("name")
@click.option("--port", type=Count(1024, 65535), default="8787", show_default=True, help="Port on your own machine.")
@click.option("--relay", is_flag=True, hidden=True)
def dashboard(name: str, port: int, relay: bool) -> None:
    """Print the ssh command that opens the dashboard on your own machine, by way of this login node alone."""
    if relay:
        manage.relay_dashboard(find(name))
        return
    found = find(name)
    manage.refuse_without_dashboard(found)
    command = f"-L {port}:{manage.dashboard_socket(found)} {getpass.getuser()}@{socket.gethostname()}"
    remote = shlex.join([*manage.this_command(), "cluster", "dashboard", name, "--relay"])
    screen = Screen()
    screen.note("On your own machine, run this, and keep it running while you look:")
    screen.note(f"  ssh -t {command} {shlex.quote(remote)}")
    screen.note(f"Then open http://localhost:{port}/status")


@cluster.command(hidden=True)
@click.argument("name")
def serve(name: str) -> None:
    """Run a cluster's scheduler; its job calls this."""
    from dask_hpc.clusters.staying.serve import serve as run

    sys.exit(run(name))
