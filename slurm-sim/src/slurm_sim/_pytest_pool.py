"""The mini-clusters of a test run: started when a test first needs them, shared, kept, and removed."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

import msgspec
import pytest

from slurm_sim import _found, _health, _lifecycle, _locking
from slurm_sim._claims import Claim
from slurm_sim._node_names import node_names
from slurm_sim._pytest_lease import Lease
from slurm_sim._pytest_markers import Place, Wanted, wanted
from slurm_sim._pytest_shared import Leases, Sharing
from slurm_sim.cluster import SlurmSim
from slurm_sim.config import DEFAULT_GROUP
from slurm_sim.errors import EngineError, NotRunningError, SlurmSimError, StartError
from slurm_sim.spec import Arguments

KEPT = "slurm-sim-pytest"
"""Name of the mini-cluster that `--slurm-sim-keep` leaves running for the next such session."""

_KEPT_GATE_SECONDS = 15
_USED = pytest.StashKey[list[SlurmSim]]()


class Pool:
    """The mini-clusters of one process that runs tests.

    Args:
        run: Name of the test run, with which the names of its mini-clusters begin.
        worker: Name of this worker of pytest-xdist, or "".
        keep: Whether mini-clusters of scope session stay after the run.
        usual: Arguments of `SlurmSim` from the command line and the ini file.
        notes: List for messages to the user at the end of the run.
        sharing: How all processes share mini-clusters of scope session, if they do.
    """

    def __init__(
        self,
        run: str,
        *,
        worker: str,
        keep: bool,
        usual: Arguments,
        notes: list[str],
        sharing: Sharing | None = None,
    ) -> None:
        self._run = run
        self._worker = worker
        self._keep = keep
        self._usual = usual
        self._notes = notes
        self._sims: dict[tuple[str, str], SlurmSim] = {}
        self._failed: dict[tuple[str, str], SlurmSimError] = {}
        self._states: dict[SlurmSim, _State] = {}
        self._sole: list[Claim] = []
        self._leases = sharing and Leases(sharing)

    def get(self, node: Place, base: Mapping[str, object], scope: str) -> SlurmSim:
        """Return the mini-cluster for a place in the tests, an existing or a new one; see `wanted`."""
        asked = wanted(base, node, scope)
        key = asked.until.nodeid, asked.kind
        if key in self._failed:  # fail at once, or each test would wait for the same failure
            raise self._failed[key]
        if self._leases and isinstance(asked.until, pytest.Session) and asked.can_be_shared:
            sim = self._lease(self._leases, node, asked, key=key)
        else:
            if key not in self._sims:
                self._start(key, asked)
            sim = self._sims[key]
        used = node.stash.setdefault(_USED, [])
        if sim not in used:
            used.append(sim)
        return sim

    def __contains__(self, sim: SlurmSim) -> bool:
        return sim in self._sims.values() or bool(self._leases and sim in self._leases)

    def used_by(self, item: pytest.Item) -> list[SlurmSim]:
        """Return the mini-clusters that a test, or a fixture of wider scope around it, uses and that still run."""
        used = [sim for node in item.listchain() for sim in node.stash.get(_USED, []) if sim in self]
        return list(dict.fromkeys(used))

    def suspect(self, sim: SlurmSim) -> None:
        """Make a mini-cluster on which a test has failed run a job before the next test gets it."""
        if isinstance(sim, Lease):
            sim.suspect = True
        else:
            self._state(sim).suspect = True

    def ready(self, sim: SlurmSim, nodes: int | None) -> None:
        """Give a test this number of nodes, all of them up, regardless of what earlier tests did to them.

        Without a number: those of the mini-cluster's spec.
        """
        wanted = sim.spec.counts if nodes is None else {DEFAULT_GROUP: nodes}
        if isinstance(sim, Lease):
            if self._leases:
                self._leases.ready(sim)
        else:
            self._mend(sim, node_names(wanted))
        if set(sim.nodes()) != set(node_names(wanted)) and not (isinstance(sim, Lease) and len(sim.nodes()) == nodes):
            sim.scale(**wanted)  # the last test had more, or scaled it

    def end_test(self, sim: SlurmSim) -> None:
        """Cancel a test's jobs, and check what else it has left behind."""
        try:
            if isinstance(sim, Lease):
                if sim.lasting:  # the jobs of other leases end with the lease
                    self._end_jobs_of_lease(sim)
            elif wrong := _health.ailments(sim, sim.nodes()):
                self.suspect(sim)
                _health.revive(sim, wrong)
                self._state(sim).after = _health.configuration(sim)
            else:
                self._state(sim).after = _health.end_jobs(sim)
        except (SlurmSimError, TimeoutError):  # the next test gets a repaired one
            self.suspect(sim)

    def _end_jobs_of_lease(self, lease: Lease) -> None:
        if _health.ailments(lease, lease.nodes()):
            self.suspect(lease)
        else:
            lease.cancel_all(timeout=_health.PATIENCE)

    def close(self) -> None:
        """Remove all mini-clusters except those that are kept."""
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

    def _lease(self, leases: Leases, node: Place, asked: Wanted, *, key: tuple[str, str]) -> SlurmSim:
        name = self._name_of_kept("shared", asked) if self._keep else f"{self._run}-{asked.short_kind}"
        conf = {"CliFilterPlugins": "cli_filter/lua", **(asked.arguments.get("slurm_conf") or {})}
        arguments: Arguments = {**asked.arguments, "slurm_conf": conf}
        try:
            return leases.get(node, asked.kind, SlurmSim(name=name, **arguments))
        except (EngineError, StartError) as error:
            self._failed[key] = error
            raise

    def _mend(self, sim: SlurmSim, names: list[str]) -> None:
        state = self._states.pop(sim, _State())
        try:
            if state.problem:
                raise StartError(state.problem)
            before = _health.restore(sim, names, suspect=state.suspect)
            if state.suspect:
                sim.cancel_all(timeout=_health.PATIENCE)
        except (SlurmSimError, TimeoutError) as error:
            self._notes.append(f"{sim.name} was replaced: {_health.reason(error)}")
            sim.down()
            sim.start()
            before = _health.restore(sim, names, suspect=False)
        self._state(sim).before = before

    def _start(self, key: tuple[str, str], asked: Wanted) -> None:
        lasts = isinstance(asked.until, pytest.Session)
        try:
            self._sims[key] = self._kept(asked) if lasts and self._keep else _new(self._run, asked)
        except SlurmSimError as error:
            self._failed[key] = error
            raise
        if not lasts:
            asked.until.addfinalizer(lambda: self._end(key))

    def _kept(self, asked: Wanted) -> SlurmSim:
        """Return the kept mini-cluster; one that differs or does not work is replaced, with a note to the user.

        Only one run at a time uses it: another would cancel its jobs.
        """
        name = self._name_of_kept(self._worker, asked)
        claim = Claim.sole(name)
        if claim is None:
            self._notes.append(
                f"{name} is used by another run: this one has started its own (--slurm-sim-shared in both shares it)"
            )
            return _new(self._run, asked)
        sim = SlurmSim(name=name, **asked.arguments)
        self._sole.append(claim)
        try:
            found = _found.find(name)
        except NotRunningError:
            sim.down()  # a test may have removed only some of its containers
            sim.start()
            return sim
        differences = _found.differences(found, sim.spec) or _ailments(found)
        if not differences:
            return SlurmSim.attach(name)
        self._notes.append(f"the kept {name} was replaced: {'; '.join(differences)}")
        sim.down()
        sim.start()
        return sim

    def _name_of_kept(self, which: str, asked: Wanted) -> str:
        return "-".join(filter(None, (KEPT, which, asked.special(self._usual))))


