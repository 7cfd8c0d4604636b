"""HTTP servers of Dask's processes that other users cannot reach."""

from __future__ import annotations

import asyncio
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import Scheduler, Worker, node

from dask_hpc_startup import sockets
from dask_hpc_startup.dashboards import PrivateServer, close_to_others


@pytest.fixture(autouse=True)
def corrected(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Correct Dask for one test; yield a folder in place of /tmp."""
    monkeypatch.setattr(node.ServerNode, "start_http_server", node.ServerNode.start_http_server)
    close_to_others(node)
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        monkeypatch.setattr(sockets, "_TMP", Path(folder))
        yield Path(folder)


def asked(path: Path, route: str) -> bytes:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        connection.sendall(f"GET {route} HTTP/1.0\r\nHost: localhost:8787\r\n\r\n".encode())
        return connection.recv(64)


async def served(address: Any) -> tuple[Any, Path | None, bytes]:
    """Return the server of a scheduler with one worker, its path, and an answer through it."""
    settings = {"host": "127.0.0.1", "port": 0, "dashboard": False}
    async with Scheduler(**settings, dashboard_address=address) as scheduler:
        async with Worker(scheduler.address, nthreads=1, host="127.0.0.1", dashboard_address="127.0.0.1:0") as worker:
            assert type(worker.http_server) is PrivateServer
            assert not worker.http_server._sockets
        path = getattr(scheduler.http_server, "socket_path", None)
        answer = await asyncio.to_thread(asked, path, "/health") if path else b""
        return scheduler.http_server, path, answer


@pytest.mark.parametrize(
    ("address", "number"),
    [
        (None, 8787),
        (":8787", 8787),
        (9000, 9000),
        ("127.0.0.1:0", 8787),
        ("localhost:9001", 9001),
        ("127.1.2.3:8790", 8790),
    ],
)
def test_scheduler_listens_on_socket(corrected: Path, address: Any, number: int) -> None:
    """An address of this machine, or none, becomes a socket of that number, which is removed with the scheduler."""
    server, path, answer = asyncio.run(served(address))
    assert (server.address, server.port) == ("localhost", number)
    assert path
    assert path.name == f"{number}.sock"
    assert b"200 OK" in answer
    assert list(corrected.iterdir()) == []


def test_address_of_interface_opens_port(corrected: Path) -> None:
    """An address of an interface opens a TCP port."""
    server, path, _ = asyncio.run(served("0.0.0.0:0"))
    assert type(server) is not PrivateServer
    assert path is None
    assert list(corrected.iterdir()) == []


def test_starts_without_dashboard_if_socket_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a full or missing /tmp, the Dask cluster starts without a dashboard."""
    monkeypatch.setattr(sockets, "_TMP", Path("/proc/none"))
    _, path, _ = asyncio.run(served(":8787"))
    assert path is None
