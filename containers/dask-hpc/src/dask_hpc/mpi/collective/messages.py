"""Messages between the client and the ranks."""

from __future__ import annotations

from dataclasses import dataclass


class Stopped(Exception):  # noqa: N818 (the error is another rank's)
    """The collective was stopped before this rank had ended; the reason is the message."""


@dataclass(frozen=True)
class Rank:
    """A worker that is an MPI process: its rank in `MPI.COMM_WORLD`, its address, its node."""

    rank: int
    address: str
    host: str

    def __str__(self) -> str:
        return f"rank {self.rank} on {self.host}"


@dataclass(frozen=True, kw_only=True)
class Facts:
    """A worker's description of itself.

    Attributes:
        host: its node.
        rank: its rank in `MPI.COMM_WORLD`, or -1 if it is no MPI process.
        world: names the MPI job; ranks of two jobs cannot talk to each other.
        threads: whether MPI may be called from Dask's threads.
    """

    host: str
    rank: int = -1
    world: str = ""
    threads: bool = False

    def __str__(self) -> str:
        if self.rank < 0:
            return "no MPI process"
        return f"rank {self.rank} of world {self.world}{'' if self.threads else ', without THREAD_MULTIPLE'}"


@dataclass(frozen=True, kw_only=True)
class Order:
    """The client's request to a rank.

    Attributes:
        run: names the collective; also the topic that ranks report to.
        tag: tells its messages from those of another one on the same ranks.
        key: the task's.
        ranks: those of `MPI.COMM_WORLD` that take part, sorted.
        entry: seconds to wait for the client's decision.
        timeout: seconds for the collective itself.
        grace: seconds to leave it once it has been stopped.
    """

    run: str
    tag: int
    key: str
    ranks: tuple[int, ...]
    entry: float
    timeout: float
    grace: float
