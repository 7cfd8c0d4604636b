"""Describe a running Dask cluster for the results of a run."""

from __future__ import annotations

import msgspec

Value = int | float | str | bool | None


class Job(msgspec.Struct, frozen=True):
    """A Slurm job that held workers."""

    id: str
    node: str


class ClusterFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The Dask cluster of a run; `threads` is the total over all workers."""

    kind: str
    workers: int
    threads: int
    nodes: list[str]
    tls: bool
    jobs: list[Job] = []
    settings: dict[str, Value] = {}
