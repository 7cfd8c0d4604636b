"""base.sh: which base image is used."""

from __future__ import annotations

from pathlib import Path

from tests.support.scripts import assert_explained, run


def test_a_base_that_is_neither_is_refused(tree: Path, tmp_path: Path) -> None:
    """BASE is `pull` or `bootstrap`; anything else is named, and is not remembered."""
    done = run([tree / "containers/base.sh"], BASE="nonsense", DASK_HPC_CACHE=str(tmp_path))
    what, seen, _todo = assert_explained(done, "base")
    assert "BASE=nonsense" in what
    assert "bootstrap" in seen
    assert not (tmp_path / "base/choice").exists()


def test_a_forced_base_is_remembered(tree: Path, tmp_path: Path) -> None:
    """BASE=pull prints the pinned image, by digest; without BASE, the same choice holds from then on."""
    first = run([tree / "containers/base.sh"], BASE="pull", DASK_HPC_CACHE=str(tmp_path))
    again = run([tree / "containers/base.sh"], DASK_HPC_CACHE=str(tmp_path))
    assert first.returncode == again.returncode == 0
    assert first.stdout == again.stdout
    assert first.stdout.startswith("docker-image://docker.io/library/debian:")
    assert "@sha256:" in first.stdout
