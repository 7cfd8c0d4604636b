"""Keep one broken TLS connection from breaking others; for files that name this module as a preload of Dask's.

Every Python of the environment does it by itself now: see `dask_hpc_startup`.
"""

from __future__ import annotations

import dask_hpc_startup.openssl  # noqa: F401

__all__: list[str] = []
