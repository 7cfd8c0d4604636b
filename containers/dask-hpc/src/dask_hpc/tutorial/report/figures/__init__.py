"""The figures of the pages, drawn with Bokeh: a workload's pictures, the task stream and the task graph."""
