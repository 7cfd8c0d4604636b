"""The mini-clusters of a test run: started when a test first needs them, shared, kept, and removed."""

from __future__ import annotations

import difflib
import hashlib
import inspect
import secrets
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import msgspec
import pytest

from slurm_sim import _health, _lifecycle, _locking
from slurm_sim._claims import Claim
from slurm_sim._pytest_lease import Lease
from slurm_sim._pytest_leases import Leases
from slurm_sim._pytest_shared import Sharing
from slurm_sim.cluster import SlurmSim
from slurm_sim.errors import EngineError, NotRunningError, SlurmSimError, SpecError, StartError
from slurm_sim.spec import MAX_NODES, check_count

Scope = Literal["function", "class", "module", "package", "session"]

KEPT = "slurm-sim-pytest"
"""The name of the mini-cluster that `--slurm-sim-keep` leaves running, and that the next such session uses."""

DEFAULT_NODES = 2
MARKER = "slurm_sim"
_ARGUMENTS = [name for name in inspect.signature(SlurmSim).parameters if name != "name"]
_KINDS: dict[str, type[pytest.Item | pytest.Collector]] = {
    "function": pytest.Item,
    "class": pytest.Class,
    "module": pytest.Module,
    "package": pytest.Package,
    "session": pytest.Session,
}
_KEPT_GATE_SECONDS = 15
_USED = pytest.StashKey[list[SlurmSim]]()


