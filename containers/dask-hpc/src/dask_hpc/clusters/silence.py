"""Drop messages of Dask's loggers that report what is no error here."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

LOST_RESULTS = "Couldn't gather"
"""Logged when a result is asked for while its worker is lost; the client asks again, and Dask computes it again."""


@contextmanager
def silent(message: str, *loggers: str) -> Iterator[None]:
    """Drop the messages of these loggers that contain this text, during the block."""

    def other(record: logging.LogRecord) -> bool:
        return message not in record.getMessage()

    found = [logging.getLogger(name) for name in loggers]
    for logger in found:
        logger.addFilter(other)
    try:
        yield
    finally:
        for logger in found:
            logger.removeFilter(other)
