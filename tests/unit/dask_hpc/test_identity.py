"""The environment's identity."""

from __future__ import annotations

from pathlib import Path

from dask_hpc.identity import Identity, environment


def test_reads_identity_of_environment(tmp_path: Path) -> None:
    """The identity is read from a valid file; a missing or invalid file gives an empty one."""
    file = tmp_path / "env.json"
    assert environment(file) == Identity()
    file.write_text('{"schema":1,"lock_sha256":"abc","channel":"local","drifted":true,"more":1}')
    assert environment(file) == Identity("abc", "local", True)
    file.write_text("banana")
    assert environment(file) == Identity()
