"""The page of one run: what came out, whether it holds, where the time went, and how it was run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dask_hpc.tutorial.report import html
from dask_hpc.tutorial.report.graph import draw_graph
from dask_hpc.tutorial.report.layers import Drawing, dependencies, draw
from dask_hpc.tutorial.report.pictures import draw_picture
from dask_hpc.tutorial.report.stream import Share, Stream, where_time_went
from dask_hpc.tutorial.report.style import DISK, FAILED, OTHER, TRANSFER, colours
from dask_hpc.tutorial.report.timeline import draw_stream, thinned
from dask_hpc.tutorial.results import Result

__all__ = ["Seen", "write_report"]

_SHARE_COLOURS = ("#0072B2", TRANSFER, "#5B6270", DISK, DISK, "#C3C7CF", "#C3C7CF")


@dataclass(frozen=True)
class Seen:
    """What a report shows beside the result: the recorded task stream, and the workload's graph, if it gave one."""

    stream: Stream = field(default_factory=Stream)
    graph: Any = None


def write_report(file: Path, result: Result, seen: Seen) -> None:
    """Write the page; raises `OSError` if the file cannot be written, `WorkloadError` if the graph is none."""
    drawing = draw(dependencies(seen.graph)) if seen.graph is not None else None
    names = [*_times(seen.stream), *(node.name for node in (drawing.nodes if drawing else ()))]
    paint = colours(list(dict.fromkeys(names)))
    figures = {f"picture{number}": draw_picture(picture) for number, picture in enumerate(result.pictures)}
    parts = [_head(result), _outcome(result), _checks(result), _time(result, seen.stream)]
    if seen.stream.spans:
        figures["stream"] = draw_stream(seen.stream, paint)
        parts.append(_stream(seen.stream, paint))
    if drawing and drawing.nodes:
        figures["graph"] = draw_graph(drawing, paint)
        parts.append(_graph(drawing, paint))
    parts.append(_how(result))
    file.write_text(html.page(f"{result.workload}: dask-hpc", "".join(parts), figures), encoding="utf-8")


def _head(result: Result) -> str:
    cluster = result.cluster
    where = f"{cluster.workers} workers with {cluster.threads} threads on {', '.join(cluster.nodes)}"
    when = result.started[:19].replace("T", " ")
    badge = html.verdict("ok" if result.ok else "failed")
    return (
        f"<header><h1>{html.text(result.workload)}</h1>{badge}<p>{html.words(result.summary)}</p>"
        f'<p class="faint">{when} UTC, on {html.text(cluster.kind)}: {html.text(where)}. '
        f"{result.timings.get('total', 0):.1f} s in all.</p></header>"
    )


def _outcome(result: Result) -> str:
    pictures = "".join(
        html.figure(picture.title, "{{" + f"picture{number}" + "}}") for number, picture in enumerate(result.pictures)
    )
    table = html.table(result.table.columns, result.table.rows) if result.table.rows else ""
    shown = f'<div class="pictures">{pictures}</div>' if pictures else ""
    return f"<h2>Result</h2>{table}{html.paragraphs(result.notes)}{shown}"


def _checks(result: Result) -> str:
    items = "".join(
        f"<li>{html.verdict('ok' if check.ok else 'failed')} {html.text(check.name)}"
        + (f': <span class="faint">{html.text(check.detail)}</span>' if check.detail else "")
        + "</li>"
        for check in result.checks
    )
    return f'<h2>What was checked</h2><ul class="checks">{items or "<li>nothing</li>"}</ul>'


def _time(result: Result, stream: Stream) -> str:
    timings = html.facts({name: f"{seconds:.3f} s" for name, seconds in result.timings.items()})
    threads = max(result.cluster.threads, len(stream.lanes))
    return (
        f"<h2>Where the time went</h2><p>The workload took {stream.seconds:.2f} s, in which {threads} worker threads "
        f"worked on {stream.tasks} tasks. Their time, {stream.seconds * threads:.2f} s altogether:</p>"
        f"{_shares(where_time_went(stream, threads))}<p>A thread has no task while the client itself computes, "
        f"and while the scheduler works out what is next.</p><h3>As the program measured it</h3>{timings}"
    )


