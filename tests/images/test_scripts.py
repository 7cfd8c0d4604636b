"""The workloads as a learner runs them: scripts in an environment that has no `dask_hpc`."""

from __future__ import annotations

import pytest

from tests.images.conftest import Run

FOLDER = "/opt/env/share/dask-hpc/workloads"
WITHOUT = "rm -r /opt/env/lib/python3.13/site-packages/dask_hpc* && cd /tmp && cp {folder}/{name} . && exec setpriv \
    --reuid hpc --regid hpc --clear-groups env HOME=/tmp {command}"
"""Shell code for root: remove the package, then run a copy of the script as an ordinary user."""


def alone(in_image: Run, name: str, *launcher: str) -> str:
    """Run a workload's script without `dask_hpc`; it must succeed with nothing on standard error."""
    line = WITHOUT.format(folder=FOLDER, name=name, command=" ".join([*launcher, "python", name]))
    done = in_image("sh", "-c", line, options=("--user", "0"))
    assert done.stderr == ""
    return done.stdout


def test_package_is_removed(in_image: Run) -> None:
    """The environment of these tests cannot import `dask_hpc`."""
    line = WITHOUT.format(folder=FOLDER, name="tutorial.py", command="python -c 'import dask_hpc'")
    done = in_image("sh", "-c", line, options=("--user", "0"), check=False)
    assert done.returncode == 1
    assert "ModuleNotFoundError: No module named 'dask_hpc'" in done.stderr


@pytest.mark.parametrize("ranks", [2, 4])
def test_every_rank_says_hello(in_image: Run, ranks: int) -> None:
    """Rank 0 is Dask's scheduler and client, all others are workers, and all ranks end."""
    said = alone(in_image, "mpi_hello.py", "mpirun", "-n", str(ranks)).splitlines()
    assert [line.split(" on ")[0] for line in said[:-1]] == [f"rank {rank} of {ranks}" for rank in (0, *range(ranks))]
    assert said[-1] == "ring of workers: " + " → ".join(map(str, range(ranks - 1)))


@pytest.mark.parametrize("ranks", [2, 4])
def test_every_worker_computes_squares(in_image: Run, ranks: int) -> None:
    """All ranks but the first compute, and the squares add up."""
    total, *workers = alone(in_image, "dask_mpi.py", "mpirun", "-n", str(ranks)).splitlines()
    assert "the squares add up to 332833500" in total
    assert len(workers) == ranks - 1


def test_mpi_runs_inside_dask_tasks(in_image: Run) -> None:
    """The power iteration on three workers finds the largest eigenvalue: n/2, as for every such matrix."""
    said = dict(line.split(": ") for line in alone(in_image, "hybrid_mpi.py", "mpirun", "-n", "4").splitlines())
    assert float(said["eigenvalue"]) == pytest.approx(1000, rel=0.02)
    assert float(said["residual"]) < 1e-10


def test_error_on_one_rank_ends_all(in_image: Run) -> None:
    """If Dask cannot start on rank 0, the other ranks do not wait for it."""
    line = WITHOUT.format(folder=FOLDER, name="mpi_hello.py", command="mpirun -n 3 python mpi_hello.py")
    breaks = f"sed -i 's/127.0.0.1/no-such-host/' {FOLDER}/mpi_hello.py; "
    done = in_image("sh", "-c", breaks + line, options=("--user", "0"), check=False)
    assert done.returncode != 0
    assert "Cluster failed to start" in done.stderr


@pytest.mark.parametrize("name", ["mpi_hello.py", "dask_mpi.py", "hybrid_mpi.py"])
def test_mpi_script_says_how_to_start_it(in_image: Run, name: str) -> None:
    """Without mpirun, the script exits at once with the command to type."""
    line = WITHOUT.format(folder=FOLDER, name=name, command=f"python {name}")
    done = in_image("sh", "-c", line, options=("--user", "0"), check=False)
    assert done.returncode == 1
    assert f"mpirun -n 4 python {name}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["monte_carlo_pi.py", "local_cluster.py", "tutorial.py"])
def test_script_runs_without_dask_hpc(in_image: Run, name: str) -> None:
    """Scripts run without `dask_hpc`, with worker processes and TLS where the environment supports them."""
    line = WITHOUT.format(folder=FOLDER, name=name, command=f"python {name}")
    done = in_image("sh", "-c", line, options=("--user", "0"))
    assert "π" in done.stdout
    assert "Traceback" not in done.stderr
