"""A build that fails gives the reason, and damages nothing that exists."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small disk and to remove the network")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of 8 MB."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(tmp_path)], check=True)
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def base(root: Path, cache: Path, *before: str) -> subprocess.CompletedProcess[str]:
    """Bootstrap a base image into its own cache."""
    own = os.environ | {"DASK_HPC_CACHE": str(cache), "BASE": "bootstrap"}
    return subprocess.run(
        [*before, root / "containers" / "base.sh"], env=own, capture_output=True, text=True, check=False
    )


def test_full_disk_fails_bootstrap(root: Path, small_disk: Path) -> None:
    """If the base image does not fit on the disk, the error says so, and partial files are removed."""
    done = base(root, small_disk)
    assert done.returncode == 1
    assert "could not bootstrap Debian" in done.stderr
    assert "disk" in done.stderr
    assert not list(small_disk.glob("base/*.tar*"))


def test_bootstrap_fails_without_network(root: Path, tmp_path: Path) -> None:
    """If Debian's mirror is unreachable, the error says so, and no partial base image is kept."""
    done = base(root, tmp_path, "unshare", "--net")
    assert done.returncode == 1
    assert "mirror" in done.stderr
    assert not list(tmp_path.glob("base/*.tar*"))


def test_build_fails_without_network(root: Path, versions: dict[str, str]) -> None:
    """A stage that needs packages says that it cannot reach the mirror."""
    context = f"base=docker-image://slurm-sim/login:{versions['SLURM_VERSION']}"
    build = ["docker", "buildx", "build", "--network=none", "--no-cache", f"--build-context={context}"]
    stage = ["--target=runtime", f"--file={root}/containers/dask-hpc/Dockerfile", str(root)]
    done = subprocess.run([*build, *stage], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "check that a build can reach the mirror" in done.stderr
