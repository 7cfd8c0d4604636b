"""Users as the engine needs them."""

from __future__ import annotations

import pytest

from slurm_sim import _identity
from slurm_sim._docker import Completed
from slurm_sim._identity import Identity, identify, people, unknown
from slurm_sim.errors import SpecError

PASSWD = """\
root:x:0:0:root:/root:/bin/bash
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
hpc:x:1000:1000::/home/hpc:/bin/bash
alice:*:1001:1001::/home/alice:/bin/bash
"""


def answers(monkeypatch: pytest.MonkeyPatch, status: int, stdout: str) -> list[tuple[str, ...]]:
    """Have the engine answer this; return its calls."""
    calls: list[tuple[str, ...]] = []

    def docker(*words: str) -> Completed:
        calls.append(words)
        return Completed(status, stdout, "")

    monkeypatch.setattr(_identity, "docker", docker)
    return calls


@pytest.mark.parametrize(("user", "name", "uid"), [("hpc", "hpc", 1000), ("1000", "hpc", 1000), ("root", "root", 0)])
def test_asks_nothing_about_usual_users(monkeypatch: pytest.MonkeyPatch, user: str, name: str, uid: int) -> None:
    """For hpc and root, no command runs."""
    calls = answers(monkeypatch, 1, "")
    assert identify("login", user) == Identity(user=name, uid=uid, gid=uid)
    assert calls == []


@pytest.mark.parametrize(("there", "workdir"), [("yes", "/home/alice"), ("", "/")])
def test_other_users_have_variables_and_home(monkeypatch: pytest.MonkeyPatch, there: str, workdir: str) -> None:
    """A user whom the engine does not know is given by ID, with a login's variables, and a home if it is there."""
    answers(monkeypatch, 0, f"alice:*:1001:1002::/home/alice:/bin/bash:{there}\n")
    env = {"HOME": "/home/alice", "USER": "alice", "LOGNAME": "alice"}
    assert identify("login", "alice") == Identity(user="1001:1002", uid=1001, gid=1002, env=env, workdir=workdir)


def test_unknown_names_are_rejected_and_unknown_ids_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown name is an error; an ID without a name may own a removed user's files."""
    answers(monkeypatch, 2, PASSWD)
    with pytest.raises(SpecError, match=r"Unknown user 'alcie'\.\nexisting: hpc, alice\n.*did you mean 'alice'"):
        identify("login", "alcie")
    assert identify("login", "1007") == Identity(user="1007:1007", uid=1007, gid=1007)


def test_container_that_does_not_run_is_no_unknown_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the engine cannot ask, the command that follows reports why."""
    answers(monkeypatch, 1, "")
    assert identify("login", "alice").user == "alice"


def test_people_are_no_daemons() -> None:
    """Users of daemons are left out."""
    assert people(PASSWD) == {"hpc": 1000, "alice": 1001}


def test_unknown_suggests_adding() -> None:
    """Without a similar name, the advice is to add the user."""
    assert "'slurm-sim user add zoe'" in str(unknown("zoe", ["hpc"]))
