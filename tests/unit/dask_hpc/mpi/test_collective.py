"""Collectives: ranks, the distribution of blocks, and errors."""

from __future__ import annotations

import socket
import sys
from random import Random
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_hpc.errors import CollectiveError
from dask_hpc.mpi.collective import part
from dask_hpc.mpi.collective.meeting import failure
from dask_hpc.mpi.collective.messages import Facts, Order, Rank, Stopped
from dask_hpc.mpi.collective.part import decide, facts, stop
from dask_hpc.mpi.collective.ranks import members, shares

A, B, ELSEWHERE = "tls://10.0.0.1:1", "tls://10.0.0.2:2", "tls://else:3"


def test_sorts_members_by_rank() -> None:
    """Workers are sorted by rank, regardless of the order in which Dask lists them."""
    found = {
        A: Facts(host="c1", rank=3, world="job of 4", threads=True),
        B: Facts(host="c2", rank=2, world="job of 4", threads=True),
    }
    assert members(found) == [Rank(2, B, "c2"), Rank(3, A, "c1")]
    assert str(members(found)[0]) == "rank 2 on c2"


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (None, ["no workers"]),
        (Facts(host="c2"), ["MPI processes", "not an MPI process", "nanny", "--worker-class distributed.Worker"]),
        (Facts(host="c2", rank=3, world="another of 4", threads=True), ["several MPI jobs", "another of 4"]),
        (Facts(host="c2", rank=2, world="job of 4", threads=True), ["several MPI jobs"]),
        (Facts(host="c2", rank=3, world="job of 4", threads=False), ["THREAD_MULTIPLE", "mpi4py.rc"]),
    ],
)
def test_rejects_workers_that_cannot_be_ranks(other: Facts | None, words: list[str]) -> None:
    """For workers without MPI, of two jobs, or without MPI threads, the error names them and says what to do."""
    found = {A: Facts(host="c1", rank=2, world="job of 4", threads=True), B: other} if other else {}
    with pytest.raises(CollectiveError) as refused:
        members(found)
    assert all(word in refused.value.message for word in words), refused.value.message


def test_facts_never_start_mpi(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process without MPI, or before MPI is initialised, has no rank; afterwards it has its own."""
    monkeypatch.delitem(sys.modules, "mpi4py.MPI", raising=False)
    assert facts() == Facts(host=socket.gethostname())
    assert "mpi4py.MPI" not in sys.modules
    loaded = SimpleNamespace(Is_initialized=lambda: False, Is_finalized=lambda: False)
    monkeypatch.setitem(sys.modules, "mpi4py.MPI", loaded)
    assert facts() == Facts(host=socket.gethostname())
    started = {"COMM_WORLD": SimpleNamespace(rank=3, size=4), "Query_thread": lambda: 3, "THREAD_MULTIPLE": 3}
    monkeypatch.setitem(sys.modules, "mpi4py.MPI", SimpleNamespace(**vars(loaded) | started))
    loaded_and_started = sys.modules["mpi4py.MPI"]
    monkeypatch.setattr(loaded_and_started, "Is_initialized", lambda: True)
    monkeypatch.setenv("PMIX_NAMESPACE", "job")
    assert facts() == Facts(host=socket.gethostname(), rank=3, world="job of 4", threads=True)


@given(
    st.dictionaries(st.integers(0, 10**6), st.lists(st.sampled_from([A, B, ELSEWHERE]), unique=True), max_size=40),
    st.randoms(use_true_random=False),
)
def test_gives_each_block_once_to_rank_that_holds_it(drawn: dict[int, list[str]], chance: Random) -> None:
    """Every block goes to exactly one rank, which holds it already."""
    who_has = {key: {*holders, chance.choice([A, B])} for key, holders in drawn.items()}
    given_to_a, given_to_b = shares({key: sorted(holders) for key, holders in who_has.items()}, [A, B])
    assert sorted(given_to_a + given_to_b) == sorted(who_has)
    assert all(A in who_has[key] for key in given_to_a)
    assert all(B in who_has[key] for key in given_to_b)


@pytest.mark.parametrize("holders", [[], [ELSEWHERE]])
def test_rejects_block_on_no_rank(holders: list[str]) -> None:
    """A block that no rank holds is an error."""
    with pytest.raises(CollectiveError, match="No rank holds the block 2"):
        shares({1: [A], 2: holders}, [A, B])


def test_divides_blocks_that_all_ranks_hold() -> None:
    """Blocks that both ranks hold are divided evenly between them."""
    given_to_a, given_to_b = shares({number: [A, B] for number in range(10)}, [A, B])
    assert len(given_to_a) == len(given_to_b) == 5


def test_names_rank_that_failed_first() -> None:
    """Ranks that left because another one failed are not blamed; the first own error is the cause."""
    first, second, third = (Rank(rank, A, "c1") for rank in (2, 3, 4))
    cause = ValueError("no luck")
    error = failure("rank 3 on c1 failed", [(first, Stopped("…")), (second, cause)], [str(third)])
    assert error.__cause__ is cause
    assert "rank 3 on c1: ValueError: no luck" in error.message
    assert "rank 2" not in error.message
    assert "rank 4 on c1 could not be stopped, so MPI was aborted" in error.message


def test_stop_ends_only_its_own_collective(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker stops only the named collective, and keeps the first reason."""
    order = Order(run="mine", tag=1, key="mine-rank-0", ranks=(0, 1), entry=1, timeout=1, grace=1)
    monkeypatch.setitem(part._parts, "mine", part._Part(order))
    stop("another", "because")
    assert part._parts.keys() == {"mine"}
    assert (part._parts["mine"].reason, part._parts["mine"].decided.is_set()) == ("", False)
    assert decide("another") is False
    stop("mine", "because")
    stop("mine", "later")
    assert (part._parts["mine"].reason, part._parts["mine"].decided.is_set()) == ("because", True)
    assert decide("mine") is False
