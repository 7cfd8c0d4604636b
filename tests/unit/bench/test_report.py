"""Read and write measurements."""

from __future__ import annotations

from pathlib import Path

from bench.report import Machine, Measurement, Part, Results, read, write

PART = Part(
    taken="2026-01-02T03:04:05Z",
    machine=Machine(cpus=2, kernel="6.1"),
    busy=0.01,
    loaded=False,
    measurements=[Measurement(what="x", value=1.0, unit="s", most=2)],
)


def test_results_are_read_back(tmp_path: Path) -> None:
    """Results are read back as written, and no partial file remains."""
    results = Results(parts={"boot": PART})
    write(tmp_path / "results.json", results)
    assert read(tmp_path / "results.json") == results
    assert [file.name for file in tmp_path.iterdir()] == ["results.json"]


def test_ignores_missing_file_and_other_schema(tmp_path: Path) -> None:
    """A missing file, or one with another schema, gives empty results."""
    assert read(tmp_path / "none.json") == Results()
    (tmp_path / "old.json").write_text('{"schema": 1, "measurements": []}')
    assert read(tmp_path / "old.json") == Results()


def test_compares_value_with_bound() -> None:
    """`most` is an upper bound, and `least` a lower bound."""
    assert Measurement(what="x", value=2, unit="s", most=2).met
    assert Measurement(what="x", value=1, unit="s", least=2).met is False
    assert Measurement(what="x", value=1, unit="s").met is None
