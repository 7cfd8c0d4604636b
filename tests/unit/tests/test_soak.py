"""`make soak` reports the tests that failed, and how often."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from tests.soak import main

FLAKY = """
import pathlib

def test_good():
    pass

def test_now_and_then():
    mark = pathlib.Path(__file__).with_name("mark")
    first = not mark.exists()
    mark.touch()
    assert not first
"""


def test_names_flaky_tests(tmp_path: Path) -> None:
    """A test that fails in one of three rounds fails the soak, and is listed in the table."""
    (tmp_path / "test_flaky.py").write_text(FLAKY)
    done = CliRunner().invoke(main, ["--rounds=3", "--load=1", "--", str(tmp_path), "-p", "no:cacheprovider"])
    assert done.exit_code == 1
    assert "1 of 3 rounds failed" in done.output
    table = done.output[done.output.index("┏") :]
    assert "test_now_and_then" in table
    assert "test_good" not in table


def test_succeeds_if_all_rounds_pass(tmp_path: Path) -> None:
    """The exit status is 0 if no round failed."""
    (tmp_path / "test_fine.py").write_text("def test_good():\n    pass\n")
    done = CliRunner().invoke(main, ["--rounds=2", "--load=1", "--", str(tmp_path), "-p", "no:cacheprovider"])
    assert done.exit_code == 0
    assert "0 of 2 rounds failed" in done.output
