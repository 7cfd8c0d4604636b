"""The pytest plugin: a mini-cluster for a test session.

    def test_hello(slurm_sim):
        assert slurm_sim.exec("srun", "-N2", "hostname").stdout.split() == ["c1", "c2"]

Fixtures: `slurm_sim` (one mini-cluster for the session) and `slurm_sim_factory` (as many as a test wants).
Marker: `@pytest.mark.slurm_sim(nodes=4)` names what a test needs; the session's mini-cluster grows to that for this
test, and every test without it has as many nodes as `--slurm-sim-nodes` says, whatever ran before.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from slurm_sim.cluster import SlurmSim
from slurm_sim.errors import NotRunningError, SlurmSimError

KEPT = "slurm-sim-pytest"
"""The name of the mini-cluster that `--slurm-sim-keep` leaves running, and that the next such session takes up."""

_SIM = pytest.StashKey[SlurmSim]()
_LOG_LINES = 30


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declares the options."""
    group = parser.getgroup("slurm-sim", "a mini Slurm cluster")
    group.addoption("--slurm-sim-nodes", type=int, default=2, metavar="N", help="compute nodes [2]")
    group.addoption("--slurm-sim-image", metavar="IMAGE", help="what login and compute nodes run")
    group.addoption(
        "--slurm-sim-keep", action="store_true", help="leave it running, and take it up again in the next such session"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declares the marker."""
    config.addinivalue_line("markers", "slurm_sim(nodes): how many compute nodes a test needs at least")


@pytest.fixture(scope="session")
def _slurm_sim_session(request: pytest.FixtureRequest) -> Iterator[SlurmSim]:
    option = request.config.getoption
    wanted = {"nodes": option("--slurm-sim-nodes"), "image": option("--slurm-sim-image")}
    keep = option("--slurm-sim-keep")
    with _sigterm_as_ctrl_c():
        try:
            sim = _kept(wanted) if keep else _started(SlurmSim(**wanted))
        except SlurmSimError as error:
            pytest.fail(str(error), pytrace=False)
        request.config.stash[_SIM] = sim
        try:
            yield sim
        finally:
            del request.config.stash[_SIM]
            if not keep:
                sim.down()


@contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """So that `timeout pytest` and a CI that gives up leave nothing behind, either."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.fixture
def slurm_sim(_slurm_sim_session: SlurmSim, request: pytest.FixtureRequest) -> Iterator[SlurmSim]:
    """The session's mini-cluster, with the session's nodes or, if more, its marker's; a test's jobs end with it."""
    marker = request.node.get_closest_marker("slurm_sim")
    needed = max(request.config.getoption("--slurm-sim-nodes"), marker.kwargs.get("nodes", 1) if marker else 1)
    if len(_slurm_sim_session.nodes()) != needed:  # the last test had more, or scaled it
        _slurm_sim_session.scale(needed)
    yield _slurm_sim_session
    _slurm_sim_session.cancel_all()


@pytest.fixture
def slurm_sim_factory() -> Iterator[Callable[..., SlurmSim]]:
    """Starts mini-clusters of a test's own, with the arguments of `SlurmSim`; they end with the test."""
    with ExitStack() as stack:
        yield lambda *args, **kwargs: stack.enter_context(SlurmSim(*args, **kwargs))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Adds what the mini-cluster looked like to the report of a test that failed on it."""
    report = yield
    sim = item.config.stash.get(_SIM, None)
    if report.failed and sim is not None and "slurm_sim" in getattr(item, "fixturenames", ()):
        report.sections.append((f"mini-cluster {sim.name}", _snapshot(sim)))
    return report


def _kept(wanted: dict[str, Any]) -> SlurmSim:
    try:
        return SlurmSim.attach(KEPT)
    except NotRunningError:
        return _started(SlurmSim(name=KEPT, **wanted))


def _started(sim: SlurmSim) -> SlurmSim:
    sim.start()
    return sim


def _snapshot(sim: SlurmSim) -> str:
    try:
        seen = sim.exec("sh", "-c", "sinfo --Node --long; squeue", check=False, timeout=10).stdout
        return seen + sim.logs("slurmctld", lines=_LOG_LINES)
    except (SlurmSimError, TimeoutError) as error:  # the test's own failure is the one to report
        return f"could not be asked: {error}"
