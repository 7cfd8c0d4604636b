"""Run one rank's part of a collective on a worker, and monitor it."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dask_hpc.mpi.collective.messages import Facts, Order, Stopped

if TYPE_CHECKING:
    from distributed import Worker

    from dask_hpc.mpi.collective.comm import InterruptibleComm

_LOOK = 0.2  # seconds between checks whether the client still waits


@dataclass
class _Part:
    order: Order
    decided: threading.Event = field(default_factory=threading.Event)
    left: threading.Event = field(default_factory=threading.Event)
    entered: bool = False
    reason: str = ""

    def stop(self, reason: str) -> None:
        self.reason = self.reason or reason
        self.decided.set()


_parts: dict[str, _Part] = {}  # by run; a worker process is one rank


def facts() -> Facts:
    """Describe this worker without starting MPI, which in a nanny's child would hang or abort the job."""
    mpi = sys.modules.get("mpi4py.MPI")
    host = socket.gethostname()
    if mpi is None or not mpi.Is_initialized() or mpi.Is_finalized():
        return Facts(host=host)
    return Facts(
        host=host,
        rank=int(mpi.COMM_WORLD.rank),
        world=f"{os.environ.get('PMIX_NAMESPACE', '')} of {mpi.COMM_WORLD.size}",
        threads=mpi.Query_thread() == mpi.THREAD_MULTIPLE,
    )


def decide(run: str) -> bool:
    """Let this worker's rank enter; return False if it no longer can."""
    part = _parts.get(run)
    if part is None or part.reason:
        return False
    part.decided.set()
    return True


def stop(run: str, reason: str) -> None:
    """Turn away this worker's rank, or make it leave."""
    if part := _parts.get(run):
        part.stop(reason)


def take_part(
    order: Order, *, function: Callable[..., Any], indices: Sequence[Any], blocks: Sequence[Any], args: Sequence[Any]
) -> Any:
    """Report, wait for all ranks, and run `function` with their communicator: the body of a rank's task."""
    from distributed import get_worker

    worker = get_worker()
    part = _Part(order)
    _parts[order.run] = part
    threading.Thread(target=_guard, args=(part, worker), name="collective-guard", daemon=True).start()
    own: Mapping[Any, Any] = dict(zip(indices, blocks, strict=True))
    try:
        worker.log_event(order.run, {"here": order.key})
        part.decided.wait()
        if part.reason:
            raise Stopped(part.reason)
        return _enter(part, lambda comm: function(comm, own, *args))
    finally:
        part.left.set()
        del _parts[order.run]


def _enter(part: _Part, function: Callable[[InterruptibleComm], Any]) -> Any:
    from mpi4py import MPI

    from dask_hpc.mpi.collective.comm import InterruptibleComm

    order = part.order
    world = InterruptibleComm(MPI.COMM_WORLD, lambda: part.reason)
    _meet(world, order)
    part.entered = True
    group = world.group.Incl(order.ranks)
    comm = InterruptibleComm(world.Create_group(group, order.tag), lambda: part.reason)
    result = function(comm)
    # not freed after an error: abandoned calls may still be in progress in it
    comm.Free()
    group.Free()
    return result


def _meet(world: InterruptibleComm, order: Order) -> None:
    """Wait for all ranks (a dissemination barrier), as creating a communicator cannot be interrupted."""
    ranks = order.ranks
    own = ranks.index(world.rank)
    step = 1
    while step < len(ranks):
        world.Sendrecv(
            bytearray(1),
            dest=ranks[(own + step) % len(ranks)],
            sendtag=order.tag,
            recvbuf=bytearray(1),
            source=ranks[(own - step) % len(ranks)],
            recvtag=order.tag,
        )
        step *= 2


def _guard(part: _Part, worker: Worker) -> None:
    """Stop a part that the client no longer waits for or that takes too long; abort MPI if it does not stop."""
    order = part.order
    start = time.monotonic()
    entered = start
    while not part.reason and not part.left.wait(_LOOK):
        now = time.monotonic()
        if not part.entered:
            entered = now
        if _cancelled(worker, order.key):
            part.stop("no client waits for it: the client exited, or cancelled it")
        elif now - entered > order.timeout:
            part.stop(f"it took longer than {order.timeout:g} s")
        elif not part.entered and now - start > order.entry:
            part.stop(f"no decision from the client within {order.entry:g} s")
    if not part.left.wait(order.grace) and part.entered:
        _abort(order, part.reason)


def _cancelled(worker: Worker, key: str) -> bool:
    task = worker.state.tasks.get(key)
    return task is None or task.state == "cancelled"


def _abort(order: Order, reason: str) -> None:
    from mpi4py import MPI

    print(  # noqa: T201 (the job's log)
        f"dask-hpc: a collective was stopped ({reason}), and rank {MPI.COMM_WORLD.rank} on {socket.gethostname()} "
        f"was still in it {order.grace:g} s later, in a call that cannot be interrupted. MPI is aborted: the job ends.",
        file=sys.stderr,
        flush=True,
    )
    MPI.COMM_WORLD.Abort(1)
