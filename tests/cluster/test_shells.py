"""The environment is active in every shell of a node, and in every kind of job."""

from __future__ import annotations

import itertools
import shlex
import subprocess

import pytest

from slurm_sim import SlurmSim
from tests.support.command import SLURM_SIM, slurm_sim_command

ASK = "command -v python; command -v dask-hpc; echo $OMP_NUM_THREADS $PMIX_MCA_gds"
THERE = "/opt/env/bin/python\n/opt/env/bin/dask-hpc\n1 hash\n"


@pytest.mark.parametrize("on", ["login", "c1"])
@pytest.mark.parametrize("shell", [("bash", "-lc"), ("env", "-i", "HOME=/home/hpc", "bash", "-lc"), ("bash", "-ic")])
def test_environment_is_active_on_nodes(slurm_sim: SlurmSim, on: str, shell: tuple[str, ...]) -> None:
    """Login, clean and interactive shells on the login node and on a compute node have the environment."""
    assert slurm_sim.exec(*shell, ASK, on=on).stdout == THERE


SCRIPTS = list(itertools.product(["#!/bin/bash", "#!/bin/bash -l", "#!/bin/sh"], [(), ("--export=NONE",)]))
SCRIPTS += [("#!/bin/bash", ("--get-user-env",)), ("#!/bin/bash -l", ("--export=NIL",))]


@pytest.mark.parametrize(
    ("first", "options"), SCRIPTS, ids=lambda part: " ".join(part) if isinstance(part, tuple) else part
)
def test_environment_is_active_in_batch_scripts(slurm_sim: SlurmSim, first: str, options: tuple[str, ...]) -> None:
    """A job has the environment, regardless of its script's first line and of the variables that it inherits.

    With --export=NIL, only a login shell has it.
    """
    slurm_sim.exec("sbatch", "--wait", "--output=job.out", *options, stdin=f"{first}\n{ASK}\n", timeout=150)
    assert slurm_sim.exec("cat", "job.out").stdout == THERE


def test_export_none_uses_login_variables(slurm_sim: SlurmSim) -> None:
    """With --export=NONE, a job has its user's login variables; if a login file hangs or fails, the last known ones."""
    # One login file sleeps for longer than the prolog waits for it.
    script = """
sbatch() { command sbatch --quiet --wait --export=NONE --output=job.out; cat job.out; }
mv .profile profile; trap 'mv profile .profile' EXIT
for text in 'export MINE=1' 'export MINE=2; sleep 60' 'export MINE=3; exit 1'; do
  echo "$text" >.profile
  printf '#!/bin/bash\necho mine $MINE\n' | sbatch
done
"""
    assert slurm_sim.exec("bash", "-c", script, timeout=150).stdout == "mine 1\n" * 3
    assert "down" not in slurm_sim.exec("sinfo", "--noheader", "--format=%T").stdout


def test_environment_is_active_in_slurm_sim_shell(slurm_sim: SlurmSim) -> None:
    """`slurm-sim shell` opens a login shell, with a terminal or without."""
    words = ["shell", "--name", slurm_sim.name]
    assert slurm_sim_command(*words, stdin=ASK.encode()).stdout.decode() == THERE
    terminal = ["script", "--quiet", "--return", "--command", shlex.join([SLURM_SIM, *words]), "/dev/null"]
    done = subprocess.run(terminal, input=f"{ASK}\nexit\n", capture_output=True, check=True, text=True, timeout=150)
    assert THERE in done.stdout.replace("\r", "")


def test_environment_is_active_in_steps(slurm_sim: SlurmSim) -> None:
    """srun passes the environment on, and a login shell in a step has it even with --export=NONE."""
    assert slurm_sim.exec("srun", "--quiet", "sh", "-c", ASK, timeout=150).stdout == THERE
    clean = ("srun", "--quiet", "--export=NONE", "/bin/bash", "-lc", ASK)
    assert slurm_sim.exec(*clean, timeout=150).stdout == THERE
