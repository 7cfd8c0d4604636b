"""Claims on nodes of a shared mini-cluster."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from slurm_sim._claims import Book, Claim, Entry
from slurm_sim._locking import broken_off, claims_of, forget

OWNER = """
import sys, tempfile
tempfile.tempdir = sys.argv[1]
from slurm_sim._claims import Book, Entry
claim = Book("one").join("run")
claim.write(Entry("run", "test", ["c1"]))
print(flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give claims the test's own folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_claims_are_kept_in_order_of_arrival() -> None:
    """The book has all claims of a mini-cluster, with their last content."""
    book = Book("one")
    first = book.join("run")
    second = book.join("other")
    first.write(Entry("run", "lasting", ["c10", "c11"]))
    first.write(Entry("run", "test", ["c1"]))
    with book.locked():
        assert list(book.living().items()) == [
            (first.path, Entry("run", "test", ["c1"])),
            (second.path, Entry("other", "waiting", [])),
        ]
        assert book.dead() == {}
    assert Book("two").living() == {}


def test_drop_removes_claim_and_abandon_leaves_dead_one() -> None:
    """A dropped claim no longer exists; an abandoned one has no owner."""
    book = Book("one")
    first = book.join("run")
    second = book.join("run")
    second.write(Entry("run", "test", ["c2"]))
    first.drop()
    second.abandon()
    assert book.living() == {}
    assert book.dead() == {second.path: Entry("run", "test", ["c2"])}


def test_claim_of_a_killed_process_is_dead(temporary: Path) -> None:
    """A claim ends with its process, even if that is killed."""
    command = [sys.executable, "-c", OWNER, str(temporary)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        assert owner.stdout
        owner.stdout.readline()
        book = Book("one")
        assert [entry.nodes for entry in book.living().values()] == [["c1"]]
        os.kill(owner.pid, signal.SIGKILL)
        owner.wait()
        assert [entry.nodes for entry in book.dead().values()] == [["c1"]]


def test_forked_child_does_not_keep_a_claim() -> None:
    """A process that a test has forked does not hold the test's nodes after the test's process has ended."""
    claim = Book("one").join("run")
    held, release = os.pipe()
    seen, ready = os.pipe()
    if not (child := os.fork()):
        os.close(release)
        os.write(ready, b"x")  # it runs, and has closed its copies
        os.read(held, 1)
        os._exit(0)
    try:
        os.read(seen, 1)
        claim.abandon()
        assert list(Book("one").dead()) == [claim.path]
    finally:
        os.close(release)
        os.waitpid(child, 0)


def test_only_one_process_uses_a_mini_cluster_alone() -> None:
    """A claim on a whole mini-cluster is rejected while another process has one."""
    first = Claim.sole("one")
    assert first is not None
    assert Claim.sole("one") is None
    first.abandon()
    assert Claim.sole("one") is not None


def test_half_written_claim_has_no_nodes() -> None:
    """A claim whose owner was killed while writing counts as waiting."""
    claim = Book("one").join("run")
    claim.path.write_text("{")
    assert Book("one").living() == {claim.path: Entry()}


def test_claims_of_a_run_are_found_and_forgotten() -> None:
    """Claims that a run has left are removed with its mini-clusters."""
    Book("run-1").join("run").abandon()
    assert broken_off("run-") == ["run-1"]
    forget("run-1")
    assert broken_off("run-") == []
    assert not claims_of("run-1").exists()
