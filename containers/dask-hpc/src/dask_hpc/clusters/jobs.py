"""The Slurm jobs of a Dask cluster: whether they live, and how they end, however their program ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dask_hpc.errors import ClusterError
from dask_hpc.screen import Screen
from dask_hpc.slurm import jobs
from dask_hpc.stop import not_interrupted


@contextmanager
def cancelled_first(name: str) -> Iterator[None]:
    """If the block fails, cancel the jobs of that name before all else: a stopped program may be killed soon after."""
    try:
        yield
    except BaseException:
        with not_interrupted():
            jobs.cancel(name)
        raise


@contextmanager
def gone_at_end(name: str, screen: Screen) -> Iterator[None]:
    """Leave no job of that name: by name, so that one whose number is not known yet is found as well."""
    try:
        yield
    finally:
        with not_interrupted(), screen.stage("waiting for the Slurm jobs to end"):
            jobs.cancel(name)
            jobs.wait_until_gone(name)


def refused(said: str) -> ClusterError:
    """Return the error for a job that sbatch rejects, with its words."""
    return ClusterError("sbatch did not take the job.", said, "compare what was asked for (above) with 'sinfo'.")


def may_bring_workers(name: str) -> bool:
    """Return whether workers may still come from jobs of that name; if Slurm cannot be asked, they may."""
    try:
        return any(job.alive for job in jobs.jobs(name))
    except ClusterError:
        return True
