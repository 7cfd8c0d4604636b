"""The command `dask-hpc`: list and run workloads, check and configure a site."""

from __future__ import annotations

import click

from dask_hpc.clusters.staying.command import cluster
from dask_hpc.doctor.command import doctor
from dask_hpc.identity import release
from dask_hpc.jobqueue_config.command import jobqueue_config
from dask_hpc.mpi.command import mpi, mpi_folder
from dask_hpc.mpi.hush import hush
from dask_hpc.tutorial.commands import list_, run


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(release().version, message=f"dask-hpc {release().version} ({release().revision})")
def main() -> None:
    """Run Dask workloads on this machine or on Slurm, and keep their results."""
    hush()


main.add_command(cluster)
main.add_command(doctor)
main.add_command(jobqueue_config)
main.add_command(mpi)
main.add_command(mpi_folder)
main.add_command(list_)
main.add_command(run)
