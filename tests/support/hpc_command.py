"""Run the command `dask-hpc` in this process or as a program, and write workloads for it."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

from click.testing import CliRunner, Result

import dask_hpc
from dask_hpc.cli import main

PACKAGE = Path(dask_hpc.__file__).parents[1]


def invoke(*args: str) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(main, args, prog_name="dask-hpc")


def command(*args: str, **env: str) -> subprocess.Popen[str]:
    """Start the command as a separate program."""
    return subprocess.Popen(
        [sys.executable, "-m", "dask_hpc", *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PACKAGE), **env},
    )


def write(folder: Path, name: str, body: str, options: str = "", parameters: str = "") -> None:
    """Write a workload from a function's body, the arguments of `@workload` and the function's parameters."""
    names = "Check, Count, Need, Outcome, workload"
    head = f'"""A workload of a test."""\nimport click\nfrom dask_hpc.tutorial import {names}\n\n'
    lines = textwrap.indent(textwrap.dedent(body), "    ")
    (folder / f"{name}.py").write_text(f"{head}@workload({options})\ndef {name}(client, {parameters}):\n{lines}\n")