class Pool:
    """The mini-clusters of one process that runs tests.

    Args:
        run: The run's name, which every mini-cluster's begins with.
        worker: The name of this worker of pytest-xdist, or "".
        keep: Whether those of scope session stay when the run has ended.
        usual: The arguments of `SlurmSim` that the command line and the ini file give.
        notes: What the user is told at the end is added here.
        sharing: How all processes share those of scope session, if they do.
    """

    def __init__(
        self,
        run: str,
        *,
        worker: str,
        keep: bool,
        usual: Mapping[str, Any],
        notes: list[str],
        sharing: Sharing | None = None,
    ) -> None:
        self._run, self._worker, self._keep, self._usual, self._notes = run, worker, keep, usual, notes
        self._sims: dict[tuple[str, str], SlurmSim] = {}
        self._failed: dict[tuple[str, str], SlurmSimError] = {}
        self._states: dict[SlurmSim, _State] = {}
        self._sole: list[Claim] = []
        self._leases = sharing and Leases(sharing)

    def get(self, node: pytest.Item | pytest.Collector, base: Mapping[str, Any], scope: str) -> SlurmSim:
        """Return the mini-cluster for a place in the tests: the one that is there, or a new one.

        Args:
            node: A test, or what a fixture of wider scope belongs to: its class, module, package or session.
            base: Arguments of `SlurmSim`; markers add to them and replace them.
            scope: How long it lasts, unless a marker says so.

        Raises:
            SpecError: An argument or a scope that cannot be.
        """
        wanted = _wanted(base, node)
        place = _place(node, wanted.pop("scope", scope))
        wanted["nodes"] = needed_nodes(base, node)
        kind = _kind(wanted)
        key = place.nodeid, kind
        if key in self._failed:  # trying again for each test would take its time each time
            raise self._failed[key]
        if self._leases and isinstance(place, pytest.Session):
            sim = self._lease(self._leases, key, node, wanted)
        else:
            if key not in self._sims:
                self._start(key, place, wanted)
            sim = self._sims[key]
        used = node.stash.setdefault(_USED, [])
        if sim not in used:
            used.append(sim)
        return sim

    def __contains__(self, sim: SlurmSim) -> bool:
        return sim in self._sims.values() or bool(self._leases and sim in self._leases)

    def used_by(self, item: pytest.Item) -> list[SlurmSim]:
        """Return those that a test, or a fixture of wider scope around it, has asked for and that still run."""
        used = [sim for node in item.listchain() for sim in node.stash.get(_USED, []) if sim in self]
        return list(dict.fromkeys(used))

    def suspect(self, sim: SlurmSim) -> None:
        """Have a mini-cluster run a job before the next test gets it: a test has failed on it."""
        if isinstance(sim, Lease):
            sim.suspect = True
        else:
            self._state(sim).suspect = True

    def ready(self, sim: SlurmSim, nodes: int) -> None:
        """Give a test what it is promised: so many nodes, which are up, whatever earlier tests have done to them."""
        if isinstance(sim, Lease):
            if self._leases:
                self._leases.ready(sim)
        else:
            self._mend(sim, nodes)
        if len(sim.nodes()) != nodes:  # the last test had more, or scaled it
            sim.scale(nodes)

    def end_test(self, sim: SlurmSim) -> None:
        """Cancel the jobs of a test, and look at what else it has left."""
        try:
            if isinstance(sim, Lease):
                if sim.lasting:  # the jobs of other leases end with the lease
                    self._end_jobs_of_lease(sim)
            elif wrong := _health.ailments(sim.name, sim.nodes()):
                self.suspect(sim)
                _health.revive(sim, wrong)
                self._state(sim).after = _health.configuration(sim)
            else:
                self._state(sim).after = _health.end_jobs(sim)
        except (SlurmSimError, TimeoutError):  # the next test gets one that works
            self.suspect(sim)

    def _end_jobs_of_lease(self, lease: Lease) -> None:
        if _health.ailments(lease.name, lease.nodes()):
            self.suspect(lease)
        else:
            lease.cancel_all(timeout=_health.PATIENCE)

    def close(self) -> None:
        """End all but those that are kept."""
        for key, sim in list(self._sims.items()):
            if not sim.name.startswith(KEPT):
                self._end(key)
            elif broken := self._state(sim).problem:
                self._notes.append(f"the kept {sim.name} was removed: {broken}")
                self._end(key)
            else:
                self._notes.append(_runs_on(sim))
        for claim in self._sole:
            claim.abandon()
        if self._leases and self._keep:
            self._notes += map(_runs_on, self._leases.sims())

    def _end(self, key: tuple[str, str]) -> None:
        self._sims.pop(key).down()

    def _state(self, sim: SlurmSim) -> _State:
        return self._states.setdefault(sim, _State())

    def _lease(
        self, leases: Leases, key: tuple[str, str], node: pytest.Item | pytest.Collector, wanted: dict[str, Any]
    ) -> SlurmSim:
        if self._keep:
            name = "-".join(filter(None, (KEPT, "shared", _special(wanted, self._usual))))
        else:
            name = f"{self._run}-{_short(key[1])}"
        try:
            conf = {"CliFilterPlugins": "cli_filter/lua", **(wanted.get("slurm_conf") or {})}
            return leases.get(node, key[1], SlurmSim(name=name, **{**wanted, "slurm_conf": conf}))
        except (EngineError, StartError) as error:
            self._failed[key] = error
            raise

    def _mend(self, sim: SlurmSim, nodes: int) -> None:
        state = self._states.pop(sim, _State())
        names = _lifecycle.node_names(nodes)
        try:
            if state.problem:
                raise StartError(state.problem)
            before = _health.restore(sim, names, suspect=state.suspect)
            if state.suspect:
                sim.cancel_all(timeout=_health.PATIENCE)
        except (SlurmSimError, TimeoutError) as error:
            self._notes.append(f"{sim.name} was replaced: {str(error).splitlines()[0]}")
            sim.down()
            sim.start()
            before = _health.restore(sim, names, suspect=False)
        self._state(sim).before = before

    def _start(self, key: tuple[str, str], place: pytest.Item | pytest.Collector, wanted: dict[str, Any]) -> None:
        lasts = isinstance(place, pytest.Session)
        try:
            self._sims[key] = self._kept(wanted) if lasts and self._keep else _new(self._run, wanted)
        except SlurmSimError as error:
            self._failed[key] = error
            raise
        if not lasts:
            place.addfinalizer(lambda: self._end(key))

    def _kept(self, wanted: dict[str, Any]) -> SlurmSim:
        """Return the kept mini-cluster as it is wanted; one that differs, or does not work, is replaced and named.

        One run at a time uses it: another one would cancel its jobs.
        """
        name = "-".join(filter(None, (KEPT, self._worker, _special(wanted, self._usual))))
        claim = Claim.sole(name)
        if claim is None:
            self._notes.append(
                f"{name} is used by another run: this one has started its own (--slurm-sim-shared in both shares it)"
            )
            return _new(self._run, wanted)
        sim = SlurmSim(name=name, **wanted)
        self._sole.append(claim)
        try:
            found = _lifecycle.find(name)
        except NotRunningError:
            sim.down()  # its containers, if a test has removed some
            sim.start()
            return sim
        differences = _lifecycle.differences(found, sim.spec) or _ailments(found)
        if not differences:
            return SlurmSim.attach(name)
        self._notes.append(f"the kept {name} was replaced: {'; '.join(differences)}")
        sim.down()
        sim.start()
        return sim


class _State(msgspec.Struct):
    """The condition in which tests have left a mini-cluster: its configuration before and after the last one."""

    suspect: bool = False
    before: str = ""
    after: str = ""

    @property
    def problem(self) -> str:
        """The change that a test has left behind, or ""."""
        if self.before and self.after and self.before != self.after:
            return f"its configuration was changed: {'; '.join(_health.differences(self.before, self.after)[:3])}"
        return ""


