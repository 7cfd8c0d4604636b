"""Run the environment's commands in the active virtual environment, if that was made from this environment.

After `source ~/envs/mine/bin/activate`, `python` is the virtual environment's, but `dask-hpc`, `dask-mpi` and `pytest`
are still files in the environment's own `bin`, whose first line names the environment's own Python. It does not see
packages in `~/envs/mine`.
"""

from __future__ import annotations

import os
import sys


def follow_active() -> None:
    """Restart in the active virtual environment, if this process runs one of the environment's own commands."""
    folder = os.environ.get("VIRTUAL_ENV")
    if folder and sys.prefix == sys.base_prefix and _is_command(sys.orig_argv) and is_ours(folder):
        python = f"{folder}/bin/python"
        os.execv(python, [python, *sys.orig_argv[1:]])  # noqa: S606 (replaces this process)


def _is_command(words: list[str]) -> bool:
    return len(words) > 1 and os.path.dirname(words[1]) == f"{sys.base_prefix}/bin"  # noqa: PTH120


def is_ours(folder: str) -> bool:
    """Return whether a virtual environment was made from this environment, and sees its packages."""
    try:
        with open(f"{folder}/pyvenv.cfg", encoding="utf-8") as file:  # noqa: PTH123
            settings = dict(line.split("=", 1) for line in file.read().replace(" ", "").splitlines() if "=" in line)
    except (OSError, ValueError):
        return False
    ours = settings.get("home") == f"{sys.base_prefix}/bin"
    return ours and settings.get("include-system-site-packages") == "true"
