"""Count bytes on the network, from the kernel's counters for each TCP connection of Dask's processes."""

from __future__ import annotations

import os
import socket
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distributed import Client

# struct tcp_info, include/uapi/linux/tcp.h: tcpi_bytes_acked (RFC 4898: each byte once, even if retransmitted)
# and tcpi_bytes_received, two 64-bit numbers, 120 bytes from the start since Linux 4.1
_ACKED_AND_RECEIVED = struct.Struct("120x2Q")

Peer = tuple[str, int]
Counts = dict[tuple[Peer, Peer], tuple[int, int]]
"""(own end, other end) of a connection: bytes sent, bytes received."""


@dataclass
class Traffic:
    """Bytes moved during a measurement: as processes wrote and read them, with TLS, without TCP and IP headers.

    They include Dask's own messages: a few KB per task, and heartbeats.

    Attributes:
        sent: from the client to the scheduler.
        received: by the client, from the scheduler.
        into_workers: received by all workers, from the scheduler and from each other.
    """

    sent: int = 0
    received: int = 0
    into_workers: int = 0


@contextmanager
def traffic(client: Client) -> Iterator[Traffic]:
    """Count bytes between a client, its scheduler and the workers; the numbers are set when the block ends.

    A client talks only to the scheduler, unless it was made with `direct_to_workers`. If the scheduler runs in the
    client's process, its connections do not count as the client's. A connection that closes before the block ends is
    not counted; Dask keeps its connections open.
    """
    scheduler = _endpoint(client.scheduler.address)
    moved = Traffic()
    workers = client.run(connections)
    own = connections()
    yield moved
    for (_, peer), (sent, received) in _since(own, connections()).items():
        if peer == scheduler:
            moved.sent += sent
            moved.received += received
    for address, after in client.run(connections).items():
        moved.into_workers += sum(received for _, received in _since(workers.get(address, {}), after).values())


def connections() -> Counts:
    """Return the bytes that this process has sent and received on each TCP connection."""
    counts: Counts = {}
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 (numbers, not paths)
        with suppress(OSError):  # closed meanwhile, not TCP, or not connected
            counts |= _counts(os.dup(int(name)))
    return counts


def _counts(fd: int) -> Counts:
    if not stat.S_ISSOCK(os.fstat(fd).st_mode):
        os.close(fd)
        return {}
    with socket.socket(fileno=fd) as copy:
        info = copy.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _ACKED_AND_RECEIVED.size)
        return {(copy.getsockname()[:2], copy.getpeername()[:2]): _ACKED_AND_RECEIVED.unpack(info)}


def _since(before: Counts, after: Counts) -> Counts:
    nothing = (0, 0)
    return {
        pair: (sent - before.get(pair, nothing)[0], received - before.get(pair, nothing)[1])
        for pair, (sent, received) in after.items()
    }


def _endpoint(address: str) -> Peer:
    host, port = address.partition("://")[2].rsplit(":", 1)
    return host.strip("[]"), int(port)
