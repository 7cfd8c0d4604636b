"""Run the command `slurm-sim` as a user does, and list what the engine has of a mini-cluster."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from pathlib import Path

from slurm_sim._docker import docker

SLURM_SIM = str(Path(sys.executable).with_name("slurm-sim"))


def slurm_sim_command(*arguments: str, stdin: bytes = b"", timeout: float = 150) -> subprocess.CompletedProcess[bytes]:
    """Run `slurm-sim`, and return its output as bytes."""
    return subprocess.run(
        [SLURM_SIM, *arguments], input=stdin, capture_output=True, timeout=timeout, env=environment(), check=False
    )


def environment() -> dict[str, str]:
    """Return this process's environment, without the name of a mini-cluster."""
    return {name: value for name, value in os.environ.items() if name != "SLURM_SIM_NAME"}


def refused(*arguments: str, status: int = 2) -> str:
    """Run `slurm-sim`, which must exit with that status and without a traceback; return its message."""
    done = slurm_sim_command(*arguments)
    said = done.stderr.decode()
    assert done.returncode == status, said
    assert "Traceback" not in said
    return said


def new_name() -> str:
    """Return a random name for a mini-cluster."""
    return f"test-{secrets.token_hex(4)}"


def left_of(name: str) -> list[str]:
    """Return every container, network and volume of a mini-cluster."""
    of = f"label=com.docker.compose.project={name}"
    found = docker("ps", "--all", "--format", "container {{.Names}}", "--filter", of).stdout
    found += docker("network", "ls", "--format", "network {{.Name}}", "--filter", of).stdout
    found += docker("volume", "ls", "--format", "volume {{.Name}}", "--filter", of).stdout
    return sorted(found.splitlines())
