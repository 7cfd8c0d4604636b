"""Update the tables in docs/benchmarks.md from `bench/results.json`: `python -m bench.page`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from bench.report import RESULTS, Results, read

__all__ = ["PAGE", "block", "update"]

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"

_BEGIN = "<!-- made by python -m bench.page -->\n"
_END = "<!-- end -->\n"
_ROWS = (
    ("start a mini-cluster of 2 nodes", "boot/up, 2 nodes"),
    ("start 32, 64, 128 nodes", "boot/up, 32 nodes", "boot/up, 64 nodes", "boot/up, 128 nodes"),
    (
        "`srun hostname` on 2 nodes; on 128 nodes, until all lines have arrived",
        "boot/srun hostname, 2 nodes",
        "boot/srun hostname, 128 nodes",
    ),
    (
        "start 2 nodes with accounting; with everything; with nothing, in the same run",
        "roles/up with accounting",
        "roles/up with everything",
        "roles/up with nothing",
    ),
    ("`sacct` shows a job after its end", "roles/from a job's end to sacct"),
    (
        "1,000 `sbatch`, with accounting; until all are in `sacct`, after that",
        "roles/1000 sbatch",
        "roles/1000 sbatch: until all are in sacct",
    ),
    (
        "memory of an idle mini-cluster of 2 nodes; with accounting; with everything",
        "roles/idle memory with nothing",
        "roles/idle memory with accounting",
        "roles/idle memory with everything",
    ),
    ("stop 2 nodes; 128 nodes", "boot/down, 2 nodes", "boot/down, 128 nodes"),
    ("connect two Dask workers, each a Slurm job, over TLS", "dask/scale(jobs=2) to 2 workers"),
    (
        "speed-up of two one-core workers on two cores; of two plain processes, in the same run",
        "dask/speed-up of 2 workers on 2 nodes",
        "dask/speed-up of 2 workers on 2 nodes: of 2 plain processes on them",
    ),
    *(
        (
            f"connect {count} workers: LocalCluster, SLURMCluster, dask-mpi",
            *(f"mpi-workers/{count} workers, {way}" for way in ("LocalCluster", "SLURMCluster", "dask-mpi")),
        )
        for count in (3, 7, 15, 31)
    ),
    (
        "submit, connect 7 workers and finish a first task: SLURMRunner, SLURMCluster, dask-mpi",
        *(f"runner/7 workers and a first task, {way}" for way in ("SLURMRunner", "SLURMCluster", "dask-mpi")),
    ),
    (
        "memory per worker in that run: SLURMRunner, SLURMCluster, dask-mpi",
        *(
            f"runner/7 workers and a first task, {way}: memory of a worker"
            for way in ("SLURMRunner", "SLURMCluster", "dask-mpi")
        ),
    ),
    (
        "from `scancel` of a worker job to a first task in its replacement",
        "kept-jobs/from scancel to a task in the next job",
    ),
    (
        "ten wall times of one minute: longest time without a worker in a place; throughput, relative to long jobs",
        "kept-jobs/longest time without a worker in a place",
        "kept-jobs/throughput over 10 wall times",
    ),
    (
        "64 jobs of one worker: start; replace 8 of them; end, until none is left",
        "kept-jobs/start 64 jobs, until all workers are there",
        "kept-jobs/cancel 8 of them, until all are replaced",
        "kept-jobs/end 64 jobs, until none is left",
    ),
    (
        "Dask's overhead per task: LocalCluster, SLURMCluster, dask-mpi",
        *(f"overhead/a task, {way}" for way in ("LocalCluster", "SLURMCluster", "dask-mpi")),
    ),
    (
        "the same with LocalCluster, mini-cluster relative to the bare machine",
        "overhead/a task, LocalCluster: against the bare machine",
    ),
    (
        "time in the SIF relative to the image: eigenvalues; empty tasks",
        "image-sif/eigenvalues, SIF: SIF against the image",
        "image-sif/task-overhead, SIF: SIF against the image",
    ),
    (
        "`import distributed`, warm, in the SIF: relative to the image; to a node with the environment",
        "sif/import distributed, SIF: SIF against the image",
        "sif/import distributed, SIF: SIF against the baked node",
    ),
    (
        "MPI, 8 B on one node: mpi4py's ping-pong; persistent requests",
        "mpi/ping-pong 8 B, one node",
        "mpi/ping-pong 1 MiB, two nodes: by persistent requests, one node",
    ),
    ("MPI between two nodes: 8 B; 1 MiB", "mpi/ping-pong 8 B, two nodes", "mpi/ping-pong 1 MiB, two nodes"),
    (
        "a hop in a ring of 8 ranks on 2 cores: srun; mpirun; srun, spinning",
        *(f"mpi/a hop among 8 ranks on two cores, {how}" for how in ("srun", "mpirun", "srun, spinning")),
    ),
    (
        "import Dask in 8 ranks of a SIF on 2 cores; with `--sharens`, in one mount",
        "sif/8 ranks import distributed, SIF",
        "sif/8 ranks import distributed, SIF: with --sharens",
    ),
    (
        "unpacked size of images: dask-hpc, Slurm's controller, node",
        *(f"images/image {name}" for name in ("dask-hpc", "slurm-sim/slurmctld", "slurm-sim/node")),
    ),
    ("`dask-hpc.sif`: size; build time", "sif/SIF size", "sif/SIF build"),
    ("overhead of a Slurm command in the SIF, over a direct call", "bridge/what the bridge costs a call"),
)
"""Title of each row, and its measurements."""

_WORKLOADS = (
    "partitioned-array",
    "monte-carlo-pi",
    "delayed-sum",
    "eigenvalues",
    "futures-pipeline",
    "data-locality",
)
_PLACES = ("NumPy", "LocalCluster", "SLURMCluster", "dask-mpi")


def block(results: Results) -> str:
    """Return the text between the marks: both tables, and the dates and machines of the measurements.

    Rows of parts that were never measured are left out.
    """
    lines = ["| benchmark | measured | target |", "|---|---|---|"]
    for title, *names in _ROWS:
        if results.parts.keys().isdisjoint(name.partition("/")[0] for name in names):
            continue
        lines.append(f"| {title} | {'; '.join(_figures(results, names))} | {'; '.join(_aims(results, names))} |")
    lines += ["", f"| workload [s] | {' | '.join(_PLACES)} |", f"|---|{'---|' * len(_PLACES)}"]
    for workload in _WORKLOADS:
        cells = (_figure(results, f"workloads/{workload}, {place}", unit=False) for place in _PLACES)
        lines.append(f"| `{workload}` | {' | '.join(cells)} |")
    return "\n".join([*lines, "", *_footer(results), ""])


def _figures(results: Results, names: Iterable[str]) -> Iterator[str]:
    return (_figure(results, name) for name in names)


def _figure(results: Results, name: str, *, unit: bool = True) -> str:
    try:
        one = results.find(name)
    except KeyError:
        return "–"
    said = f"{one.value:.3g}" if one.value < 1000 else f"{one.value:.0f}"
    mark = "†" if results.parts[name.partition("/")[0]].loaded else ""
    return f"{said} {one.unit}".strip() + mark if unit and one.unit != "×" else said + mark


def _aims(results: Results, names: Iterable[str]) -> Iterator[str]:
    for name in names:
        try:
            one = results.find(name)
        except KeyError:
            continue
        if (bound := one.most if one.most is not None else one.least) is not None:
            yield f"{bound:g} {one.unit}".strip() if one.unit != "×" else f"{bound:g}"


def _footer(results: Results) -> Iterator[str]:
    days = sorted({part.taken[:10] for part in results.parts.values()})
    machines = sorted({(part.machine.cpus, part.machine.kernel) for part in results.parts.values()})
    on = "; ".join(f"{cpus} cores, Linux {kernel}" for cpus, kernel in machines)
    yield f"Measured on {', '.join(days)}, on {on}." if days else "No measurements yet."
    if any(part.loaded for part in results.parts.values()):
        yield "† The machine was busy with other work: do not quote these numbers."


def update(results: Results, page: Path = PAGE) -> None:
    """Update the page's tables; raise `ValueError` if the page has no marks for them."""
    text = page.read_text(encoding="utf-8")
    pattern = re.compile(re.escape(_BEGIN) + ".*?" + re.escape(_END), re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"{page} has no lines {_BEGIN.strip()} and {_END.strip()}")
    page.write_text(pattern.sub(lambda _: _BEGIN + block(results) + _END, text), encoding="utf-8")


if __name__ == "__main__":
    update(read(RESULTS))
