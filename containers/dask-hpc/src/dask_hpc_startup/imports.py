"""Correct other packages as they are imported."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any


def _mpi(_module: ModuleType, execute: Callable[[], None]) -> None:
    from dask_hpc_startup import ranks

    ranks.load(execute)
    ranks.explain_errors()


def _pools(module: ModuleType, execute: Callable[[], None]) -> None:
    from dask_hpc_startup import pools

    execute()
    pools.refuse_where_they_hang(module)


def _tls(module: ModuleType, execute: Callable[[], None]) -> None:
    execute()
    from dask_hpc_startup import listener, openssl  # noqa: F401 (importing openssl applies its correction)

    listener.drop_what_comes_too_late(module)


def _dashboards(module: ModuleType, execute: Callable[[], None]) -> None:
    execute()
    from dask_hpc_startup import dashboards

    dashboards.close_to_others(module)


def _lost_workers(module: ModuleType, execute: Callable[[], None]) -> None:
    execute()
    from dask_hpc_startup import lost_workers

    lost_workers.wait_for_restarted(module)


def _heartbeats(module: ModuleType, execute: Callable[[], None]) -> None:
    execute()
    from dask_hpc_startup import heartbeats

    heartbeats.drop_cut_off(module)


def _runner(module: ModuleType, execute: Callable[[], None]) -> None:
    from dask_hpc_startup import runner

    runner.load(module, execute)


CORRECTED: dict[str, Callable[[ModuleType, Callable[[], None]], None]] = {
    "dask_jobqueue.runner": _runner,
    "distributed.comm.tcp": _tls,
    "distributed.deploy.spec": _lost_workers,
    "distributed.node": _dashboards,
    "distributed.worker": _heartbeats,
    "mpi4py.MPI": _mpi,
    "mpi4py.futures._core": _pools,
}
"""Functions by module, called in place of the module's execution; each must call `execute`."""


class Corrections:
    """A finder that returns what other finders find, with a loader that corrects the module."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a module in `CORRECTED`."""
        if name not in CORRECTED:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(name, path, target)
            if spec and spec.loader:
                spec.loader = _Loader(spec.loader, CORRECTED[name])  # type: ignore[assignment]
                return spec
        return None


class _Loader:
    """The loader that was found, except for the execution of the module."""

    def __init__(self, loader: Any, correct: Callable[[ModuleType, Callable[[], None]], None]) -> None:
        self._loader = loader
        self._correct = correct

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def exec_module(self, module: ModuleType) -> None:
        """Execute the module with its correction; it sees its own loader."""
        module.__loader__ = self._loader
        if module.__spec__:
            module.__spec__.loader = self._loader
        self._correct(module, lambda: self._loader.exec_module(module))
