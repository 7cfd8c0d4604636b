"""What runs on a worker: one rank's part in a collective, and who looks after it."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distributed import Worker

    from dask_hpc.mpi.collective.comm import InterruptibleComm

__all__ = ["Facts", "Order", "Stopped", "decide", "facts", "stop", "take_part"]

_LOOK = 0.2  # seconds between two looks at whether the client still wants this


class Stopped(Exception):  # noqa: N818 (the error is another rank's)
    """The collective was stopped before this rank had ended; the reason is the message."""


@dataclass(frozen=True)
class Facts:
    """What a worker says of itself.

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


@dataclass(frozen=True)
class Order:
    """What the client wants of a rank.

    Attributes:
        run: names the collective; also the topic that ranks report to.
        number: tells its messages from those of another one on the same ranks.
        key: the task's.
        ranks: those of `MPI.COMM_WORLD` that take part, sorted.
        entry: seconds to wait for the client's decision.
        timeout: seconds for the collective itself.
        grace: seconds to leave it once it has been stopped.
    """

    run: str
    number: int
    key: str
    ranks: tuple[int, ...]
    entry: float
    timeout: float
    grace: float


@dataclass
class _Part:
    decided: threading.Event = field(default_factory=threading.Event)
    left: threading.Event = field(default_factory=threading.Event)
    entered: bool = False
    reason: str = ""

    def stop(self, reason: str) -> None:
        self.reason = self.reason or reason
        self.decided.set()


_parts: dict[str, _Part] = {}  # by run; a worker process has one rank


def facts() -> Facts:
    """Tell what this worker is; never starts MPI, which in a Nanny's child would hang or abort the job."""
    mpi = sys.modules.get("mpi4py.MPI")
    host = socket.gethostname()
    if mpi is None or not mpi.Is_initialized() or mpi.Is_finalized():
        return Facts(host)
    world = f"{os.environ.get('PMIX_NAMESPACE', '')} of {mpi.COMM_WORLD.size}"
    return Facts(host, int(mpi.COMM_WORLD.rank), world, mpi.Query_thread() == mpi.THREAD_MULTIPLE)


def decide(run: str) -> bool:
    """Let this worker's rank enter; tell whether it still can."""
    part = _parts.get(run)
    if part is None or part.reason:
        return False
    part.decided.set()
    return True


def stop(run: str, reason: str) -> None:
    """Send this worker's rank away, or make it leave."""
    if part := _parts.get(run):
        part.stop(reason)


def take_part(
    order: Order, function: Callable[..., Any], where: Sequence[Any], blocks: Sequence[Any], args: Sequence[Any]
) -> Any:
    """Report, wait until all have, run `function` with a communicator of all; the body of a rank's task."""
    from distributed import get_worker

    worker, part = get_worker(), _Part()
    _parts[order.run] = part
    threading.Thread(target=_guard, args=(order, part, worker), name="collective-guard", daemon=True).start()
    try:
        worker.log_event(order.run, {"here": order.key})
        part.decided.wait()
        if part.reason:
            raise Stopped(part.reason)
        return _enter(order, part, function, dict(zip(where, blocks, strict=True)), args)
    finally:
        part.left.set()
        del _parts[order.run]


def _enter(
    order: Order, part: _Part, function: Callable[..., Any], blocks: Mapping[Any, Any], args: Sequence[Any]
) -> Any:
    from mpi4py import MPI

    from dask_hpc.mpi.collective.comm import InterruptibleComm

    world = InterruptibleComm(MPI.COMM_WORLD, lambda: part.reason)
    _meet(world, order)
    part.entered = True
    group = world.group.Incl(order.ranks)
    comm = InterruptibleComm(world.Create_group(group, order.number), lambda: part.reason)
    result = function(comm, blocks, *args)
    # after an error it stays: calls that were given up may still be under way in it
    comm.Free()
    group.Free()
    return result


def _meet(world: InterruptibleComm, order: Order) -> None:
    """Return when all ranks are here (a dissemination barrier): making a communicator cannot be ended."""
    ranks, me, step = order.ranks, order.ranks.index(world.rank), 1
    while step < len(ranks):
        to, source = ranks[(me + step) % len(ranks)], ranks[(me - step) % len(ranks)]
        world.Sendrecv(bytearray(1), to, order.number, bytearray(1), source, order.number)
        step *= 2


def _guard(order: Order, part: _Part, worker: Worker) -> None:
    """End a part that nobody waits for any more, or that takes too long; abort MPI if it cannot be ended."""
    start = entered = time.monotonic()
    while not part.reason and not part.left.wait(_LOOK):
        now = time.monotonic()
        entered = entered if part.entered else now
        if _cancelled(worker, order.key):
            part.stop("nobody waits for it any more: the client has gone, or has cancelled it")
        elif now - entered > order.timeout:
            part.stop(f"it took longer than {order.timeout:g} s")
        elif not part.entered and now - start > order.entry:
            part.stop(f"no word from the client in {order.entry:g} s")
    if not part.left.wait(order.grace) and part.entered:
        _abort(order, part.reason)


def _cancelled(worker: Worker, key: str) -> bool:
    task = worker.state.tasks.get(key)
    return task is None or task.state == "cancelled"


def _abort(order: Order, reason: str) -> None:
    from mpi4py import MPI

    print(  # noqa: T201 (the job's log)
        f"dask-hpc: a collective was stopped ({reason}), and rank {MPI.COMM_WORLD.rank} on {socket.gethostname()} "
        f"was still in it {order.grace:g} s later, in a call that cannot be ended. MPI is aborted: the job ends.",
        file=sys.stderr,
        flush=True,
    )
    MPI.COMM_WORLD.Abort(1)
