"""End the Slurm jobs of a Dask cluster, however its program ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dask_hpc.screen import Screen
from dask_hpc.slurm import ask
from dask_hpc.stop import not_interrupted


@contextmanager
def cancelled_first(name: str) -> Iterator[None]:
    """If the block fails, cancel the jobs of that name before all else: a stopped program may be killed soon after."""
    try:
        yield
    except BaseException:
        with not_interrupted():
            ask.cancel(name)
        raise


@contextmanager
def gone_at_end(name: str, screen: Screen) -> Iterator[None]:
    """Leave no job of that name: by name, so that one whose number is not known yet is found as well."""
    try:
        yield
    finally:
        with not_interrupted(), screen.stage("waiting for the Slurm jobs to end"):
            ask.cancel(name)
            ask.wait_until_gone(name)
