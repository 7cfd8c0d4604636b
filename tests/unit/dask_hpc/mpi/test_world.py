"""Agreement of ranks on an error; each test simulates the results of the other ranks."""

from __future__ import annotations

from typing import Any

import pytest

from dask_hpc.errors import ClusterError, RequestError
from dask_hpc.mpi import world as mpi_world
from dask_hpc.mpi.world import Failure, World

NODES = ["c1", "c1", "c2"]


class Communicator:
    """The part of an MPI communicator that one rank needs; `others` has the failures of the other ranks."""

    def __init__(self, rank: int, others: dict[int, Failure | None]) -> None:
        self.rank = rank
        self.others = others

    def allgather(self, own: Failure | None) -> list[Failure | None]:
        """Return the result of each rank."""
        return [own if rank == self.rank else self.others.get(rank) for rank in range(len(NODES))]


def world(rank: int, **others: Failure) -> World:
    """Return the world of three ranks on two nodes, as seen by one of them."""
    comm: Any = Communicator(rank, {int(name[4:]): found for name, found in others.items()})
    return World(comm, NODES, "MPI")


def fails(error: Exception) -> Any:
    """Raise an error."""
    raise error


@pytest.mark.parametrize(("rank", "here"), [(0, 2), (1, 2), (2, 1)])
def test_counts_ranks(rank: int, here: int) -> None:
    """A rank knows its number, the size of the world, and the number of ranks on its node."""
    found = world(rank)
    assert (found.rank, found.size, found.here) == (rank, 3, here)


def test_returns_result_if_all_succeed() -> None:
    """A step that succeeds on all ranks returns its result, which may be None."""
    assert world(1).together(lambda: 7, speaker=0) == 7
    assert world(1).together(lambda: None, speaker=0) is None


def test_speaker_names_failed_rank() -> None:
    """The speaker's error names the failed rank and its node, and keeps the type of the error."""
    with pytest.raises(ClusterError) as caught:
        world(0, rank2=Failure("no memory", 1)).together(lambda: 7, speaker=0)
    assert caught.value.message == "Rank 2 on c2: no memory"
    with pytest.raises(RequestError, match="no such option"):
        world(0, rank1=Failure("no such option", 2)).together(lambda: 7, speaker=0)


def test_does_not_name_a_rank_if_all_fail_alike() -> None:
    """An error that all ranks share, such as an invalid option, is reported without a rank."""
    with pytest.raises(RequestError) as caught:
        world(0, rank1=Failure("no", 2), rank2=Failure("no", 2)).together(lambda: fails(RequestError("no")), speaker=0)
    assert caught.value.message == "no"


def test_other_ranks_exit_silently() -> None:
    """All other ranks exit with the same status, whether they failed or not."""
    for step in (lambda: 7, lambda: fails(ClusterError("other"))):
        with pytest.raises(SystemExit) as ended:
            world(1, rank0=Failure("no", 2)).together(step, speaker=0)
        assert ended.value.code == 2


def test_reports_error_of_lowest_rank() -> None:
    """Of several errors, the one of the lowest rank is reported."""
    with pytest.raises(ClusterError) as caught:
        world(0, rank1=Failure("one", 1), rank2=Failure("two", 1)).together(lambda: 7, speaker=0)
    assert caught.value.message == "Rank 1 on c1: one"


def test_wait_sleeps_until_request_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait sleeps between tests of the request."""
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
