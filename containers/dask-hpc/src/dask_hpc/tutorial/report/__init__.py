"""The report: one page for a run, and one over many, that need no network and no server."""
