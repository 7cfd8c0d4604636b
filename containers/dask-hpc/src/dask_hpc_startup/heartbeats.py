"""Keep the heartbeat of a worker from being logged as an error when its Dask cluster closes.

A scheduler that closes cuts off its connections. A heartbeat that is in flight at that moment fails, and the worker
logs a traceback, although its program ended normally. A worker that loses its scheduler for another reason still logs
that it closes, and why, at level INFO. Heartbeats that fail in other ways are logged as before.
"""

from __future__ import annotations

import logging
from types import ModuleType


def drop_cut_off(module: ModuleType) -> None:
    """Correct `distributed.worker`, once."""
    module.logger.addFilter(_is_worth_saying)


def _is_worth_saying(record: logging.LogRecord) -> bool:
    from distributed.comm import CommClosedError

    error = record.exc_info[1] if record.exc_info else None
    return not (isinstance(error, CommClosedError) and "during heartbeat" in str(record.msg))
