"""The SIF under test, $DASK_HPC_SIF or the result of `make sif`, and a mini-cluster of bare nodes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slurm_sim import Completed, SlurmSim
from tests.support import SimFor
from tests.support.turns import once

Inside = Callable[..., Completed]


@pytest.fixture(scope="session")
def sif(root: Path, shared_folder: Path) -> Path:
    """Path of the SIF, rebuilt only if the image has changed, and by only one process."""
    if "DASK_HPC_SIF" in os.environ:
        return Path(os.environ["DASK_HPC_SIF"])
    own = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    with once(shared_folder / "sif") as made:
        if not made:
            done = subprocess.run(["make", "sif"], cwd=root, env=own, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr
    return root / "dist/dask-hpc.sif"


@pytest.fixture(scope="session")
def slurm_sim_options(slurm_sim_options: dict[str, Any], sif: Path) -> dict[str, Any]:
    """Nodes with Slurm, PMIx and Apptainer, and the SIF on their shared file system."""
    return slurm_sim_options | {"bare": True, "sif": sif}


@pytest.fixture(scope="session")
def bare(slurm_sim_for: SimFor, request: pytest.FixtureRequest) -> SlurmSim:
    """Bare mini-cluster shared by all these tests."""
    return slurm_sim_for(request)


@pytest.fixture(scope="session")
def shared(sif: Path) -> str:
    """Path of the SIF in the mini-cluster."""
    return f"/shared/{sif.name}"


@pytest.fixture
def inside(bare: SlurmSim, shared: str) -> Inside:
    """Run a command in the SIF on the login node, as an ordinary user; `options` are Apptainer's."""

    def run(*command: str, options: tuple[str, ...] = (), **how: object) -> Completed:
        return bare.exec("apptainer", "exec", *options, shared, *command, timeout=150, **how)  # type: ignore[arg-type]

    return run


@pytest.fixture(scope="session")
def image(versions: dict[str, str]) -> str:
    """Image that the SIF is built from."""
    return os.environ.get("DASK_HPC_IMAGE", f"dask-hpc:{versions['VERSION']}")


@pytest.fixture(scope="session")
def image_files(image: str) -> dict[str, str]:
    """Files that identify the image, with their sha256."""
    paths = [f"/opt/env/share/dask-hpc/{name}" for name in ("env.json", "version.json")]
    paths += ["/opt/env/bin/dask-hpc", "/etc/os-release"]
    command = ["docker", "run", "--rm", "--network", "none", image, "sha256sum", *paths]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return {path: digest for digest, path in map(str.split, lines)}
