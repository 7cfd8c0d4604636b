"""What a run looks like afterwards: one page a run, and one over many, that need no network and no server."""

from __future__ import annotations

from dask_hpc.tutorial.report.overview import Entry, write_overview
from dask_hpc.tutorial.report.page import Seen, write_report
from dask_hpc.tutorial.report.task_stream import Recording, recording

__all__ = ["Entry", "Recording", "Seen", "recording", "write_overview", "write_report"]
