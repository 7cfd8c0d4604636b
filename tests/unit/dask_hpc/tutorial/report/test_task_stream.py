"""The recorded task stream."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_hpc.tutorial.report.task_stream import ACTIONS, Span, Stream, make_stream, where_time_went


def event(key: str, worker: str, thread: int, *parts: tuple[str, float, float], status: str = "OK") -> dict[str, Any]:
    startstops = [{"action": action, "start": start, "stop": stop} for action, start, stop in parts]
    return {"key": key, "worker": worker, "thread": thread, "startstops": startstops, "status": status}


A = "tcp://10.0.0.1:1"
B = "tcp://10.0.0.2:1"
C = "tcp://10.0.0.2:2"
HOSTS = {A: "c1", B: "c2", C: "c2"}


def test_names_threads_after_nodes() -> None:
    """A single worker on its node is named after it; several are numbered, and so are the threads of each."""
    threads = [(A, 7), (A, 9), (B, 7), (C, 7)]
    events = [event(f"f-{number}", *thread, ("compute", 1.0, 2.0)) for number, thread in enumerate(threads)]
    stream = make_stream(events, HOSTS, begin=0.0, end=3.0)
    assert stream.lanes == ["c1.1", "c1.2", "c2/1.1", "c2/2.1"]
    assert stream.seconds == 3.0
    assert stream.tasks == 4


def test_shows_address_of_lost_worker() -> None:
    """A task of a worker without a known host is shown under the worker's address."""
    stream = make_stream([event("f-1", A, 1, ("compute", 0.0, 1.0))], {}, begin=0.0, end=1.0)
    assert stream.lanes == ["10.0.0.1.1"]


def test_counts_times_from_start_of_recording() -> None:
    """Spans are in seconds since the recording began, and the recording lasts until its last task ends."""
    seen = event("f-1", A, 1, ("transfer", 101.0, 102.0), ("compute", 102.0, 107.0))
    stream = make_stream([seen], HOSTS, begin=100.0, end=106.0)
    assert [(span.action, span.start, span.stop) for span in stream.spans] == [("transfer", 1, 2), ("compute", 2, 7)]
    assert stream.seconds == 7.0


def test_marks_failed_task() -> None:
    """The span of a task that raised is marked as failed."""
    stream = make_stream([event("f-1", A, 1, ("compute", 0.0, 1.0), status="error")], HOSTS, begin=0.0, end=1.0)
    assert [span.failed for span in stream.spans] == [True]


def test_counts_overlapping_time_once() -> None:
    """Overlapping time counts once, for computing first; the rest is idle, apart from when no thread has a task."""
    spans = [
        Span(lane=0, name="f", action="compute", start=1.0, stop=3.0),
        Span(lane=0, name="f", action="transfer", start=0.5, stop=1.5),
        Span(lane=1, name="g", action="compute", start=2.0, stop=4.0),
    ]
    stream = Stream(seconds=10.0, lanes=["a", "b"], spans=spans, tasks=2)
    shares = {share.name: share.seconds for share in where_time_went(stream, 3 * 10.0)}
    assert shares[ACTIONS["compute"]] == pytest.approx(4.0)
    assert shares[ACTIONS["transfer"]] == pytest.approx(0.5)
    assert shares["no task on any thread"] == pytest.approx(3 * 6.5)
    assert shares["idle while other threads work"] == pytest.approx(30 - 4.5 - 19.5)


parts = st.tuples(st.integers(0, 3), st.sampled_from(list(ACTIONS)), st.floats(0, 10), st.floats(0, 10))


@given(st.lists(parts, max_size=40), st.integers(4, 6))
def test_shares_add_up_to_all_time(drawn: list[tuple[int, str, float, float]], threads: int) -> None:
    """For any spans, the shares are not negative and add up to the threads' time."""
    spans = [Span(lane=lane, name="f", action=action, start=min(a, b), stop=max(a, b)) for lane, action, a, b in drawn]
    stream = Stream(seconds=10.0, lanes=["a"] * 4, spans=spans, tasks=len(spans))
    shares = where_time_went(stream, 10.0 * threads)
    assert sum(share.seconds for share in shares) == pytest.approx(10.0 * threads)
    assert all(share.seconds >= -1e-9 for share in shares)
