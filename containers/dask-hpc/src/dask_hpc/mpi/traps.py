"""Detect known problems of dask-mpi before a worker dies of them."""

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
            f"ask for more: srun --mpi=pmix -n {len(roles) + 2}, or sbatch --ntasks={len(roles) + 2}; "
            "without srun, on a login node, dask-hpc run … --on mpi submits a job by itself.",
        )


def refuse_nanny(*, nanny: bool | None = None, worker_class: str = "") -> None:
    """Look at what dask-mpi was told of nannies; an option that was not given is left out.

    Args:
        nanny: of `--nanny` and `--no-nanny`.
        worker_class: of `--worker-class`.

    Raises:
        RequestError: `--no-nanny`, at which dask-mpi 2026.3 fails in every worker; or a nanny is asked for.
    """
    if nanny is False:
        raise RequestError(
            "dask-mpi 2026.3 fails in every worker if it is told --no-nanny (DeprecationWarning).",
            todo=f"leave it out here; with dask-mpi itself type {_WORKER} instead.",
        )
    if nanny or worker_class.endswith("Nanny"):
        raise RequestError(
            "A nanny starts its worker as another process, and that is no MPI rank.",
            "MPI calls in tasks hang in it, and MPI over a fabric may forbid to start processes at all.",
            f"leave it out here; with dask-mpi itself type {_WORKER}.",
        )
