"""Command line: `python -m bench` measures, prints a table and writes JSON."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import msgspec

from bench import (
    bridge,
    dask_on_slurm,
    images,
    kept_jobs,
    mini_cluster,
    mpi,
    page,
    quiet,
    roles,
    runner,
    sif,
    workloads,
)
from bench.report import RESULTS, Machine, Measurement, Part, now, read, show, write

Measure = Callable[[], Iterator[Measurement]]


def _parts(nodes: tuple[int, ...]) -> dict[str, Measure]:
    return {
        "images": images.sizes,
        "rebuild": images.rebuilds,
        "boot": lambda: mini_cluster.boots(nodes),
        "roles": roles.costs,
        "dask": dask_on_slurm.on_two_nodes,
        "bridge": bridge.calls,
        "sif": sif.side_by_side,
        "mpi": mpi.messages,
        "mpi-workers": mpi.workers,
        "runner": runner.first_tasks,
        "workloads": workloads.side_by_side,
        "overhead": workloads.overheads,
        "image-sif": workloads.image_and_sif,
        "kept-jobs": kept_jobs.costs,
    }


@click.command(
    context_settings={"help_option_names": ["-h", "--help"]}, epilog="Example: make bench ARGS='--only boot'"
)
@click.option("--only", type=click.Choice(list(_parts(()))), multiple=True, help="Measure only this part; repeatable.")
@click.option("--nodes", default="2,32,64,128", show_default=True, help="Sizes of the mini-clusters to start.")
@click.option("--json", "path", default=RESULTS, show_default=True, type=click.Path(path_type=Path))
def main(only: tuple[str, ...], nodes: str, path: Path) -> None:
    """Measure on this machine, which should be idle: parts that start while it is busy are marked.

    Each part replaces its earlier results in the JSON file. The tables in docs/benchmarks.md are updated from it.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # like Ctrl-C, so that mini-clusters are removed
    sizes = tuple(int(size) for size in nodes.split(","))
    found: list[Part] = []
    try:
        for name, measure in _parts(sizes).items():
            if not only or name in only:
                found.append(_measured(measure))
                results = read(path)
                write(path, msgspec.structs.replace(results, parts={**results.parts, name: found[-1]}))
    finally:  # keep what was measured before an error
        show(found)
        if path.resolve() == RESULTS:
            page.update(read(path))


def _measured(measure: Measure) -> Part:
    taken = now()
    others = quiet.wait()
    if loaded := others > quiet.QUIET:
        click.echo(f"the machine is {others:.0%} busy with other work: marked as loaded", err=True)
    measurements = []
    for one in measure():
        click.echo(f"{one.what}: {one.value:.3g} {one.unit}", err=True)
        measurements.append(one)
    return Part(taken=taken, machine=Machine(), busy=round(others, 3), loaded=loaded, measurements=measurements)


main()
