"""The correction of Dask's TLS listener."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from distributed.comm import tcp
from distributed.comm.tcp import TLSListener

from dask_hpc_startup.listener import drop_what_comes_too_late


@pytest.fixture(autouse=True)
def corrected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Correct Dask for one test."""
    monkeypatch.setattr(TLSListener, "_prepare_stream", TLSListener._prepare_stream)
    drop_what_comes_too_late(tcp)


class Stream:
    """A connection that the other end has closed."""

    async def wait_for_handshake(self) -> None:
        raise ConnectionResetError


def prepared(server: object) -> Any:
    """Return the result for such a connection; without a server, the listener has stopped."""
    listener: Any = SimpleNamespace(tcp_server=server, listen_address="tls://127.0.0.1:1")
    if server is None:
        listener = TLSListener.__new__(TLSListener)
        listener.tcp_server = None
    return asyncio.run(TLSListener._prepare_stream(listener, Stream(), "tls://127.0.0.1:2"))


def test_drops_connection_to_stopped_listener() -> None:
    """A failed handshake is not an error if the listener has stopped."""
    assert prepared(None) is None


def test_keeps_other_errors() -> None:
    """While the listener runs, Dask logs a failed handshake, and a ValueError is still raised."""
    assert prepared(object()) is None

    class Broken:
        tcp_server = object()

        @property
        def listen_address(self) -> str:
            raise ValueError("no address")

    with pytest.raises(ValueError, match="no address"):
        asyncio.run(TLSListener._prepare_stream(Broken(), Stream(), "tls://127.0.0.1:2"))
