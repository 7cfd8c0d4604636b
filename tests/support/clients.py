"""Install programs that others wrote in a mini-cluster: each in its own virtual environment, from a lock."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from slurm_sim import Completed, SlurmSim

MARK = pytest.mark.slurm_sim(accounting=True, nodes=2, cpus_per_node=4, gpus_per_node="a100:2")
"""The mini-cluster of all programs: files that the same process runs share one."""

_ROOT = Path(__file__).parents[2]
_REQUIREMENTS = _ROOT / "tests/clients/requirements"
_PYTHON = "3.13"
# The oldest of these C libraries is the one that wheels of today ask for; the image has a newer one.
_WHEELS = tuple(f"--platform=manylinux{libc}_{platform.machine()}" for libc in ("_2_28", "_2_17", "2014"))
_INSTALL = """
python -m venv --without-pip venv
install="python -m pip --python venv/bin/python install --quiet --no-index --no-deps --no-compile --find-links wheels"
ls wheels/*.tar.gz >/dev/null 2>&1 && $install setuptools
$install --require-hashes --no-build-isolation --requirement wheels/requirements.txt
rm -rf wheels
"""


@dataclass(frozen=True)
class Client:
    """A program in the user's home, in a virtual environment that has nothing of ours."""

    sim: SlurmSim
    folder: str

    def run(self, *command: str, **how: Any) -> Completed:
        """Run a command of the program in its folder; `how` is for `SlurmSim.exec`."""
        how = {"workdir": self.folder, "timeout": 600, **how}
        path = f"PATH={self.folder}/venv/bin:$PATH"
        return self.sim.exec("bash", "-c", f'{path} exec "$@"', "bash", *command, **how)

    def python(self, program: str, *arguments: str, **how: Any) -> str:
        """Run Python code as driver.py, and return the last line that it prints."""
        self.write("driver.py", program)
        return self.run("python", "driver.py", *arguments, **how).stdout.splitlines()[-1]

    def write(self, file: str, text: str) -> None:
        """Write a file in the program's folder."""
        self.sim.exec("sh", "-c", 'cat >"$0"', file, workdir=self.folder, stdin=text)


def install(sim: SlurmSim, name: str) -> Client:
    """Install what `tests/clients/requirements/NAME.txt` lists."""
    folder = f"/home/hpc/clients/{name}"
    sim.exec("mkdir", "-p", folder)
    sim.put(downloaded(name), f"{folder}/wheels")
    sim.exec("bash", "-ec", _INSTALL, workdir=folder, timeout=600)
    return Client(sim, folder)


def downloaded(name: str) -> Path:
    """Return a folder with the files that a lock lists, which are downloaded once."""
    lock = _REQUIREMENTS / f"{name}.txt"
    folder = _ROOT / ".cache/clients" / f"{name}-{sha256(lock.read_bytes()).hexdigest()[:12]}"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(mkdtemp(dir=folder.parent))
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download", "--no-deps"]
        what = ["--require-hashes", "--requirement", str(lock), f"--python-version={_PYTHON}", *_WHEELS]
        done = subprocess.run([*pip, *what, f"--dest={partial}"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        shutil.copy(lock, partial / "requirements.txt")
        partial.chmod(0o755)
        partial.rename(folder)
    return folder
