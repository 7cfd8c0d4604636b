"""The command `dask-hpc`."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dask_hpc.tutorial import commands, discovery
from dask_hpc.tutorial.results import load
from dask_hpc.tutorial.run import Asked
from tests.support.hpc_command import PACKAGE, command, invoke, refused, write


def test_lists_every_workload() -> None:
    """Each file in workloads/ is listed with its summary, as a table and as JSON; the tutorial is below the table."""
    names = {file.stem.replace("_", "-") for file in discovery.folder().glob("[!_]*.py")} - {"tutorial"}
    listed = json.loads(invoke("list", "--json").output)
    assert {one["name"] for one in listed} == names
    assert all(one["summary"] for one in listed)
    assert all(name in invoke("list").output for name in names)
    assert "Begin with python" in invoke("list").output


def test_list_does_not_import_dask() -> None:
    """Listing loads no workload, and is fast."""
    code = "import sys, dask_hpc.cli as c; c.main(['list'], standalone_mode=False); sys.exit('dask' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(PACKAGE)}, capture_output=True, check=False
    )
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["run", "monte-carlo-pie"], ["monte-carlo-pie", "Did you mean monte-carlo-pi?"]),
        (["run", "xyzzy"], ["xyzzy", "dask-hpc list"]),
        (["rnu"], ["Did you mean 'run'?"]),
        (["run", "monte-carlo-pi", "--sampels", "3"], ["--sampels", "--samples"]),
        (["run", "monte-carlo-pi", "--on", "mars"], ["mars", "local", "slurm"]),
        (["run", "monte-carlo-pi", "--samples", "-1"], ["--samples", "-1"]),
        (["run", "monte-carlo-pi", "--samples", "0"], ["--samples", "0"]),
        (["run", "monte-carlo-pi", "--samples", "1.5"], ["1.5", "whole"]),
        (["run", "monte-carlo-pi", "--samples", "banana"], ["banana", "not a number"]),
        (["run", "monte-carlo-pi", "--chunks", "0"], ["--chunks", "0"]),
        (["run", "monte-carlo-pi", "--samples", "10", "--chunks", "11"], ["--chunks", "11", "10 samples"]),
        (["run", "monte-carlo-pi", "--seed", "-1"], ["--seed", "-1"]),
        (["run", "monte-carlo-pi", "--jobs", "2"], ["--jobs", "--on local"]),
        (["run", "monte-carlo-pi", "--workers", "0"], ["--workers", "0"]),
        (["run", "monte-carlo-pi", "--workers", "9999"], ["9999", "cores"]),
    ],
)
def test_rejects_bad_input(args: list[str], words: list[str]) -> None:
    """The error names the mistake and suggests a correction; the exit status is 2, without a traceback."""
    said = refused(*args)
    assert all(word in said for word in words), said


def test_rejects_unusable_results_folder_before_start(tmp_path: Path) -> None:
    """A results folder that is a file ends the run before a Dask cluster starts."""
    (tmp_path / "file").write_text("")
    done = invoke("run", "monte-carlo-pi", "--results", str(tmp_path / "file"))
    assert done.exit_code == 1
    assert "not writable" in done.output
    assert "dashboard" not in done.output


def test_help_has_examples_and_sections() -> None:
    """A workload's help has its own options, those of the Dask cluster, and commands to copy."""
    text = invoke("run", "monte-carlo-pi", "--help").output
    assert all(
        word in text for word in ("--samples", "--on [local|slurm|mpi|CLUSTER]", "With --on slurm:", "Examples:")
    )
    assert "monte-carlo-pi" in invoke("run", "--help").output


def test_runs_workload_on_this_machine(tmp_path: Path) -> None:
    """The result goes to standard output as JSON, the tables to standard error, and the files to the folder."""
    run = command(
        "run",
        "monte-carlo-pi",
        "--samples",
        "1e6",
        "--chunks",
        "7",
        "--workers",
        "2",
        "--results",
        str(tmp_path),
        "--json",
    )
    out, err = run.communicate()
    assert run.returncode == 0, err
    printed = json.loads(out)
    latest = tmp_path / "monte-carlo-pi" / "latest"
    stored = load(latest / "result.json")
    assert printed["values"] == stored.values
    assert stored.parameters == {"samples": 10**6, "chunks": 7, "seed": 42, "serial": True, "sweep": False}
    assert stored.cluster.workers == 2
    assert all(check.ok for check in stored.checks)
    assert "speed-up" in err
    assert "\x1b" not in err, "no colours in a pipe"
    assert "WARNING" not in err


def test_reports_need_no_network(tmp_path: Path) -> None:
    """Our report and Dask's own contain their scripts, and fetch nothing."""
    run = command(
        "run",
        "monte-carlo-pi",
        "--samples",
        "1e5",
        "--workers",
        "1",
        "--results",
        str(tmp_path),
        "--performance-report",
    )
    _, err = run.communicate()
    assert run.returncode == 0, err
    for name in ("report.html", "performance-report.html"):
        page = (tmp_path / "monte-carlo-pi" / "latest" / name).read_text()
        assert "count_inside" in page
        assert not re.findall(r"""<(?:script|link)[^>]*(?:src|href)=["']?(?:https?:)?//""", page)


def test_failed_check_fails_run(workloads: Path, tmp_path: Path) -> None:
    """The result is kept and printed, and the exit status is 1."""
    write(workloads, "wrong", "return Outcome({'x': 1}, {}, [Check('holds', False, 'it does not')])")
    run = command("run", "wrong", "--workers", "1", "--results", str(tmp_path))
    out, err = run.communicate()
    assert run.returncode == 1, err
    assert "FAILED holds: it does not" in out
    assert load(tmp_path / "wrong" / "latest" / "result.json").ok is False


