"""A server that nodes connect to, as workers connect to a scheduler, and that compares their clocks."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from time import time
from types import TracebackType
from typing import Self


class Listener:
    """Listen on an address inside a `with` block; without an address, listen on none.

    Args:
        address: IPv4 address of an interface of this machine.
        token: word that a node must send, so that other connections are ignored.
    """

    def __init__(self, address: str, token: str) -> None:
        self._token = token
        self._clocks: dict[str, float] = {}
        self._socket: socket.socket | None = None
        if address:
            with suppress(OSError):
                self._socket = socket.create_server((address, 0), backlog=256)

    @property
    def port(self) -> int:
        """The port, or 0."""
        return int(self._socket.getsockname()[1]) if self._socket else 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._socket:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)  # wakes accept()
            self._socket.close()

    def clocks(self) -> dict[str, float]:
        """Return the seconds by which each node's clock is ahead of ours."""
        return dict(self._clocks)

    def _serve(self) -> None:
        while self._socket:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, suppress(OSError, ValueError):
                connection.settimeout(3)
                token, node, clock = connection.recv(512).decode(errors="replace").split()
                if token == self._token:
                    self._clocks[node] = float(clock) - time()
