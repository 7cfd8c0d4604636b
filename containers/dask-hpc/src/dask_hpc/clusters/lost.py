"""Report the loss of the scheduler while a workload runs, instead of waiting forever."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dask_hpc.errors import ClusterError
from dask_hpc.stop import handling, in_main_thread

if TYPE_CHECKING:
    from distributed import Client


_PAUSE = 0.5  # seconds between checks
_GRACE = 3.0  # seconds without a connection until the run fails


class _SchedulerLostError(Exception):
    """Raised in the main thread."""


@contextmanager
def scheduler_watched(client: Client) -> Iterator[None]:
    """Raise `ClusterError` if the connection to the scheduler is lost, regardless of what the main thread waits for.

    Dask itself only cancels the futures: a call that goes through the scheduler waits until the connection times out,
    and a client that computes locally notices nothing.
    """
    from distributed.client import CancelledError, ClosedClientError

    try:
        with _interrupted_when_lost(client):
            yield
    except (_SchedulerLostError, CancelledError, ClosedClientError, OSError) as error:
        if not isinstance(error, _SchedulerLostError) and not _lost(client):
            raise
        raise ClusterError(
            "The scheduler was lost while the workload was running.",
            f"The connection to it failed ({type(error).__name__}: {error})." if str(error) else "",
            "find out why it ended (memory, wall time, its log), then run the workload again.",
        ) from error


@contextmanager
def _interrupted_when_lost(client: Client) -> Iterator[None]:
    if not in_main_thread():
        yield
        return
    over = threading.Event()
    watching = threading.Thread(target=_watch, args=(client, over), name="scheduler-watch", daemon=True)
    with handling(_interrupt, signal.SIGUSR2):
        watching.start()
        try:
            yield
        finally:
            over.set()
            watching.join()


def _watch(client: Client, over: threading.Event) -> None:
    missing = 0.0
    while not over.wait(_PAUSE):
        missing = missing + _PAUSE if _lost(client) else 0.0
        if missing >= _GRACE:
            # only a signal wakes the main thread, which waits for a result that never comes
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR2)
            return


def _interrupt(_signum: int, _frame: object) -> None:
    raise _SchedulerLostError


def _lost(client: Client) -> bool:
    comm = client.scheduler_comm
    return client.status != "running" or comm is None or comm.closed()
