"""Reports: a page per run and an overview of many runs, which need neither network nor server."""
