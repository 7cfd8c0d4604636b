"""The number of jobs follows the work, without a cycle of submitting and cancelling."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable

import pytest

from dask_hpc.clusters.slurm.kept.demand import Demand

HOUR = 3600


def follow(useful: Callable[[int], int], seconds: int, *, bounds: tuple[int, int] = (0, 8), lead: float) -> list[int]:
    """Return the number of jobs at each second."""
    demand = Demand(*bounds)
    return [demand.jobs(now, useful(now), lead=lead) for now in range(seconds)]


def test_follows_upwards_at_once_and_downwards_later() -> None:
    """More work brings more jobs in the same second; less work ends jobs after half a minute."""
    jobs = follow(lambda now: 5 if 10 <= now < 20 else 2, 100, lead=2)
    assert jobs[9:11] == [2, 5]
    assert jobs[49:51] == [5, 2]


def test_interruption_of_the_work_ends_no_job() -> None:
    """A pause that is shorter than the patience changes nothing, also one between many short computations."""
    assert set(follow(lambda now: 0 if now % 30 else 4, 600, lead=2)) == {4}


def test_jobs_that_come_late_are_kept_longer() -> None:
    """If a new job takes five minutes to come, jobs are kept for ten minutes."""
    jobs = follow(lambda now: 3 if now == 0 else 0, 700, lead=300)
    assert jobs.index(0) == 601


@pytest.mark.parametrize(("useful", "kept"), [(0, 2), (3, 3), (99, 6)])
def test_stays_within_bounds(useful: int, kept: int) -> None:
    """The bounds that were asked for hold whatever the work could use."""
    assert set(follow(lambda _: useful, 100, bounds=(2, 6), lead=1)) == {kept}


def load(seed: int) -> list[int]:
    """Return an hour of uneven load: the jobs that the work could use, for each second."""
    chance = random.Random(seed)
    found: list[int] = []
    while len(found) < HOUR:
        found += [chance.choice([0, 0, 1, 2, 4, 6, 8])] * chance.choice([3, 10, 30, 60, 200, 400])
    return found[:HOUR]


def submissions(jobs: list[int], walltime: int) -> int:
    """Return the number of submissions: every increase, and a successor for each job that reaches its wall time."""
    running: deque[int] = deque()  # start times
    count = 0
    for now, wanted in enumerate(jobs):
        while running and now - running[0] >= walltime:
            running.popleft()
        while len(running) > wanted:
            running.pop()
        while len(running) < wanted:
            running.append(now)
            count += 1
    return count


@pytest.mark.parametrize("lead", [2, 60])
@pytest.mark.parametrize("seed", range(20))
def test_submissions_in_an_hour_of_uneven_load(seed: int, lead: float) -> None:
    """The submissions stay within twice what the load's peaks and the wall times make necessary.

    Necessary are those of a policy that knows the load: it has at every second what the work can use, and keeps a job
    that is idle only if it is useful again within the patience. Here the load is not known, but estimated by Dask from
    tasks whose duration varies, so the estimate is up to 30 % wrong.
    """
    true, chance, walltime = load(seed), random.Random(seed + 1000), 600
    patience = max(30, int(2 * lead))
    ideal = [max(true[max(0, now - patience) : now + 1]) for now in range(HOUR)]
    estimate = [min(8, round(one * chance.uniform(0.7, 1.3))) for one in true]
    made = follow(estimate.__getitem__, HOUR, lead=lead)
    assert submissions(made, walltime) <= 2 * submissions(ideal, walltime)
    assert all(now >= wanted - 3 for now, wanted in zip(made, true, strict=True))
