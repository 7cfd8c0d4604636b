"""Messages between the client and the ranks."""

from __future__ import annotations

from dataclasses import dataclass


class Stopped(Exception):  # noqa: N818 (the error is another rank's)
    """The collective was stopped before this rank finished; the message is the reason."""


@dataclass(frozen=True)
class Rank:
    """A worker that is an MPI process: its rank in `MPI.COMM_WORLD`, its address and its node."""

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
        rank: its rank in `MPI.COMM_WORLD`, or -1 if it is not an MPI process.
        world: name of the MPI job; ranks of different jobs cannot communicate.
        threads: True if Dask's threads may call MPI.
    """

    host: str
    rank: int = -1
    world: str = ""
    threads: bool = False

    def __str__(self) -> str:
        if self.rank < 0:
            return "not an MPI process"
        return f"rank {self.rank} of world {self.world}{'' if self.threads else ', without THREAD_MULTIPLE'}"


@dataclass(frozen=True, kw_only=True)
class Order:
    """The client's request to a rank.

    Attributes:
        run: name of the collective, and the topic that ranks report to.
        tag: MPI tag that separates its messages from those of another collective on the same ranks.
        key: key of the task.
        ranks: the participating ranks of `MPI.COMM_WORLD`, sorted.
        entry: seconds to wait for the client's decision.
        timeout: seconds for the collective itself.
        grace: seconds to leave the collective once it has been stopped.
    """

    run: str
    tag: int
    key: str
    ranks: tuple[int, ...]
    entry: float
    timeout: float
    grace: float
