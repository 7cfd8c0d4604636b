"""Find the files of a mini-cluster, in the checkout or in the installed wheel."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).parent


@cache
def root() -> Path:
    """Return the folder that holds `compose/`, `containers/`, `slurm-sim/etc/` and `versions.env`."""
    packed = _PACKAGE / "_tree"
    return packed if packed.is_dir() else _PACKAGE.parents[2]


@cache
def versions() -> dict[str, str]:
    """Return the variables in `versions.env`."""
    lines = (root() / "versions.env").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def is_checkout() -> bool:
    """Return whether this runs from a checkout, which can build every image, rather than from a wheel."""
    return (root() / "Makefile").is_file()
