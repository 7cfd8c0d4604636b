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


WINDOW = """
from mpi4py import MPI
import numpy as np

comm, size = MPI.COMM_WORLD, 200 << 20
for kind in ("shared", "own"):
    if kind == "shared":
        window = MPI.Win.Allocate_shared(size if comm.rank == 0 else 0, comm=comm)
        memory, _ = window.Shared_query(0)
    else:
        window = MPI.Win.Allocate(size, comm=comm)
        memory = window.tomemory()
    half = size // comm.size
    window.Fence()
    np.frombuffer(memory, "u1")[comm.rank * half : (comm.rank + 1) * half] = comm.rank + 1
    window.Fence()
    if comm.rank == 0:
        print(kind, memory[0], flush=True)
    window.Free()
"""
FAILS = """
from mpi4py import MPI

if MPI.COMM_WORLD.rank == 1:
    MPI.COMM_WORLD.Send(b"", dest=99)
MPI.COMM_WORLD.Barrier()
"""


def test_windows_are_larger_than_docker_shared_memory(in_image: Run) -> None:
    """With Docker's 64 MB of /dev/shm, windows of 200 MB are elsewhere, and only the program's output is printed."""
    done = in_image("mpirun", "-n", "2", "python", "-c", WINDOW)
    assert done.stdout.split() == ["shared", "1", "own", "1"]
    assert done.stderr == ""


def test_window_without_room_ends_with_cause(in_image: Run) -> None:
    """A window that fits nowhere fails on all ranks with an error that names the folder, instead of hanging."""
    small = ("--tmpfs=/tmp:size=64m",)
    done = in_image("timeout", "60", "mpirun", "-n", "2", "python", "-c", WINDOW, options=small, check=False)
    assert done.returncode not in (0, 124)
    assert "not enough space for" in done.stderr


def test_unhandled_mpi_error_ends_all_ranks(in_image: Run) -> None:
    """A rank that fails in MPI does not leave the others waiting for it."""
    done = in_image("timeout", "60", "mpirun", "-n", "2", "python", "-c", FAILS, check=False)
    assert done.returncode not in (0, 124)
    assert "MPI_ERR_RANK" in done.stderr


def test_processes_can_be_spawned(in_image: Run) -> None:
    """mpirun lets a rank start more processes, and so does Python without mpirun."""
    code = "from mpi4py.futures import MPIPoolExecutor as P; print(list(P(2).map(abs, [-1, -2])))"
    assert in_image("mpirun", "-n", "1", "python", "-c", code).stdout == "[1, 2]\n"
    assert in_image("python", "-c", code).stdout == "[1, 2]\n"


def test_mpi_starts_without_variables(in_image: Run) -> None:
    """MPI starts without HOME and PATH, as under cron and `env -i`."""
    spawn = "from mpi4py.futures import MPIPoolExecutor as P; print(list(P(2).map(abs, [-1, -2])))"
    assert in_image("env", "-i", "/opt/env/bin/python", "-c", spawn).stdout == "[1, 2]\n"
    code = "from mpi4py import MPI; print(MPI.COMM_WORLD.size)"
    assert in_image("env", "-i", "bash", "-lc", f"mpirun -n 2 python -c '{code}'").stdout == "2\n" * 2


def test_open_mpi_finds_its_messages(in_image: Run) -> None:
    """Open MPI finds its message files even in a program that mpirun has not started."""
    done = in_image("python", "-c", "from mpi4py import MPI; MPI.COMM_WORLD.Abort(3)", check=False)
    assert done.returncode == 3
    assert "MPI_ABORT was invoked on rank 0" in done.stderr
    assert "Sorry!" not in done.stderr
