"""What a Dask cluster was: recorded in the results of a run."""

from __future__ import annotations

import msgspec

__all__ = ["ClusterFacts", "Job", "Value"]

Value = int | float | str | bool | None


class Job(msgspec.Struct, frozen=True):
    """A Slurm job that held workers."""

    id: str
    node: str


class ClusterFacts(msgspec.Struct, frozen=True):
    """The Dask cluster that a run had: threads are Dask's, over all workers."""

    kind: str
    workers: int
    threads: int
    nodes: list[str]
    tls: bool
    jobs: list[Job] = []
    settings: dict[str, Value] = {}
