"""Start workers in the SIF that the driver runs in."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dask_hpc.identity import venv
from dask_hpc.paths import in_bash

# Prefixes of variables that pass from a job into its SIF; --cleanenv removes others, such as a module's PYTHONPATH.
_PASSED = ("SLURM", "DASK", "CUDA", "NVIDIA", "ROCR", "UCX", "OMP", "OPENBLAS", "MKL", "PMIX", "OMPI", "PRTE")
_NO_DISK = 'fail "cannot create the folder to spill to" "choose another --local-directory"'
_GPU = re.compile(r"gpu|^-G")


@dataclass(frozen=True)
class Sif:
    """The SIF that this process runs in.

    Attributes:
        path: its path on the host.
        program: the program that starts it: apptainer or singularity.
        binds: further folders to bind, in the notation of --bind.
        venv: folder of the virtual environment that this process runs in, if any.
    """

    path: str
    program: str
    binds: tuple[str, ...] = ()
    venv: str | None = None

    def python(self, folders: Iterable[str], sbatch_options: Iterable[str]) -> str:
        """Return the command that starts Python in it from a job script; the virtual environment's Python, if any.

        Args:
            folders: folders that workers use; home, /tmp and the working directory are always bound.
            sbatch_options: options of the job; if one asks for a GPU, its driver is bound too.
        """
        gpu = any(_GPU.search(option) for option in sbatch_options)
        wanted = [folder for folder in folders if not _is_under(folder, "/tmp")]  # noqa: S108
        binds = [in_bash(folder) for folder in (*self.binds, *wanted, *([self.venv] if self.venv else []))]
        python = shlex.quote(f"{self.venv}/bin/python") if self.venv else "python"
        # the job's own TMPDIR, which only its script knows
        bind = f'{",".join(binds)}"${{TMPDIR:+,$TMPDIR}}"' if binds else '"${TMPDIR:-/tmp}"'
        options = ["--cleanenv", "--bind", bind, *["--nv"] * gpu]
        return " ".join([self.program, "exec", *options, shlex.quote(self.path), python])

    def prologue(self, needed: Iterable[Path], disk: str | None = None) -> list[str]:
        """Return the lines of bash that precede it, which name the node and what it lacks.

        Args:
            needed: files that workers read.
            disk: the folder that they spill to; it is created, since Apptainer binds only existing folders.
        """
        files = " ".join(shlex.quote(str(file)) for file in (self.path, *needed))
        variables = " ".join(f"${{!{prefix}_*}}" for prefix in _PASSED)
        prefix = f"{self.program.upper()}ENV"
        make = [f"mkdir -p -- {in_bash(disk)} || {_NO_DISK}"] if disk else []
        return [
            'fail() { echo "dask-hpc: node $(hostname): $1. What to do: $2." >&2; exit 1; }',
            f"command -v {self.program} >/dev/null ||"
            f' fail "{self.program} not found on PATH" "exclude the node: --sbatch-option=--exclude=$(hostname)"',
            f'for file in {files}; do [ -r "$file" ] ||'
            ' fail "$file cannot be read" "put it on a file system that all nodes share"; done',
            *make,
            '[ -d "${TMPDIR:-}" ] || unset TMPDIR',
            f'for name in ${{TMPDIR:+TMPDIR}} {variables}; do export "{prefix}_$name=${{!name}}"; done',
        ]


def current(environ: Mapping[str, str] = os.environ) -> Sif | None:
    """Return the SIF that this process runs in, or None; the launcher reports the folders that it bound."""
    for program in ("apptainer", "singularity"):
        if path := environ.get(f"{program.upper()}_CONTAINER"):
            return Sif(path, program, tuple(filter(None, environ.get("DASK_HPC_BIND", "").split(","))), venv())
    return None


def _is_under(folder: str, parent: str) -> bool:
    return Path(folder).is_relative_to(parent)
