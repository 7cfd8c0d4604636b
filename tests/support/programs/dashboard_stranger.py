"""Try to read another user's Dask cluster on this node; print a line for every attempt that succeeds.

usage: dashboard_stranger.py UID ROUTES (as JSON) SOCKET [PORT…]. PORT limits the attempts to some of UID's ports.
"""

import json
import os
import socket
import ssl
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path


def listeners(uid: str, chosen: Sequence[str]) -> dict[int, str]:
    """Return the TCP ports that the user listens on, on any address."""
    lines = [line.split() for name in ("tcp", "tcp6") for line in Path("/proc/net", name).read_text().splitlines()[1:]]
    found = {(line[1].rpartition(":")) for line in lines if line[3] == "0A" and line[7] == uid}
    own = socket.gethostbyname(socket.gethostname())
    ports = {int(port, 16): "127.0.0.1" if address == "0100007F" else own for address, _, port in found}
    return {port: host for port, host in ports.items() if not chosen or str(port) in chosen}


def over_tcp(host: str, port: int, route: str) -> bytes:
    """Return the beginning of an HTTP response, or nothing for another answer, such as a TLS alert."""
    with socket.create_connection((host, port), timeout=10) as connection:
        connection.sendall(f"GET {route} HTTP/1.0\r\nHost: localhost:8787\r\n\r\n".encode())
        said = connection.recv(64)
        return said if said.startswith(b"HTTP") else b""


def over_tls(host: str, port: int) -> bytes:
    """Return what a client without a certificate gets: TLS 1.3 rejects it in the first answer."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection((host, port), timeout=10) as plain, context.wrap_socket(plain) as connection:
        try:
            return connection.recv(64)
        except TimeoutError:
            return b"no alert: it accepts clients without a certificate"


def attempts(routes: list[str], path: str, ports: dict[int, str]) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Yield each target, and a function that tries to reach it."""
    for port, host in ports.items():
        for route in routes:
            yield f"{host}:{port}{route}", partial(over_tcp, host, port, route)
        yield f"tls://{host}:{port}", partial(over_tls, host, port)

    def by_socket() -> bytes:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(path)
            return b"connected"

    yield path, by_socket
    yield f"the folder of {path}", lambda: str(list(Path(path).parent.iterdir())).encode()


def main() -> None:
    """Print the number of ports, and every target that can be reached."""
    uid, routes, path, *chosen = sys.argv[1:]
    assert str(os.getuid()) != uid
    ports = listeners(uid, chosen)
    sys.stdout.write(f"ports {len(ports)}\n")
    for what, attempt in attempts(json.loads(routes), path, ports):
        try:
            said = attempt()
        except OSError:  # refused, reset, a TLS alert
            continue
        if said:
            sys.stdout.write(f"reached {what} {said!r}\n")


main()
