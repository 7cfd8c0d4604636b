"""For a notebook or a script of one's own: the Dask cluster that `dask-hpc run` would start, and the same end.

>>> from dask_hpc import cluster
>>> with cluster(on="slurm", jobs=2) as client:
...     client.submit(sum, [1, 2]).result()
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

from dask_hpc.dask_settings import blamed
from dask_hpc.errors import ClusterError, RequestError
from dask_hpc.stop import in_main_thread

if TYPE_CHECKING:
    from distributed import Client

    from dask_hpc.clusters import Backend, Plan
    from dask_hpc.screen import Screen

__all__ = ["DaskCluster", "cluster"]

_DASHBOARD = "127.0.0.1:8787"  # names Dask's own port, where people look for it; another one if that is taken
_WALLTIME = 3600  # seconds: cells are run by somebody who reads


class DaskCluster:
    """A Dask cluster of this process; `cluster` makes one.

    In a script, `with` starts and ends it. In a notebook, whose cells a `with` cannot span, call `start` and `close`;
    it also ends with the kernel.
    """

    def __init__(self, backend: Backend, plan: Plan, screen: Screen) -> None:
        self._backend, self._plan, self._screen = backend, plan, screen
        self._stack = ExitStack()

    def __enter__(self) -> Client:
        from dask_hpc.clusters.base import quieten

        quieten()
        self._screen.table(f"Dask cluster ({self._backend.name})", ("setting", "value", "why"), self._plan.rows)
        with blamed():
            return self._stack.enter_context(self._backend.start(self._plan, self._screen)).client

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self._stack.__exit__(kind, error, trace)

    def start(self) -> Client:
        """Start it, and return a client that is connected to it; raises `ClusterError`.

        One that was started before ends first: a cell that is run again would wait for the nodes that it holds.
        """
        while _started:
            _started[0].close()
        client = self.__enter__()
        _started.append(self)
        atexit.register(self.close)
        if in_main_thread():
            signal.signal(signal.SIGUSR1, _workers_lost)
        return client

    def close(self) -> None:
        """End it: no job, credential or process is left. Does nothing the second time."""
        atexit.unregister(self.close)
        if self in _started:
            _started.remove(self)
        self._stack.close()


_started: list[DaskCluster] = []


def cluster(on: str | None = None, **options: Any) -> DaskCluster:
    """Work out a Dask cluster.

    Args:
        on: `slurm` or `local`; without it, Slurm where there is one.
        options: those of `dask-hpc run`, such as `jobs=4, cores=16, memory="32GiB"`.

    Raises:
        RequestError: there is no such option, or not what was asked for.
        click.BadParameter: a value that makes no sense.
    """
    from dask_hpc.clusters import BACKENDS
    from dask_hpc.screen import Screen

    name = on or ("slurm" if shutil.which("sbatch") else "local")
    if name not in BACKENDS:
        raise RequestError(f"There is no on={name!r}.", f"There are: {', '.join(BACKENDS)}")
    backend, screen = BACKENDS[name], Screen()
    with blamed():
        return DaskCluster(backend, backend.plan(_values(backend, options), screen), screen)


def _values(backend: Backend, given: dict[str, Any]) -> dict[str, Any]:
    """Return the backend's options as the command line would have them."""
    import click

    from dask_hpc.clusters.options import CLUSTER_OPTIONS

    if isinstance(given.get("sbatch_option"), str):
        given = {**given, "sbatch_option": [given["sbatch_option"]]}
    if strange := sorted(set(given) - backend.options):
        there = ", ".join(sorted(backend.options))
        raise RequestError(f"on={backend.name!r} has no option {', '.join(strange)}.", f"There are: {there}")
    own = {"dashboard": _DASHBOARD, **_walltime(backend, given), **given}
    command = click.Command("cluster", params=list(CLUSTER_OPTIONS))
    context = command.make_context("dask_hpc.cluster", [], default_map=own)
    return {name: context.params[name] for name in backend.options}


def _walltime(backend: Backend, given: Mapping[str, Any]) -> dict[str, int]:
    """Return the wall time of a job that lasts while somebody reads, or the partition's, if that is less."""
    from dask_hpc.clusters.asked import asked
    from dask_hpc.slurm.commands import require
    from dask_hpc.slurm.nodes import nodes

    if backend.name != "slurm":
        return {}
    require()
    partition = asked({"sbatch_option": (), **given}, os.environ, {}).options["partition"]
    limits = [node.limit for node in nodes(partition) if node.limit]
    return {"walltime": min([_WALLTIME, *limits])}


def _workers_lost(_signum: int, _frame: FrameType | None) -> None:
    """End what a cell waits for; between cells, where an exception would end the kernel, only say it."""
    lost = ClusterError(
        "All workers have gone.", todo="see 'squeue' and the jobs' logs; close this cluster and start another one."
    )
    if callable(signal.getsignal(signal.SIGINT)):  # a kernel takes no Ctrl-C between cells
        raise lost
    print(lost, file=sys.stderr)  # noqa: T201 (in the notebook, if it is one)
