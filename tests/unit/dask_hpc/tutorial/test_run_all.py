"""Running all workloads with one command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from dask_hpc.clusters import BACKENDS
from dask_hpc.errors import RequestError
from dask_hpc.tutorial.all_command import ALL, AllCommand, as_typed
from dask_hpc.tutorial.results import load
from dask_hpc.tutorial.run_all import where
from dask_hpc.tutorial.workload import Workload
from tests.support.hpc_command import command, declared, invoke, refused, write

GOOD = "return Outcome({'n': n}, {}, [Check('holds', True)], notes=['a note'])"
SIZED = 'types={"n": Count()}, sizes={"small": {"n": "2"}}'


def on(*names: str) -> Workload:
    return declared(backends=frozenset(names) or None)


@pytest.mark.parametrize(
    ("able", "asked", "chosen"),
    [
        ((), "slurm", "slurm"),
        (("slurm", "local"), "slurm", "slurm"),
        (("local", "mpi"), "slurm", "mpi"),
        (("mpi",), "local", "mpi"),
        (("local",), "slurm", "local"),
        (("slurm",), "local", "slurm"),
    ],
)
def test_chooses_backend_for_each_workload(able: tuple[str, ...], asked: str, chosen: str) -> None:
    """A workload runs on the requested backend if it can, else on MPI, else on this machine."""
    assert set(able) <= set(BACKENDS)
    assert where(on(*able), asked) == chosen


def test_rejects_workload_for_unknown_backend() -> None:
    """The error names the backend that the workload needs."""
    with pytest.raises(RequestError, match="mars"):
        where(on("mars"), "slurm")


def test_failing_workload_does_not_stop_others(workloads: Path, tmp_path: Path) -> None:
    """Good, wrong, broken, raising and rejected workloads are all in the table, on the page and in the JSON."""
    write(workloads, "a_right", GOOD, SIZED, "n: int = 3")
    write(workloads, "b_wrong", "return Outcome({}, {}, [Check('holds', False, 'it does not')])")
    write(workloads, "c_raising", "raise ValueError('something is odd')")
    write(workloads, "d_refused", "return Outcome({}, {}, [])", "least_workers=99")
    (workloads / "e_broken.py").write_text('"""Broken."""\nimport nothing_of_that_name\n')
    run = command("run", "--all", "--workers", "1", "--size", "small", "--results", str(tmp_path / "r"), "--json")
    out, err = run.communicate()
    assert run.returncode == 1, err
    found = {one["workload"]: one for one in json.loads(out)}
    verdicts = {name: one["verdict"] for name, one in found.items()}
    wrong = dict.fromkeys(("b-wrong", "c-raising", "e-broken"), "failed")
    assert verdicts == {"a-right": "ok", "d-refused": "refused", **wrong}
    assert load(Path(found["a-right"]["folder"]) / "result.json").parameters == {"n": 2}
    assert "something is odd" in found["c-raising"]["why"]
    assert "at least 99 workers" in found["d-refused"]["why"]
    assert "nothing_of_that_name" in found["e-broken"]["why"]
    assert "b-wrong: holds: it does not" in err
    assert "1 of 5 workloads are ok" in err
    page = (tmp_path / "r" / "index.html").read_text()
    assert all(name in page for name in found)
    assert page.count("report.html") == 2


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--all", "--size", "huge"], ["Unknown size 'huge'", "default, small"]),
        (["--all", "--wrokers", "1"], ["--wrokers", "--workers"]),
        (["--all", "--workers", "0"], ["--workers", "0"]),
        (["--all", "--on", "mars"], ["mars", "local"]),
        (["--all", "right"], ["right"]),
    ],
)
def test_rejects_bad_input(workloads: Path, args: list[str], words: list[str]) -> None:
    """Mistakes are reported before anything runs."""
    write(workloads, "right", GOOD, SIZED, "n: int = 3")
    said = refused("run", *args)
    assert [word for word in words if word not in said] == [], said


def test_passes_options_on_as_typed() -> None:
    """Each workload's command gets its backend's options, as typed."""
    line = ["--no-tls", "--sbatch-option=--qos=a", "--sbatch-option", "--hold", "--memory", "2GiB", "--workers", "3"]
    typed = AllCommand().make_context("all", line).meta[ALL]
    mine = {name: as_typed(typed, backend.options) for name, backend in BACKENDS.items()}
    assert mine["local"] == ["--memory=2GiB", "--workers=3"]
    assert mine["slurm"] == ["--memory=2GiB", "--sbatch-option=--qos=a", "--sbatch-option=--hold", "--no-tls"]


def test_help_describes_all() -> None:
    """`run --help` names --all, and `run --all --help` lists its options and those of all backends."""
    assert "--all" in invoke("run", "--help").output
    text = invoke("run", "--all", "--help").output
    assert all(word in text for word in ("--size", "--results", "With --on slurm:", "--jobs"))


def test_signal_ends_all(workloads: Path, tmp_path: Path) -> None:
    """SIGTERM ends the running workload with its workers, and no other workload starts."""
    pids = tmp_path / "pids"
    body = f"""\
        import os, pathlib, time
        seen = pathlib.Path({str(pids)!r})
        seen.with_suffix(".new").write_text(" ".join(map(str, [os.getpid(), *client.run(os.getpid).values()])))
        seen.with_suffix(".new").rename(seen)
        time.sleep(60)
    """
    write(workloads, "sleeper", body)
    write(workloads, "zzz", f"import pathlib; pathlib.Path({str(tmp_path / 'begun')!r}).touch()")
    run = command("run", "--all", "--workers", "1", "--results", str(tmp_path / "r"))
    subprocess.run(["sh", "-c", f"until [ -e {pids} ]; do sleep 0.1; done"], check=True)
    run.send_signal(signal.SIGTERM)
    _, err = run.communicate()
    assert run.returncode == 128 + signal.SIGTERM
    assert "Traceback" not in err
    assert not any(os.path.exists(f"/proc/{pid}") for pid in pids.read_text().split())  # noqa: PTH110
    assert not (tmp_path / "begun").exists()
