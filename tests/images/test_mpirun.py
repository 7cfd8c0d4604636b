"""mpirun in the image: however it ends, its ranks end with it."""

from __future__ import annotations

from tests.images.conftest import Run
from tests.support.dask_mpi_suite import LEFT


def test_ranks_end_with_mpirun(in_image: Run) -> None:
    """If mpirun is killed, as one of dask-mpi's own tests does, its ranks end at once."""
    script = """
mpirun -n 3 dask-mpi --scheduler-file /tmp/scheduler.json --no-dashboard --worker-class distributed.Worker & mpirun=$!
count() { LEFT | wc --lines; }
# Nothing announces that all ranks run. A rank that forks counts twice for a moment.
until [ -s /tmp/scheduler.json ] && [ $(count) = 3 ]; do sleep 0.1; done
echo before $(count)
kill -KILL $mpirun
for _ in $(seq 100); do [ $(count) = 0 ] && break; sleep 0.1; done
echo after $(count)
"""
    done = in_image("bash", "-c", script.replace("LEFT", LEFT))
    assert done.stdout.split() == ["before", "3", "after", "0"]
