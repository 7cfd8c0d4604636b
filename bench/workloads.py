"""Measure the workloads on LocalCluster, SLURMCluster and dask-mpi and in NumPy, the overhead per task, and the SIF."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.plain import speedup
from bench.report import Measurement
from slurm_sim import SlurmSim, _files
from slurm_sim._docker import checked, docker

Result = dict[str, Any]
Way = Callable[..., Result]
"""Run `dask-hpc run` with these arguments, and return its result."""

_LOCAL = ("--on", "local", "--workers", "2", "--threads", "1")
_SLURM = ("--on", "slurm", "--jobs", "2", "--cores", "1")
_MPI = ("--on", "mpi", "--nodes", "3", "--ranks-per-node", "1")  # a scheduler, and one worker on each of two nodes
_PLACES = {"LocalCluster": _LOCAL, "SLURMCluster": _SLURM, "dask-mpi": _MPI}
# sizes for which NumPy needs some seconds
_WORKLOADS: dict[str, tuple[str, ...]] = {
    "monte-carlo-pi": ("--samples", "2e8"),
    "partitioned-array": (),
    "delayed-sum": ("--n", "2500"),
    "eigenvalues": ("--n", "800", "--matrices", "8"),
    "futures-pipeline": ("--n", "500"),
    "data-locality": ("--n", "2048"),
}
_DASK = ("dask", "parallel", "2 workers", "map, scattered matrix")  # the workloads' names of their timings
_NUMPY = ("numpy", "serial", "NumPy, 1 BLAS thread")
_FAIR = ("NumPy, 2 BLAS threads",)
# the workload's own kernel, without Dask
_PREPARE = "from eigenvalues import eigvals; seeds = numpy.random.SeedSequence(0).spawn(8); eigvals(50, seeds[0])"
_SPECTRA = "for seed in seeds[:share(8)]: eigvals(800, seed)"
_ROUNDS = 3
_PATIENCE = 600  # seconds for a run
_TASKS = Path(__file__).with_name("tasks")  # a folder of workloads
_TASKS_THERE = "/home/hpc/bench-tasks"


def side_by_side() -> Iterator[Measurement]:
    """Run every workload in every place, alternating, so that a slow phase of the machine affects all places."""
    table = Table("workload", "NumPy", *_PLACES, title="Seconds, and efficiency on 2 cores", title_justify="left")
    with SlurmSim(nodes=3) as sim:
        run = _in_mini_cluster(sim, "dask-hpc")
        for name, options in _WORKLOADS.items():
            ways = {place: _bound(run, name, *options, *where) for place, where in _PLACES.items()}
            yield from _compared(name, _in_turns(ways), table)
        plain = median(speedup(sim, _PREPARE, _SPECTRA) for _ in range(_ROUNDS))
        yield Measurement(what="eigenvalues, efficiency of 2 plain processes", value=plain / 2, unit="")
        Console(stderr=True).print(table)


def _compared(name: str, found: Mapping[str, list[Result]], table: Table) -> Iterator[Measurement]:
    """Yield NumPy's best time of all rounds, on one core unless named otherwise, and the best time in each place."""
    everything = [one for results in found.values() for one in results]
    cells = []
    for label, names in (("NumPy", _NUMPY), ("NumPy, 2 BLAS threads", _FAIR)):
        if plain := _best(everything, names):
            yield Measurement(what=f"{name}, {label}", value=plain, unit="s")
            cells.append(f"{plain:.3f}")
    row = [" / ".join(cells)]
    for place, results in found.items():
        best = _best(results, _DASK)
        yield Measurement(what=f"{name}, {place}", value=best, unit="s")
        row.append(f"{best:.3f}")
        if "efficiency" in results[0]["values"]:
            efficiency = median(one["values"]["efficiency"] for one in results)
            least = 0.95 if name == "eigenvalues" else None
            yield Measurement(what="  efficiency on 2 workers", value=efficiency, unit="", least=least)
            row[-1] += f"  {efficiency:.2f}"
    table.add_row(name, *row)


