"""Correct `dask_jobqueue.runner`, which `import dask_jobqueue` imports, as it is imported.

- It sets a handler for SIGINT that exits with status 0, so Ctrl-C looks like success. Outside the main thread, where no
  handler can be set, the import fails. Here a runner has a handler only while it runs.
- A runner's client continues as soon as the scheduler is up. A task for a worker by name, as in dask-jobqueue's own
  test, then fails with "addresses should be strings or tuples, got 2" if that worker connects last. Here the client
  waits for all workers.

https://github.com/dask/dask-jobqueue/blob/0.9.0/dask_jobqueue/runner.py
"""

from __future__ import annotations

import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, ModuleType
    from typing import Any

INTERRUPTED = 130
PATIENCE = 60  # seconds that a client waits for missing workers


def load(module: ModuleType, execute: Callable[[], None]) -> None:
    """Execute the module without the signal handlers that it sets."""
    set_handler = signal.signal

    def set_by_others(number: Any, handler: Any) -> Any:
        if sys._getframe(1).f_globals.get("__name__") == module.__name__:
            return signal.getsignal(number)
        return set_handler(number, handler)

    signal.signal = set_by_others  # type: ignore[assignment]
    try:
        execute()
    finally:
        signal.signal = set_handler
    _end_by_signal(module.BaseRunner)
    module.BaseRunner.before_client_start = _await_workers


def _end_by_signal(runner: Any) -> None:
    """Make SIGINT end a runner's process: with 0 if its scheduler or worker has finished, else with 130."""
    init = runner.__init__

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        import threading

        def end(_number: int, _frame: FrameType | None) -> None:
            sys.exit(0 if getattr(self, "_finished", False) else INTERRUPTED)

        in_main = threading.current_thread() is threading.main_thread()
        before = signal.signal(signal.SIGINT, end) if in_main else None
        try:
            init(self, *args, **kwargs)
        finally:
            # an asynchronous runner starts later
            if before is not None and not getattr(self, "_BaseRunner__asynchronous", False):
                signal.signal(signal.SIGINT, before)

    def finishing(method: Any) -> Any:
        async def run(self: Any) -> None:
            await method(self)
            self._finished = True

        return run

    runner.__init__ = __init__
    for name in ("start_scheduler", "start_worker"):
        setattr(runner, name, finishing(getattr(runner, name)))


async def _await_workers(runner: Any) -> None:
    """Wait up to a minute for all workers of the job."""
    import asyncio
    from time import monotonic

    end = monotonic() + PATIENCE
    while runner.scheduler_comm and monotonic() < end:
        if len(await runner.scheduler_comm.ncores()) >= getattr(runner, "n_workers", 0):
            return
        await asyncio.sleep(0.1)
