"""Drop a connection whose TLS handshake is unfinished when its listener stops, without a traceback.

Dask would log the listener's address, which a stopped listener no longer has. That error is raised in a task that
nothing awaits.
"""

from __future__ import annotations

from functools import wraps
from types import ModuleType
from typing import Any


def drop_what_comes_too_late(module: ModuleType) -> None:
    """Correct `distributed.comm.tcp`."""
    prepare = module.TLSListener._prepare_stream

    @wraps(prepare)
    async def prepared(listener: Any, stream: Any, address: str) -> Any:
        try:
            return await prepare(listener, stream, address)
        except ValueError:
            if listener.tcp_server is not None:
                raise
            return None

    module.TLSListener._prepare_stream = prepared