def overheads() -> Iterator[Measurement]:
    """Measure tasks that do nothing. The bare machine is a container of the same image, on the host's network."""
    with SlurmSim(nodes=3) as sim:
        sim.put(_TASKS, _TASKS_THERE)
        run = _in_mini_cluster(sim, "dask-hpc")
        ways = {
            "bare machine": _bound(_in_container, "task-overhead", *_LOCAL),
            "the checkout's Python": _bound(_on_host, "task-overhead", *_LOCAL),
            "LocalCluster": _bound(run, "task-overhead", *_LOCAL),
            "SLURMCluster, no TLS": _bound(run, "task-overhead", *_SLURM, "--no-tls"),
            "SLURMCluster": _bound(run, "task-overhead", *_SLURM),
            "dask-mpi, no TLS": _bound(run, "task-overhead", *_MPI, "--no-tls"),
            "dask-mpi": _bound(run, "task-overhead", *_MPI),
        }
        times = {place: _per_task(results) for place, results in _in_turns(ways).items()}
    for place, time in times.items():
        yield Measurement(what=f"a task, {place}", value=time * 1e3, unit="ms")
        most = 1.05 if place in {"LocalCluster", "SLURMCluster, no TLS"} else None
        yield Measurement(what="  against the bare machine", value=time / times["bare machine"], unit="×", most=most)


def image_and_sif() -> Iterator[Measurement]:
    """Run the same work on a node from the image and from the SIF, in turns."""
    subprocess.run(["make", "sif"], cwd=_files.root(), check=True, capture_output=True)
    sif = _files.root() / "dist" / "dask-hpc.sif"
    with SlurmSim(nodes=1) as baked, SlurmSim(nodes=1, bare=True, sif=sif) as bare:
        for sim in (baked, bare):
            sim.put(_TASKS, _TASKS_THERE)
        image = _in_mini_cluster(baked, "dask-hpc", on="c1")
        packed = _in_mini_cluster(bare, "apptainer", "exec", f"/shared/{sif.name}", "dask-hpc", on="c1")
        for name, options in (("eigenvalues", ("--n", "500")), ("task-overhead", ())):
            found = _in_turns(
                {place: _bound(run, name, *options, *_LOCAL) for place, run in (("image", image), ("SIF", packed))}
            )
            times = {place: _best(results, _DASK) or _per_task(results) for place, results in found.items()}
            for place, time in times.items():
                yield Measurement(what=f"{name}, {place}", value=time * 1e3, unit="ms")
            yield Measurement(what="  SIF against the image", value=times["SIF"] / times["image"], unit="×", most=1.03)


def _in_turns(ways: Mapping[str, Callable[[], Result]]) -> dict[str, list[Result]]:
    found: dict[str, list[Result]] = {name: [] for name in ways}
    for _ in range(_ROUNDS):
        for name, run in ways.items():
            found[name].append(run())
    return found


def _best(results: Iterable[Result], names: tuple[str, ...]) -> float:
    """Return the minimum of the timings with one of these names, or 0 if there are none."""
    times = [time for one in results for key, time in one["timings"].items() if key in names]
    return min(times, default=0.0)


def _per_task(results: Iterable[Result]) -> float:
    return min(float(one["values"]["per_task"]) for one in results)


def _bound(run: Way, *arguments: str) -> Callable[[], Result]:
    return lambda: run(*arguments)


def _in_mini_cluster(sim: SlurmSim, *command: str, on: str = "login") -> Way:
    def run(*arguments: str) -> Result:
        own = {"DASK_HPC_WORKLOADS": _TASKS_THERE} if arguments[0] == "task-overhead" else {}
        env = own | {f"APPTAINERENV_{name}": value for name, value in own.items()}
        return _result(sim.exec(*command, "run", *arguments, "--json", on=on, env=env, timeout=_PATIENCE).stdout)

    return run


def _in_container(*arguments: str) -> Result:
    image = f"dask-hpc:{_files.versions()['VERSION']}"
    options = ["--rm", "--init", "--network", "host", "--env", f"DASK_HPC_WORKLOADS={_TASKS_THERE}"]
    command = ["create", *options, image, "timeout", str(_PATIENCE), "dask-hpc", "run", *arguments, "--json"]
    container = checked(command, docker(*command)).stdout.strip()
    docker("cp", str(_TASKS), f"{container}:{_TASKS_THERE}")  # not a mount: the engine may be on another host
    command = ["start", "--attach", container]
    return _result(checked(command, docker(*command)).stdout)


def _on_host(*arguments: str) -> Result:
    source = _files.root() / "containers" / "dask-hpc" / "src"
    env = os.environ | {"DASK_HPC_WORKLOADS": str(_TASKS), "PYTHONPATH": str(source)}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "dask_hpc", "run", *arguments, "--json"]
        done = subprocess.run(
            command, env=env, cwd=folder, check=True, capture_output=True, text=True, timeout=_PATIENCE
        )
    return _result(done.stdout)


def _result(output: str) -> Result:
    result: Result = json.loads(output.splitlines()[-1])
    failed = [check["name"] for check in result["checks"] if not check["ok"]]
    if failed:
        raise ValueError(f"{result['workload']} on {result['cluster']['kind']}: {failed}")
    return result
