"""Show the time of each folder at the end of a run of tests."""

from __future__ import annotations

from collections import defaultdict

import pytest


def write_folder_times(reporter: pytest.TerminalReporter) -> None:
    """Write a row per folder: its tests, and their time with fixtures, in seconds, over all processes."""
    seconds = defaultdict[str, float](float)
    tests = defaultdict[str, set[str]](set)
    for reports in reporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                folder = "/".join(report.nodeid.split("/")[:2])
                seconds[folder] += report.duration
                tests[folder].add(report.nodeid)
    reporter.section("time of each folder", sep="=")
    for folder in sorted(seconds, key=lambda folder: -seconds[folder]):
        reporter.write_line(f"{seconds[folder]:7.1f} s  {len(tests[folder]):4} tests  {folder}")
