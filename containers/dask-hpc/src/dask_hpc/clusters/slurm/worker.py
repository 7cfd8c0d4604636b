"""A worker without a nanny that can be restarted: it replaces its process by a new one.

Dask restarts a worker through its nanny: the scheduler sends the nanny `kill`, and waits for the worker to come back. A
nanny is a second process that imports Dask first, so workers would start later. This worker acts as its own nanny. The
new process has the same PID and command line, so Slurm sees no change: same job, same cgroup, same signals.
"""

from __future__ import annotations

import os
import sys
from typing import Any, NoReturn

import distributed
from distributed.core import Status


class RestartableWorker(distributed.Worker):
    """A worker that restarts itself."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.handlers |= {"kill": self.replace_process, "plugin_add": self.refuse_nanny_plugin}

    async def _register_with_scheduler(self) -> None:
        """Register as its own nanny; afterwards it has none, as a closing worker also closes its nanny."""
        self.nanny = self.contact_address or self.address
        try:
            await super()._register_with_scheduler()
        finally:
            self.nanny = None

    async def replace_process(self, comm: Any, reason: str = "restart", **_: Any) -> Status:
        """Leave the cluster, answer, and restart; running tasks end with the process.

        The worker unregisters before it answers: on the answer, the scheduler waits for new workers. If it is closing,
        because its job ends, it only answers.
        """
        if self.status in {Status.closing, Status.closed, Status.failed}:
            await comm.write(None)
        else:
            await self._leave(comm, reason)
        return Status.dont_reply

    async def _leave(self, comm: Any, reason: str) -> NoReturn:
        await self.scheduler.unregister(address=self.contact_address, stimulus_id=reason, expected=True, close=False)
        await comm.write(None)
        await comm.close()  # sends buffered data
        _restart()

    async def refuse_nanny_plugin(self, **_: Any) -> NoReturn:
        """Reject nanny plugins, which would set up a process that this worker does not have."""
        raise RuntimeError(
            "These workers have no nanny, so a NannyPlugin has no effect. "
            "What to do: use a WorkerPlugin, or several processes per job, which have nannies."
        )


def _restart() -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], os.environ)  # noqa: S606 (no shell)
    except OSError as error:
        sys.stderr.write(f"dask-hpc: cannot restart the worker: {sys.executable}: {error}\n")
        sys.stderr.flush()
        os._exit(1)  # ends the job, and with it the wait for this worker
