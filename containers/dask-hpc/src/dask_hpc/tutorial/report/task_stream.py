"""Record Dask's task stream during a run, and sum up how the worker threads spent their time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from time import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from distributed import Client

ACTIONS = {
    "compute": "computing",
    "transfer": "moving data between workers",
    "deserialize": "unpacking tasks",
    "disk-read": "reading from disk",
    "disk-write": "writing to disk",
}
"""Dask's names for a thread's actions, and readable ones. If two overlap, the first in this order counts."""


@dataclass(frozen=True, kw_only=True)
class Span:
    """One action of a thread, in seconds since the recording began; `action` is a key of `ACTIONS`."""

    lane: int
    name: str
    action: str
    start: float
    stop: float
    failed: bool = False
    tasks: int = 1


@dataclass(frozen=True, kw_only=True)
class Stream:
    """A recording: `lanes` are the names of the threads that had a task, `seconds` is its length."""

    seconds: float = 0.0
    lanes: Sequence[str] = ()
    spans: Sequence[Span] = ()
    tasks: int = 0


@dataclass(frozen=True)
class Share:
    """A share of the worker threads' time, in thread-seconds."""

    name: str
    seconds: float


@dataclass
class Recording:
    """A stream that is set when the recording ends."""

    stream: Stream = field(default_factory=Stream)


@contextmanager
def recording(client: Client) -> Iterator[Recording]:
    """Record the task stream; if the block fails, do not contact the scheduler again: it may be lost."""
    import socket

    from distributed import get_task_stream

    found = Recording()
    with ExitStack() as stack:
        events = stack.enter_context(get_task_stream(client))
        begin = time()
        try:
            yield found
        except BaseException:
            stack.pop_all()
            raise
        end = time()
        hosts = client.run(socket.gethostname, on_error="ignore")  # a worker may leave just now
    found.stream = make_stream(events.data, hosts, begin=begin, end=end)


def make_stream(events: Iterable[Mapping[str, Any]], hosts: Mapping[str, str], *, begin: float, end: float) -> Stream:
    """Make a stream from Dask's events.

    Args:
        events: the events from `distributed.get_task_stream`.
        hosts: the workers' host names, by address.
        begin: start of the recording, in seconds since the epoch.
        end: end of the recording.
    """
    from dask.utils import key_split

    events = [event for event in events if event.get("startstops") and "worker" in event]
    threads = sorted({(str(event["worker"]), event["thread"]) for event in events})
    lanes = {thread: number for number, thread in enumerate(threads)}
    spans = [
        Span(
            lane=lanes[event["worker"], event["thread"]],
            name=key_split(event["key"]),
            action=part["action"],
            start=part["start"] - begin,
            stop=part["stop"] - begin,
            failed=event.get("status", "OK") != "OK",
        )
        for event in events
        for part in event["startstops"]
    ]
    return Stream(
        seconds=max([end - begin, *(span.stop for span in spans)]),  # clocks of nodes differ a little
        lanes=_lane_names(threads, hosts),
        spans=spans,
        tasks=len({str(event["key"]) for event in events}),
    )


def _lane_names(threads: Sequence[tuple[str, int]], hosts: Mapping[str, str]) -> list[str]:
    """Name every thread by node and number: c1.1, c1.2; with several workers on a node, c1/1.1, c1/2.1."""
    workers: dict[str, list[str]] = defaultdict(list)
    for address in sorted({address for address, _ in threads} | set(hosts)):
        workers[_host(address, hosts)].append(address)
    names = []
    seen: dict[str, int] = defaultdict(int)
    for address, _ in threads:
        host = _host(address, hosts)
        worker = host if len(workers[host]) == 1 else f"{host}/{workers[host].index(address) + 1}"
        seen[worker] += 1
        names.append(f"{worker}.{seen[worker]}")
    return names


def _host(address: str, hosts: Mapping[str, str]) -> str:
    return hosts.get(address) or urlsplit(address).hostname or address


def where_time_went(stream: Stream, thread_seconds: float) -> list[Share]:
    """Split the time of all threads into shares.

    Args:
        stream: the recording.
        thread_seconds: the time of all worker threads, including those that never had a task.
    """
    lanes: dict[int, dict[str, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    for span in stream.spans:
        lanes[span.lane][span.action].append((max(0.0, span.start), span.stop))
    spent = dict.fromkeys(ACTIONS, 0.0)
    for lane in lanes.values():
        sofar: list[tuple[float, float]] = []
        for action in ACTIONS:
            before = _covered(sofar)
            sofar += lane[action]
            spent[action] += _covered(sofar) - before
    all_parts = [part for lane in lanes.values() for parts in lane.values() for part in parts]
    thread_seconds = max(thread_seconds, sum(spent.values()))
    all_idle = thread_seconds * (1 - min(1.0, _covered(all_parts) / stream.seconds)) if stream.seconds else 0.0
    some_idle = max(0.0, thread_seconds - sum(spent.values()) - all_idle)
    shares = [Share(name, spent[action]) for action, name in ACTIONS.items()]
    return [*shares, Share("idle while other threads work", some_idle), Share("no task on any thread", all_idle)]


def _covered(parts: Iterable[tuple[float, float]]) -> float:
    """Return the length of the union of intervals."""
    total = 0.0
    reached = 0.0
    for start, stop in sorted(parts):
        if stop > reached:
            total += stop - max(start, reached)
            reached = stop
    return total


def duration(seconds: float) -> str:
    """Format a time in a suitable unit, with three digits."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.0f} µs"
