"""The command `slurm-sim`, run as a person would; and what the engine has of a mini-cluster."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from pathlib import Path

from slurm_sim._docker import docker

SLURM_SIM = str(Path(sys.executable).with_name("slurm-sim"))


def slurm_sim_command(*arguments: str, stdin: bytes = b"", timeout: float = 150) -> subprocess.CompletedProcess[bytes]:
    """Runs `slurm-sim` and returns what it wrote, as bytes."""
    return subprocess.run(
        [SLURM_SIM, *arguments], input=stdin, capture_output=True, timeout=timeout, env=environment(), check=False
    )


def environment() -> dict[str, str]:
    """Ours, without a mini-cluster's name."""
    return {name: value for name, value in os.environ.items() if name != "SLURM_SIM_NAME"}


def refused(*arguments: str, status: int = 2) -> str:
    """Runs `slurm-sim`, which has to end with that status and without a traceback; returns its message."""
    done = slurm_sim_command(*arguments)
    said = done.stderr.decode()
    assert done.returncode == status, said
    assert "Traceback" not in said
    return said


def new_name() -> str:
    """A name that no mini-cluster has."""
    return f"test-{secrets.token_hex(4)}"


def left_of(name: str) -> list[str]:
    """Every container, network and volume that the engine has of a mini-cluster."""
    of = f"label=com.docker.compose.project={name}"
    found = docker("ps", "--all", "--format", "container {{.Names}}", "--filter", of).stdout
    found += docker("network", "ls", "--format", "network {{.Name}}", "--filter", of).stdout
    found += docker("volume", "ls", "--format", "volume {{.Name}}", "--filter", of).stdout
    return sorted(found.splitlines())
