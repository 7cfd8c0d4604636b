"""Close a Dask cluster without a word about connections that its end cuts off."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from distributed import Client
from distributed.diagnostics.plugin import WorkerPlugin

from dask_hpc.clusters.base import quieten


class _QuietEnd(WorkerPlugin):
    """Silences a worker that closes: a heartbeat on its way would be logged as an error, with a traceback."""

    name = "dask-hpc-quiet-end"

    def teardown(self, worker: Any) -> None:  # noqa: ARG002 (Dask calls it so)
        quieten(logging.CRITICAL)


@contextmanager
def ends_quietly(client: Client) -> Iterator[None]:
    """Silence the workers as they close, and after the block this process, which has the scheduler."""
    client.register_plugin(_QuietEnd())
    try:
        yield
    finally:
        quieten(logging.CRITICAL)
