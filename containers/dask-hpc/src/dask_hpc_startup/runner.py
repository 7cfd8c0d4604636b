"""Load `dask_jobqueue.runner` without what it does to Ctrl-C.

As it is imported, and `import dask_jobqueue` does that, it sets a handler for SIGINT that ends the program with
status 0; and outside of the main thread, where no handler can be set, the import fails.
https://github.com/dask/dask-jobqueue/blob/0.9.0/dask_jobqueue/runner.py
"""

from __future__ import annotations

import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any


def load(module: ModuleType, execute: Callable[[], None]) -> None:
    """Execute the module; the handlers that it sets meanwhile are not set."""
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
