"""Draw the jobs over time: a row for each job, queued and then running, with a mark for its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dask_hpc.clusters.facts import Job
from dask_hpc.tutorial.report.figures.style import COLOURS, TRANSFER, new_figure

if TYPE_CHECKING:
    from dask_hpc.tutorial.report.figures.style import Figure

_MOST_NAMED = 40  # rows: with more, their names are unreadable
QUEUED, RUNNING, LOST = "#C3C7CF", COLOURS[0], TRANSFER


def draw_jobs(jobs: Sequence[Job], seconds: float) -> Figure:
    """Return the figure of jobs with known times; `seconds` is the length of the time axis."""
    from bokeh.models import ColumnDataSource, FixedTicker, HoverTool

    hover = HoverTool(tooltips="<b>job @name</b><br>@what")
    rows = len(jobs)
    figure = new_figure(
        min(max(rows * 22, 44), 640) + 70,
        x_axis_label="seconds since the Dask cluster was started",
        x_range=(0, seconds),
        y_range=(rows - 0.5, -0.5),
        tools=[hover],
    )
    parts = [part for row, job in enumerate(jobs) for part in _parts(row, job, seconds)]
    bars = ColumnDataSource({name: [part[name] for part in parts] for name in parts[0]})
    bar = figure.hbar(y="row", left="left", right="right", height=0.7, color="colour", source=bars)
    hover.renderers = [bar]
    lost = [(row, job.ended) for row, job in enumerate(jobs) if job.lost and job.ended is not None]
    figure.scatter([end for _, end in lost], [row for row, _ in lost], marker="x", size=9, line_width=2, color=LOST)
    figure.ygrid.visible = False
    if rows > _MOST_NAMED:
        figure.yaxis.visible = False
    else:
        figure.yaxis.ticker = FixedTicker(ticks=list(range(rows)))
        figure.yaxis.major_label_overrides = {row: f"job {job.id}" for row, job in enumerate(jobs)}
    return figure


def _parts(row: int, job: Job, seconds: float) -> list[dict[str, object]]:
    """Return a job's bars: the time in the queue, and the time with workers."""
    end = seconds if job.ended is None else job.ended
    queued = job.queued or 0.0
    came = end if job.came is None else job.came
    common: dict[str, object] = {"row": row, "name": f"{job.id} on {job.node}" if job.node else job.id}
    waited = {"left": queued, "right": came, "colour": QUEUED, "what": f"queued and starting for {came - queued:.1f} s"}
    worked = {"left": came, "right": end, "colour": RUNNING, "what": f"{end - came:.1f} s with workers; {job.end}"}
    return [common | waited, *([common | worked] if job.came is not None else [])]
