"""`python -m dask_hpc.mpi`: check the world; with `--json`, the first rank also prints its findings."""

from __future__ import annotations

import json
import sys

from dask_hpc.mpi.check import check_world, pmix_version
from dask_hpc.mpi.launch import launch


def main() -> None:
    """Exit on every rank if any rank is missing."""
    size = check_world()
    if "--json" in sys.argv[1:]:
        _print_facts(size)


def _print_facts(size: int) -> None:
    from mpi4py import MPI

    if MPI.COMM_WORLD.rank:
        return
    found = launch()
    facts = {
        "size": size,
        "launched": found.tasks if found else None,
        "by": found.by if found else None,
        "mpi": MPI.Get_library_version().split(",")[0],
        "pmix": pmix_version(),
    }
    print(json.dumps(facts), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
