"""Refuse a workload that does not fit the planned Dask cluster, before anything starts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from dask_hpc.errors import RequestError
from dask_hpc.tutorial.workload import Need, Workload

if TYPE_CHECKING:
    from dask_hpc.clusters import Backend, Plan


def refuse_backend(workload: Workload, on: Backend) -> None:
    """Raise `RequestError` if the workload does not support that backend."""
    if workload.checks.backends is not None and on.kind not in workload.checks.backends:
        ways = " or ".join(f"--on {name}" for name in sorted(workload.checks.backends))
        raise RequestError(f"{workload.name} does not support --on {on.name}.", todo=f"use {ways}.")


def refuse_what_does_not_fit(
    workload: Workload, parameters: Mapping[str, object], plan: Plan, *, one_machine: bool
) -> None:
    """Compare the needs of a workload with the plan.

    Args:
        workload: the workload.
        parameters: its options' values.
        plan: the planned Dask cluster.
        one_machine: whether client and workers share this machine's memory.

    Raises:
        RequestError: there are too few workers, or too little memory for the client or for a worker.
    """
    if 0 < plan.workers < workload.checks.least_workers:
        raise RequestError(
            f"{workload.name} needs at least {workload.checks.least_workers} workers.",
            f"Planned: {plan.workers}.",
            "ask for more workers, jobs or ranks.",
        )
    if need := workload.checks.need(parameters, plan.workers, plan.threads):
        _refuse_worker(workload.name, need, plan)
        _refuse_machine(workload.name, need, plan, one_machine=one_machine)


def _refuse_worker(name: str, need: Need, plan: Plan) -> None:
    from dask import config, utils

    pause: float = config.get("distributed.worker.memory.pause") or 1.0
    if plan.worker_memory and need.worker > plan.worker_memory * pause:
        raise RequestError(
            f"{name} does not fit into a worker's memory.",
            f"Needed at once in one worker: {utils.format_bytes(need.worker)}. "
            f"A worker has {utils.format_bytes(plan.worker_memory)}, and pauses above {pause:.0%} of it.",
            "reduce the problem, or give workers more with --memory.",
        )


def _refuse_machine(name: str, need: Need, plan: Plan, *, one_machine: bool) -> None:
    from dask.utils import format_bytes

    total = need.client + (need.worker * plan.workers if one_machine else 0)
    free = available_memory()
    if total > free:
        workers = f" and {format_bytes(need.worker)} in each of {plan.workers} workers" if one_machine else ""
        raise RequestError(
            f"{name} does not fit into the memory of this machine.",
            f"Needed: {format_bytes(need.client)} in the client{workers}, {format_bytes(total)} in all. "
            f"Free: {format_bytes(free)}.",
            "reduce the problem, or run it on a larger machine.",
        )


def available_memory() -> int:
    """Return the available memory in bytes, within the limit of this process's control group."""
    import psutil
    from distributed.system import MEMORY_LIMIT

    return min(psutil.virtual_memory().available, int(MEMORY_LIMIT))
