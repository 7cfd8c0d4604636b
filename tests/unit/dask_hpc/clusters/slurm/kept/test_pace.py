"""How often Slurm is asked: rarely over time, and at once when something has happened."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dask_hpc.clusters.slurm.kept.pace import Pace

TEN_MINUTES = 600.0


def queries(
    duration: float, events: Callable[[Pace, int], None], *, open_questions: Callable[[float], bool], step: float = 1.0
) -> list[float]:
    """Return the times of queries, if a keeper looks at the clock every `step` seconds.

    Args:
        duration: seconds.
        events: tells the pace what happens in a step, by number.
        open_questions: returns whether there is something to learn after a query at this time.
        step: seconds.
    """
    pace = Pace(0.0)
    asked = []
    for number in range(round(duration / step)):
        now = number * step
        events(pace, number)
        if pace.due(now) == 0:
            pace.asked(now)
            asked.append(now)
            (pace.hurry if open_questions(now) else pace.calm)()
    return asked


def most_within(seconds: float, times: list[float]) -> int:
    """Return the most times within an interval of that length, wherever it begins."""
    return max(sum(start <= time < start + seconds for time in times) for start in times)


def job_ends_every_minute(pace: Pace, second: int) -> None:
    """Tell the pace that a worker was lost, its job ended and another one was submitted, over four seconds."""
    if second % 60 == 0:
        pace.hurry()
    if second % 60 in {0, 1, 2, 3}:
        pace.start_over()


@pytest.mark.parametrize("seconds", [20, 60], ids=["replaced-at-once", "replacement-waits"])
def test_at_most_six_queries_per_minute(seconds: int) -> None:
    """If a job ends every minute of an hour, any ten minutes have at most sixty queries."""
    asked = queries(3600, job_ends_every_minute, open_questions=lambda now: now % 60 < seconds)
    assert most_within(TEN_MINUTES, asked) <= 60


def test_end_of_job_is_seen_at_once_every_minute() -> None:
    """The answer about a job that ended comes in a second each time, also in the last minute of the hour."""
    asked = queries(3600, job_ends_every_minute, open_questions=lambda now: now % 60 < 20)
    assert [minute for minute in range(60) if not any(0 <= time - 60 * minute <= 1 for time in asked)] == []


@pytest.mark.parametrize("spread", [0, 1, 3, 30])
def test_start_of_many_jobs(spread: int) -> None:
    """A start with 64 jobs that are submitted within some seconds and arrive over five minutes takes 30 queries."""

    def start(pace: Pace, tenth: int) -> None:
        if tenth <= 10 * spread:
            pace.start_over()
        if tenth % 47 == 0:
            pace.hurry()

    assert len(queries(300, start, open_questions=lambda _: True, step=0.1)) <= 30


def test_quiet_hour_has_five_queries_per_minute() -> None:
    """With nothing to learn, Slurm is still asked: a job may end without a sign."""
    asked = queries(3600, lambda _pace, _second: None, open_questions=lambda _: False)
    assert len(asked) == pytest.approx(300, abs=1)


def test_hurry_after_calm() -> None:
    """After a quiet time, something to learn is asked for within a second, then less and less often."""
    pace = Pace(0.0)
    pace.asked(100.0)
    pace.calm()
    assert pace.due(100.0) > 10
    pace.hurry()
    gaps, now = [], 100.0
    for _ in range(8):
        gaps.append(pace.due(now))
        now += gaps[-1]
        pace.asked(now)
    assert gaps[0] < 1
    assert gaps == sorted(gaps)
    assert gaps[-1] == pytest.approx(12)


def test_news_while_a_job_waits_for_hours() -> None:
    """A job that has been waiting in the queue does not use up the queries for what happens to another one."""

    def lost_once(pace: Pace, second: int) -> None:
        if second == 7000:
            pace.start_over()

    asked = queries(7200, lost_once, open_questions=lambda _: True)
    assert any(7000 <= time <= 7001 for time in asked)


def test_hurry_does_not_reset_a_longer_gap() -> None:
    """Only news shortens the gap again; that there is still something to learn does not."""
    pace = Pace(0.0)
    for now in (1.0, 2.0, 4.0):
        pace.hurry()
        pace.asked(now)
    pace.hurry()
    assert pace.due(4.0) > 1
    pace.start_over()
    assert pace.due(4.0) < 1
