"""Measure MPI on the mini-cluster: messages, also with more ranks than cores, and the start of Dask's workers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from bench.report import Measurement
from slurm_sim import SlurmSim

_BENCH = ("python", "-m", "mpi4py.bench")
_LARGEST = 1 << 22
_PLACES = {"one node": ("-N1", "-n2"), "two nodes": ("-N2", "-n2")}
_LATENCY = {"one node": 1.1, "two nodes": 20}
_RUNS = 5
# eight ranks on a node of two cores
_RING = (*_BENCH, "ringtest", "-n1", "-s5", "-l50")
_SRUN = ("srun", "--mpi=pmix", "-N1", "-n8", "--overcommit")
_MPIRUN = ("salloc", "--quiet", "-N1", "-n2", "mpirun", "-n", "8")
_SPIN = ("env", "OMPI_MCA_mpi_yield_when_idle=0")
_CROWD = {"srun": (*_SRUN, *_RING), "mpirun": (*_MPIRUN, *_RING), "srun, spinning": (*_SRUN, *_SPIN, *_RING)}
# 8 B by persistent requests, which need two short calls of mpi4py; Send and Recv parse their arguments each time
_PERSISTENT = """
from time import perf_counter
from mpi4py import MPI

comm, rounds, best = MPI.COMM_WORLD, 20000, 1.0
there, back = bytearray(8), bytearray(8)
send, receive = comm.Send_init(there, 1 - comm.rank), comm.Recv_init(back, 1 - comm.rank)
for _ in range(7):
    comm.Barrier()
    start = perf_counter()
    for _ in range(rounds):
        receive.Start()
        if comm.rank == 0:
            send.Start()
            receive.Wait()
        else:
            receive.Wait()
            send.Start()
        send.Wait()
    best = min(best, (perf_counter() - start) / rounds / 2)
if comm.rank == 0:
    print(best)
"""
_RANKS = (4, 8, 16, 32)
_NODES = 4
_WAYS = ("dask-mpi", "SLURMCluster", "LocalCluster")

Row = dict[int, float]
"""Seconds one way, by the message's size in bytes."""


def messages() -> Iterator[Measurement]:
    """Run ping-pong on one node and between two, keeping the best of several runs per size, and a ring of ranks."""
    with SlurmSim(nodes=2) as sim:
        times = {place: _best(sim, launch) for place, launch in _PLACES.items()}
        persistent = float(sim.exec("srun", "--mpi=pmix", "-N1", "-n2", "python", "-c", _PERSISTENT).stdout)
        crowd = {name: min(_hop(sim, command) for _ in range(3)) for name, command in _CROWD.items()}
    _show(times)
    for place, row in times.items():
        yield Measurement(what=f"ping-pong 8 B, {place}", value=row[8] * 1e6, unit="µs", most=_LATENCY[place])
        rate = (1 << 20) / row[1 << 20] / 1e9
        least = 1.5 if place == "two nodes" else None
        yield Measurement(what=f"ping-pong 1 MiB, {place}", value=rate, unit="GB/s", least=least)
    yield Measurement(what="  by persistent requests, one node", value=persistent * 1e6, unit="µs", most=1.1)
    for how, hop in crowd.items():
        most = None if "spinning" in how else 1000
        yield Measurement(what=f"a hop among 8 ranks on two cores, {how}", value=hop * 1e6, unit="µs", most=most)


def workers() -> Iterator[Measurement]:
    """Measure the time until all workers are connected: as ranks of one job, as separate jobs, and on one machine."""
    table = Table("workers", *_WAYS, title="Time until all workers are connected [s]", title_justify="left")
    with SlurmSim(nodes=_NODES, cpus_per_node=max(_RANKS) // _NODES) as sim:
        for ranks in _RANKS:
            count = str(ranks - 1)  # one rank is the scheduler
            options = {
                "dask-mpi": ("--on", "mpi", "--nodes", str(_NODES), "--ranks-per-node", str(ranks // _NODES)),
                "SLURMCluster": ("--on", "slurm", "--jobs", count, "--cores", "1"),
                "LocalCluster": ("--on", "local", "--workers", count, "--threads", "1"),
            }
            took = {way: min(_start(sim, *options[way]) for _ in range(2)) for way in _WAYS}
            table.add_row(count, *(f"{took[way]:.2f}" for way in _WAYS))
            for way in _WAYS:
                yield Measurement(what=f"{count} workers, {way}", value=took[way], unit="s")
            yield Measurement(
                what="  dask-mpi against SLURMCluster", value=took["dask-mpi"] / took["SLURMCluster"], unit="×"
            )
    Console(stderr=True).print(table)


def _start(sim: SlurmSim, *where: str) -> float:
    run = ("dask-hpc", "run", "monte-carlo-pi", *where, "--samples", "1e5", "--no-serial", "--json")
    timings: dict[str, float] = json.loads(sim.exec(*run).stdout)["timings"]
    # LocalCluster starts together with its workers; SLURMCluster submits jobs before it waits for workers
    return timings.get("submit", 0) + timings.get("workers", timings.get("cluster", 0))


def _best(sim: SlurmSim, launch: tuple[str, ...]) -> Row:
    runs = [_pingpong(sim, launch) for _ in range(_RUNS)]
    return {size: min(run[size] for run in runs) for size in runs[0]}


def _pingpong(sim: SlurmSim, launch: tuple[str, ...]) -> Row:
    """Run mpi4py's ping-pong and read its table: size, MB/s | mean ± deviation, repetitions."""
    done = sim.exec("srun", "--mpi=pmix", *launch, *_BENCH, "pingpong", f"-n{_LARGEST}")
    lines = [line for line in done.stdout.splitlines() if not line.startswith("#")]
    return {int(line.split()[0]): float(line.split("|")[1].split()[0]) for line in lines}


def _hop(sim: SlurmSim, command: tuple[str, ...]) -> float:
    """Return the seconds for one hop of a byte in a ring of eight ranks."""
    said = sim.exec(*command).stdout
    found = re.search(r"50 loops = (\S+) seconds", said)
    if not found:
        raise ValueError(f"no time in the output of ringtest: {said}")
    return float(found[1]) / 50 / 8


def _show(times: dict[str, Row]) -> None:
    """Print a table in the format of the OSU micro-benchmarks."""
    table = Table("size [B]", title="MPI ping-pong, latency and bandwidth one way", title_justify="left")
    for place in times:
        table.add_column(f"{place} [µs]", justify="right")
        table.add_column("[MB/s]", justify="right")
    for size in next(iter(times.values())):
        cells = [(f"{row[size] * 1e6:.2f}", f"{size / row[size] / 1e6:.1f}") for row in times.values()]
        table.add_row(str(size), *(cell for pair in cells for cell in pair))
    Console(stderr=True).print(table)
