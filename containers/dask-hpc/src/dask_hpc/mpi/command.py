"""The commands `dask-hpc mpi` and `dask-hpc mpi-folder`: dask-mpi for users' own job scripts."""

from __future__ import annotations

from pathlib import Path

import click

from dask_hpc.mpi.folder import Folder
from dask_hpc.mpi.hush import speak
from dask_hpc.mpi.setup import job_folder
from dask_hpc.paths import LocalPath


@click.command(add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[DASK-MPI OPTIONS]...")
def mpi(words: tuple[str, ...]) -> None:
    """Run one rank of a dask-mpi cluster: srun --mpi=pmix dask-hpc mpi.

    Use it in place of dask-mpi, with the same options. It chooses what is not given: threads and memory per rank from
    the job, and a private folder for the scheduler file and TLS credentials. '--help' shows all options.
    """
    from dask_hpc.mpi import rank as mpi_rank

    speak()
    mpi_rank.main(words)


@click.command("mpi-folder")
@click.option("--tls/--no-tls", default=True, show_default=True, help="Create TLS credentials.")
@click.option("--remove", is_flag=True, help="Remove the folder instead.")
@click.argument("folder", type=LocalPath(), required=False)
def mpi_folder(folder: Path | None, *, tls: bool, remove: bool) -> None:
    """Create a private folder for a dask-mpi cluster, and print its path.

    The folder contains TLS credentials and dask.yaml. Set $DASK_CONFIG to this file for dask-mpi and for clients, and
    keep the scheduler file in the same folder. The default FOLDER is in ~/.dask-hpc and belongs to this Slurm job.
    """
    place = Folder(folder or job_folder())
    if remove:
        place.remove()
    else:
        place.make(tls=tls)
    click.echo(place.path)
