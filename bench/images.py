"""Measure the size of the images, and the time to rebuild one after a change."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

from bench.report import Measurement, seconds
from slurm_sim import _files
from slurm_sim._docker import docker

_MOST_MB = {
    "dask-hpc": 350,
    "slurm-sim/slurmctld": 200,
    "slurm-sim/login": 200,
    "slurm-sim/slurmd": 200,
    "slurm-sim/slurmdbd": 200,
    "slurm-sim/database": 220,
    "slurm-sim/slurmrestd": 200,
    "slurm-sim/node": 420,
    "slurm-sim/jupyter": 680,
}
_OF_SLURM = {"slurmctld", "login", "slurmd", "slurmdbd", "database", "slurmrestd"}


def sizes() -> Iterator[Measurement]:
    """Measure the unpacked size of each image."""
    versions = _files.versions()
    for image, most in _MOST_MB.items():
        slurms = image.removeprefix("slurm-sim/") in _OF_SLURM
        tag = versions["SLURM_VERSION" if slurms else "VERSION"]
        count = "du --summarize --one-file-system --block-size=1 / 2>/dev/null | cut -f1"
        done = docker("run", "--rm", "--user=0", "--entrypoint=sh", f"{image}:{tag}", "-c", count)
        yield Measurement(what=f"image {image}", value=int(done.stdout) / 1e6, unit="MB", most=most)


def rebuilds() -> Iterator[Measurement]:
    """Measure the time from a changed workload to new images."""
    bake = [str(_files.root() / "containers" / "bake.sh")]
    workload = _files.root() / "workloads" / "monte_carlo_pi.py"
    before = workload.read_bytes()

    def build() -> None:
        subprocess.run(bake, check=True, capture_output=True, stdin=subprocess.DEVNULL)

    build()
    try:
        _append(workload, b"# bench\n")
        yield Measurement(what="images again, workload changed", value=seconds(build), unit="s", most=5)
    finally:
        workload.write_bytes(before)
        build()
    yield Measurement(what="images again, nothing changed", value=seconds(build), unit="s")


def _append(path: Path, text: bytes) -> None:
    with path.open("ab") as file:
        file.write(text)
