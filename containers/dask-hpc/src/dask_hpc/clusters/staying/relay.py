"""Open the dashboard of a cluster that stays from a login node, for its user alone.

::

    browser ── ssh -L ── Unix socket on the login node ── TLS ── port on the scheduler's node ── dashboard's Unix socket

Many sites forbid ssh to nodes, so the way leads over the login node alone. Both ends of the TLS connection have the
cluster's credentials, and both sockets belong to their user.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distributed import Security

_CHUNK = 1 << 16  # bytes

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def open_dashboard(scheduler: Any, security: Security) -> tuple[str, int]:
    """Serve a scheduler's dashboard on a free port of its interface, to holders of its credentials.

    Returns:
        host and port.
    """
    path = str(scheduler.http_server.socket_path)
    context: ssl.SSLContext = security.get_listen_args("scheduler")["ssl_context"]
    server = await asyncio.start_server(
        _forward_to(lambda: asyncio.open_unix_connection(path)), scheduler.ip, 0, ssl=context
    )
    scheduler.dask_hpc_dashboard = server  # as long as the scheduler
    host, port = server.sockets[0].getsockname()[:2]
    return host, port


async def serve(path: Path, address: tuple[str, int], security: Security, *, ready: Callable[[], None]) -> None:
    """Forward connections from a Unix socket to a dashboard, for ever.

    Args:
        path: of the socket, in a private folder.
        address: what `open_dashboard` returned.
        security: the cluster's credentials.
        ready: called once it listens.
    """
    context: ssl.SSLContext = security.get_connection_args("client")["ssl_context"]
    server = await asyncio.start_unix_server(
        _forward_to(lambda: asyncio.open_connection(*address, ssl=context)), str(path)
    )
    ready()
    await server.serve_forever()


def _forward_to(connect: Callable[[], Awaitable[Streams]]) -> Callable[..., Awaitable[None]]:
    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            there, back = await connect()
            await asyncio.gather(_copy(reader, back), _copy(there, writer))
        writer.close()

    return forward


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until the end of the stream, and end the other one."""
    try:
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()
