"""The drawing of a task stream."""

from __future__ import annotations

from dataclasses import replace

from dask_hpc.tutorial.report.figures.task_stream import thinned
from dask_hpc.tutorial.report.task_stream import Span, Stream


def test_merges_neighbouring_bars() -> None:
    """Neighbouring bars of one function on one thread are drawn as one, which counts its tasks."""
    spans = [
        Span(lane=number % 2, name="f", action="compute", start=number / 100, stop=number / 100 + 0.009)
        for number in range(1000)
    ]
    stream = Stream(seconds=10.0, lanes=["a", "b"], spans=spans, tasks=1000)
    assert thinned(stream, most=1000) == (spans, "")
    kept, sentence = thinned(replace(stream, seconds=1000.0), most=10)
    assert sum(span.tasks for span in kept) == 1000
    assert len(kept) == 2
    assert "1000 bars" in sentence
    assert len(thinned(replace(stream, seconds=0.0), most=10)[0]) == 10
