"""Every command in the README works as written, in the given order."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.support.all_run import ALL

README = Path(__file__).parents[2] / "README.md"
ELSEWHERE = {
    "make test": "this very run",
    f"slurm-sim run --nodes 2 --get results -- {shlex.join(ALL)}": "tests/support/all_run.py, once for all",
}
"""Commands that are run by other tests."""


def blocks() -> list[list[str]]:
    """The commands of each block of console input."""
    found = re.findall(r"```console\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    return [[line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ ")] for block in found]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("commands", blocks(), ids=lambda commands: commands[0])
def test_readme_commands_succeed(commands: list[str], root: Path, tmp_path: Path) -> None:
    """The commands of each block exit with status 0, one after the other."""
    for name in ("apptainer", "dist", "workloads"):  # the commands read these, and write beside the links
        (tmp_path / name).symlink_to(root / name)
    own = {"PATH": f"{root / '.venv' / 'bin'}:{os.environ['PATH']}", "SLURM_SIM_NAME": "slurm-sim-readme"}
    for command in commands:
        if command in ELSEWHERE:
            continue
        folder = root if command.startswith("make") else tmp_path
        done = subprocess.run(
            shlex.split(command), cwd=folder, env=os.environ | own, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def test_ci_runs_readme_test_command(root: Path) -> None:
    """`.ci/run` ends in the second of the README's two commands."""
    last = (root / ".ci" / "run").read_text(encoding="utf-8").splitlines()[-1]
    assert [commands for commands in blocks() if len(commands) == 1][:2] == [["make demo"], [last]]


def test_make_help_lists_every_target(root: Path) -> None:
    """`make help` lists every target that the Makefile declares."""
    declared = re.findall(r"^\.PHONY: (.*)$", (root / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    shown = subprocess.run(["make", "help"], cwd=root, capture_output=True, text=True, check=True).stdout
    helped = re.findall(r"^  \x1b\[36m(\S+) *\x1b\[0m +\S", shown, re.MULTILINE)
    assert sorted(helped) == sorted(target for line in declared for target in line.split())


def test_commands_run_elsewhere_are_in_readme() -> None:
    """Every command listed as run by another test is in the README."""
    assert set(ELSEWHERE) <= {command for block in blocks() for command in block}
