"""Counting bytes on the network."""

from __future__ import annotations

import socket
from pathlib import Path

import numpy as np
from distributed import Client, wait

from dask_hpc.tutorial import traffic as measured
from dask_hpc.tutorial.traffic import connections

SIZE = 4 << 20
TALK = 128 << 10


def test_counts_bytes_sent_by_client(two_workers: Client) -> None:
    """4 MiB scattered to one worker leave the client once, and reach one worker."""
    with measured(two_workers) as moved:
        two_workers.scatter(np.ones(SIZE // 8), hash=False)
    assert SIZE < moved.sent < SIZE + TALK
    assert SIZE < moved.into_workers < SIZE + TALK
    assert moved.received < TALK


def test_counts_bytes_received_by_every_worker(two_workers: Client) -> None:
    """4 MiB broadcast to all leave the client once, and reach two workers."""
    with measured(two_workers) as moved:
        two_workers.scatter(np.ones(SIZE // 8), broadcast=True, hash=False)
    assert SIZE < moved.sent < SIZE + TALK
    assert 2 * SIZE < moved.into_workers < 2 * SIZE + TALK


def test_counts_bytes_received_by_client(two_workers: Client) -> None:
    """A result of 4 MiB comes to the client once, and nothing goes the other way."""
    with measured(two_workers) as moved:
        result = two_workers.submit(np.ones, SIZE // 8, pure=False).result()
    assert result.nbytes == SIZE
    assert SIZE < moved.received < SIZE + TALK
    assert moved.sent < TALK
    assert moved.into_workers < TALK


def test_does_not_count_result_that_stays(two_workers: Client) -> None:
    """A result that stays on its worker moves nothing but Dask's messages."""
    with two_workers.as_current(), measured(two_workers) as moved:
        wait(two_workers.submit(np.ones, SIZE // 8, pure=False))
    assert max(moved.sent, moved.received, moved.into_workers) < TALK


def test_connections_leaves_descriptors_as_they_were(two_workers: Client) -> None:
    """Looking at every descriptor of the process leaves none open and changes none."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        before = connections()
        opened = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(100):
            connections()
        assert set(connections()) >= set(before)
        assert len(list(Path("/proc/self/fd").iterdir())) < opened + 50  # Dask's own may come and go
        assert not ours.getblocking()
        theirs.send(b"x")
        assert ours.recv(1) == b"x"
