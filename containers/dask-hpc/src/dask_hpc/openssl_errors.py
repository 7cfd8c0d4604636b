"""Keep one broken TLS connection from breaking others: importing this module is what does it.

CPython does not clear OpenSSL's error queue, which belongs to a thread, before it reads or writes. With OpenSSL 3.4 and
later the EPIPE of a connection that its peer has closed stays in there, and the next connection that has nothing to
read yet gets it: a healthy worker or client is cut off. Dask runs all its connections in one thread: it is hit often.
https://github.com/python/cpython/issues/148594

The module also drops a connection whose handshake is unfinished when its listener stops. Dask would log the listener's
address then, which a stopped listener no longer has, and a rank that ended well would print a traceback.
"""

from __future__ import annotations

import _ssl
import ctypes
import ssl
from collections.abc import Callable
from functools import wraps
from typing import Any

from distributed.comm.tcp import TLSListener

__all__: list[str] = []


def _apply() -> None:
    try:
        # by way of Python's own module: what it is linked to is the OpenSSL whose queue matters
        clear = ctypes.PyDLL(getattr(_ssl, "__file__", None)).ERR_clear_error
    except (AttributeError, OSError):
        return  # linked in a way that cannot be reached: nothing worse than before
    clear.restype = None

    def cleared(method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            clear()
            return method(*args, **kwargs)

        return call

    for name in ("do_handshake", "read", "send"):
        setattr(ssl.SSLSocket, name, cleared(getattr(ssl.SSLSocket, name)))


def _drop_what_comes_too_late() -> None:
    prepare = TLSListener._prepare_stream

    @wraps(prepare)
    async def prepared(listener: Any, stream: Any, address: str) -> Any:
        try:
            return await prepare(listener, stream, address)
        except ValueError:
            if listener.tcp_server is not None:
                raise
            return None

    TLSListener._prepare_stream = prepared


_apply()
_drop_what_comes_too_late()
