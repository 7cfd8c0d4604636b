"""The pytest plugin: real Slurm clusters for tests.

    def test_hello(slurm_sim):
        assert slurm_sim.exec("srun", "-N2", "hostname").stdout.split() == ["c1", "c2"]

Fixtures:
    slurm_sim: A mini-cluster for the test. Tests that need the same one share it; each finds its nodes up and its
        queue empty.
    slurm_sim_options: The arguments of `SlurmSim` for `slurm_sim`. Override it, in any scope.
    slurm_sim_for: `slurm_sim_for(request)` returns the same mini-cluster in a fixture of wider scope.
    slurm_sim_factory: Starts mini-clusters that belong to one test.

Marker: `@pytest.mark.slurm_sim(nodes=4, accounting=True, scope="module")` says what a test, a class or a module needs.
All arguments of `SlurmSim` are allowed. `nodes` is a minimum: the shared mini-cluster grows for this test
and shrinks for the next. Any other argument starts a separate mini-cluster. `scope` says how long it lasts.

Command line, and keys of the ini file: see `pytest --help`. pytest-xdist: every worker has its own mini-clusters, or
with `--slurm-sim-shared` all workers share one: each test has its own nodes in it, see `slurm_sim.nodes()`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack
from typing import Any, get_args

import pytest

from slurm_sim import _pytest_pool
from slurm_sim._pytest_markers import DEFAULT_NODES, Scope, needed_nodes
from slurm_sim._pytest_pool import KEPT, Pool
from slurm_sim._pytest_shared import Sharing
from slurm_sim._signals import sigterm_as_ctrl_c
from slurm_sim.cluster import SlurmSim
from slurm_sim.config import MAX_NODES
from slurm_sim.errors import SlurmSimError
from slurm_sim.spec import Arguments

__all__ = ["KEPT"]

_POOL = pytest.StashKey[Pool]()
_RUN = pytest.StashKey[str]()
_SIGTERM = pytest.StashKey[ExitStack]()
_NOTES = pytest.StashKey[list[str]]()
_LOG_LINES = 30
_SCOPES = get_args(Scope)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options, each with a key of the ini file."""
    group = parser.getgroup("slurm-sim", "a mini Slurm cluster")
    for name, metavar, text in (
        ("nodes", "N", "compute nodes [2]"),
        ("cpus-per-node", "N", "CPUs per node, as reported to Slurm [2]"),
        ("memory-per-node", "SIZE", "memory per node, as reported to Slurm [4G]"),
        ("gpus-per-node", "[TYPE:]N", "simulated GPUs per node, such as a100:2"),
        ("image", "IMAGE", "image of login and compute nodes"),
        ("config", "FILE", "a cluster.toml, relative to the root folder"),
    ):
        group.addoption(f"--slurm-sim-{name}", metavar=metavar, help=text)
        parser.addini(f"slurm_sim_{name.replace('-', '_')}", text)
    text = "run slurmdbd and a database"
    group.addoption("--slurm-sim-accounting", action="store_true", help=text)
    parser.addini("slurm_sim_accounting", text, type="bool")
    text = "how long a mini-cluster lasts: function, class, module, package or session [session]"
    group.addoption("--slurm-sim-scope", metavar="SCOPE", choices=_SCOPES, help=text)
    parser.addini("slurm_sim_scope", text)
    text = "share one mini-cluster among all workers of pytest-xdist: each test has its own nodes in it"
    group.addoption("--slurm-sim-shared", action="store_true", help=text)
    parser.addini("slurm_sim_shared", text, type="bool")
    text = "nodes that tests on a shared mini-cluster can have at the same time; others wait [nodes x workers]"
    group.addoption("--slurm-sim-max-nodes", metavar="N", help=text)
    parser.addini("slurm_sim_max_nodes", text)
    group.addoption(
        "--slurm-sim-keep",
        action="store_true",
        help="leave the session's mini-clusters running, and use them next time",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, and name this run, so that its mini-clusters are found in every process."""
    text = "slurm_sim(nodes, cpus_per_node, accounting, users, config, …, scope): the mini-cluster that a test needs"
    config.addinivalue_line("markers", text)
    given = getattr(config, "workerinput", {}).get("slurm_sim_run")
    config.stash[_RUN] = given or _pytest_pool.new_run()
    config.stash[_NOTES] = []
    scope = _setting(config, "scope") or "session"
    if scope not in _SCOPES:
        raise pytest.UsageError(f"slurm_sim_scope must be one of {', '.join(_SCOPES)}, not {scope!r}")
    _usual(config)
    sharing = _sharing(config)
    for option, given in (("keep", config.getoption("--slurm-sim-keep")), ("shared", sharing)):
        if given and scope != "session":
            raise pytest.UsageError(
                f"--slurm-sim-{option} needs --slurm-sim-scope=session: narrower scopes end with their tests"
            )
    if _setting(config, "max_nodes") and not sharing:
        raise pytest.UsageError("--slurm-sim-max-nodes needs --slurm-sim-shared: it limits a shared mini-cluster")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Pass the run's name to a worker of pytest-xdist; this process removes mini-clusters that the worker leaves."""
    node.workerinput["slurm_sim_run"] = node.config.stash[_RUN]
    if _SIGTERM not in node.config.stash:
        node.config.stash[_SIGTERM] = stack = ExitStack()
        stack.enter_context(sigterm_as_ctrl_c())


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Collect the notes of a pytest-xdist worker."""
    node.config.stash[_NOTES] += getattr(node, "workeroutput", {}).get("slurm_sim_notes", [])


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Pass a worker's notes to the process that reports them."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["slurm_sim_notes"] = session.config.stash[_NOTES]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Report which mini-clusters were kept or replaced."""
    for note in sorted({*config.stash[_NOTES]}):  # workers that share a mini-cluster have the same notes
        terminalreporter.write_line(f"slurm-sim: {note}")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove what workers of pytest-xdist that crashed or were killed have left behind."""
    if _RUN in config.stash and not hasattr(config, "workerinput"):
        _pytest_pool.remove_all(config.stash[_RUN])
    if _SIGTERM in config.stash:
        config.stash[_SIGTERM].close()


@pytest.fixture(scope="session")
def slurm_sim_options(pytestconfig: pytest.Config) -> dict[str, Any]:
    """Return the arguments of `SlurmSim` for `slurm_sim`, from the command line and the ini file.

    Override it in a conftest.py, a module or a class to change them.
    """
    return {**_usual(pytestconfig)}


@pytest.fixture(scope="session")
def _slurm_sim_pool(request: pytest.FixtureRequest) -> Iterator[Pool]:
    config = request.config
    keep = config.getoption("--slurm-sim-keep")
    worker = getattr(config, "workerinput", {}).get("workerid", "")
    pool = Pool(
        config.stash[_RUN],
        worker=worker,
        keep=keep,
        usual=_usual(config),
        notes=config.stash[_NOTES],
        sharing=_sharing(config),
    )
    config.stash[_POOL] = pool
    with sigterm_as_ctrl_c():
        yield pool
        pool.close()


@pytest.fixture(scope="session")
def slurm_sim_for(_slurm_sim_pool: Pool) -> Callable[[pytest.FixtureRequest], SlurmSim]:
    """Return a function: `slurm_sim_for(request)` is the mini-cluster that tests at this place get as `slurm_sim`.

    Use it in fixtures of wider scope, which must end their own jobs.
    """

    def sim_for(request: pytest.FixtureRequest) -> SlurmSim:
        return _started(_slurm_sim_pool, request)

    return sim_for


@pytest.fixture
def slurm_sim(_slurm_sim_pool: Pool, request: pytest.FixtureRequest) -> Iterator[SlurmSim]:
    """Return a mini-cluster with all nodes up and an empty queue; a test's jobs end with the test."""
    sim = _started(_slurm_sim_pool, request, ready=True)
    yield sim
    if sim in _slurm_sim_pool:  # one of scope function is already removed
        _slurm_sim_pool.end_test(sim)


@pytest.fixture
def slurm_sim_factory(pytestconfig: pytest.Config) -> Iterator[Callable[..., SlurmSim]]:
    """Return a function with the arguments of `SlurmSim` that starts mini-clusters, which end with the test."""
    with ExitStack() as stack:

        def start(*args: Any, **kwargs: Any) -> SlurmSim:
            kwargs.setdefault("name", _pytest_pool.new_name(pytestconfig.stash[_RUN]))
            return stack.enter_context(SlurmSim(*args, **kwargs))

        yield start


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the state of its mini-clusters to the report of a failed test."""
    report = yield
    if report.failed and (pool := item.config.stash.get(_POOL, None)):
        for sim in pool.used_by(item):
            pool.suspect(sim)
            report.sections.append((f"mini-cluster {sim.name}", _snapshot(sim)))
    return report


def _started(pool: Pool, request: pytest.FixtureRequest, *, ready: bool = False) -> SlurmSim:
    """Return the mini-cluster of this place, on request ready for a test; errors fail the test with their message."""
    scope = _setting(request.config, "scope") or "session"
    base = _base(request)
    try:
        sim = pool.get(request.node, base, scope)
        if ready:
            pool.ready(sim, needed_nodes(base, request.node))
    except (SlurmSimError, TimeoutError) as error:
        what = str(error)
    else:
        return sim
    pytest.fail(what, pytrace=False)  # inside `except`, pytest would show the original exception, too


def _base(request: pytest.FixtureRequest) -> Mapping[str, object]:
    base: Mapping[str, object] = request.getfixturevalue("slurm_sim_options")
    return base


def _usual(config: pytest.Config) -> Arguments:
    """Return the arguments of `SlurmSim` from the command line and the ini file."""
    usual: Arguments = {}
    if (nodes := _number("nodes", _setting(config, "nodes"))) is not None:
        usual["nodes"] = nodes
    if (cpus := _number("cpus_per_node", _setting(config, "cpus_per_node"))) is not None:
        usual["cpus_per_node"] = cpus
    if (memory := _setting(config, "memory_per_node")) is not None:
        usual["memory_per_node"] = memory
    if (gpus := _setting(config, "gpus_per_node")) is not None:
        usual["gpus_per_node"] = gpus
    if (image := _setting(config, "image")) is not None:
        usual["image"] = image
    if (file := _setting(config, "config")) is not None:
        usual["config"] = config.rootpath / file
    if config.getoption("--slurm-sim-accounting") or config.getini("slurm_sim_accounting"):
        usual["accounting"] = True
    return usual


def _setting(config: pytest.Config, name: str) -> str | None:
    """Return the command line's value, else the ini file's."""
    given: str | None = config.getoption(f"--slurm-sim-{name.replace('_', '-')}")
    return given or config.getini(f"slurm_sim_{name}") or None


def _sharing(config: pytest.Config) -> Sharing | None:
    """Return how all workers share a mini-cluster, or None."""
    if not (config.getoption("--slurm-sim-shared") or config.getini("slurm_sim_shared")):
        return None
    usual = _usual(config).get("nodes") or DEFAULT_NODES
    most = _number("max_nodes", _setting(config, "max_nodes"))
    if most is not None and not usual <= most <= MAX_NODES:
        raise pytest.UsageError(
            f"slurm_sim_max_nodes must be between {usual}, the nodes of one test, and {MAX_NODES}, not {most}"
        )
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    return Sharing(
        run=config.stash[_RUN],
        most=usual * workers if most is None else most,
        strict=most is not None,
        notes=config.stash[_NOTES],
    )


def _number(name: str, text: str | None) -> int | None:
    try:
        return None if text is None else int(text)
    except ValueError:
        raise pytest.UsageError(f"slurm_sim_{name} must be a number, not {text!r}") from None


def _snapshot(sim: SlurmSim) -> str:
    try:
        seen = sim.exec("sh", "-c", "sinfo --Node --long; squeue", check=False, timeout=10).stdout
        return seen + sim.logs("slurmctld", lines=_LOG_LINES)
    except (SlurmSimError, TimeoutError) as error:  # the test's own failure is the one to report
        return f"state unknown: {error}"
