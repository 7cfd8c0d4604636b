"""Waiting for ranks: all of them come or none enters, and if one fails the others leave."""

from __future__ import annotations

import queue
import time
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from dask_hpc.errors import CollectiveError
from dask_hpc.mpi.collective.part import Order, Stopped, decide, stop

if TYPE_CHECKING:
    from distributed import Client, Future

    from dask_hpc.mpi.collective.ranks import Rank

__all__ = ["Meeting", "failure"]

_LOOK = 1.0  # seconds between two looks at whether the scheduler is there


class Meeting:
    """One collective as the client sees it; a context manager, after which no rank is in it.

    Args:
        client: whose futures they are.
        members: the ranks.
        orders: what each was told, in the same order.
    """

    def __init__(self, client: Client, members: Sequence[Rank], orders: Sequence[Order]) -> None:
        self.client, self.members, self.run = client, members, orders[0].run
        self.grace = orders[0].grace
        self.limit = orders[0].timeout + self.grace
        self.news: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self.by_key = {order.key: member for order, member in zip(orders, members, strict=True)}
        self.futures: Sequence[Future] = ()
        self.inside: set[str] = set()
        self.lost: list[Rank] = []

    def __enter__(self) -> Self:
        self.client.subscribe_topic(self.run, lambda event: self.news.put(("here", event[1].get("here"))))
        for member in self.members:
            self.client.subscribe_topic(member.address, lambda event, rank=member: self._heard(rank, event[1]))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error and not isinstance(error, CollectiveError):  # Ctrl-C, say
            self._dismiss(f"the client was interrupted by {kind.__name__}" if kind else "")
        for topic in (self.run, *(member.address for member in self.members)):
            with suppress(Exception):  # the scheduler may be gone: that is no second error
                self.client.unsubscribe_topic(topic)
        self.futures = ()  # who keeps this keeps no results on the workers

    def _heard(self, rank: Rank, event: Any) -> None:
        if isinstance(event, dict) and event.get("action") == "remove-worker":
            self.news.put(("lost", rank))

    def hold(self, futures: Sequence[Future], entry: float) -> None:
        """Return when all ranks have given back something; raises `CollectiveError` when all have left."""
        self.futures = futures
        for future in futures:
            future.add_done_callback(lambda done: self.news.put(("done", done.key)))
        reason = self._gather(entry) or self._let_in() or self._watch()
        if reason:
            stuck = self._dismiss(reason)
            raise failure(reason, self._errors(), stuck)

    def _gather(self, entry: float) -> str:
        """Wait until all ranks are here; return why not, if they are not."""
        end = time.monotonic() + entry
        here: set[str] = set()
        while len(here) < len(self.by_key):
            what, who = self._next(end)
            if what == "here":
                here.add(who)
            elif what == "late":
                missing = [str(rank) for key, rank in self.by_key.items() if key not in here]
                return f"{', '.join(missing)} did not come within {entry:g} s: busy with other tasks, or gone"
            elif reason := self._reason(what, who):
                return reason
        return ""

    def _let_in(self) -> str:
        addresses = [member.address for member in self.members]
        answers = self.client.run(decide, self.run, workers=addresses, on_error="return")
        away = [str(member) for member in self.members if answers.get(member.address) is not True]
        self.inside = set(self.by_key)
        return f"{', '.join(away)} could not be told to begin" if away else ""

    def _watch(self) -> str:
        """Wait until all ranks have ended; return why the others must leave, if they must."""
        end = time.monotonic() + self.limit
        while self.inside:
            what, who = self._next(end)
            if what == "late":
                return f"not all ranks had ended after {self.limit:g} s"
            if reason := self._reason(what, who):
                return reason
        return ""

    def _reason(self, what: str, who: Any) -> str:
        if what == "lost":
            self.lost.append(who)
            return f"{who} is gone: its worker has left the Dask cluster"
        if what == "cut":
            return "the connection to the Dask scheduler is lost"
        if what == "done":
            self.inside.discard(who)
            future = next(future for future in self.futures if future.key == who)
            if future.status == "error":
                error = future.exception()
                return f"{self.by_key[who]}: {error}" if isinstance(error, Stopped) else f"{self.by_key[who]} failed"
            if future.status != "finished":
                return f"the task of {self.by_key[who]} was {future.status}"
        return ""

    def _next(self, end: float) -> tuple[str, Any]:
        while (now := time.monotonic()) < end:
            if self.client.status != "running":
                return "cut", None
            with suppress(queue.Empty):
                return self.news.get(timeout=min(_LOOK, end - now))
        return "late", None

    def _dismiss(self, reason: str) -> list[str]:
        """Make all ranks leave, wait until they have, and return those that have not."""
        from distributed import wait

        present = [member.address for member in self.members if member not in self.lost]
        waited = [one for one in self.futures if one.key in self.inside and self.by_key[one.key] not in self.lost]
        with suppress(Exception):  # whatever hinders it: those who stay are named below
            self.client.run(stop, self.run, reason, workers=present, on_error="ignore")
            self.client.cancel([future for future in self.futures if future not in waited and not future.done()])
            wait(waited, timeout=self.grace + 5)
        return [str(self.by_key[future.key]) for future in waited if not future.done()]

    def _errors(self) -> list[tuple[Rank, BaseException]]:
        pairs = [(self.by_key[future.key], future.exception()) for future in self.futures if future.status == "error"]
        return [(rank, error) for rank, error in pairs if error is not None]


def failure(reason: str, errors: Sequence[tuple[Rank, BaseException]], stuck: Sequence[str]) -> CollectiveError:
    """Return the error to raise: its cause is the first rank's that failed by itself."""
    own = [(rank, error) for rank, error in errors if not isinstance(error, Stopped)]
    seen = [f"{rank}: {type(error).__name__}: {error}" for rank, error in own]
    if stuck:
        seen.append(f"{', '.join(stuck)} could not be ended, and MPI was aborted: the Dask cluster ends with its job.")
    error = CollectiveError(f"The collective was stopped: {reason}.", "\n".join(seen))
    error.__cause__ = own[0][1] if own else None
    return error
