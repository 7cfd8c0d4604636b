"""Describe a running Dask cluster for the results of a run."""

from __future__ import annotations

import msgspec

Value = int | float | str | bool | None


class Job(msgspec.Struct, frozen=True):
    """A Slurm job for workers.

    Attributes:
        queued: time of its submission, in seconds since the Dask cluster was started; None if not recorded.
        came: time at which its first worker connected; None if none did.
        ended: time at which it ended, or began to retire; None if it was there until the end.
        end: why it ended.
        lost: whether it ended while it was needed.
    """

    id: str
    node: str
    queued: float | None = None
    came: float | None = None
    ended: float | None = None
    end: str = ""
    lost: bool = False


class ClusterFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The Dask cluster of a run; `threads` is the total over all workers."""

    kind: str
    workers: int
    threads: int
    nodes: list[str]
    tls: bool
    jobs: list[Job] = []
    settings: dict[str, Value] = {}
