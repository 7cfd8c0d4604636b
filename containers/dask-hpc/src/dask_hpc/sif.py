"""Workers in a SIF: where the driver runs in one, its jobs run the same one on their nodes."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dask_hpc.identity import venv
from dask_hpc.paths import in_bash

# What passes from a job into its SIF, by name; --cleanenv keeps out the rest, such as a PYTHONPATH of some module.
_PASSED = ("SLURM", "DASK", "CUDA", "NVIDIA", "ROCR", "UCX", "OMP", "OPENBLAS", "MKL", "PMIX", "OMPI", "PRTE")
_NO_DISK = 'fail "there is no folder to spill to, and none can be made" "name another --local-directory"'
_GPU = re.compile(r"gpu|^-G")


@dataclass(frozen=True)
class Sif:
    """The SIF that this process runs in.

    Attributes:
        path: as the host sees it.
        program: what starts it: apptainer or singularity.
        binds: more folders to see in it, as --bind takes them.
        venv: the virtual environment over it that this process runs in, if it does.
    """

    path: str
    program: str
    binds: tuple[str, ...] = ()
    venv: str | None = None

    def python(self, folders: Iterable[str], sbatch_options: Iterable[str]) -> str:
        """Return what starts Python in it from a job script: that of the virtual environment, if this runs in one.

        Args:
            folders: those that workers use; home, /tmp and the working directory are there already.
            sbatch_options: where one asks for a GPU, its driver comes in, too.
        """
        gpu = any(_GPU.search(option) for option in sbatch_options)
        wanted = [folder for folder in folders if not _is_under(folder, "/tmp")]  # noqa: S108
        binds = [in_bash(folder) for folder in (*self.binds, *wanted, *([self.venv] if self.venv else []))]
        python = shlex.quote(f"{self.venv}/bin/python") if self.venv else "python"
        # TMPDIR is the job's own affair: its script knows it, this process does not
        bind = f'{",".join(binds)}"${{TMPDIR:+,$TMPDIR}}"' if binds else '"${TMPDIR:-/tmp}"'
        options = ["--cleanenv", "--bind", bind, *["--nv"] * gpu]
        return " ".join([self.program, "exec", *options, shlex.quote(self.path), python])

    def prologue(self, needed: Iterable[Path], disk: str | None = None) -> list[str]:
        """Return the lines of bash that come before it: what may lack on a node is named, with the node.

        Args:
            needed: files that workers read.
            disk: the folder that they spill to: it is made, since Apptainer binds only what there is.
        """
        files = " ".join(shlex.quote(str(file)) for file in (self.path, *needed))
        variables = " ".join(f"${{!{prefix}_*}}" for prefix in _PASSED)
        prefix = f"{self.program.upper()}ENV"
        make = [f"mkdir -p -- {in_bash(disk)} || {_NO_DISK}"] if disk else []
        return [
            'fail() { echo "dask-hpc: node $(hostname): $1. What to do: $2." >&2; exit 1; }',
            f"command -v {self.program} >/dev/null ||"
            f' fail "there is no {self.program} on PATH" "leave it out: --sbatch-option=--exclude=$(hostname)"',
            f'for file in {files}; do [ -r "$file" ] ||'
            ' fail "$file cannot be read" "put it on a file system that all nodes share"; done',
            *make,
            '[ -d "${TMPDIR:-}" ] || unset TMPDIR',
            f'for name in ${{TMPDIR:+TMPDIR}} {variables}; do export "{prefix}_$name=${{!name}}"; done',
        ]


def current(environ: Mapping[str, str] = os.environ) -> Sif | None:
    """Return the SIF that this process runs in, if it does; the launcher tells which folders were bound."""
    for program in ("apptainer", "singularity"):
        if path := environ.get(f"{program.upper()}_CONTAINER"):
            return Sif(path, program, tuple(filter(None, environ.get("DASK_HPC_BIND", "").split(","))), venv())
    return None


def _is_under(folder: str, parent: str) -> bool:
    return Path(folder).is_relative_to(parent)
