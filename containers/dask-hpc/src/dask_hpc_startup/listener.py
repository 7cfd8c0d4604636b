"""Drop a connection that is still in its TLS handshake when its listener stops, without a traceback.

Dask asks for the address of what has been stopped, to tell of it, and that is an error nobody awaits.
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
