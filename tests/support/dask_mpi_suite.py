"""dask-mpi's own tests, and what they must not leave."""

from __future__ import annotations

SUITE = ("timeout", "300", "pytest", "--pyargs", "dask_mpi.tests", "-rs", "-p", "no:cacheprovider", "--timeout", "60")
"""Their command, with the seconds after which it, and one of its tests, is known to hang."""

LEFT = r"grep --extended-regexp --files-with-matches --null-data 'bin/dask-mpi$|[s]pawn_main' /proc/[0-9]*/cmdline"
"""Finds ranks, and the children of those that are nannies."""
