"""Keep one broken TLS connection from breaking others; importing this module applies the correction.

OpenSSL has an error queue per thread, which CPython does not clear before it reads or writes. With OpenSSL 3.4 and
later, the EPIPE of a connection that its peer has closed stays in the queue. The next connection with nothing to read
yet gets the error, and a healthy worker or client is cut off. This happens often in Dask, which runs all its
connections in one thread.
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
        # from Python's own module, which is linked to the OpenSSL whose queue matters
        clear = ctypes.PyDLL(getattr(_ssl, "__file__", None)).ERR_clear_error
    except (AttributeError, OSError):
        return  # linked out of reach: no worse than without the correction
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
