"""Open MPI's settings for a rank, and notes on errors."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dask_hpc_startup import ranks
from dask_hpc_startup.ranks import crowded, roomier, settings, unsupported

SRUN = {"PMIX_NAMESPACE": "slurm.pmix.7.0", "OMPI_COMM_WORLD_LOCAL_SIZE": "9"}  # the latter from an outer mpirun
MPIRUN = {"PMIX_NAMESPACE": "prterun-c1-12@1", "SLURM_STEP_TASKS_PER_NODE": "9"}


@pytest.mark.parametrize(
    ("environ", "more"),
    [
        ({}, False),
        (SRUN | {"SLURM_STEP_TASKS_PER_NODE": "2(x2),8", "SLURM_NODEID": "1", "SLURM_CPUS_ON_NODE": "2"}, False),
        (SRUN | {"SLURM_STEP_TASKS_PER_NODE": "2(x2),8", "SLURM_NODEID": "2", "SLURM_CPUS_ON_NODE": "2"}, True),
        (SRUN | {"SLURM_STEP_TASKS_PER_NODE": "2", "SLURM_NODEID": "5"}, False),
        (SRUN | {"SLURM_STEP_TASKS_PER_NODE": "5", "SLURM_NODEID": "0"}, True),
        (SRUN | {"SLURM_STEP_TASKS_PER_NODE": "none", "SLURM_NODEID": "first"}, False),
        (MPIRUN | {"OMPI_COMM_WORLD_LOCAL_SIZE": "4"}, False),
        (MPIRUN | {"OMPI_COMM_WORLD_LOCAL_SIZE": "5"}, True),
        (MPIRUN | {"OMPI_COMM_WORLD_LOCAL_SIZE": "5", "SLURM_CPUS_ON_NODE": "8"}, False),
    ],
)
def test_detects_more_ranks_than_cpus(environ: dict[str, str], *, more: bool) -> None:
    """On a machine with four CPUs, the ranks of a node are compared with its CPUs or with the job's."""
    assert crowded(environ, 4) is more


@pytest.mark.parametrize(
    ("shm", "other", "elsewhere"),
    [(64 << 20, 9 << 30, True), (1 << 30, 9 << 30, False), (64 << 20, 32 << 20, False), (None, 9 << 30, True)],
    ids=["Docker's default", "large enough", "nowhere more", "none"],
)
def test_puts_windows_into_folder_with_space(
    monkeypatch: pytest.MonkeyPatch, shm: int | None, other: int, elsewhere: bool
) -> None:
    """A folder with more free space is preferred to a small /dev/shm."""
    room = {"/dev/shm": shm, "/tmp": other}

    def statvfs(folder: Path) -> Any:
        free = room[str(folder)]
        if free is None:
            raise FileNotFoundError
        return SimpleNamespace(f_bavail=free >> 10, f_frsize=1 << 10)

    monkeypatch.setattr(os, "statvfs", statvfs)
    monkeypatch.setattr(os, "access", lambda *_: True)
    assert roomier(Path("/dev/shm"), Path("/tmp")) == (Path("/tmp") if elsewhere else None)


def test_user_settings_win(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables that are set stay; unset ones get a value for this machine."""
    monkeypatch.setattr(ranks, "settings", lambda _: {"OMPI_MCA_A": "ours", "OMPI_MCA_B": "ours"})
    monkeypatch.setenv("OMPI_MCA_A", "mine")
    monkeypatch.setenv("PATH", "/mine")
    monkeypatch.setenv("OMPI_MCA_B", "")
    monkeypatch.delenv("OMPI_MCA_B")
    ranks.load(lambda: None)
    assert os.environ["PATH"] == f"/mine:{sys.base_prefix}/bin"
    assert (os.environ["OMPI_MCA_A"], os.environ["OMPI_MCA_B"]) == ("mine", "ours")


def test_sets_prefix_of_open_mpi_while_loading(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """OPAL_PREFIX is set while MPI is loaded, and then removed; a value set by the user is kept."""
    (tmp_path / "share/openmpi").mkdir(parents=True)
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path))
    monkeypatch.setattr(ranks, "settings", lambda _: {})
    seen = []
    monkeypatch.setenv("PATH", "/mine")
    monkeypatch.delenv("OPAL_PREFIX", raising=False)
    ranks.load(lambda: seen.append(os.environ["OPAL_PREFIX"]))
    assert (seen.pop(), "OPAL_PREFIX" in os.environ) == (str(tmp_path), False)
    monkeypatch.setenv("OPAL_PREFIX", "/mine")
    ranks.load(lambda: seen.append(os.environ["OPAL_PREFIX"]))
    assert (seen.pop(), os.environ["OPAL_PREFIX"]) == ("/mine", "/mine")


@pytest.mark.parametrize(("interfaces", "set_"), [(["lo"], True), (["lo", "eth0"], False)], ids=["none", "a network"])
def test_uses_loopback_without_network(monkeypatch: pytest.MonkeyPatch, interfaces: list[str], *, set_: bool) -> None:
    """Without a network, a rank reaches the processes that it starts over loopback."""
    monkeypatch.setattr(socket, "if_nameindex", lambda: list(enumerate(interfaces, 1)))
    assert settings({}).get(ranks.LOOPBACK) == ("" if set_ else None)


def test_excludes_ucx_without_fabric(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """UCX is excluded without a fabric; with one, Open MPI chooses."""
    monkeypatch.setattr(ranks, "_FABRICS", tmp_path)
    assert ranks.ONE_SIDED not in settings({})
    monkeypatch.setattr(ranks, "_FABRICS", tmp_path / "none")
    assert settings({})[ranks.ONE_SIDED] == "^ucx"


@pytest.mark.parametrize(
    ("function", "environ", "told"),
    [
        ("mpi4py.MPI.Intracomm.Spawn", SRUN | {"PMIX_RANK": "0"}, True),
        ("mpi4py.MPI.Intracomm.Spawn", MPIRUN | {"PMIX_RANK": "0"}, False),
        ("mpi4py.MPI.Intracomm.Spawn", {}, False),
        ("mpi4py.MPI.Comm.Send", SRUN | {"PMIX_RANK": "0"}, False),
    ],
)
def test_explains_calls_that_pmix_lacks(function: str, environ: dict[str, str], told: bool) -> None:
    """Only calls that need a service that Slurm's PMIx lacks, in a rank started by srun, are explained."""
    code = SimpleNamespace(co_name=function)
    trace: Any = SimpleNamespace(tb_next=SimpleNamespace(tb_next=None, tb_frame=SimpleNamespace(f_code=code)))
    said = unsupported(trace, environ)
    assert said.startswith("Spawn does not work in ranks that srun has started") if told else said == ""
    assert unsupported(None, environ) == ""
