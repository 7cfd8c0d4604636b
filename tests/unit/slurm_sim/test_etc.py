"""Slurm's configuration files."""

from __future__ import annotations

import re
from pathlib import Path


def test_slurm_conf_is_short(root: Path) -> None:
    """slurm.conf has at most 40 lines without comments, no template, and the URL of its reference."""
    text = (root / "slurm-sim/etc/slurm.conf").read_text(encoding="utf-8")
    live = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert len(live) <= 40
    assert not re.search(r"\{\{|\$\{", text)
    assert "https://slurm.schedmd.com/slurm.conf.html" in text


def test_slurm_conf_sets_every_key_once(root: Path) -> None:
    """No key is set twice: the second line would silently override the first."""
    lines = (root / "slurm-sim/etc/slurm.conf").read_text(encoding="utf-8").splitlines()
    keys = [line.partition("=")[0] for line in lines if line and not line.startswith("#")]
    assert len(keys) == len(set(keys))
