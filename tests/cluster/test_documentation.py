"""Every command in the README, in CONTRIBUTING and in the documentation works as written, in the given order."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.support.all_run import ALL

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
ELSEWHERE = {
    "make test": "this run",
    f"slurm-sim run --nodes 2 --get results -- {shlex.join(ALL)}": "tests/support/all_run.py, once for all",
}
"""Commands of console blocks that other tests run."""

ON_A_CLUSTER = {
    "apptainer test dask-hpc.sif": "apptainer/test_sif.py",
    "apptainer exec dask-hpc.sif python script.py": "apptainer/test_sif.py",
    "apptainer run-help dask-hpc.sif": "apptainer/test_sif.py",
    "export SLURM_PMIX_FENCE=ring": "apptainer/test_site_scripts.py",
    "srun --mpi=pmix -N 2 -n 4 apptainer exec": "apptainer/test_mpi.py",
    "dask-hpc cluster ": "cluster/test_documented_scripts.py",
    "dask-hpc run monte-carlo-pi --on mine": "cluster/test_documented_scripts.py",
    "./dask-hpc doctor": "apptainer/test_doctor_in_sif.py",
    "./dask-hpc jobqueue-config": "apptainer/test_doctor_in_sif.py",
    "./dask-hpc run monte-carlo-pi --on slurm": "apptainer/test_bridge.py",
    "./dask-hpc exec python driver.py": "apptainer/test_own_programs.py",
    "./dask-hpc exec python /opt/env/share/dask-hpc/workloads/tutorial.py": "apptainer/test_tutorial.py",
    "sbatch slurmcluster-driver.sbatch": "apptainer/test_site_scripts.py",
    "python -m venv --system-site-packages ~/envs/mine": "cluster/test_virtual_environment.py",
    "~/envs/mine/bin/pip install": "cluster/test_virtual_environment.py",
    "~/envs/mine/bin/python my_program.py": "cluster/test_virtual_environment.py",
    "python -m build --wheel": "cluster/conftest.py",
    "pip install dist/slurm_sim-0.1.0-py3-none-any.whl": "cluster/test_plugin.py",
    ".venv/bin/python workloads/my_thing.py": "unit/workloads/test_alone.py",
    "PYTHONPATH=containers/dask-hpc/src .venv/bin/python -m dask_hpc run": "unit/dask_hpc/test_cli.py",
    "export SLURM_JWT=$(slurm-sim token)": "cluster/test_rest.py",
    "curl --header @- http://127.0.0.1:PORT/slurm": "cluster/test_rest.py",
    "ssh -F $(slurm-sim ssh-config)": "cluster/test_ssh.py",
    "scp -F $(slurm-sim ssh-config)": "cluster/test_ssh.py",
    "rsync -a --rsh": "cluster/test_ssh.py",
    "make soak ROUNDS=5 ARGS=": "unit/tests/test_soak.py",
    "ENV=my-environment.yml make sif": "images/test_own_environment.py",
    "ENV=my-environment.yml make lock": "images/test_own_environment.py",
}
"""Commands of text blocks, which need a user's own files or a real cluster, and the tests that run them."""


def blocks(language: str, pages: list[Path] = PAGES) -> list[str]:
    """Return the code blocks in a language, page by page."""
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def commands(pages: list[Path] = PAGES) -> list[list[str]]:
    """Return the commands of each block of console input."""
    found = blocks("console", pages)
    return [[line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ ")] for block in found]


def longest(found: list[list[str]]) -> list[list[str]]:
    """Drop each block whose commands are all in a longer block, or in an earlier equal one."""
    return [
        block
        for number, block in enumerate(found)
        if not any(set(block) < set(other) for other in found) and block not in found[:number]
    ]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("block", longest(commands()), ids=lambda block: block[0])
def test_documented_commands_succeed(block: list[str], root: Path, tmp_path: Path) -> None:
    """The commands of each block exit with status 0, one after the other."""
    for name in ("apptainer", "dist", "workloads"):  # the commands read these, and write beside the links
        (tmp_path / name).symlink_to(root / name)
    for example in blocks("toml"):
        first = example.partition("\n")[0]
        (tmp_path / first.removeprefix("# ")).write_text(example, encoding="utf-8")
    own = {"PATH": f"{root / '.venv' / 'bin'}:{os.environ['PATH']}", "SLURM_SIM_NAME": "slurm-sim-documentation"}
    for command in block:
        if command in ELSEWHERE:
            continue
        folder = root if command.startswith("make") else tmp_path
        done = subprocess.run(
            shlex.split(command), cwd=folder, env=os.environ | own, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def test_text_block_commands_have_tests(root: Path) -> None:
    """Each line of a text block starts with a command that a test file runs."""
    lines = [line for block in blocks("text") for line in block.splitlines() if line.strip()]
    assert [line for line in lines if not line.startswith(tuple(ON_A_CLUSTER))] == []
    assert [name for name in ON_A_CLUSTER.values() if not (root / "tests" / name).is_file()] == []


@pytest.mark.parametrize("block", blocks("python"), ids=lambda block: block.strip().splitlines()[0])
def test_python_examples_are_valid(block: str) -> None:
    """Each example compiles, and the names that it imports from us exist."""
    compile(block, "example", "exec")
    for line in re.findall(r"^from (?:dask_hpc|slurm_sim)\S* import .*$", block, re.MULTILINE):
        exec(line, {})


def test_ci_runs_readme_test_command(root: Path) -> None:
    """`.ci/run` ends in the second of the README's two commands."""
    last = (root / ".ci" / "run").read_text(encoding="utf-8").splitlines()[-1]
    assert [block for block in commands(PAGES[:1]) if len(block) == 1][:2] == [["make demo"], [last]]


def test_make_help_lists_every_target(root: Path) -> None:
    """`make help` lists every target that the Makefile declares."""
    declared = re.findall(r"^\.PHONY: (.*)$", (root / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    shown = subprocess.run(["make", "help"], cwd=root, capture_output=True, text=True, check=True).stdout
    helped = re.findall(r"^  \x1b\[36m(\S+) *\x1b\[0m +\S", shown, re.MULTILINE)
    assert sorted(helped) == sorted(target for line in declared for target in line.split())


def test_commands_run_elsewhere_are_documented() -> None:
    """Every command that is listed as run by another test is on a page."""
    assert set(ELSEWHERE) <= {command for block in commands() for command in block}
    text = "\n".join(blocks("text"))
    assert [command for command in ON_A_CLUSTER if command not in text] == []
