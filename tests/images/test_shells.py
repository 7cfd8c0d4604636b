"""The environment is active in every shell, even one that starts without the image's variables."""

from __future__ import annotations

import pytest

from tests.images.conftest import Run

ASK = 'command -v python; command -v dask-hpc; echo "$OMP_NUM_THREADS $PYTHONNOUSERSITE $PMIX_MCA_gds $LANG"'
THERE = "/opt/env/bin/python\n/opt/env/bin/dask-hpc\n1 1 hash C.UTF-8\n"
CLEAN = ("env", "-i", "HOME=/home/hpc", "TERM=dumb")
SHELLS = [
    ("bash", "-c"),
    ("bash", "-lc"),
    ("bash", "-ic"),
    ("bash", "-lic"),
    ("sh", "-c"),
    ("sh", "-lc"),
    (*CLEAN, "bash", "-lc"),
    (*CLEAN, "bash", "-ic"),
    (*CLEAN, "bash", "-lic"),
    (*CLEAN, "sh", "-lc"),
]


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_environment_is_active(in_image: Run, shell: tuple[str, ...]) -> None:
    """Login, interactive and clean shells have the environment's commands and variables."""
    assert in_image(*shell, ASK).stdout == THERE


@pytest.mark.parametrize("command", [("su", "-", "hpc", "-c"), ("su", "hpc", "-c")], ids=" ".join)
def test_environment_is_active_through_pam(in_image: Run, command: tuple[str, ...]) -> None:
    """PAM, which sshd, cron and su use, sets the variables from /etc/environment."""
    done = in_image(*CLEAN, *command, ASK, options=("--user", "root"))
    assert done.stdout == THERE


def test_user_variables_take_precedence(in_image: Run) -> None:
    """Variables set before a login shell starts are kept, and the user's own shell files have the last word."""
    given = in_image(*CLEAN, "OMP_NUM_THREADS=4", "bash", "-lc", "echo $OMP_NUM_THREADS")
    assert given.stdout == "4\n"
    script = """
mkdir ~/mine && printf '#!/bin/sh\\necho mine\\n' >~/mine/python && chmod +x ~/mine/python
for file in .bash_profile .bashrc; do echo 'PATH=~/mine:$PATH OMP_NUM_THREADS=8' >~/$file; done
env -i HOME=$HOME bash -lc 'python; echo $OMP_NUM_THREADS'
env -i HOME=$HOME bash -ic 'python; echo $OMP_NUM_THREADS'
"""
    assert in_image("bash", "-c", script).stdout == "mine\n8\n" * 2


def test_paths_are_not_repeated(in_image: Run) -> None:
    """In nested shells, PATH contains the folder once, in its original position."""
    nested = 'bash -ic \'bash -lic "bash -ic \\"echo \\\\\\$PATH\\""\''
    seen = in_image("sh", "-c", nested).stdout.strip().split(":")
    assert seen.count("/opt/env/bin") == 1
    own = in_image("env", "PATH=/usr/bin:/opt/env/bin:/bin", "bash", "-ic", "echo $PATH").stdout
    assert own == "/usr/bin:/opt/env/bin:/bin\n"


def test_shell_files_set_image_variables(in_image: Run) -> None:
    """Both files set every variable that the image's configuration sets, except PATH."""
    script = "env; echo; cat /etc/environment; echo; cat /etc/profile.d/dask-hpc.sh"
    said, environment, profile = in_image("sh", "-c", script).stdout.split("\n\n")
    names = {entry.partition("=")[0] for entry in said.splitlines()}
    ours = {name for name in names if name.startswith(("OMP", "OPENBLAS", "MKL", "PMIX", "PRTE"))}
    ours |= {"LANG", "PYTHONNOUSERSITE"}
    assert {line.partition("=")[0] for line in environment.splitlines()} == {*ours, "PATH"}
    assert {
        line.split("=")[0].split()[1] for line in profile.splitlines() if line.startswith("export ") and "=" in line
    } == ours
