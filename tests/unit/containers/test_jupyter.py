"""The JupyterLab image."""

from __future__ import annotations

from pathlib import Path


def test_the_token_is_where_nobody_else_looks(root: Path) -> None:
    """The entrypoint writes it for its user alone, and hands it on by the file's name, not in a variable."""
    text = (root / "containers/jupyter/files/usr/local/sbin/jupyter-entrypoint").read_text(encoding="utf-8")
    assert "umask 077" in text
    assert "JUPYTER_TOKEN_FILE=" in text
    assert "JUPYTER_TOKEN=" not in text
