"""Combine the markers of a test, class or module with the options of all tests."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

import pytest

from slurm_sim._suggest import did_you_mean
from slurm_sim.config import MAX_NODES
from slurm_sim.errors import SpecError
from slurm_sim.spec import Arguments, check_count

Scope = Literal["function", "class", "module", "package", "session"]

Place = pytest.Item | pytest.Collector
"""A test, or the class, module, package or session that a fixture of wider scope belongs to."""

DEFAULT_NODES = 2
MARKER = "slurm_sim"
_ARGUMENTS = list(Arguments.__annotations__)
_KINDS: dict[str, type[Place]] = {
    "function": pytest.Item,
    "class": pytest.Class,
    "module": pytest.Module,
    "package": pytest.Package,
    "session": pytest.Session,
}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The mini-cluster that a place in the tests asks for, and the place with which it ends."""

    arguments: Arguments
    until: Place

    @property
    def kind(self) -> str:
        """A key for mini-clusters that tests can share: all arguments except the number of nodes."""
        return _kind(self.arguments)

    @property
    def short_kind(self) -> str:
        """A short hash of its kind."""
        return _short(self.kind)

    @property
    def can_be_shared(self) -> bool:
        """False if its nodes differ from each other, so that a test cannot be given just any of them."""
        return not (self.arguments.get("config") or self.arguments.get("partitions"))

    def special(self, usual: Arguments) -> str:
        """Return a short hash of what markers and overridden fixtures add to the usual arguments; "" for nothing."""
        theirs = {name: value for name, value in self.arguments.items() if usual.get(name) != value}
        theirs.pop("nodes", None)
        return _short(_kind(theirs)) if theirs else ""


def _kind(arguments: Mapping[str, object]) -> str:
    return repr(sorted((name, str(value)) for name, value in arguments.items() if name != "nodes"))


def _short(kind: str) -> str:
    return hashlib.sha256(kind.encode()).hexdigest()[:6]


def wanted(base: Mapping[str, object], node: Place, scope: str) -> Wanted:
    """Return what a place asks for; an inner marker's arguments override an outer one's.

    Args:
        base: Arguments of `SlurmSim`; markers add to them and replace them.
        node: The place.
        scope: Scope of the mini-cluster, unless a marker sets it.

    Raises:
        SpecError: An argument or a scope is unknown or invalid.
    """
    given = dict(base)
    for mark in reversed(list(node.iter_markers(MARKER))):
        if mark.args:
            raise SpecError(
                "The marker slurm_sim accepts keywords only.", repr(mark.args[0]), "write slurm_sim(nodes=4)."
            )
        given |= mark.kwargs
    known = [*_ARGUMENTS, "scope"]
    for name in given:
        if name not in known:
            todo = did_you_mean(name, known, f"use one of {', '.join(known)}.")
            raise SpecError(f"Unknown mini-cluster option {name!r}.", todo=todo)
    until = _end_of(node, str(given.pop("scope", scope)))
    arguments = cast(Arguments, given | {"nodes": needed_nodes(given, node)})
    return Wanted(arguments=arguments, until=until)


def needed_nodes(base: Mapping[str, object], node: Place) -> int | None:
    """Return the number of nodes that a place in the tests needs: its marker's, but at least the usual number.

    None leaves it to a `cluster.toml`.
    """
    marks = list(node.iter_markers(MARKER))
    marked: list[int] = [mark.kwargs["nodes"] for mark in marks if "nodes" in mark.kwargs]
    if cast(Arguments, base).get("config") or any(mark.kwargs.get("config") for mark in marks):
        return check_count("nodes", marked[0], MAX_NODES) if marked else None
    given = cast(Arguments, base).get("nodes")
    usual = DEFAULT_NODES if given is None else given
    return max(usual, check_count("nodes", marked[0], MAX_NODES)) if marked else usual


def _end_of(node: Place, scope: str) -> Place:
    """Return the place with which a mini-cluster of this scope ends."""
    if scope not in _KINDS:
        raise SpecError(
            f"Unknown scope {scope!r}.", todo=did_you_mean(scope, _KINDS, f"use one of {', '.join(_KINDS)}.")
        )
    found = node.getparent(_KINDS[scope])
    if found is not None:
        return found
    if scope == "package":  # outside packages, pytest's own fixtures of this scope last for the session, too
        return node.session
    if scope == "class" and isinstance(node, pytest.Item):
        return node
    raise SpecError(
        f"A mini-cluster of scope {scope!r} ends before the fixture that asks for it.",
        f"The fixture belongs to {node.nodeid or 'the session'}.",
        "give the fixture a narrower scope, or the mini-cluster a wider one.",
    )
