"""`MPIPoolExecutor` when its workers cannot start."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from dask_hpc_startup import pools


def module(**functions: Any) -> ModuleType:
    """Return a stand-in for `mpi4py.futures._core`."""
    made = ModuleType("_core")
    made.__dict__.update({"_manager_spawn": None, "_manager_service": None, "SpawnPool": None} | functions)
    return made


def test_pool_gets_error_of_its_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller that waits for a result gets the error; the thread raises it too."""
    monkeypatch.delenv("PMIX_NAMESPACE", raising=False)

    def manager(_pool: object, options: dict[str, int]) -> None:
        raise OSError(f"no way to {options['max_workers']} workers")

    core = module(_manager_spawn=manager, _manager_service=manager)
    pools.refuse_where_they_hang(core)
    said: list[str] = []
    for run in (core._manager_spawn, core._manager_service):
        with pytest.raises(OSError, match="no way"):
            run(SimpleNamespace(broken=said.append), {"max_workers": 2})
    assert said == ["cannot start or reach its workers: no way to 2 workers"] * 2


def test_rejects_pool_in_job_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a job step, the pool raises at once, and the error says what to do."""
    monkeypatch.setenv("PMIX_NAMESPACE", "slurm.pmix.7.0")
    monkeypatch.setenv("PMIX_RANK", "0")
    core = module(_manager_spawn=print, _manager_service=print)
    pools.refuse_where_they_hang(core)
    with pytest.raises(RuntimeError, match=r"python -m mpi4py\.futures PROGRAM"):
        core.SpawnPool(object())
