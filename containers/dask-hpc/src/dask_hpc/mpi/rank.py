"""Run a Dask cluster in the ranks of this step: dask-mpi's own command, with settings filled in from the job.

Accepts dask-mpi's options. What is not given comes from the job: threads and memory per rank, the network interface,
and a private folder with the scheduler file and TLS credentials. Workers have no nanny. Known mistakes are errors.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack, redirect_stdout
from pathlib import Path
from typing import Any

import click

from dask_hpc.mpi import world as mpi_world
from dask_hpc.mpi.settings import MpiSettings
from dask_hpc.mpi.setup import Means, Ready, means, prepared
from dask_hpc.mpi.traps import refuse_nanny, refuse_small_world
from dask_hpc.mpi.world import World
from dask_hpc.paths import LocalPath
from dask_hpc.stop import stopping_cleanly

NO_DASHBOARD = {"dashboard": False, "dashboard_address": "127.0.0.1:0"}
"""Options of a worker without a dashboard."""

_NAME = "dask-hpc mpi"


def main(words: Sequence[str] | None = None) -> None:
    """Run one rank of a Dask cluster until its scheduler closes; exit the process on an error."""
    world = mpi_world.enter()
    from dask_mpi import cli

    given = sys.argv[1:] if words is None else list(words)
    try:
        with stopping_cleanly():
            params, left_alone = world.together(lambda: _parse(cli.main, given, world), speaker=0)
            options = {name: params.pop(name) for name in ("folder", "tls")}
            settings = MpiSettings(scheduler_file=params["scheduler_file"] or "")
            own = means(world, speaker=0, interface=params["interface"])
            with prepared(world, speaker=0, path=options["folder"], tls=options["tls"], settings=settings) as ready:
                if world.rank == 0 and not options["folder"]:
                    click.echo(_hint(settings.scheduler_file or ready.folder.scheduler_file, ready))
                if world.rank != params["scheduler_rank"]:
                    mpi_world.wait(world.comm.Ibarrier())  # the scheduler enters it once it listens: preload.py
                cli.main.callback(**params | _filled_in(params, left_alone, own=own, ready=ready, world=world))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)


def _parse(command: click.Command, words: list[str], world: World) -> tuple[dict[str, Any], set[str]]:
    """Return the parameters, and the names of those left at their defaults; raise for known mistakes."""
    own = (
        click.Option(["--folder"], type=LocalPath(), help="Private folder. [default: one per step, in ~/.dask-hpc]"),
        click.Option(["--tls/--no-tls"], default=True, show_default=True, help="Encrypt and authenticate connections."),
    )
    ours = click.Command(_NAME, params=[*command.params, *own], help=__doc__)
    with ExitStack() as stack:
        if world.rank:  # one --help is enough
            stack.enter_context(redirect_stdout(stack.enter_context(Path(os.devnull).open("w", encoding="utf-8"))))
        context = ours.make_context(_NAME, words)
    default = click.core.ParameterSource.DEFAULT
    left_alone = {name for name in context.params if context.get_parameter_source(name) is default}
    refuse_nanny(**{name: context.params[name] for name in ("nanny", "worker_class") if name not in left_alone})
    refuse_small_world(world.size, ["the scheduler", "a worker"])
    return context.params, left_alone


def _hint(file: str | Path, ready: Ready) -> str:
    """Return instructions for using the cluster."""
    return (
        f"dask-hpc run WORKLOAD --on mpi --scheduler-file {file}\n"
        f'DASK_CONFIG={ready.folder.config} python, then: Client(scheduler_file="{file}")'
    )


def _filled_in(
    params: dict[str, Any], left_alone: set[str], *, own: Means, ready: Ready, world: World
) -> dict[str, Any]:
    """Return the parameters that replace dask-mpi's defaults."""
    file = params["scheduler_file"] or str(ready.folder.scheduler_file)
    ours = {
        "worker_class": "distributed.Worker",
        "nthreads": own.share.threads,
        "memory_limit": own.share.memory,
        "local_directory": "/tmp",  # noqa: S108 (the node's own; Dask creates a private folder in it)
        "interface": own.interface[0],
        "protocol": "tls" if ready.tls else "tcp",
        "scheduler_port": 0,  # a free port, as two clusters may share a node
        "dashboard_address": "127.0.0.1:0",
        "worker_options": json.dumps(NO_DASHBOARD),
        "name": "rank",
    }
    # preload.py writes the scheduler file, atomically
    always = {"scheduler_file": None if world.rank == params["scheduler_rank"] else file}
    return {name: value for name, value in ours.items() if name in left_alone} | always


if __name__ == "__main__":
    main()
