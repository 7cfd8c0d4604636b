"""Ranks that agree on an error; here each is told what the others have found."""

from __future__ import annotations

from typing import Any

import pytest

from dask_hpc.errors import ClusterError, RequestError
from dask_hpc.mpi import world as mpi_world
from dask_hpc.mpi.world import Failure, World

NODES = ["c1", "c1", "c2"]


class Communicator:
    """As much of MPI's as one rank needs: the other ranks have failed as told."""

    def __init__(self, rank: int, others: dict[int, Failure | None]) -> None:
        self.rank = rank
        self.others = others

    def allgather(self, own: Failure | None) -> list[Failure | None]:
        """Return what each rank has found."""
        return [own if rank == self.rank else self.others.get(rank) for rank in range(len(NODES))]


def world(rank: int, **others: Failure) -> World:
    """Return the world of three ranks on two nodes, as one of them sees it."""
    comm: Any = Communicator(rank, {int(name[4:]): found for name, found in others.items()})
    return World(comm, NODES, "MPI")


def fails(error: Exception) -> Any:
    """Fail, with nothing to return."""
    raise error


@pytest.mark.parametrize(("rank", "here"), [(0, 2), (1, 2), (2, 1)])
def test_a_rank_knows_its_place(rank: int, here: int) -> None:
    """How many there are, and how many share its node."""
    found = world(rank)
    assert (found.rank, found.size, found.here) == (rank, 3, here)


def test_what_succeeds_everywhere_is_returned() -> None:
    """The value may be None."""
    assert world(1).together(lambda: 7, speaker=0) == 7
    assert world(1).together(lambda: None, speaker=0) is None


def test_the_speaker_names_the_rank_that_failed() -> None:
    """And its node; the kind of the error is kept."""
    with pytest.raises(ClusterError) as caught:
        world(0, rank2=Failure("no memory", 1)).together(lambda: 7, speaker=0)
    assert caught.value.message == "Rank 2 on c2: no memory"
    with pytest.raises(RequestError, match="no such option"):
        world(0, rank1=Failure("no such option", 2)).together(lambda: 7, speaker=0)


def test_does_not_name_a_rank_if_all_fail_alike() -> None:
    """An error that every rank has, such as a wrong option, is reported without a rank."""
    with pytest.raises(RequestError) as caught:
        world(0, rank1=Failure("no", 2), rank2=Failure("no", 2)).together(lambda: fails(RequestError("no")), speaker=0)
    assert caught.value.message == "no"


def test_the_others_end_without_a_word() -> None:
    """They exit with the same status, whether they have failed or not."""
    for step in (lambda: 7, lambda: fails(ClusterError("other"))):
        with pytest.raises(SystemExit) as ended:
            world(1, rank0=Failure("no", 2)).together(step, speaker=0)
        assert ended.value.code == 2


def test_the_first_of_several_errors_is_told() -> None:
    """The rank with the smallest number."""
    with pytest.raises(ClusterError) as caught:
        world(0, rank1=Failure("one", 1), rank2=Failure("two", 1)).together(lambda: 7, speaker=0)
    assert caught.value.message == "Rank 1 on c1: one"


def test_waits_until_a_request_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """It sleeps between two tests of the request."""
    pauses: list[float] = []
    monkeypatch.setattr(mpi_world, "sleep", pauses.append)

    class Request:
        left = 3

        def Test(self) -> bool:  # noqa: N802 (MPI's name)
            self.left -= 1
            return not self.left

    request: Any = Request()
    mpi_world.wait(request)
    assert len(pauses) == 2
    assert all(0 < pause < 0.1 for pause in pauses)
