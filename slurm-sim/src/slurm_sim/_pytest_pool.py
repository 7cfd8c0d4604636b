"""The mini-clusters of a test run: started when a test first needs them, shared, kept, and removed."""

from __future__ import annotations

import difflib
import hashlib
import inspect
import secrets
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Literal

import pytest

from slurm_sim import _lifecycle, _locking
from slurm_sim.cluster import SlurmSim
from slurm_sim.errors import NotRunningError, SlurmSimError, SpecError
from slurm_sim.spec import MAX_NODES, check_count

Scope = Literal["function", "class", "module", "package", "session"]

KEPT = "slurm-sim-pytest"
"""The name of the mini-cluster that `--slurm-sim-keep` leaves running, and that the next such session uses."""

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
    """

    def __init__(self, run: str, *, worker: str, keep: bool, usual: Mapping[str, Any], notes: list[str]) -> None:
        self._run, self._worker, self._keep, self._usual, self._notes = run, worker, keep, usual, notes
        self._sims: dict[tuple[str, str], SlurmSim] = {}
        self._failed: dict[tuple[str, str], SlurmSimError] = {}
        self._used = ExitStack()

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
        if key not in self._sims:
            self._start(key, place, wanted)
        sim = self._sims[key]
        used = node.stash.setdefault(_USED, [])
        if sim not in used:
            used.append(sim)
        return sim

    def __contains__(self, sim: SlurmSim) -> bool:
        return sim in self._sims.values()

    def used_by(self, item: pytest.Item) -> list[SlurmSim]:
        """Return those that a test, or a fixture of wider scope around it, has asked for and that still run."""
        used = [sim for node in item.listchain() for sim in node.stash.get(_USED, []) if sim in self]
        return list(dict.fromkeys(used))

    def close(self) -> None:
        """End all but those that are kept."""
        for key, sim in list(self._sims.items()):
            if sim.name.startswith(KEPT):
                self._notes.append(f"{sim.name} runs on; 'slurm-sim down --name {sim.name}' ends it")
            else:
                self._end(key)
        self._used.close()

    def _end(self, key: tuple[str, str]) -> None:
        self._sims.pop(key).down()

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
        try:
            self._used.enter_context(_locking.exclusive(f"{name}.used", wait=False))
        except BlockingIOError:
            self._notes.append(f"{name} is used by another run: this one has started its own")
            return _new(self._run, wanted)
        sim = SlurmSim(name=name, **wanted)
        try:
            found = _lifecycle.find(name)
        except NotRunningError:
            sim.start()
            return sim
        differences = _lifecycle.differences(found, sim.spec) or _ailments(found)
        if not differences:
            return SlurmSim.attach(name)
        self._notes.append(f"the kept {name} was replaced: {'; '.join(differences)}")
        sim.down()
        sim.start()
        return sim


def _new(run: str, wanted: dict[str, Any]) -> SlurmSim:
    sim = SlurmSim(name=new_name(run), **wanted)
    sim.start()
    return sim


def needed_nodes(base: Mapping[str, Any], node: pytest.Item | pytest.Collector) -> int:
    """Return how many nodes a place in the tests needs: its marker's if those are more than all tests have."""
    usual: int = base.get("nodes", 2)
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
    return hashlib.sha256(_kind(added).encode()).hexdigest()[:6] if added else ""


def _ailments(found: _lifecycle.Found) -> list[str]:
    """Cancel the jobs of a kept mini-cluster, and return the reasons not to use it."""
    try:
        SlurmSim.attach(found.spec.name).cancel_all(timeout=_KEPT_GATE_SECONDS)
        _lifecycle.pass_gate(found.spec.name, len(found.nodes), _KEPT_GATE_SECONDS + len(found.nodes))
    except (SlurmSimError, TimeoutError) as error:
        return [str(error).splitlines()[0]]
    return []
