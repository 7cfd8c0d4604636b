"""A heartbeat that a closing Dask cluster cuts off is not logged; other failures are."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from distributed import worker
from distributed.comm import CommClosedError

from dask_hpc_startup.heartbeats import drop_cut_off


@pytest.fixture(autouse=True)
def corrected() -> Iterator[None]:
    """Correct Dask for one test."""
    before = list(worker.logger.filters)
    drop_cut_off(worker)
    yield
    worker.logger.filters[:] = before


class Beating:
    """The part of a worker that a heartbeat uses."""

    address = contact_address = "tls://127.0.0.1:1"
    scheduler = SimpleNamespace(heartbeat_worker=None)

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def get_metrics(self) -> dict[str, Any]:
        raise self.error

    async def close(self, reason: str) -> None:
        assert reason == "worker-heartbeat-error"


def logged(error: Exception, caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the messages that Dask's own heartbeat logs for an error."""
    with caplog.at_level(logging.ERROR, "distributed.worker"), suppress(ValueError):
        heartbeat: Any = worker.Worker.heartbeat
        asyncio.run(heartbeat(Beating(error)))
    return [record.getMessage() for record in caplog.records]


def test_says_nothing_when_cluster_closes(caplog: pytest.LogCaptureFixture) -> None:
    """The scheduler has closed the connection."""
    assert logged(CommClosedError("in <TLS (closed)>: Stream is closed"), caplog) == []


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError("Timed out"), "Failed to communicate with scheduler during heartbeat."),
        (ValueError("unexpected"), "Unexpected exception during heartbeat. Closing worker."),
    ],
)
def test_logs_other_failures(error: Exception, message: str, caplog: pytest.LogCaptureFixture) -> None:
    """Other errors of heartbeats are logged, as in Dask."""
    assert logged(error, caplog) == [message]