class _State(msgspec.Struct):
    """The condition of a mini-cluster after a test: whether it is suspect, and its configuration before and after."""

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
    return f"{sim.name} keeps running; 'slurm-sim down --name {sim.name}' removes it"


def _new(run: str, asked: Wanted) -> SlurmSim:
    sim = SlurmSim(name=new_name(run), **asked.arguments)
    sim.start()
    return sim


def new_run() -> str:
    """Return a unique name for a test run."""
    return f"slurm-sim-{secrets.token_hex(3)}"


def new_name(run: str) -> str:
    """Return a unique name for a mini-cluster of a run."""
    return f"{run}-{secrets.token_hex(2)}"


def remove_all(run: str) -> None:
    """Remove everything that a run has left behind on this host."""
    for name in {*_lifecycle.projects(f"{run}-"), *_locking.broken_off(f"{run}-")}:
        _lifecycle.remove(name)
        _locking.forget(name)


def _ailments(found: _found.Found) -> list[str]:
    """Cancel the jobs of a kept mini-cluster, and return the reasons not to use it."""
    try:
        sim = SlurmSim.attach(found.spec.name)
        sim.cancel_all(timeout=_KEPT_GATE_SECONDS)
        _lifecycle.pass_gate(sim.engine, sim.spec, len(found.nodes), _KEPT_GATE_SECONDS + len(found.nodes))
    except (SlurmSimError, TimeoutError) as error:
        return [_health.reason(error)]
    return []
