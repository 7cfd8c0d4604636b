"""A cluster for the launcher, made of small programs: Apptainer as a script, and Slurm's commands as scripts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
LAUNCHER = ROOT / "apptainer/site/dask-hpc"
SHIM = ROOT / "containers/dask-hpc/src/dask_hpc/bridge/shim.py"
COMMANDS = ("sbatch", "squeue", "scancel", "sacct", "sinfo", "scontrol", "srun")

# As Apptainer, as far as the launcher goes: what passes by name passes, and a bound folder is where it was bound to.
_APPTAINER = """\
#!/bin/sh
[ "$1 $2 $3" = "exec --cleanenv --bind" ] || exit 99
export APPTAINERENV_DASK_HPC_BRIDGE="${4%%:*}/socket" APPTAINERENV_PATH="$STAND_INS:/usr/bin:/bin"
shift 4
[ "$1" != --nv ] || shift
shift
set -f
IFS='
'
exec env -i $(env | sed -n s/^APPTAINERENV_//p) "$@"
"""


def executable(path: Path, text: str) -> Path:
    """Writes a script that can be run."""
    path.write_text(text)
    path.chmod(0o755)
    return path


def oldest_python() -> str:
    """The oldest Python from 3.6 on that this machine has: the launcher has to run on it."""
    found = [shutil.which(f"python3.{minor}") for minor in range(6, 11)]
    found[:0] = [str(path) for path in sorted(Path.home().glob(".pyenv/versions/3.[6-9].*/bin/python3"))]
    works = (path for path in found if path and subprocess.run([path, "-c", ""], capture_output=True).returncode == 0)
    return next(works, sys.executable)


def until(condition: Callable[[], Any], what: str, timeout: float = 20) -> Any:
    """Waits for something of another process that tells nobody; returns it."""
    deadline = time.monotonic() + timeout
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not happen in {timeout} s"
        time.sleep(0.02)
    return found


class Site:
    """A folder with the launcher beside a SIF, the site's commands, and the stand-ins that the SIF would have."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.python = folder, oldest_python()
        self.bin, self.runtime, stand_ins = folder / "bin", folder / "runtime", folder / "stand-ins"
        for one in (self.bin, self.runtime, stand_ins):
            one.mkdir(mode=0o700)
        self.launcher = Path(shutil.copy(LAUNCHER, folder / "dask-hpc"))
        self.sif = folder / "dask-hpc.sif"
        self.sif.write_bytes(b"#!/usr/bin/env run-singularity\n\0SIF_MAGIC\0".ljust(128, b"\0"))
        executable(self.bin / "apptainer", _APPTAINER)
        for command in COMMANDS:
            executable(stand_ins / command, f"#!{sys.executable} -IS\n{SHIM.read_text()}")
        self.environment = {
            "PATH": f"{self.bin}:/usr/bin:/bin",
            "HOME": str(folder),
            "STAND_INS": str(stand_ins),
            "XDG_RUNTIME_DIR": str(self.runtime),
        }

    def command(self, name: str, script: str) -> Path:
        """Gives the site a command."""
        return executable(self.bin / name, f"#!/bin/sh\n{script}\n")

    def start(self, *words: str, options: tuple[str, ...] = (), **popen: Any) -> subprocess.Popen[bytes]:
        """Starts a program in the SIF."""
        given: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE) | {"cwd": self.folder}
        environment = self.environment | popen.pop("env", {})
        command = [self.python, "-s", str(self.launcher), *options, "exec", *words]
        return subprocess.Popen(command, env=environment, **given | popen)

    def run(self, script: str, *, stdin: bytes = b"", options: tuple[str, ...] = (), **popen: Any) -> Any:
        """Runs a shell script in the SIF; returns its status, output and errors."""
        process = self.start("sh", "-c", script, options=options, **popen)
        out, errors = process.communicate(stdin, timeout=60)
        return subprocess.CompletedProcess(script, process.returncode, out, errors)

    def sessions(self) -> list[Path]:
        """The folders of sessions."""
        return sorted(self.runtime.iterdir())

    def processes(self) -> list[str]:
        """The processes that have anything to do with this site."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                line = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
                zombie = " Z " in (entry / "stat").read_text()
            except OSError:
                continue
            if str(self.folder).encode() in line and not zombie and int(entry.name) != os.getpid():
                found.append(f"{entry.name} {line.partition(b'PATH')[0]!r}")
        return found
