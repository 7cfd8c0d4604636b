"""The progress of a computation: the scheduler's own counts of tasks, asked for now and then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distributed import Client

_DONE = ("memory", "erred")
_TO_DO = ("waiting", "queued", "processing", "no-worker")


def tasks_done(client: Client) -> tuple[int, int]:
    """Return how many tasks the scheduler has seen finished, and of how many altogether."""
    found: tuple[int, int] = client.run_on_scheduler(_count)
    return found


def _count(dask_scheduler: Any) -> tuple[int, int]:
    prefixes = list(dask_scheduler.task_prefixes.values())
    done = sum(prefix.state_counts[state] for prefix in prefixes for state in _DONE)
    return done, done + sum(prefix.states[state] for prefix in prefixes for state in _TO_DO)
