"""The page of one run: its result, checks, times and settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dask_hpc.clusters.facts import Job
from dask_hpc.tutorial.report.figures.jobs import LOST, QUEUED, RUNNING, draw_jobs
from dask_hpc.tutorial.report.figures.pictures import draw_picture
from dask_hpc.tutorial.report.figures.style import COLOURS, DISK, FAILED, OTHER, TRANSFER, colours
from dask_hpc.tutorial.report.figures.task_graph import draw_graph
from dask_hpc.tutorial.report.figures.task_stream import draw_stream, thinned
from dask_hpc.tutorial.report.render import render
from dask_hpc.tutorial.report.task_graph import Layout, dependencies, lay_out
from dask_hpc.tutorial.report.task_stream import Stream, duration, where_time_went
from dask_hpc.tutorial.results import Result

_SHARE_COLOURS = (COLOURS[0], TRANSFER, "#5B6270", DISK, DISK, "#C3C7CF", "#C3C7CF")
_SMALLEST_SHARE = 0.0005  # of the total time; a smaller share would read 0.0 %


@dataclass(frozen=True)
class Seen:
    """The recorded task stream, and the workload's graph if it has one, to show beside the result."""

    stream: Stream = field(default_factory=Stream)
    graph: Any = None


@dataclass(frozen=True)
class _LegendEntry:
    text: str
    colour: str


@dataclass(frozen=True, kw_only=True)
class _Bar:
    """A share of the worker threads' time; `part` is its fraction of the total, at most 1."""

    name: str
    seconds: float
    part: float
    colour: str


def write_report(file: Path, result: Result, seen: Seen) -> None:
    """Write the page; raise `OSError` if the file cannot be written, `WorkloadError` if the graph is not Dask's."""
    stream = seen.stream
    graph = lay_out(dependencies(seen.graph)) if seen.graph is not None else Layout()
    times = _compute_times(stream)
    functions = dict.fromkeys(node.name for node in graph.nodes)
    colour_of = colours(list(dict.fromkeys([*times, *functions])))
    figures = {f"picture{number}": draw_picture(picture) for number, picture in enumerate(result.pictures)}
    if stream.spans:
        figures["stream"] = draw_stream(stream, colour_of)
    if timed := [job for job in result.cluster.jobs if job.queued is not None]:
        figures["jobs"] = draw_jobs(
            timed, max([result.timings.get("total", 0.0), *(job.ended or 0.0 for job in timed)])
        )
    if graph.nodes:
        figures["graph"] = draw_graph(graph, colour_of)
    threads = max(result.cluster.threads, len(stream.lanes))
    thread_seconds = _thread_seconds(result, stream, threads)
    page = render(
        "report.html.j2",
        figures,
        title=f"{result.workload}: dask-hpc",
        result=result,
        stream=stream,
        threads=threads,
        thread_seconds=thread_seconds,
        bars=list(_bars(stream, thread_seconds)),
        timings={name: f"{seconds:.3f} s" for name, seconds in result.timings.items()},
        thinned=thinned(stream)[1],
        stream_legend=_stream_legend(stream, times, colour_of),
        jobs=_said_of(timed),
        jobs_legend=_jobs_legend(timed),
        graph=graph,
        graph_legend=_functions_legend(dict.fromkeys(functions, ""), colour_of),
        cluster_facts=_cluster_facts(result),
        environment_facts=_environment_facts(result),
    )
    file.write_text(page, encoding="utf-8")


def _compute_times(stream: Stream) -> dict[str, list[float]]:
    """Return the seconds of each task, by function; the function with the largest total comes first."""
    times: dict[str, list[float]] = {}
    for span in stream.spans:
        if span.action == "compute":
            times.setdefault(span.name, []).append(span.stop - span.start)
    return dict(sorted(times.items(), key=lambda one: -sum(one[1])))


def _thread_seconds(result: Result, stream: Stream, threads: int) -> float:
    """Return the time of all worker threads during the recording; those of replaced jobs were there for a part."""
    timed = [job for job in result.cluster.jobs if job.came is not None]
    cores = result.cluster.settings.get("cores")
    if not timed or not isinstance(cores, int):
        return threads * stream.seconds
    began = result.timings.get("cluster", 0.0) + result.timings.get("workers", 0.0)
    end = began + stream.seconds
    there = (min(job.ended or end, end) - max(job.came or 0.0, began) for job in timed)
    return cores * sum(max(0.0, seconds) for seconds in there)


def _bars(stream: Stream, thread_seconds: float) -> Iterator[_Bar]:
    shares = where_time_went(stream, thread_seconds)
    whole = sum(share.seconds for share in shares) or 1.0
    for share, colour in zip(shares, _SHARE_COLOURS, strict=True):
        if share.seconds > _SMALLEST_SHARE * whole:
            yield _Bar(name=share.name, seconds=share.seconds, part=share.seconds / whole, colour=colour)


def _stream_legend(
    stream: Stream, times: Mapping[str, list[float]], colour_of: Mapping[str, str]
) -> list[_LegendEntry]:
    said = {name: f": {len(each)} × {duration(sum(each) / len(each))}" for name, each in times.items()}
    actions = {span.action for span in stream.spans}
    entries = _functions_legend(said, colour_of)
    if "transfer" in actions:
        entries.append(_LegendEntry("moving data between workers (hatched)", TRANSFER))
    if "deserialize" in actions:
        entries.append(_LegendEntry("unpacking tasks (hatched)", OTHER))
    if actions & {"disk-read", "disk-write"}:
        entries.append(_LegendEntry("disk (hatched)", DISK))
    if any(span.failed for span in stream.spans):
        entries.append(_LegendEntry("failed", FAILED))
    return entries


def _functions_legend(said: Mapping[str, str], colour_of: Mapping[str, str]) -> list[_LegendEntry]:
    """Return an entry per function, with its text from `said`; functions without their own colour share one."""
    entries = [_LegendEntry(name + more, colour_of[name]) for name, more in said.items() if colour_of[name] != OTHER]
    others = len(said) - len(entries)
    return [*entries, _LegendEntry(f"{others} other functions", OTHER)] if others else entries


def _said_of(jobs: Sequence[Job]) -> str:
    retired = sum(job.ended is not None and not job.lost for job in jobs)
    lost = sum(job.lost for job in jobs)
    return f"{len(jobs)} jobs were submitted: {retired} retired, {lost} lost; the others were there until the end."


def _jobs_legend(jobs: Sequence[Job]) -> list[_LegendEntry]:
    entries = [_LegendEntry("queued and starting", QUEUED), _LegendEntry("with workers", RUNNING)]
    return [*entries, *([_LegendEntry("lost (a cross)", LOST)] if any(job.lost for job in jobs) else [])]


def _cluster_facts(result: Result) -> dict[str, object]:
    cluster = result.cluster
    return {
        **cluster.settings,
        "nodes": ", ".join(cluster.nodes),
        "Slurm jobs": ", ".join(f"{job.id} on {job.node}" if job.node else job.id for job in cluster.jobs),
        "TLS": "yes" if cluster.tls else "no",
    }


def _environment_facts(result: Result) -> dict[str, object]:
    environment = result.environment
    return {
        "lock (sha256)": environment.lock_sha256 or "none: not in an installed environment",
        "channel": environment.channel,
        "drifted from its lock": "yes" if environment.drifted else "",
        "added packages": _releases(environment.added),
        "replaced packages": _releases(environment.replaced),
        **result.versions,
    }


def _releases(packages: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in packages.items())
