"""The start of the command `slurm-sim`, and the package's exports."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import slurm_sim

BLOCKS = "import time\nprint('importing', flush=True)\nwhile True:\n    time.sleep(1)\n"


def test_ctrl_c_while_importing_is_silent(tmp_path: Path, root: Path) -> None:
    """Ctrl-C during the imports ends the command with status 130, without a traceback."""
    (tmp_path / "click.py").write_text(BLOCKS)
    path = os.pathsep.join([str(tmp_path), str(root / "slurm-sim/src")])
    with subprocess.Popen(
        [sys.executable, "-m", "slurm_sim", "list"],
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as command:
        assert command.stdout is not None
        assert command.stdout.readline() == b"importing\n"
        command.send_signal(signal.SIGINT)
        _, said = command.communicate(timeout=60)
    assert (command.returncode, said) == (130, b"")


def test_package_has_every_exported_name() -> None:
    """Every exported name can be imported, and no other."""
    for name in slurm_sim.__all__:
        assert getattr(slurm_sim, name).__name__ == name
    assert not hasattr(slurm_sim, "Banana")
