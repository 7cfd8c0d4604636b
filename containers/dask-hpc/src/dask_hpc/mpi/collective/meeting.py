"""Wait for ranks: no rank enters unless all join, and if one fails, the others leave."""

from __future__ import annotations

import queue
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from dask_hpc.errors import CollectiveError
from dask_hpc.mpi.collective.messages import Order, Rank, Stopped
from dask_hpc.mpi.collective.part import decide, stop

if TYPE_CHECKING:
    from distributed import Client, Future

_LOOK = 1.0  # seconds between checks of the connection to the scheduler


@dataclass(frozen=True)
class _Here:
    """A rank waits for the others; `key` is its task's key."""

    key: str


@dataclass(frozen=True)
class _Done:
    """A rank's task has ended, successfully or not."""

    key: str


@dataclass(frozen=True)
class _Lost:
    """A rank's worker has left the Dask cluster."""

    rank: Rank


class _NoNews(Enum):
    """Why no more news will come."""

    LATE = "timed out"
    CUT = "the connection to the Dask scheduler was lost"


_News = _Here | _Done | _Lost


class Meeting:
    """One collective as the client sees it; a context manager, after which no rank is in the collective.

    Args:
        client: owner of the ranks' futures.
        members: the ranks.
        orders: the ranks' orders, in the same sequence.
    """

    def __init__(self, client: Client, members: Sequence[Rank], orders: Sequence[Order]) -> None:
        self._client = client
        self._members = members
        self._run = orders[0].run
        self._grace = orders[0].grace
        self._limit = orders[0].timeout + self._grace
        self._news: queue.SimpleQueue[_News] = queue.SimpleQueue()
        self._by_key = {order.key: member for order, member in zip(orders, members, strict=True)}
        self._futures: Sequence[Future] = ()
        self._inside: set[str] = set()
        self._lost: list[Rank] = []

    def __enter__(self) -> Self:
        self._client.subscribe_topic(self._run, lambda event: self._news.put(_Here(event[1].get("here"))))
        for member in self._members:
            self._client.subscribe_topic(member.address, lambda event, rank=member: self._heard(rank, event[1]))
        return self

    def _heard(self, rank: Rank, event: Any) -> None:
        if isinstance(event, dict) and event.get("action") == "remove-worker":
            self._news.put(_Lost(rank))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error and not isinstance(error, CollectiveError):  # such as Ctrl-C
            self._dismiss(f"the client was interrupted by {kind.__name__}" if kind else "")
        for topic in (self._run, *(member.address for member in self._members)):
            with suppress(Exception):  # a lost scheduler is not a second error
                self._client.unsubscribe_topic(topic)
        self._futures = ()  # so that a reference to this object keeps no results on the workers

    def hold(self, futures: Sequence[Future], entry: float) -> None:
        """Return when all ranks have returned; if one fails, raise `CollectiveError` when all have left.

        Args:
            futures: futures of the ranks' tasks.
            entry: seconds within which all ranks must join.
        """
        self._futures = futures
        for future in futures:
            future.add_done_callback(lambda done: self._news.put(_Done(done.key)))
        reason = self._gather(entry) or self._let_in() or self._watch()
        if reason:
            stuck = self._dismiss(reason)
            raise failure(reason, self._errors(), stuck)

    def _gather(self, entry: float) -> str:
        """Wait until all ranks have joined; return the reason if they have not, else an empty string."""
        end = time.monotonic() + entry
        here: set[str] = set()
        while len(here) < len(self._by_key):
            news = self._next(end)
            if isinstance(news, _Here):
                here.add(news.key)
            elif news is _NoNews.LATE:
                missing = [str(rank) for key, rank in self._by_key.items() if key not in here]
                return f"{', '.join(missing)} did not join within {entry:g} s: busy with other tasks, or lost"
            elif reason := self._reason(news):
                return reason
        return ""

    def _let_in(self) -> str:
        addresses = [member.address for member in self._members]
        answers = self._client.run(decide, self._run, workers=addresses, on_error="return")
        away = [str(member) for member in self._members if answers.get(member.address) is not True]
        self._inside = set(self._by_key)
        return f"{', '.join(away)} could not be started" if away else ""

    def _watch(self) -> str:
        """Wait until all ranks have ended; return the reason if ranks must leave before, else an empty string."""
        end = time.monotonic() + self._limit
        while self._inside:
            news = self._next(end)
            if news is _NoNews.LATE:
                return f"not all ranks finished within {self._limit:g} s"
            if reason := self._reason(news):
                return reason
        return ""

    def _next(self, end: float) -> _News | _NoNews:
        while (now := time.monotonic()) < end:
            if self._client.status != "running":
                return _NoNews.CUT
            with suppress(queue.Empty):
                return self._news.get(timeout=min(_LOOK, end - now))
        return _NoNews.LATE

    def _reason(self, news: _News | _NoNews) -> str:
        """Return why this news ends the collective; an empty string if it does not."""
        if isinstance(news, _Lost):
            self._lost.append(news.rank)
            return f"{news.rank} was lost: its worker left the Dask cluster"
        if isinstance(news, _Done):
            return self._failed(news.key)
        return str(news.value) if news is _NoNews.CUT else ""

    def _failed(self, key: str) -> str:
        """Return how an ended task failed; an empty string if it succeeded."""
        self._inside.discard(key)
        rank = self._by_key[key]
        future = next(future for future in self._futures if future.key == key)
        if future.status == "error":
            error = future.exception()
            return f"{rank}: {error}" if isinstance(error, Stopped) else f"{rank} failed"
        return "" if future.status == "finished" else f"the task of {rank} was {future.status}"

    def _dismiss(self, reason: str) -> list[str]:
        """Make all ranks leave, wait for them, and return those that have not left."""
        from distributed import wait

        present = [member.address for member in self._members if member not in self._lost]
        waited = [
            future
            for future in self._futures
            if future.key in self._inside and self._by_key[future.key] not in self._lost
        ]
        with suppress(Exception):  # ranks that have not left are returned below
            self._client.run(stop, self._run, reason, workers=present, on_error="ignore")
            self._client.cancel([future for future in self._futures if future not in waited and not future.done()])
            wait(waited, timeout=self._grace + 5)
        return [str(self._by_key[future.key]) for future in waited if not future.done()]

    def _errors(self) -> list[tuple[Rank, BaseException]]:
        pairs = [(self._by_key[future.key], future.exception()) for future in self._futures if future.status == "error"]
        return [(rank, error) for rank, error in pairs if error is not None]


def failure(reason: str, errors: Sequence[tuple[Rank, BaseException]], stuck: Sequence[str]) -> CollectiveError:
    """Return the error to raise, caused by the error of the first rank that failed by itself."""
    own = [(rank, error) for rank, error in errors if not isinstance(error, Stopped)]
    seen = [f"{rank}: {type(error).__name__}: {error}" for rank, error in own]
    if stuck:
        seen.append(f"{', '.join(stuck)} could not be stopped, so MPI was aborted: the Dask cluster ends with its job.")
    error = CollectiveError(f"The collective was stopped: {reason}.", "\n".join(seen))
    error.__cause__ = own[0][1] if own else None
    return error
