"""The tables in docs/benchmarks.md, made from bench/results.json."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from bench.page import PAGE, block, update
from bench.report import RESULTS, Machine, Measurement, Part, Results, read


def part(*measurements: Measurement, loaded: bool = False) -> Part:
    """Return a part with these measurements."""
    machine = Machine(cpus=2, kernel="6.1")
    return Part(
        taken="2026-01-02T03:04:05Z",
        machine=machine,
        busy=0.5 if loaded else 0.0,
        loaded=loaded,
        measurements=list(measurements),
    )


UP = Measurement(what="up, 2 nodes", value=1.426, unit="s", most=2.0)


def test_page_has_latest_measurements() -> None:
    """The text between the marks is the one made from the JSON, to the last digit."""
    text = PAGE.read_text(encoding="utf-8")
    (there,) = re.findall(r"<!-- made by python -m bench.page -->\n(.*?)<!-- end -->", text, re.DOTALL)
    assert there == block(read(RESULTS))


def test_every_row_was_measured() -> None:
    """Every row of the page has its figures, and no part was measured on a busy machine."""
    assert "–" not in re.sub("data-locality.*", "", block(read(RESULTS)))
    assert "†" not in block(read(RESULTS))


def test_figures_have_units_and_targets() -> None:
    """A row has its measurements and their targets; a missing measurement is a dash."""
    found = block(Results(parts={"boot": part(UP)}))
    assert "| start a mini-cluster of 2 nodes | 1.43 s | 2 s |" in found
    assert "| start 32, 64, 128 nodes | –; –; – |  |" in found
    assert "Measured on 2026-01-02, on 2 cores, Linux 6.1." in found


def test_leaves_out_parts_that_were_never_measured() -> None:
    """A new part gets its rows with its first measurement."""
    assert "`scancel`" not in block(Results(parts={"boot": part(UP)}))
    replaced = Measurement(what="from scancel to a task in the next job", value=0.8, unit="s", most=3.0)
    found = block(Results(parts={"kept-jobs": part(replaced)}))
    assert "| from `scancel` of a worker job to a first task in its replacement | 0.8 s | 3 s |" in found
    assert "start a mini-cluster" not in found


def test_marks_figures_of_busy_machine() -> None:
    """Figures from a busy machine have a mark, which a footnote explains."""
    found = block(Results(parts={"boot": part(UP, loaded=True)}))
    assert "1.43 s†" in found
    assert "† The machine was busy" in found
    assert "†" not in block(Results(parts={"boot": part(UP)}))


def test_names_are_unique_within_part() -> None:
    """An indented measurement is found by its own name and that of the one it belongs to."""
    less = Measurement(what="  of it: gate", value=0.2, unit="s")
    results = Results(parts={"boot": part(UP, less, msgspec.structs.replace(UP, what="up, 8 nodes"), less)})
    assert results.find("boot/up, 2 nodes") == UP
    assert results.find("boot/up, 8 nodes: of it: gate") == less
    with pytest.raises(KeyError):
        results.find("boot/down")


def test_rejects_page_without_marks(tmp_path: Path) -> None:
    """A page without marks is an error, and is not changed."""
    (tmp_path / "README.md").write_text("# No marks\n")
    with pytest.raises(ValueError, match="has no lines"):
        update(Results(), tmp_path / "README.md")
    assert (tmp_path / "README.md").read_text() == "# No marks\n"
