"""A collective's client side: who the ranks are, who gets which block, and what an error says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_hpc.collective.meeting import failure
from dask_hpc.collective.part import Facts, Stopped, facts, stop
from dask_hpc.collective.ranks import Rank, members, shares
from dask_hpc.errors import CollectiveError

A, B = "tls://10.0.0.1:1", "tls://10.0.0.2:2"


def test_ranks_are_in_mpis_order() -> None:
    """Workers are sorted by rank, whatever order Dask lists them in."""
    found = {A: Facts("c1", 3, "job of 4", threads=True), B: Facts("c2", 2, "job of 4", threads=True)}
    assert members(found) == [Rank(2, B, "c2"), Rank(3, A, "c1")]
    assert str(members(found)[0]) == "rank 2 on c2"


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (None, ["no workers"]),
        (Facts("c2"), ["MPI processes", "no MPI process", "Nanny", "--worker-class distributed.Worker"]),
        (Facts("c2", 3, "another of 4", threads=True), ["several MPI jobs", "another of 4"]),
        (Facts("c2", 2, "job of 4", threads=True), ["several MPI jobs"]),
        (Facts("c2", 3, "job of 4", threads=False), ["THREAD_MULTIPLE", "mpi4py.rc"]),
    ],
)
def test_what_cannot_be_ranks_is_refused(other: Facts | None, words: list[str]) -> None:
    """Workers without MPI, of two jobs, or that must not call MPI: the error says who, and what to do."""
    found = {A: Facts("c1", 2, "job of 4", threads=True), B: other} if other else {}
    with pytest.raises(CollectiveError) as refused:
        members(found)
    assert all(word in refused.value.message for word in words), refused.value.message


def test_a_process_without_mpi_says_so() -> None:
    """Asking does not start MPI."""
    assert facts().rank == -1


@given(
    st.dictionaries(
        st.integers(0, 10**6), st.lists(st.sampled_from([A, B, "tls://else:3"]), min_size=1, unique=True), max_size=40
    )
)
def test_every_block_goes_to_one_that_holds_it(who_has: dict[int, list[str]]) -> None:
    """Each block is given once, to a rank that has it; one that no rank has is an error."""
    able = {key: set(holders) & {A, B} for key, holders in who_has.items()}
    if not all(able.values()):
        with pytest.raises(CollectiveError, match="is on no rank"):
            shares(who_has, [A, B])
        return
    given_to_a, given_to_b = shares(who_has, [A, B])
    assert sorted(given_to_a + given_to_b) == sorted(who_has)
    assert all(A in able[key] for key in given_to_a)
    assert all(B in able[key] for key in given_to_b)


def test_blocks_on_all_ranks_are_shared_out() -> None:
    """What both have is divided between them."""
    given_to_a, given_to_b = shares({number: [A, B] for number in range(10)}, [A, B])
    assert len(given_to_a) == len(given_to_b) == 5


def test_the_cause_is_the_rank_that_failed_by_itself() -> None:
    """Ranks that left because another failed are not named as failures; the first own error is the cause."""
    first, second, third = (Rank(rank, A, "c1") for rank in (2, 3, 4))
    cause = ValueError("no luck")
    error = failure("rank 3 on c1 failed", [(first, Stopped("…")), (second, cause)], [str(third)])
    assert error.__cause__ is cause
    assert "rank 3 on c1: ValueError: no luck" in error.message
    assert "rank 2" not in error.message
    assert "rank 4 on c1 could not be ended, and MPI was aborted" in error.message


def test_stopping_what_is_not_here_is_nothing() -> None:
    """A worker that has no part in a collective ignores its end."""
    stop("some-collective", "because")
