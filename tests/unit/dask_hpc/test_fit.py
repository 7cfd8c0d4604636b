"""Sizes, and what a workload needs: other defaults by one word, and a refusal with figures before anything starts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dask_hpc import Count, discovery
from dask_hpc.clusters import Plan
from dask_hpc.errors import RequestError
from dask_hpc.fit import available_memory, refuse_backend, refuse_what_does_not_fit
from dask_hpc.workload import Need, Outcome, Workload, workload
from tests.support.hpc_command import command, invoke, write

GIB = 1 << 30
SIZED = 'click.option("--n", type=Count(maximum=10**12), default="5"), click.option("--k", type=Count(), default="1"),\
    sizes={"tutorial": {"n": "7e3"}}, memory=lambda n, k, workers: Need(client=8 * n, worker=n * workers)'


def needing(client: int = 0, worker: int = 0, least_workers: int = 1) -> Workload:
    @workload(memory=lambda: Need(client, worker), least_workers=least_workers)
    def some(client: object) -> Outcome:
        raise NotImplementedError

    return some


def fits(one: Workload, workers: int = 2, memory: int = GIB, *, one_machine: bool = False) -> None:
    refuse_what_does_not_fit(one, {}, Plan([], {}, None, workers, memory), one_machine=one_machine)


@pytest.mark.parametrize(
    ("options", "parameters"),
    [
        ((), {"n": 5, "k": 1}),
        (("--size", "tutorial"), {"n": 7000, "k": 1}),
        (("--size", "tutorial", "--n", "3"), {"n": 3, "k": 1}),
        (("--k", "2", "--size", "tutorial"), {"n": 7000, "k": 2}),
    ],
)
def test_a_size_is_other_defaults(
    workloads: Path, tmp_path: Path, options: tuple[str, ...], parameters: dict[str, int]
) -> None:
    """--size changes what is not on the command line, and result.json says which size it was."""
    write(workloads, "sized", "return Outcome({}, {}, [])", SIZED, "n, k")
    run = command("run", "sized", *options, "--workers", "1", "--results", str(tmp_path / "r"), "--json")
    out, err = run.communicate(timeout=60)
    assert run.returncode == 0, err
    result = json.loads(out)
    assert result["parameters"] == parameters
    assert result["size"] == ("tutorial" if "tutorial" in options else "default")


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
def test_bad_sizes_are_refused(workloads: Path, options: list[str], words: list[str]) -> None:
    """Zero, negative, unknown and too large sizes are named, with the figure, and nothing is started."""
    write(workloads, "sized", "return Outcome({}, {}, [])", SIZED, "n, k")
    done = invoke("run", "sized", "--workers", "1", *options)
    assert done.exit_code == 2, done.output
    assert [word for word in words if word not in done.output] == [], done.output
    assert "dashboard" not in done.output


def test_help_says_what_a_size_is(workloads: Path) -> None:
    """The help of a workload with sizes names them with their values; without, there is no --size."""
    write(workloads, "sized", "return Outcome({}, {}, [])", SIZED, "n, k")
    write(workloads, "plain", "return Outcome({}, {}, [])")
    assert "tutorial: n 7e3" in invoke("run", "sized", "--help").output
    assert "--size" not in invoke("run", "plain", "--help").output


def test_too_much_for_a_worker() -> None:
    """What one worker holds at once must stay below where Dask makes it pause, 0.8 of its memory."""
    fits(needing(worker=int(0.79 * GIB)))
    with pytest.raises(
        RequestError, match=r"in one worker: 921\.60 MiB\. A worker has 1\.00 GiB.*above 80% of it"
    ) as caught:
        fits(needing(worker=int(0.9 * GIB)))
    assert caught.value.exit_code == 2
    fits(needing(worker=int(0.9 * GIB)), memory=0)  # nobody knows how much a worker has


def test_too_much_for_the_machine() -> None:
    """The client's memory is this machine's; so is that of all workers where they are here."""
    free = available_memory()
    fits(needing(client=free // 2))
    with pytest.raises(RequestError, match=r"in the client, .* in all\. Free: "):
        fits(needing(client=2 * free))
    each = free // 3
    fits(needing(each, each), workers=4, memory=10 * free)
    with pytest.raises(RequestError, match=r"in each of 4 workers, .* in all\. Free: "):
        fits(needing(each, each), workers=4, memory=10 * free, one_machine=True)


def test_too_few_workers() -> None:
    """A workload for several workers says how many it needs and how many there would be."""
    fits(needing(least_workers=3), workers=3)
    with pytest.raises(RequestError, match=r"at least 3 workers\.\nPlanned: 2\."):
        fits(needing(least_workers=3), workers=2)


def test_the_wrong_backend() -> None:
    """A workload that needs MPI says so."""

    @workload(backends=frozenset({"mpi"}))
    def some(client: object) -> Outcome:
        raise NotImplementedError

    refuse_backend(some, "mpi")
    with pytest.raises(RequestError, match=r"some does not run --on slurm\.\nWhat to do: run it --on mpi"):
        refuse_backend(some, "slurm")


@pytest.mark.parametrize("name", discovery.available())
def test_every_workload_refuses_sizes_out_of_range(name: str) -> None:
    """Below the least, above the most, no number at all: each count of each workload is refused by its name."""
    counts = [
        option for option in discovery.load(discovery.available()[name]).options if isinstance(option.type, Count)
    ]
    for option in counts:
        assert isinstance(option.type, Count)
        for value in (option.type.minimum - 1, option.type.maximum + 1, "banana", "1.5"):
            done = invoke("run", name, option.opts[0], str(value))
            assert done.exit_code == 2, done.output
            assert f"'{option.opts[0]}'" in done.output
            assert "Traceback" not in done.output


@pytest.mark.parametrize("name", discovery.available())
def test_every_workload_refuses_what_it_does_not_know(name: str) -> None:
    """An unknown option and an unknown size end at once, with what there is."""
    assert "No such option" in invoke("run", name, "--no-such-thing").output
    sizes = discovery.load(discovery.available()[name]).sizes
    done = invoke("run", name, "--size", "gigantic")
    assert done.exit_code == 2
    assert all(size in done.output for size in sizes), done.output