def _runs_on(sim: SlurmSim) -> str:
    return f"{sim.name} runs on; 'slurm-sim down --name {sim.name}' ends it"


def _new(run: str, wanted: dict[str, Any]) -> SlurmSim:
    sim = SlurmSim(name=new_name(run), **wanted)
    sim.start()
    return sim


def needed_nodes(base: Mapping[str, Any], node: pytest.Item | pytest.Collector) -> int:
    """Return how many nodes a place in the tests needs: its marker's if those are more than all tests have."""
    usual: int = base.get("nodes", DEFAULT_NODES)
    marked: list[int] = [mark.kwargs["nodes"] for mark in node.iter_markers(MARKER) if "nodes" in mark.kwargs]
    return max(usual, check_count("nodes", marked[0], MAX_NODES)) if marked else usual


def new_run() -> str:
    """Return a name for a run of tests, which no other has."""
    return f"slurm-sim-{secrets.token_hex(3)}"


def new_name(run: str) -> str:
    """Return a name for a mini-cluster of a run."""
    return f"{run}-{secrets.token_hex(2)}"


def remove_all(run: str) -> None:
    """Remove whatever a run has started on this host and left."""
    for name in {*_lifecycle.projects(f"{run}-"), *_locking.broken_off(f"{run}-")}:
        _lifecycle.remove(name)
        _locking.forget(name)


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """Treat SIGTERM as Ctrl-C, so that `timeout pytest` and a CI job that is cancelled leave nothing behind either."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _wanted(base: Mapping[str, Any], node: pytest.Item | pytest.Collector) -> dict[str, Any]:
    """The arguments of `SlurmSim`, and perhaps `scope`, for a place: an inner marker's go before an outer one's."""
    wanted = dict(base)
    for mark in reversed(list(node.iter_markers(MARKER))):
        if mark.args:
            raise SpecError(
                "the marker slurm_sim takes keywords only", seen=repr(mark.args[0]), hint="slurm_sim(nodes=4)"
            )
        wanted |= mark.kwargs
    for name in wanted:
        if name not in _ARGUMENTS and name != "scope":
            near = difflib.get_close_matches(name, [*_ARGUMENTS, "scope"], n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"one of {', '.join(_ARGUMENTS)}, scope"
            raise SpecError(f"a mini-cluster has no option {name!r}", hint=hint)
    return wanted


def _place(node: pytest.Item | pytest.Collector, scope: str) -> pytest.Item | pytest.Collector:
    """The part of the tests whose end is the mini-cluster's."""
    if scope not in _KINDS:
        near = difflib.get_close_matches(scope, list(_KINDS), n=1)
        raise SpecError(
            f"unknown scope {scope!r}", hint=f"did you mean {near[0]!r}?" if near else f"one of {', '.join(_KINDS)}"
        )
    found = node.getparent(_KINDS[scope])
    if found is not None:
        return found
    if scope == "package":  # pytest's own fixtures of that scope last for the session, too, outside of packages
        return node.session
    if scope == "class" and isinstance(node, pytest.Item):
        return node
    raise SpecError(
        f"a mini-cluster of scope {scope!r} ends before the fixture that asks for it",
        seen=f"the fixture belongs to {node.nodeid or 'the session'}",
        hint="give the fixture a narrower scope, or the mini-cluster a wider one",
    )


def _kind(wanted: Mapping[str, Any]) -> str:
    """Return a key for mini-clusters that tests can share: all arguments except the number of nodes."""
    return repr(sorted((name, str(value)) for name, value in wanted.items() if name != "nodes"))


def _special(wanted: Mapping[str, Any], usual: Mapping[str, Any]) -> str:
    """A short word for what markers and overridden fixtures add, so that each kept kind has a name; "" for nothing."""
    added = {name: value for name, value in wanted.items() if name != "nodes" and usual.get(name) != value}
    return _short(_kind(added)) if added else ""


def _short(kind: str) -> str:
    return hashlib.sha256(kind.encode()).hexdigest()[:6]


def _ailments(found: _lifecycle.Found) -> list[str]:
    """Cancel the jobs of a kept mini-cluster, and return the reasons not to use it."""
    try:
        SlurmSim.attach(found.spec.name).cancel_all(timeout=_KEPT_GATE_SECONDS)
        _lifecycle.pass_gate(found.spec.name, len(found.nodes), _KEPT_GATE_SECONDS + len(found.nodes))
    except (SlurmSimError, TimeoutError) as error:
        return [str(error).splitlines()[0]]
    return []
