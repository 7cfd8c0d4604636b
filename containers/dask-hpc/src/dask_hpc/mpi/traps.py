"""Reject options that are known to break dask-mpi, before they kill a worker."""

from __future__ import annotations

from collections.abc import Sequence

from dask_hpc.errors import RequestError

_WORKER = "--worker-class distributed.Worker"


def refuse_small_world(size: int, roles: Sequence[str]) -> None:
    """Raise `RequestError` unless each role has a rank."""
    if size < len(roles):
        raise RequestError(
            f"A world of {size} {'rank' if size == 1 else 'ranks'} is too small for a Dask cluster.",
            f"Needed: {len(roles)}, for {', '.join(roles)}.",
            f"request more: srun --mpi=pmix -n {len(roles) + 2}, or sbatch --ntasks={len(roles) + 2}; "
            "on a login node, without srun, dask-hpc run … --on mpi submits its own job.",
        )


def refuse_nanny(*, nanny: bool | None = None, worker_class: str = "") -> None:
    """Reject dask-mpi options for nannies; pass only options that were given.

    Args:
        nanny: value of `--nanny` or `--no-nanny`.
        worker_class: value of `--worker-class`.

    Raises:
        RequestError: `--no-nanny`, with which every worker of dask-mpi 2026.3 fails; or a nanny is requested.
    """
    if nanny is False:
        raise RequestError(
            "With --no-nanny, every worker of dask-mpi 2026.3 fails (DeprecationWarning).",
            todo=f"leave it out here; with dask-mpi itself, use {_WORKER} instead.",
        )
    if nanny or worker_class.endswith("Nanny"):
        raise RequestError(
            "A nanny starts its worker as another process, which is not an MPI rank.",
            "MPI calls in the worker's tasks hang, and MPI over a fabric may not allow new processes at all.",
            f"leave it out here; with dask-mpi itself, use {_WORKER}.",
        )
