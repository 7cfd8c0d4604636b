"""From what sinfo says to what a job asks for, and what is refused before anything is submitted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from dask_jobqueue.slurm import SLURMJob

from dask_hpc.clusters.slurm.ask import Node, parse_nodes
from dask_hpc.clusters.slurm.backend import SlurmBackend, cluster_settings
from dask_hpc.clusters.slurm.plan import Request, make_request
from dask_hpc.errors import ClusterError, DaskHpcError, RequestError

SINFO = """\
c1|batch*|4|4000|idle|0/4/0/4|1:00:00
c2|batch*|2|4000|idle|0/2/0/2|1:00:00
c3|batch*|64|250000|down*|0/0/64/64|1:00:00
c4|batch*|8|16000|mixed|4/4/0/8|1:00:00
"""
INTERFACE = ("eth0", "login is 172.18.0.2")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every test a home of its own: dask-jobqueue makes the log folder as soon as it knows its name."""
    monkeypatch.setenv("HOME", str(tmp_path))


def plan(nodes: str = SINFO, **given: Any) -> Request:
    options = dict.fromkeys(SlurmBackend.options) | {"sbatch_option": (), "dashboard": "127.0.0.1:0"} | given
    return make_request(options, parse_nodes(nodes), INTERFACE, Path.home() / ".dask-hpc" / "x")


def script(request: Request, **given: Any) -> str:
    options = {"interface": None, "account": None, "sbatch_option": (), "dashboard": "127.0.0.1:0", "tls": True} | given
    settings = cluster_settings(request, options, "dask-hpc-test")
    del settings["scheduler_options"]
    return str(SLURMJob("tls://192.0.2.1:8786", name="one", **settings).job_script())


def test_nodes_are_read() -> None:
    """Every field of sinfo's line is in its place, and a partition's star means the default."""
    first = parse_nodes(SINFO)[0]
    assert first == Node("c1", "batch", True, 4, 4000, "idle", 4, 3600)
    assert parse_nodes("c1|debug|2+|900+|idle|0/2/0/2|infinite")[0].limit is None


@pytest.mark.parametrize("line", ["banana", "c1|batch|x|1|idle|0/1/0/1|1", "c1|batch|1|1|idle|n/a|1"])
def test_an_unexpected_sinfo_is_shown(line: str) -> None:
    """A line of another form is an error that quotes it."""
    with pytest.raises(ClusterError, match=line.split("|", maxsplit=1)[0]):
        parse_nodes(line)


def test_defaults_come_from_the_idle_nodes() -> None:
    """One job an idle node, at most two; the cores and memory of the smaller one, so that either can take it."""
    request = plan()
    assert (request.jobs, request.cores, request.processes, request.memory) == (2, 2, 1, 4000)
    assert request.walltime == 600
    assert request.partition == "batch"
    assert request.interface == "eth0"
    assert set(request.reasons) == set(request.settings())


def test_fewer_cores_get_a_fair_share_of_memory() -> None:
    """Half of a node's cores come with half of its memory."""
    assert plan(cores=1).memory == 2000


def test_what_is_given_is_taken() -> None:
    """An option wins over every default, and says that it was asked for."""
    request = plan(jobs=3, cores=4, memory=1000, walltime=120, processes=2, log_directory="/scratch/logs")
    assert (request.jobs, request.cores, request.memory, request.walltime, request.processes) == (3, 4, 1000, 120, 2)
    assert request.log_directory == Path("/scratch/logs")
    assert request.reasons["cores"] == "asked for"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"cores": 65}, ["65 cores", "c1: 4 cores", "--cores"]),
        ({"cores": 64}, ["64 cores", "down"]),
        ({"memory": 999_999}, ["999999 MiB", "16000 MiB"]),
        ({"processes": 3}, ["3 processes", "2 cores"]),
        ({"walltime": 7200}, ["01:00:00", "02:00:00", "--walltime"]),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Any], words: list[str]) -> None:
    """A request that no usable node can hold names what was asked for and what there is."""
    with pytest.raises(RequestError) as caught:
        plan(**given)
    assert all(word in caught.value.message for word in words)
    assert caught.value.exit_code == 2


def test_no_usable_node_is_refused() -> None:
    """A partition whose nodes are all down is an error that shows them."""
    with pytest.raises(RequestError, match="down"):
        plan(SINFO.splitlines()[2])
    with pytest.raises(RequestError, match="partition gpu"):
        plan("", partition="gpu")


def test_the_job_script_asks_for_what_was_planned() -> None:
    """Cores, memory to the MiB, wall time and partition are in the script; workers have no open dashboard."""
    text = script(plan())
    for line in ("--cpus-per-task=2", "--mem=4000M", "-t 00:10:00", "-p batch", "-J dask-hpc-test"):
        assert f"#SBATCH {line}\n" in text
    for word in ("--nthreads 2", "--no-nanny", "--no-dashboard", "--local-directory /tmp", "OMP_NUM_THREADS=1"):
        assert word in text


def test_several_processes_bring_the_nanny_back() -> None:
    """Two processes a job share its cores, under a nanny, since dask-worker refuses them without."""
    text = script(plan(processes=2))
    assert "--nthreads 1" in text
    assert "--nworkers 2 --nanny" in text
    assert "--preload-nanny dask_hpc.openssl_errors" in text
    assert "openssl_errors" not in script(plan(), tls=False)


def test_an_interface_that_was_asked_for_is_the_workers_too() -> None:
    """Without --interface workers take the route to the scheduler: theirs may have another name."""
    assert "--interface" not in script(plan())
    assert "--interface ib0" in script(plan(interface="ib0"), interface="ib0")


def test_without_slurm_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On a laptop the error names what is missing and the way out."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DaskHpcError) as caught:
        SlurmBackend().plan({}, None)  # type: ignore[arg-type]
    assert "sbatch" in caught.value.message
    assert "--on local" in caught.value.message
