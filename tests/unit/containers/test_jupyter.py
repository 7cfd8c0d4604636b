"""The JupyterLab image."""

from __future__ import annotations

from pathlib import Path


def test_entrypoint_keeps_token_private(root: Path) -> None:
    """The entrypoint writes the token for its user alone, and passes on the file's name instead of a variable."""
    text = (root / "containers/jupyter/files/usr/local/sbin/jupyter-entrypoint").read_text(encoding="utf-8")
    assert "umask 077" in text
    assert "JUPYTER_TOKEN_FILE=" in text
    assert "JUPYTER_TOKEN=" not in text
