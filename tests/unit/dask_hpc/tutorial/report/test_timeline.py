"""The drawing of a task stream."""

from __future__ import annotations

from dask_hpc.tutorial.report.stream import Span, Stream
from dask_hpc.tutorial.report.timeline import thinned


def test_merges_neighbouring_bars() -> None:
    """Neighbouring bars of one function on one thread are drawn as one, which counts its tasks."""
    spans = [Span(number % 2, "f", "compute", number / 100, number / 100 + 0.009) for number in range(1000)]
    stream = Stream(10.0, ["a", "b"], spans, 1000)
    assert thinned(stream, most=1000) == (spans, "")
    kept, sentence = thinned(Stream(1000.0, ["a", "b"], spans, 1000), most=10)
    assert sum(span.tasks for span in kept) == 1000
    assert len(kept) == 2
    assert "1000 bars" in sentence
    assert len(thinned(Stream(0.0, ["a", "b"], spans, 1000), most=10)[0]) == 10
