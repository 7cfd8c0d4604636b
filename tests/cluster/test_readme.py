"""Every command of the README works as it is written, in the order in which it is written."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"
# This very run is the second of the two commands.
ELSEWHERE = {"make test"}


def blocks() -> list[list[str]]:
    """The commands of each block of console input."""
    found = re.findall(r"```console\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    return [[line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ ")] for block in found]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("commands", blocks(), ids=lambda commands: commands[0])
def test_commands_of_the_readme(commands: list[str], root: Path, tmp_path: Path) -> None:
    """A block's commands end with status 0, one after the other."""
    for name in ("apptainer", "dist"):  # what the commands copy; what they write stays out of the checkout
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


def test_ci_runs_the_test_command_of_the_readme(root: Path) -> None:
    """`.ci/run` ends in the README's test command."""
    assert "make test" in (root / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def test_every_target_of_make_has_its_line_of_help(root: Path) -> None:
    """`make help` lists every target that the Makefile declares."""
    declared = re.findall(r"^\.PHONY: (.*)$", (root / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    shown = subprocess.run(["make", "help"], cwd=root, capture_output=True, text=True, check=True).stdout
    assert all(target in shown for line in declared for target in line.split())
