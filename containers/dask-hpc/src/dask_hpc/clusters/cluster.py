"""Start a Dask cluster from your own script or notebook, as `dask-hpc run` would.

>>> from dask_hpc import cluster
>>> with cluster(on="slurm", jobs=2) as dask_cluster:
...     dask_cluster.client.submit(sum, [1, 2]).result()
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
from typing import TYPE_CHECKING, Any, Self

from dask_hpc.dask_settings import blamed
from dask_hpc.errors import ClusterError, RequestError, did_you_mean
from dask_hpc.stop import in_main_thread

if TYPE_CHECKING:
    from distributed import Client

    from dask_hpc.clusters import Backend, Plan, Session
    from dask_hpc.clusters.options import ClusterOptions
    from dask_hpc.screen import Screen

_DASHBOARD = "127.0.0.1:8787"  # Dask's usual port, where users look first; another one if it is in use
_WALLTIME = 3600  # seconds, as users read between cells


class DaskCluster:
    """A Dask cluster that belongs to this process; create one with `cluster`.

    In a script, use it in a `with` statement. In a notebook, where `with` cannot span cells, call `start` and `close`;
    the cluster also closes with the kernel.
    """

    def __init__(self, plan: Plan, screen: Screen) -> None:
        self._plan = plan
        self._screen = screen
        self._stack = ExitStack()
        self._session: Session | None = None

    def __enter__(self) -> Self:
        from dask_hpc.clusters.base import quieten

        if self._plan.serves:
            self._plan.serve()
            raise SystemExit(0)
        quieten()
        self._plan.show(self._screen)
        with blamed():
            self._session = self._stack.enter_context(self._plan.start(self._screen))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self._stack.__exit__(kind, error, trace)

    def __repr__(self) -> str:
        state = "not started" if self._session is None else self._session.client.status
        return f"<Dask cluster on {self._plan.kind}: {state}>"

    @property
    def client(self) -> Client:
        """The connected client; raises `ClusterError` before the cluster is started."""
        return self._running().client

    @property
    def failure(self) -> Exception | None:
        """The error with which the cluster has ended, if it has."""
        return self._session.failure() if self._session else None

    @property
    def dashboard_link(self) -> str:
        """The address of the dashboard."""
        return str(self.client.dashboard_link)

    def scale(self, *args: Any, **options: Any) -> None:
        """Change the number of workers or jobs, as Dask's `Cluster.scale` does: `scale(4)`, on Slurm `scale(jobs=4)`.

        Raises:
            RequestError: the cluster runs on MPI, whose world has a fixed size.
        """
        self._scalable().scale(*args, **options)

    def adapt(self, *args: Any, **options: Any) -> Any:
        """Let Dask scale the cluster with its load, as Dask's `Cluster.adapt` does: `adapt(minimum=1, maximum=8)`.

        Raises:
            RequestError: the cluster runs on MPI, whose world has a fixed size.
        """
        return self._scalable().adapt(*args, **options)

    def start(self) -> Self:
        """Start the cluster, and return it; raises `ClusterError`.

        A cluster that `start` started earlier is closed first: a cell that is run again would otherwise wait for nodes
        that the earlier cluster holds.
        """
        while _started:
            _started[0].close()
        self.__enter__()
        _started.append(self)
        atexit.register(self.close)
        if in_main_thread():
            signal.signal(signal.SIGUSR1, _given_up)
        return self

    def close(self) -> None:
        """Close the cluster, leaving no job, credential or process. Calling it again does nothing."""
        atexit.unregister(self.close)
        if self in _started:
            _started.remove(self)
        self._stack.close()

    def _running(self) -> Session:
        if self._session is None:
            raise ClusterError("The Dask cluster is not started.", todo="use it in a 'with', or call start() first.")
        return self._session

    def _scalable(self) -> Any:
        cluster = self._running().cluster
        if cluster is None:
            raise RequestError(
                "A Dask cluster on MPI cannot be scaled: its workers are the ranks of a world of fixed size.",
                todo="start another one with more nodes= or ranks_per_node=, or use on='slurm'.",
            )
        return cluster


_started: list[DaskCluster] = []


def cluster(on: str | None = None, **options: Any) -> DaskCluster:
    """Plan a Dask cluster; `with` or `start` then starts it.

    Args:
        on: `slurm`, `local`, `mpi`, or the name of your running cluster; by default `slurm` if Slurm is available, else
            `local`.
        options: the options of `dask-hpc run`, such as `jobs=4, cores=16, memory="32GiB"`.

    Raises:
        RequestError: an option is unknown, or asks for more than is available.
        click.BadParameter: a value is invalid.
    """
    from dask_hpc.clusters import backend
    from dask_hpc.screen import Screen

    chosen = backend(on or ("slurm" if shutil.which("sbatch") else "local"), prefix="on=")
    with blamed():
        return DaskCluster(chosen.plan(_values(chosen, options)), Screen())


def _values(backend: Backend, given: dict[str, Any]) -> ClusterOptions:
    """Parse the options as the command line does."""
    import click

    from dask_hpc.clusters.options import CLUSTER_OPTIONS, ClusterOptions

    if isinstance(given.get("sbatch_option"), str):
        given = {**given, "sbatch_option": [given["sbatch_option"]]}
    if strange := sorted(set(given) - backend.options):
        there = ", ".join(sorted(backend.options))
        raise RequestError(
            f"Unknown option {', '.join(strange)} for on={backend.name!r}.",
            f"Available: {there}",
            did_you_mean(strange[0], backend.options),
        )
    own = {"dashboard": _DASHBOARD, **_walltime(backend, given), **given}
    command = click.Command("cluster", params=list(CLUSTER_OPTIONS))
    context = command.make_context("dask_hpc.cluster", [], default_map=own)
    return ClusterOptions.of({name: context.params[name] for name in backend.options})


def _walltime(backend: Backend, given: Mapping[str, Any]) -> dict[str, int]:
    """Return the default wall time of an interactive session, within the partition's limit."""
    from dask_hpc.clusters.asked import asked
    from dask_hpc.clusters.options import ClusterOptions
    from dask_hpc.slurm.commands import require
    from dask_hpc.slurm.nodes import nodes

    if backend.name != "slurm":
        return {}
    require()
    place = {name: given[name] for name in ("partition", "sbatch_option") if name in given}
    partition = asked(ClusterOptions.of(place), os.environ, {}).options.partition
    limits = [node.limit for node in nodes(partition) if node.limit]
    return {"walltime": min([_WALLTIME, *limits])}


def _given_up(_signum: int, _frame: FrameType | None) -> None:
    """Raise in a running cell; between cells, where an exception would end the kernel, only print the error."""
    for started in _started:
        if started.failure is None:
            continue
        if callable(signal.getsignal(signal.SIGINT)):  # a kernel ignores Ctrl-C between cells
            raise started.failure
        print(started.failure, file=sys.stderr)  # noqa: T201 (in the notebook, if it is one)
