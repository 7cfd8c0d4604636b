"""Close a Dask cluster without log messages about the connections that this cuts off."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from distributed import Client
from distributed.diagnostics.plugin import WorkerPlugin

from dask_hpc.clusters.base import quieten


class _QuietEnd(WorkerPlugin):
    """Silence a worker that closes: a heartbeat in flight would be logged as an error, with a traceback."""

    name = "dask-hpc-quiet-end"

    def teardown(self, worker: Any) -> None:  # noqa: ARG002 (Dask passes it by name)
        quieten(logging.CRITICAL)


@contextmanager
def ends_quietly(client: Client) -> Iterator[None]:
    """Silence the workers as they close and, after the block, this process, which runs the scheduler."""
    client.register_plugin(_QuietEnd())
    try:
        yield
    finally:
        quieten(logging.CRITICAL)
