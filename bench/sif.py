"""Compare the SIF with the image, and with nodes that have the environment: ratios of times in one run."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

from bench.report import Measurement, best_of_each, seconds
from slurm_sim import SlurmSim, _files
from slurm_sim._docker import docker

SIF = _files.root() / "dist" / "dask-hpc.sif"
SHARED = "/shared/dask-hpc.sif"
_IMPORT = ("python", "-c", "import distributed")
_CLOCK = 'TIMEFORMAT=%R; time "$@" >/dev/null'


def side_by_side() -> Iterator[Measurement]:
    """Measure size, start, MPI and workers of the SIF, each beside the image or the nodes."""
    yield from _build()
    with SlurmSim(nodes=2) as baked, SlurmSim(nodes=2, bare=True, sif=SIF) as bare:
        yield from _starts(baked, bare)
        yield from _ranks(bare)
        yield from _messages(baked, bare)
        yield from _workers(baked, bare)


def _build() -> Iterator[Measurement]:
    stamp = SIF.with_name(".dask-hpc.sif.stamp")
    subprocess.run(["make", "sif"], cwd=_files.root(), check=True, capture_output=True)  # and the images
    stamp.unlink()
    took = seconds(lambda: subprocess.run(["make", "sif"], cwd=_files.root(), check=True, capture_output=True))
    yield Measurement(what="SIF build", value=took, unit="s", most=60)
    yield Measurement(what="SIF size", value=SIF.stat().st_size / 1e6, unit="MB", most=105)


def _starts(baked: SlurmSim, bare: SlurmSim) -> Iterator[Measurement]:
    image = f"dask-hpc:{_files.versions()['VERSION']}"
    in_image, on_node, in_sif = best_of_each(
        9,
        lambda: _clocked_in_image(image),
        lambda: _clocked(baked, *_IMPORT),
        lambda: _clocked(bare, "apptainer", "exec", SHARED, *_IMPORT),
    )
    yield Measurement(what="import distributed, image", value=in_image, unit="s")
    yield Measurement(what="import distributed, baked node", value=on_node, unit="s")
    yield Measurement(what="import distributed, SIF", value=in_sif, unit="s")
    yield Measurement(what="  SIF against the image", value=in_sif / in_image, unit="×", most=1.6)
    yield Measurement(what="  SIF against the baked node", value=in_sif / on_node, unit="×", most=1.6)


def _ranks(bare: SlurmSim) -> Iterator[Measurement]:
    """Start eight ranks on one node, with one mount of the SIF per rank and with a shared one."""
    launch = ("srun", "--mpi=pmix", "--overcommit", "--mem=0", "-N1", "-n8", "apptainer", "exec")
    program = (SHARED, "python", "-c", "from mpi4py import MPI; import distributed")
    each, one = best_of_each(
        3,
        lambda: seconds(lambda: bare.exec(*launch, *program)),
        lambda: seconds(lambda: bare.exec(*launch, "--sharens", *program)),
    )
    yield Measurement(what="8 ranks import distributed, SIF", value=each, unit="s")
    yield Measurement(what="  with --sharens", value=one, unit="s")


def _messages(baked: SlurmSim, bare: SlurmSim) -> Iterator[Measurement]:
    for size, name in ((8, "8 B"), (1 << 20, "1 MiB")):
        bench = ("mpirun", "-n", "2", "python", "-m", "mpi4py.bench", "pingpong", f"-m{size}", f"-n{size}")
        native, in_sif = best_of_each(
            9,
            lambda: _one_way(baked, *bench),  # noqa: B023
            lambda: _one_way(bare, "apptainer", "exec", SHARED, *bench),  # noqa: B023
        )
        yield Measurement(what=f"ping-pong {name}, baked node", value=native * 1e6, unit="µs")
        yield Measurement(what=f"ping-pong {name}, SIF", value=in_sif * 1e6, unit="µs")
        yield Measurement(what="  SIF against the baked node", value=in_sif / native, unit="×", most=1.05)


def _workers(baked: SlurmSim, bare: SlurmSim) -> Iterator[Measurement]:
    run = ("run", "monte-carlo-pi", "--on", "slurm", "--jobs", "2", "--cores", "1", "--samples", "1e6", "--json")
    launcher = _files.root() / "apptainer" / "site" / "dask-hpc"
    bare.put(launcher, "/home/hpc/dask-hpc")
    with_launcher = ("/home/hpc/dask-hpc", "--sif", SHARED)
    on_nodes, in_sif = best_of_each(
        3, lambda: _worker_start(baked, "dask-hpc", *run), lambda: _worker_start(bare, *with_launcher, *run)
    )
    yield Measurement(what="2 workers, baked nodes", value=on_nodes, unit="s", most=1.5)
    yield Measurement(what="2 workers, SIF", value=in_sif, unit="s")
    yield Measurement(what="  SIF against baked nodes", value=in_sif / on_nodes, unit="×")


def _clocked(sim: SlurmSim, *command: str) -> float:
    return float(sim.exec("bash", "-c", _CLOCK, "clock", *command, on="c1").stderr.split()[-1])


def _clocked_in_image(image: str) -> float:
    done = docker("run", "--rm", image, "bash", "-c", _CLOCK, "clock", *_IMPORT)
    return float(done.stderr.split()[-1])


def _one_way(sim: SlurmSim, *command: str) -> float:
    """Return the seconds per message, from mpi4py's table: size, MB/s | mean ± deviation, repetitions."""
    row = sim.exec(*command, on="c1").stdout.splitlines()[-1]
    return float(row.split("|")[1].split()[0])


def _worker_start(sim: SlurmSim, *command: str) -> float:
    timings: dict[str, float] = json.loads(sim.exec(*command).stdout)["timings"]
    return timings["workers"]
