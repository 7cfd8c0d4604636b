"""Run the command `dask-hpc` in this process or as a program, and write workloads for it."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

import dask_hpc
from dask_hpc.cli import main
from dask_hpc.tutorial.workload import Checks, Outcome, Workload

PACKAGE = Path(dask_hpc.__file__).parents[1]


def invoke(*args: str) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(main, args, prog_name="dask-hpc")


def refused(*args: str) -> str:
    """Assert that the command rejects its input with status 2 and no traceback; return its output on one line."""
    done = invoke(*args)
    assert done.exit_code == 2, done.output
    assert "Traceback" not in done.output
    return " ".join(done.output.split())


def command(*args: str, **env: str) -> subprocess.Popen[str]:
    """Start the command as a separate program."""
    return subprocess.Popen(
        [sys.executable, "-m", "dask_hpc", *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PACKAGE), **env},
    )


def write(folder: Path, name: str, body: str, declared: str = "", parameters: str = "") -> None:
    """Write a workload whose checks are a function with this body.

    Args:
        folder: folder of workloads.
        name: name of the file, without its suffix.
        body: body of the function that returns an outcome.
        declared: arguments of `@checks`.
        parameters: parameters of `main` and of the function, with defaults.
    """
    names = "Check, Count, Need, Outcome, checks"
    head = f'"""The checks of a workload of a test."""\nfrom dask_hpc.tutorial import {names}\n\n'
    lines = textwrap.indent(textwrap.dedent(body), "    ")
    script(folder, name, "raise NotImplementedError", parameters)
    (folder / "checks").mkdir(exist_ok=True)
    (folder / "checks" / f"{name}.py").write_text(
        f"{head}@checks({declared})\ndef outcome(client, {parameters}):\n{lines}\n"
    )


def script(folder: Path, name: str, body: str, parameters: str = "") -> None:
    """Write a workload without checks, whose `main` has this body."""
    lines = textwrap.indent(textwrap.dedent(body), "    ")
    (folder / f"{name}.py").write_text(f'"""A workload of a test."""\n\ndef main(client, {parameters}):\n{lines}\n')


def declared(run: Callable[..., Outcome] | None = None, **declarations: Any) -> Workload:
    """Return a workload with these declarations, whose checks are `run`."""

    def never(client: object) -> Outcome:
        raise NotImplementedError

    function = run or never
    name = function.__name__.replace("_", "-") if run else "some"
    return Workload(name=name, checks=Checks(run=function, **declarations))
