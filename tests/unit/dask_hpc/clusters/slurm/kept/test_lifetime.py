"""When jobs retire, and when their successors are submitted."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_hpc.clusters.slurm.kept.lifetime import Ending, lifetimes

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


@pytest.mark.parametrize(
    ("walltime", "margin"),
    [(MINUTE, 9.0), (10 * MINUTE, 60.0), (2 * HOUR, 60.0), (7 * DAY, 60.0)],
)
def test_margin_before_end(walltime: float, margin: float) -> None:
    """A job of a minute uses most of it, and a job of a week no more than a minute less than all of it."""
    assert Ending(0.0, walltime).margin == pytest.approx(margin)


def test_margin_has_time_for_what_dask_needs() -> None:
    """However short the job, some seconds are left to move its data."""
    assert Ending(0.0, 30.0).margin == pytest.approx(8.0)


@pytest.mark.parametrize("walltime", [MINUTE, 2 * HOUR, 7 * DAY])
def test_large_data_retires_earlier(walltime: float) -> None:
    """The margin grows with the time that moving the data takes, up to a third of the wall time."""
    small, large = Ending(0.0, walltime).margin, Ending(0.0, walltime, moving=0.3 * walltime).margin
    assert Ending(0.0, walltime, moving=small / 2).margin == small
    assert large == pytest.approx(0.3 * walltime)
    assert Ending(0.0, walltime, moving=100 * walltime).margin == pytest.approx(walltime / 3)


@pytest.mark.parametrize("jobs", [2, 8, 64, 500])
@pytest.mark.parametrize("walltime", [MINUTE, 2 * HOUR, 7 * DAY])
def test_jobs_that_end_together_retire_one_after_another(jobs: int, walltime: float) -> None:
    """The data of one job needs another: no two retire at the same time, and the first not much too early."""
    ending = Ending(10 * DAY, walltime)
    found = lifetimes({str(number): ending for number in range(jobs)}, lead=10.0)
    times = sorted(lifetime.retires for lifetime in found.values())
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert len(times) == jobs
    assert times[-1] == ending.end - ending.margin
    assert min(gaps) > 0
    assert max(gaps) == pytest.approx(min(gaps))
    assert times[0] >= times[-1] - 0.25 * walltime


def test_jobs_that_end_one_after_another_retire_in_that_order() -> None:
    """A job that ends earlier retires earlier; jobs that end far apart retire as if they were alone."""
    alone = {name: lifetimes({name: Ending(end, HOUR)}, lead=10.0)[name] for name, end in (("a", 5e3), ("b", 6e3))}
    assert lifetimes({"b": Ending(6e3, HOUR), "a": Ending(5e3, HOUR)}, lead=10.0) == alone
    close = lifetimes({"c": Ending(5002.0, HOUR), "a": Ending(5e3, HOUR), "b": Ending(5001.0, HOUR)}, lead=10.0)
    assert close["a"].retires < close["b"].retires < close["c"].retires


@pytest.mark.parametrize(("lead", "early"), [(10.0, 10.0), (300.0, 300.0), (DAY, 0.25 * HOUR)])
def test_successor_is_submitted_early(lead: float, early: float) -> None:
    """A successor is submitted as early as a job lately took to start, but not by more than a quarter of its life."""
    (found,) = lifetimes({"a": Ending(1e5, HOUR)}, lead=lead).values()
    assert found.retires - found.succeeded == pytest.approx(early)


def test_without_jobs() -> None:
    """No job has no lifetime."""
    assert lifetimes({}, lead=10.0) == {}


@given(
    walltime=st.floats(MINUTE, 30 * DAY),
    jobs=st.lists(st.tuples(st.floats(0, 2), st.floats(0, 10)), min_size=1, max_size=40),
    lead=st.floats(0, 30 * DAY),
)
def test_limits(walltime: float, jobs: list[tuple[float, float]], lead: float) -> None:
    """No job retires late, has its successor after that, or does either more than half the wall time too early."""
    endings = {
        str(number): Ending(end * walltime, walltime, moving * walltime) for number, (end, moving) in enumerate(jobs)
    }
    found = lifetimes(endings, lead=lead)
    assert found.keys() == endings.keys()
    little = 1e-9 * 40 * walltime  # of rounding
    for name, ending in endings.items():
        latest = ending.end - ending.margin
        assert found[name].retires <= latest
        assert found[name].succeeded <= found[name].retires
        assert found[name].retires >= latest - 0.25 * walltime - little
        assert found[name].succeeded >= latest - 0.5 * walltime - little
