"""Keep one broken TLS connection from breaking others: importing this module is what does it.

CPython does not clear OpenSSL's error queue, which belongs to a thread, before it reads or writes. With OpenSSL 3.4 and
later the EPIPE of a connection that its peer has closed stays in there, and the next connection that has nothing to
read yet gets it: a healthy worker or client is cut off. Dask runs all its connections in one thread: it is hit often.
https://github.com/python/cpython/issues/148594
"""

from __future__ import annotations

import _ssl
import ctypes
import ssl
from collections.abc import Callable
from functools import wraps
from typing import Any

_METHODS = {
    ssl.SSLSocket: ("do_handshake", "read", "send", "unwrap"),
    ssl.SSLObject: ("do_handshake", "read", "write", "unwrap"),  # asyncio's: Dask's other backend, and HTTP clients
}


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

    for kind, names in _METHODS.items():
        for name in names:
            setattr(kind, name, cleared(getattr(kind, name)))


_apply()
