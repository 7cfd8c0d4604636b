"""The Slurm jobs of a Dask cluster: whether they are alive, and how to end them however the program ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dask_hpc.errors import ClusterError
from dask_hpc.screen import Screen
from dask_hpc.slurm import jobs
from dask_hpc.stop import not_interrupted


@contextmanager
def cancelled_first(name: str) -> Iterator[None]:
    """If the block fails, cancel the jobs of that name first: a stopped program may be killed soon after."""
    try:
        yield
    except BaseException:
        with not_interrupted():
            jobs.cancel(name)
        raise


@contextmanager
def cancelled_at_end(name: str) -> Iterator[None]:
    """Cancel all jobs of that name after the block, without waiting for their end."""
    try:
        yield
    finally:
        with not_interrupted():
            jobs.cancel(name)


@contextmanager
def gone_at_end(name: str, screen: Screen) -> Iterator[None]:
    """Cancel all jobs of that name after the block, including a job whose number is not known yet."""
    try:
        yield
    finally:
        with not_interrupted(), screen.stage("waiting for the Slurm jobs to end"):
            jobs.cancel(name)
            jobs.wait_until_gone(name)


def refused(said: str) -> ClusterError:
    """Return the error for a job that sbatch rejects, quoting sbatch."""
    return ClusterError("sbatch rejected the job.", said, "compare the request (above) with 'sinfo'.")
