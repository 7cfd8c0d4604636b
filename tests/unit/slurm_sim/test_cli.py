"""The command `slurm-sim` without Docker."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.support.scripts import run


def test_reports_missing_engine(tmp_path: Path) -> None:
    """Without an engine, each command reports that and what to do, without a traceback."""
    for command in (["up"], ["list"], ["down"], ["status"]):
        done = run(
            [sys.executable, "-c", "from slurm_sim._cli import main; main()", *command],
            DOCKER_HOST="unix:///nonexistent/docker.sock",
            HOME="/nonexistent",
        )
        assert done.returncode == 1, command
        assert "No Docker engine answers." in done.stderr
        assert "What to do: " in done.stderr
        assert "Traceback" not in done.stderr


def test_reports_missing_docker_command(tmp_path: Path) -> None:
    """Without a docker command, slurm-sim reports that and what to do."""
    done = run([sys.executable, "-c", "from slurm_sim._cli import main; main()", "up"], PATH=str(tmp_path))
    assert done.returncode == 1
    assert "Error: Command 'docker' not found.\nWhat to do: " in done.stderr
