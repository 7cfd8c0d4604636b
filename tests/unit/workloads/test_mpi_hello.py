"""The workload mpi-hello: its checks and its report."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from workloads.checks.mpi_hello import launched, report, world_checks
from workloads.mpi_hello import ask, hello, ring


def said(**changed: dict[int, Any]) -> list[dict[str, Any]]:
    """Return the answers of four ranks; `rank={1: 2}` lets the second one claim to be rank 2."""
    ranks: list[dict[str, Any]] = [
        {"rank": rank, "size": 4, "host": f"c{rank % 2 + 1}", "process": 100 + rank, "library": "MPI 1", "launched": 4}
        for rank in range(4)
    ]
    for name, values in changed.items():
        for rank, value in values.items():
            ranks[rank][name] = value
    return ranks


def failed(ranks: list[dict[str, Any]], passed: list[int], workers: int = 2) -> list[str]:
    return [check.name for check in world_checks(ranks, passed, workers) if not check.ok]


def test_accepts_complete_world() -> None:
    """All checks pass if every rank answers once, in one world of the launched size."""
    assert failed(said(), [0, 1]) == []


def test_accepts_world_without_launcher() -> None:
    """Without a launcher, the size of the world is not compared."""
    assert failed(said(launched=dict.fromkeys(range(4))), [0, 1]) == []


@pytest.mark.parametrize(
    ("ranks", "passed", "names"),
    [
        (said(rank={1: 2}), [0, 1], ["every rank answers once"]),
        (said()[:3], [0, 1], ["every rank answers once"]),
        (said(size={2: 1}), [0, 1], ["all ranks are in one world"]),
        (said(launched={3: 8}), [0, 1], ["the world has the launched size"]),
        (said(library={0: "MPI 2"}), [0, 1], ["all ranks use one MPI library"]),
        (said(), [0, -1], ["the ring is complete"]),
    ],
)
def test_rejects_faulty_world(ranks: list[dict[str, Any]], passed: list[int], names: list[str]) -> None:
    """A duplicate rank, a missing rank and a rank of another world each fail their own check."""
    assert failed(ranks, passed) == names


def test_returns_none_without_mpi(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client outside MPI is not a rank, and asking it neither loads nor starts MPI."""
    monkeypatch.delitem(sys.modules, "mpi4py.MPI", raising=False)
    assert hello() is None
    assert launched() is None
    assert "mpi4py.MPI" not in sys.modules
    monkeypatch.setitem(sys.modules, "mpi4py.MPI", SimpleNamespace(Is_initialized=lambda: False))
    assert hello() is None
    assert launched() is None


def test_answer_has_number_of_launched_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rank's answer has its place in the world, the library's short name, and the number of launched tasks."""
    world = SimpleNamespace(rank=2, size=4)
    mpi = SimpleNamespace(
        COMM_WORLD=world, Is_initialized=lambda: True, Get_library_version=lambda: "Open MPI v5, package: here\0"
    )
    monkeypatch.setitem(sys.modules, "mpi4py.MPI", mpi)
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "4")
    said = launched()
    assert said is not None
    assert (said["rank"], said["size"], said["library"], said["launched"]) == (2, 4, "Open MPI v5", 4)


def test_asks_scheduler_and_workers_and_sorts_by_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is not a rank, here the client, is left out."""
    answers = {"tls://a": {"rank": 2}, "tls://b": {"rank": 0}}
    client = SimpleNamespace(run_on_scheduler=lambda _: {"rank": 1}, run=lambda _: answers)
    monkeypatch.delitem(sys.modules, "mpi4py.MPI", raising=False)
    assert ask(client) == [("worker", {"rank": 0}), ("scheduler", {"rank": 1}), ("worker", {"rank": 2})]


def test_ring_of_one_has_itself() -> None:
    """A single rank neither sends nor receives."""
    comm = SimpleNamespace(rank=0, size=1, Bcast=lambda *_, **__: None)
    assert ring(comm) == [0]


@pytest.mark.parametrize(("roles", "notes"), [(["scheduler", "client"], 1), (["scheduler", "worker"], 2)])
def test_report_shows_role_of_each_rank(roles: list[str], notes: int) -> None:
    """Each rank has a row with its role; a client outside MPI is mentioned."""
    pairs = list(zip([*roles, "worker", "worker"], said(), strict=True))
    outcome = report(pairs, [0, 1], {"hello": 0.1, "ring": 0.1})
    assert [row[1] for row in outcome.rows] == [*roles, "worker", "worker"]
    assert outcome.values["nodes"] == 2
    assert len(outcome.notes) == notes
