"""Connect to a cluster that stays: from a script or a notebook, and for the commands.

>>> import dask_hpc
>>> with dask_hpc.attach("mine") as client:
...     client.submit(sum, [1, 2]).result()
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Self

from distributed import Client
from distributed.core import rpc

from dask_hpc import credentials
from dask_hpc.clusters.lost import scheduler_watched
from dask_hpc.clusters.silence import LOST_RESULTS, silent
from dask_hpc.clusters.staying.folder import Address, ClusterFolder, End, find
from dask_hpc.clusters.staying.state import ended_because, look
from dask_hpc.errors import ClusterError

if TYPE_CHECKING:
    from distributed import Security

ENDED = "dask-hpc-cluster-ended"
"""Topic of the event with which a scheduler tells clients why it ends."""

_TIMEOUT = 10.0  # seconds for a scheduler to answer
_TOLD = 2.0  # seconds for the reason, which comes just before the end of the connection
_SILENT = (OSError, TimeoutError)


class AttachedClient(Client):
    """A client of a cluster that stays; in a `with` statement, the end of the cluster is an error with its cause."""

    def __init__(self, folder: ClusterFolder, address: Address, **options: Any) -> None:
        self._folder = folder
        self._end: End | None = None
        self._told = threading.Event()
        self._stack = ExitStack()
        super().__init__(address.scheduler, security=security_of(folder), **options)
        self.subscribe_topic(ENDED, self._ended)

    def __enter__(self) -> Self:
        super().__enter__()
        self._stack.enter_context(self._explained())
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> bool | None:
        try:
            return self._stack.__exit__(kind, error, trace)
        finally:
            super().__exit__(kind, error, trace)

    def failure(self) -> ClusterError:
        """Return the error with which the cluster has ended."""
        self._told.wait(_TOLD)
        return ended_because(self._folder, self._end)

    async def _ended(self, event: tuple[float, dict[str, Any]]) -> None:
        self._end = End(**event[1])
        self._told.set()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            with silent(LOST_RESULTS, "distributed.client"), scheduler_watched(self):
                yield
        except ClusterError as error:
            if self.status == "running":
                raise
            logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # it would report the same
            raise self.failure() from error.__cause__


def attach(name: str, *, timeout: float = _TIMEOUT) -> AttachedClient:
    """Connect to a running cluster that `dask-hpc cluster start` started; it goes on without the client.

    What the client has computed is dropped when it leaves, unless it is published: `client.publish_dataset(x=future)`.

    Args:
        name: the cluster's name.
        timeout: seconds for the scheduler to answer.

    Returns:
        a client, for a `with` statement.

    Raises:
        RequestError: there is no such cluster.
        ClusterError: it has ended, or does not answer; the message has the cause.
    """
    folder = find(name)
    try:
        return AttachedClient(folder, running(folder), timeout=timeout)
    except _SILENT as error:
        raise ended_because(folder) from error


def running(folder: ClusterFolder) -> Address:
    """Return where a cluster's scheduler runs; raise `ClusterError` if it does not."""
    address = folder.address()
    if address and not folder.end() and folder.tls.is_dir():
        return address
    state = look(folder)
    if state.kind == "starting":
        raise ClusterError(
            f"The Dask cluster {folder.name!r} is starting.",
            f"Its scheduler: {state.text}.",
            f"wait for it: dask-hpc cluster status {folder.name}",
        )
    raise ended_because(folder)


def ask(folder: ClusterFolder, operation: str, *, timeout: float = _TIMEOUT, **arguments: Any) -> Any:
    """Call an operation of a cluster's scheduler, without a client.

    Raises:
        ClusterError: it does not answer; the message has the cause.
    """
    address = running(folder)

    async def call() -> Any:
        args = security_of(folder).get_connection_args("client")
        async with rpc(address.scheduler, timeout=timeout, connection_args=args) as scheduler:
            return await asyncio.wait_for(getattr(scheduler, operation)(**arguments), timeout)

    try:
        return asyncio.run(call())
    except _SILENT as error:
        raise ended_because(folder) from error


def security_of(folder: ClusterFolder) -> Security:
    """Return a cluster's credentials."""
    return credentials.load(folder.tls)
