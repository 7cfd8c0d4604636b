"""Suites that are not ours, in the image: dask-mpi's own tests."""

from __future__ import annotations

import re

import pytest

from tests.images.conftest import Run

pytestmark = pytest.mark.timeout(400)

# Seconds after which it is known to hang, and one of its tests; it takes some 60 s on two cores.
SUITE = ("timeout", "300", "pytest", "--pyargs", "dask_mpi.tests", "-rs", "-p", "no:cacheprovider", "--timeout", "60")
# Its deadlines are for a machine with nothing else to do: 5 seconds from mpirun to a scheduler, 10 to three workers.
ALONE = ("--cpu-shares", "65536")
# Ranks, and the children of those that are nannies.
LEFT = r"grep --extended-regexp --files-with-matches --null-data 'bin/dask-mpi$|[s]pawn_main' /proc/[0-9]*/cmdline"


def test_dask_mpis_own(in_image: Run) -> None:
    """24 pass and the one that wants CUDA is skipped; and no rank of any is left."""
    script = f'"$@"; status=$?; echo; echo left: $({LEFT}); exit $status'
    done = in_image("bash", "-c", script, "suite", *SUITE, options=ALONE, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
    assert re.search(r"\b24 passed, 1 skipped\b", done.stdout), done.stdout[-1000:]
    assert re.search(r"^SKIPPED .*dask_cuda", done.stdout, re.MULTILINE), done.stdout[-1000:]
    assert done.stdout.splitlines()[-1] == "left:"


def test_ranks_end_with_mpirun(in_image: Run) -> None:
    """mpirun is killed, as one of those tests does it: its ranks end at once."""
    script = """
mpirun -n 3 dask-mpi --scheduler-file /tmp/scheduler.json --no-dashboard --worker-class distributed.Worker & mpirun=$!
until [ -s /tmp/scheduler.json ]; do sleep 0.1; done
count() { LEFT | wc --lines; }
echo before $(count)
kill -KILL $mpirun
for _ in $(seq 100); do [ $(count) = 0 ] && break; sleep 0.1; done
echo after $(count)
"""
    done = in_image("bash", "-c", script.replace("LEFT", LEFT))
    assert done.stdout.split() == ["before", "3", "after", "0"]
