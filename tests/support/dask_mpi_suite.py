"""dask-mpi's own tests, and a search for processes that they leave."""

from __future__ import annotations

SUITE = ("timeout", "300", "pytest", "--pyargs", "dask_mpi.tests", "-rs", "-p", "no:cacheprovider", "--timeout", "60")
"""Command of the tests, with time limits in seconds for all tests and for each."""

LEFT = r"grep --extended-regexp --files-with-matches --null-data 'bin/dask-mpi$|[s]pawn_main' /proc/[0-9]*/cmdline"
"""Finds ranks, and the child processes of nannies."""
