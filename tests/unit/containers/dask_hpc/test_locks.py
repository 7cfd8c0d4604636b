"""The committed locks."""

from tests.support import tiny

LOCKS = tiny.ROOT / "containers/dask-hpc/locks"


def test_committed_lock_has_hashes_and_no_local_path() -> None:
    """The committed lock has a sha256 for every package, and no path but the mount point."""
    text = (LOCKS / "local-linux-64.lock").read_text()
    packages = [line for line in text.splitlines() if line.startswith("- conda: ")]
    assert len(packages) == text.count("\n  sha256: ") > 40
    assert all(line.startswith("- conda: /channel/linux-64/") for line in packages)
    assert "indexed_timestamp" not in text
