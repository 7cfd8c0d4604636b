"""Close the HTTP servers of Dask's processes to other users.

They have no password, and Dask opens them as TCP ports. A scheduler opens its port, with the dashboard, on every
interface by default. Loopback protects nothing on a node that users share. Here a scheduler listens on a Unix socket
that only its user can connect to, and workers do not listen. `ssh -L 8787:SOCKET HOST` forwards the dashboard.

If you set a port other than the default, such as :9000, the scheduler also listens on it, on loopback, and closes
connections from other users. For a TCP port that anyone can reach, give an address, such as 0.0.0.0:8787.
"""

from __future__ import annotations

import atexit
import logging
import os
import re
import socket
import ssl
from functools import wraps
from pathlib import Path
from types import ModuleType
from typing import Any

from dask import config
from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream
from tornado.netutil import bind_sockets

from dask_hpc_startup import sockets

_OF_ONE_MACHINE = re.compile(r"localhost|127\.[\d.]+|\[?::1\]?", re.IGNORECASE)
_USUAL = 8787
_LINK = "distributed.dashboard.link"
_TLS = "distributed.scheduler.dashboard.tls"


class PrivateServer(HTTPServer):
    """An HTTP server that only its user can connect to.

    Attributes:
        address: the host in links, from which `ssh -L` forwards to the socket.
        port: the port in links, which is also the socket's number.
        socket_path: the path of the socket; None while the server does not listen on one.
    """

    address = "localhost"
    port = 0
    socket_path: Path | None = None

    def listen_privately(self, port: int) -> None:
        """Listen on the socket with this number, or with the next free one."""
        listener, self.socket_path, self.port = sockets.listen(port)
        self.add_socket(listener)
        owner = os.getpid()
        atexit.register(lambda: self._remove() if os.getpid() == owner else None)

    def listen_on_loopback(self, port: int) -> None:
        """Also listen on a TCP port on loopback; connections from other users are closed."""
        for listener in bind_sockets(port, "127.0.0.1"):
            self.add_socket(listener)

    def handle_stream(self, stream: IOStream, address: tuple[str, int]) -> None:
        """Serve a connection, unless it comes from another user of this machine."""
        if stream.socket.family == socket.AF_INET and sockets.user_of_peer(stream.socket) != os.geteuid():
            stream.close()
            return
        super().handle_stream(stream, address)

    def stop(self) -> None:
        """Stop listening, and remove the socket."""
        super().stop()
        self._remove()

    def _remove(self) -> None:
        if self.socket_path:
            sockets.remove(self.socket_path)
            self.socket_path = None


def close_to_others(module: ModuleType) -> None:
    """Correct `distributed.node`, once."""
    start = module.ServerNode.start_http_server
    if hasattr(start, "__wrapped__"):
        return

    @wraps(start)
    def start_http_server(
        node: Any, routes: Any, dashboard_address: Any, default_port: int = 0, ssl_options: Any = None
    ) -> None:
        places = module.clean_dashboard_address(dashboard_address or default_port)
        if any(place["address"] and not _OF_ONE_MACHINE.fullmatch(place["address"]) for place in places):
            start(node, routes, dashboard_address, default_port, ssl_options)
            if hasattr(node, "add_plugin"):  # a scheduler: the localhost in dask.yaml may be another machine
                config.set({_LINK: config.get(_LINK).replace("//localhost:", "//{host}:")})
            return
        node.http_application = module.RoutingApplication(routes)
        node.http_server = server = PrivateServer(node.http_application, ssl_options=_tls() or ssl_options)
        server.port = places[0]["port"]
        if hasattr(node, "add_plugin"):
            _listen(server, own_port=server.port not in {0, default_port, _USUAL})
        node.services["dashboard"] = server

    module.ServerNode.start_http_server = start_http_server


def _listen(server: PrivateServer, *, own_port: bool) -> None:
    logger = logging.getLogger("distributed.scheduler")
    if own_port:
        try:
            server.listen_on_loopback(server.port)
        except OSError as error:
            logger.warning("Cannot open the dashboard on port %d: %s", server.port, error)
    try:
        server.listen_privately(server.port)
    except OSError as error:
        logger.warning("Cannot create the socket of the dashboard: %s", error)
    else:
        logger.info("  dashboard on: %25s", server.socket_path)


def _tls() -> ssl.SSLContext | None:
    cert = config.get(f"{_TLS}.cert")
    if not cert:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=config.get(f"{_TLS}.ca-file"))
    context.load_cert_chain(cert, keyfile=config.get(f"{_TLS}.key"))
    return context
