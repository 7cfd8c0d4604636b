"""The commands `dask-hpc mpi` and `dask-hpc mpi-folder`: dask-mpi for job scripts that people write themselves."""

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
    """Be a rank of a dask-mpi cluster: srun --mpi=pmix dask-hpc mpi.

    Stands where dask-mpi would, takes the same options, and fills in what is not given: threads and memory of a rank
    from the job, scheduler file and TLS credentials in a private folder. '--help' shows them.
    """
    from dask_hpc.mpi import rank as mpi_rank

    speak()
    mpi_rank.main(words)


@click.command("mpi-folder")
@click.option("--tls/--no-tls", default=True, show_default=True, help="With credentials.")
@click.option("--remove", is_flag=True, help="Remove it instead.")
@click.argument("folder", type=LocalPath(), required=False)
def mpi_folder(folder: Path | None, *, tls: bool, remove: bool) -> None:
    """Make a private folder for a dask-mpi cluster, and print its path.

    It gets credentials, and dask.yaml, which $DASK_CONFIG is to name for dask-mpi and for clients; the scheduler file
    belongs there, too. Without FOLDER it is one of this Slurm job in ~/.dask-hpc.
    """
    place = Folder(folder or job_folder())
    if remove:
        place.remove()
    else:
        place.make(tls=tls)
    click.echo(place.path)