def _shares(shares: list[Share]) -> str:
    whole = sum(share.seconds for share in shares) or 1.0
    rows = "".join(
        f'<tr><th scope="row">{html.text(share.name)}</th><td class="number">{share.seconds:.2f} s</td>'
        f'<td class="number">{share.seconds / whole:.0%}</td><td class="share">'
        f'<i style="width:{share.seconds / whole:.1%};background:{colour}"></i></td></tr>'
        for share, colour in zip(shares, _SHARE_COLOURS, strict=True)
        if share.seconds > 0.0005 * whole
    )
    return f'<table class="facts"><tbody>{rows}</tbody></table>'


def _times(stream: Stream) -> dict[str, list[float]]:
    """Return how long each task of each function took; the function that took most of all comes first."""
    times: dict[str, list[float]] = {}
    for span in stream.spans:
        if span.action == "compute":
            times.setdefault(span.name, []).append(span.stop - span.start)
    return dict(sorted(times.items(), key=lambda one: -sum(one[1])))


def _functions(more: Mapping[str, str], paint: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the legend of functions, each with what is said of it; those without a colour of their own share one."""
    entries = [(name + said, paint[name]) for name, said in more.items() if paint[name] != OTHER]
    others = len(more) - len(entries)
    return [*entries, (f"{others} other functions", OTHER)] if others else entries


def _stream(stream: Stream, paint: Mapping[str, str]) -> str:
    entries = _functions(
        {name: f": {len(times)} × {html.duration(sum(times) / len(times))}" for name, times in _times(stream).items()},
        paint,
    )
    actions = {span.action for span in stream.spans}
    entries += [("moving data between workers (hatched)", TRANSFER)] * ("transfer" in actions)
    entries += [("unpacking tasks (hatched)", OTHER)] * ("deserialize" in actions)
    entries += [("disk (hatched)", DISK)] * bool(actions & {"disk-read", "disk-write"})
    entries += [("failed", FAILED)] * any(span.failed for span in stream.spans)
    words = "A row is a thread of a worker: node, then the worker's number if the node has several, then the thread's."
    picture = html.figure("", "{{stream}}", f"Task stream of {stream.tasks} tasks on {len(stream.lanes)} threads")
    return f"<h2>Task stream</h2>{html.paragraphs([words, thinned(stream)[1]])}{html.legend(entries)}{picture}"


def _graph(drawing: Drawing, paint: Mapping[str, str]) -> str:
    legend = html.legend(_functions(dict.fromkeys((node.name for node in drawing.nodes), ""), paint))
    picture = html.figure("", "{{graph}}", drawing.sentence)
    return f"<h2>Task graph</h2>{html.paragraphs([drawing.sentence])}{legend}{picture}"


def _how(result: Result) -> str:
    cluster, environment = result.cluster, result.environment
    jobs = ", ".join(f"{job.id} on {job.node}" if job.node else job.id for job in cluster.jobs)
    identity = {
        "lock (sha256)": environment.lock_sha256 or "none: not in an installed environment",
        "channel": environment.channel,
        "drifted from its lock": "yes" if environment.drifted else "",
        "own packages": ", ".join(f"{name} {version}" for name, version in environment.added.items()),
        "in place of the locked": ", ".join(f"{name} {version}" for name, version in environment.replaced.items()),
        **result.versions,
    }
    asked: dict[str, object] = dict(cluster.settings)
    run = asked | {"nodes": ", ".join(cluster.nodes), "Slurm jobs": jobs, "TLS": "yes" if cluster.tls else "no"}
    return (
        f'<h2>How it was run</h2><div class="columns"><div><h3>Parameters{_of_size(result.size)}</h3>'
        f"{html.facts(result.parameters)}</div><div><h3>Dask cluster</h3>{html.facts(run)}</div>"
        f"<div><h3>Environment</h3>{html.facts(identity)}</div></div>"
        '<footer>For programs: <a href="result.json">result.json</a>.</footer>'
    )


def _of_size(size: str) -> str:
    return f" of size {html.text(size)}" if size != "default" else ""
