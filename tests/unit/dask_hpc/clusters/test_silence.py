"""Messages of Dask that are dropped."""

from __future__ import annotations

import logging

import pytest

from dask_hpc.clusters.silence import silent


def test_drops_only_this_message_of_these_loggers_during_the_block(caplog: pytest.LogCaptureFixture) -> None:
    """Other messages, other loggers, and the same message afterwards are logged."""
    one, other = logging.getLogger("silence.one"), logging.getLogger("silence.other")
    with silent("Couldn't gather", "silence.one"):
        one.error("Couldn't gather keys: %s", {"x": "queued"})
        one.error("something else")
        other.error("Couldn't gather keys")
    one.error("Couldn't gather keys, later")
    assert [record.getMessage() for record in caplog.records] == [
        "something else",
        "Couldn't gather keys",
        "Couldn't gather keys, later",
    ]