def test_prints_result_if_folder_vanishes(workloads: Path, tmp_path: Path) -> None:
    """If the results cannot be written at the end, they are still printed, and the exit status is 1."""
    results = tmp_path / "results"
    body = f"""\
        import pathlib, shutil
        shutil.rmtree({str(results)!r} + "/vanish")
        pathlib.Path({str(results)!r} + "/vanish").touch()
        return Outcome({{"x": 17}}, {{}}, [])
    """
    write(workloads, "vanish", body)
    run = command("run", "vanish", "--workers", "1", "--results", str(results), "--json")
    out, err = run.communicate()
    assert run.returncode == 1
    assert "Traceback" not in err
    assert "not writable" in err
    assert json.loads(out)["values"] == {"x": 17}


def test_reports_workload_that_cannot_be_loaded(workloads: Path) -> None:
    """The error names the path of a file with an error or without a workload."""
    (workloads / "broken.py").write_text('"""Broken."""\nimport nothing_of_that_name\n')
    (workloads / "empty.py").write_text('"""Nothing."""\n')
    for name, word in (("broken", "nothing_of_that_name"), ("empty", "declares no workload")):
        done = invoke("run", name)
        assert done.exit_code == 1
        assert word in done.output
        assert f"{name}.py" in done.output


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_signal_leaves_nothing(workloads: Path, tmp_path: Path, signum: signal.Signals) -> None:
    """Ctrl-C and SIGTERM end the run with the shell's status, without a traceback, workers or a partial result."""
    write(
        workloads,
        "sleeper",
        """\
        import os, time
        pids = client.run(os.getpid)
        print("PIDS", *pids.values(), flush=True)
        time.sleep(60)
    """,
    )
    results = tmp_path / "results"
    run = command("run", "sleeper", "--workers", "1", "--results", str(results))
    assert run.stdout is not None
    line = next(line for line in run.stdout if line.startswith("PIDS"))
    run.send_signal(signum)
    _, err = run.communicate()
    assert run.returncode == 128 + signum
    assert "Traceback" not in err
    assert not any(Path(f"/proc/{pid}").exists() for pid in line.split()[1:])
    assert list((results / "sleeper").iterdir()) == []


SIZED = 'types={"n": Count(maximum=10**12), "k": Count()}, sizes={"tutorial": {"n": "7e3"}}, \
    memory=lambda n, k, workers: Need(client=8 * n, worker=n * workers)'
NUMBERS = "n: int = 5, k: int = 1"


@pytest.mark.parametrize(
    ("options", "parameters"),
    [
        ((), {"n": 5, "k": 1}),
        (("--size", "tutorial"), {"n": 7000, "k": 1}),
        (("--size", "tutorial", "--n", "3"), {"n": 3, "k": 1}),
        (("--k", "2", "--size", "tutorial"), {"n": 7000, "k": 2}),
    ],
)
def test_size_changes_defaults(
    workloads: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], parameters: dict[str, int]
) -> None:
    """--size sets the options that are not on the command line."""
    asked: list[Asked] = []
    monkeypatch.setattr(commands, "run_workload", lambda one, *_args, **_options: asked.append(one))
    write(workloads, "sized", "return Outcome({}, {}, [])", SIZED, NUMBERS)
    done = invoke("run", "sized", *options, "--workers", "1")
    assert done.exit_code == 0, done.output
    assert [one.parameters for one in asked] == [parameters]
    assert asked[0].size == ("tutorial" if "tutorial" in options else "default")


def test_result_records_size_and_parameters(workloads: Path, tmp_path: Path) -> None:
    """result.json has the size, and the parameters from the size and the command line."""
    write(workloads, "sized", "return Outcome({}, {}, [])", SIZED, NUMBERS)
    run = command("run", "sized", "--size", "tutorial", "--k", "2", "--workers", "1", "--results", str(tmp_path / "r"))
    _, err = run.communicate()
    assert run.returncode == 0, err
    stored = load(tmp_path / "r" / "sized" / "latest" / "result.json")
    assert (stored.size, stored.parameters) == ("tutorial", {"n": 7000, "k": 2})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--size", "huge"], ["'huge'", "'default', 'tutorial'"]),
        (["--n", "1e11"], ["does not fit", "93.13 GiB", "--memory"]),
        (["--n", "1e13"], ["--n", "1e13", "1000000000000"]),
        (["--n", "0"], ["--n", "0"]),
        (["--n", "-4"], ["--n", "-4"]),
        (["--k", "1", "--nn", "3"], ["--nn", "--n"]),
    ],
)
def test_rejects_bad_sizes(workloads: Path, options: list[str], words: list[str]) -> None:
    """Zero, negative, unknown and too large sizes are rejected with the figure, before anything starts."""
    write(workloads, "sized", "return Outcome({}, {}, [])", SIZED, NUMBERS)
    said = refused("run", "sized", "--workers", "1", *options)
    assert [word for word in words if word not in said] == [], said
    assert "dashboard" not in said


def test_help_lists_sizes(workloads: Path) -> None:
    """The help of a workload with sizes lists their values; without sizes there is no --size."""
    write(workloads, "sized", "return Outcome({}, {}, [])", SIZED, NUMBERS)
    write(workloads, "plain", "return Outcome({}, {}, [])")
    assert "tutorial: n 7e3" in invoke("run", "sized", "--help").output
    assert "--size" not in invoke("run", "plain", "--help").output
