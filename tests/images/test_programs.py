"""Users' own scripts in the image: plain ones, interrupted ones, and those that import in threads."""

from __future__ import annotations

import pytest

from tests.images.conftest import Run

CLUSTER = """
import os
from dask_hpc import cluster

class Point:
    def __init__(self, x):
        self.x = x

def double(point):
    return Point(2 * point.x), os.getpid()

with cluster() as dask_cluster:
    client = dask_cluster.client
    print(client.submit(sum, [1, 2]).result())
    point, pid = client.submit(double, Point(21)).result()
    print(type(point) is Point, point.x, pid != os.getpid())
"""
IMPORT = "import dask_jobqueue, os, signal, time; {then}; time.sleep(30)"


@pytest.mark.parametrize(
    "how", ["python script.py", "python - <script.py", "python -m script", 'python -c "$(cat script.py)"']
)
def test_script_needs_no_main_guard(in_image: Run, how: str) -> None:
    """A script without `if __name__ == "__main__":` can use worker processes, and exchange its classes with them."""
    done = in_image("sh", "-c", f"cat >script.py <<'END'\n{CLUSTER}END\n{how}")
    assert done.stdout.splitlines()[-2:] == ["3", "True 42 True"]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("then", "status"),
    [
        ("os.kill(os.getpid(), signal.SIGINT)", 130),
        ("os.kill(os.getpid(), signal.SIGTERM)", 143),
        ("os.kill(os.getpid(), signal.SIGHUP)", 129),
        ("raise SystemExit(3)", 3),
    ],
)
def test_exit_status_is_pythons_own(in_image: Run, then: str, status: int) -> None:
    """Importing dask_jobqueue does not change a program's exit status."""
    code = IMPORT.format(then=then)
    assert in_image("sh", "-c", f"python -c '{code}' 2>/dev/null; echo $?").stdout == f"{status}\n"


@pytest.mark.parametrize(
    "module", ["dask_jobqueue", "distributed", "dask_mpi", "mpi4py.MPI", "mpi4py.futures", "dask_hpc"]
)
def test_can_be_imported_in_thread(in_image: Run, module: str) -> None:
    """Every module of the environment can be imported in any thread."""
    code = f"from concurrent.futures import ThreadPoolExecutor as T; T().submit(__import__, '{module}').result()"
    assert in_image("python", "-c", code).stderr == ""


def test_cluster_starts_in_thread(in_image: Run) -> None:
    """`dask_hpc.cluster` works in any thread."""
    code = """
import threading
from dask_hpc import cluster

def run():
    with cluster(on="local", workers=1) as dask_cluster:
        client = dask_cluster.client
        print(client.submit(sum, [1, 2]).result())
    started = cluster(on="local", workers=1)
    print(started.start().client.submit(sum, [3, 4]).result())
    started.close()

thread = threading.Thread(target=run)
thread.start()
thread.join()
"""
    done = in_image("python", "-c", code)
    assert [line for line in done.stdout.splitlines() if line.isdigit()] == ["3", "7"]
    assert done.stderr == ""


def test_dask_programs_load_tls_fix(in_image: Run) -> None:
    """Importing distributed loads the fix that clears OpenSSL's error queue; other programs do not load it."""
    code = "import sys, {}; print('dask_hpc_startup.openssl' in sys.modules)"
    assert in_image("python", "-c", code.format("distributed")).stdout == "True\n"
    assert in_image("python", "-c", code.format("ssl")).stdout == "False\n"
