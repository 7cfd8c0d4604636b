"""A fake cluster for the launcher: Apptainer and Slurm's commands are small scripts."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from tests.support.waiting import until

ROOT = Path(__file__).parents[2]
LAUNCHER = ROOT / "apptainer/site/dask-hpc"
SHIM = ROOT / "containers/dask-hpc/src/dask_hpc/bridge/shim.py"
COMMANDS = ("sbatch", "squeue", "scancel", "sacct", "sinfo", "scontrol", "srun", "sacctmgr")

# Does what the launcher needs from Apptainer: passes variables by name, and gives access to a bound folder.
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
    """Write an executable script."""
    path.write_text(text)
    path.chmod(0o755)
    return path


@cache
def old_pythons() -> list[str]:
    """Return every Python from 3.6 to 3.10 on this machine, oldest first."""
    paths = [shutil.which(f"python3.{minor}") for minor in range(6, 11)]
    paths += [str(path) for path in Path.home().glob(".pyenv/versions/3.*/bin/python3")]
    found: dict[tuple[int, ...], str] = {}
    for path in filter(None, paths):
        asked = subprocess.run([path, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, text=True)
        version = tuple(map(int, asked.stdout.split()))
        if asked.returncode == 0 and (3, 6) <= version <= (3, 10):
            found.setdefault(version, path)
    return [found[version] for version in sorted(found)]


def _changed(launcher: str, constants: Mapping[str, float]) -> str:
    """Return the launcher's source with other values for some constants."""
    for name in constants:
        assert re.search(rf"^[A-Z_, ]*\b{name}\b[A-Z_, ]* = ", launcher, re.MULTILINE), f"the launcher has no {name}"
    head, main, tail = launcher.partition('\nif __name__ == "__main__":')
    assert main
    return head + "".join(f"\n{name} = {value}\n" for name, value in constants.items()) + main + tail


class Site:
    """A folder with the launcher next to a SIF, the site's commands, and the SIF's stand-ins for them.

    Args:
        folder: where to build it. It becomes part of a socket's path, which Linux limits to 107 bytes.
        constants: values for the launcher's constants, such as `KILL_SECONDS`.
    """

    def __init__(self, folder: Path, **constants: float) -> None:
        self.folder = folder
        self.python = next(iter(old_pythons()), sys.executable)
        self.bin = folder / "bin"
        self.runtime = folder / "runtime"
        stand_ins = folder / "stand-ins"
        for one in (self.bin, self.runtime, stand_ins):
            one.mkdir(mode=0o700)
        self.launcher = executable(folder / "dask-hpc", _changed(LAUNCHER.read_text(encoding="utf-8"), constants))
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
        """Give the site a command."""
        return executable(self.bin / name, f"#!/bin/sh\n{script}\n")

    def start(self, *words: str, options: tuple[str, ...] = (), **popen: Any) -> subprocess.Popen[bytes]:
        """Start a program in the SIF."""
        given: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE) | {"cwd": self.folder}
        environment = self.environment | popen.pop("env", {})
        command = [self.python, "-s", str(self.launcher), *options, "exec", *words]
        return subprocess.Popen(command, env=environment, **given | popen)

    def run(self, script: str, *, stdin: bytes = b"", options: tuple[str, ...] = (), **popen: Any) -> Any:
        """Run a shell script in the SIF; return its status, output and errors."""
        process = self.start("sh", "-c", script, options=options, **popen)
        out, errors = process.communicate(stdin)
        return subprocess.CompletedProcess(script, process.returncode, out, errors)

    def sessions(self) -> list[Path]:
        """Return the sessions' folders."""
        return sorted(self.runtime.iterdir())

    def processes(self) -> list[str]:
        """Return the processes that belong to this site."""
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


@contextmanager
def new_site(**constants: float) -> Iterator[Site]:
    """Build a site; at the end, assert that no process and no session of it is left."""
    with tempfile.TemporaryDirectory() as folder:
        site = Site(Path(folder), **constants)
        yield site
        until(lambda: not site.processes(), f"the end of {site.processes()}")
        assert site.sessions() == []
