"""A communicator whose calls can be interrupted, so that no rank waits forever for one that has failed.

Imported only on the ranks, where MPI is available.
"""

from __future__ import annotations

import os
import pickle
import time
from array import array
from collections.abc import Callable
from functools import reduce
from itertools import accumulate
from typing import Any, Self

from mpi4py import MPI

from dask_hpc.mpi.collective.messages import Stopped

_EAGER = 200  # tests without a pause: a message between nodes takes about 20 µs, a test 1 µs
_LONGEST = 1e-3  # longest pause between tests, in seconds
_COLLECTIVE = (
    *("Allgather", "Allgatherv", "Allreduce", "Alltoall", "Alltoallv", "Alltoallw", "Barrier", "Bcast", "Exscan"),
    *("Gather", "Gatherv", "Reduce", "Reduce_scatter", "Reduce_scatter_block", "Scan", "Scatter", "Scatterv"),
)

# Requests that did not complete and must not be forgotten: MPI may still write into their buffers.
_abandoned: list[tuple[MPI.Comm, tuple[MPI.Request, ...]]] = []


class InterruptibleComm(MPI.Intracomm):
    """An `MPI.Intracomm` whose blocking calls raise `Stopped` once the collective has been stopped.

    This applies to the upper-case collectives, to `Send`, `Ssend`, `Recv` and `Sendrecv`, to the lower-case `barrier`,
    `bcast`, `gather`, `allgather` and `allreduce`, and, through `wait`, to every non-blocking call. They poll with
    pauses instead of spinning in MPI, and so leave the core to others if ranks outnumber cores. All other calls are
    mpi4py's own, and block in MPI, as do calls made by libraries.

    Args:
        comm: the communicator to wrap.
        reason: function that returns why the collective was stopped, or an empty string.
    """

    reason: Callable[[], str]

    def __new__(cls, comm: MPI.Intracomm, reason: Callable[[], str]) -> Self:
        """Wrap the communicator."""
        self: Self = super().__new__(cls, comm)
        self.reason = reason
        return self

    def wait(self, *requests: MPI.Request, status: MPI.Status | None = None) -> None:
        """Return when all requests have completed; raise `Stopped` if the collective is stopped before."""
        statuses = [status or MPI.Status()] + [MPI.Status() for _ in requests[1:]]
        tests = 0
        while not MPI.Request.Testall(list(requests), statuses):
            if why := self.reason():
                _abandoned.append((self, requests))
                raise Stopped(why)
            tests += 1
            _rest(tests)

    def Send(self, buf: Any, dest: int, tag: int = 0) -> None:  # noqa: N802 (MPI's name)
        """Send as MPI does."""
        self.wait(self.Isend(buf, dest, tag))

    def Ssend(self, buf: Any, dest: int, tag: int = 0) -> None:  # noqa: N802
        """Send, and return when the receiver has begun to receive."""
        self.wait(self.Issend(buf, dest, tag))

    def Recv(  # noqa: N802
        self, buf: Any, source: int = MPI.ANY_SOURCE, tag: int = MPI.ANY_TAG, status: MPI.Status | None = None
    ) -> None:
        """Receive as MPI does."""
        self.wait(self.Irecv(buf, source, tag), status=status)

    def Sendrecv(  # noqa: N802
        self,
        sendbuf: Any,
        dest: int,
        sendtag: int = 0,
        recvbuf: Any = None,
        source: int = MPI.ANY_SOURCE,
        recvtag: int = MPI.ANY_TAG,
        status: MPI.Status | None = None,
    ) -> None:
        """Send and receive at the same time, as MPI does."""
        self.wait(self.Irecv(recvbuf, source, recvtag), self.Isend(sendbuf, dest, sendtag), status=status)

    def barrier(self) -> None:
        """Return when all ranks have called this."""
        self.wait(self.Ibarrier())

    def bcast(self, obj: Any, root: int = 0) -> Any:
        """Return the root's object on every rank."""
        data = pickle.dumps(obj, protocol=5) if self.rank == root else b""
        length = array("q", [len(data)])
        self.wait(self.Ibcast([length, MPI.INT64_T], root))
        room = bytearray(data) if self.rank == root else bytearray(length[0])
        self.wait(self.Ibcast([room, MPI.BYTE], root))
        return pickle.loads(room)  # noqa: S301 (from a rank of the same job)

    def allgather(self, sendobj: Any) -> list[Any]:
        """Return the objects of all ranks, in rank order, on every rank."""
        data = pickle.dumps(sendobj, protocol=5)
        sizes = array("q", [0] * self.size)
        self.wait(self.Iallgather([array("q", [len(data)]), MPI.INT64_T], [sizes, MPI.INT64_T]))
        ends = list(accumulate(sizes))
        room = bytearray(ends[-1])
        starts = [end - size for end, size in zip(ends, sizes, strict=True)]
        self.wait(self.Iallgatherv([data, MPI.BYTE], [room, list(sizes), starts, MPI.BYTE]))
        return [pickle.loads(room[start:end]) for start, end in zip(starts, ends, strict=True)]  # noqa: S301

    def gather(self, sendobj: Any, root: int = 0) -> list[Any] | None:
        """Return the objects of all ranks on the root, and None elsewhere."""
        objects = self.allgather(sendobj)
        return objects if self.rank == root else None

    def allreduce(self, sendobj: Any, op: Callable[[Any, Any], Any] = MPI.SUM) -> Any:
        """Return the objects of all ranks, reduced in rank order, on every rank."""
        return reduce(op, self.allgather(sendobj))


def _rest(tests: int) -> None:
    if tests < _EAGER:
        os.sched_yield()
    else:
        # MPI has no wait that another thread can interrupt, and one that spins would take a core from other ranks
        time.sleep(min(_LONGEST, 5e-5 * (tests - _EAGER + 1)))


def _interruptible(name: str) -> Callable[..., None]:
    start = getattr(MPI.Intracomm, f"I{name.lower()}")

    def call(self: InterruptibleComm, *args: Any, **kwargs: Any) -> None:
        self.wait(start(self, *args, **kwargs))

    call.__name__ = name
    call.__doc__ = getattr(MPI.Intracomm, name).__doc__
    return call


for _name in _COLLECTIVE:
    setattr(InterruptibleComm, _name, _interruptible(_name))
