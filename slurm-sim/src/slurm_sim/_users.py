"""Add and remove users of a mini-cluster."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from slurm_sim._engine import Engine
from slurm_sim._identity import people, unknown
from slurm_sim.config import USER, Config, User, check
from slurm_sim.errors import SlurmSimError, SpecError

_SCRIPT = "/usr/local/lib/slurm-sim/users"
_ENDING_SECONDS = 180

_END_PROCESSES = """
while pkill --signal KILL --uid "$1"; do # no event says that the last one has ended
  [ $SECONDS -lt 20 ] || { echo "processes of user $1 do not end" >&2; exit 1; }
  sleep 0.05
done
"""

# Slurm's own option --user rejects a user who was removed, even by ID.
_END_JOBS = """
jobs() { all=$(squeue --noheader --format='%U %A') && echo "$all" | sed --quiet "s/^$1 //p"; }
jobs "$1" | xargs --no-run-if-empty scancel
until left=$(jobs "$1") && [ -z "$left" ]; do sleep 0.05; done # Slurm sends no notice of a job's end
"""

# sacctmgr fails if there is nothing to add.
_ASSOCIATE = """
for name; do
  account=${ACCOUNT:-$name}
  there() { [ -n "$(sacctmgr --noheader --parsable2 list "$@")" ]; }
  there account "$account" || sacctmgr --immediate add account "$account"
  there association "user=$name" "account=$account" || sacctmgr --immediate add user "$name" "account=$account"
done
"""

# A user with no account of its own is unknown to sacctmgr.
_DISSOCIATE = """
for name; do
  [ -z "$(sacctmgr --noheader --parsable2 list user "$name")" ] || sacctmgr --immediate delete user "$name"
done
"""


def check_names(names: Iterable[str]) -> list[str]:
    """Return the names of additional users, without repetitions. Raises `SpecError` for an invalid one."""
    wanted = list(dict.fromkeys(names))
    if USER in wanted:
        raise SpecError(f"Every mini-cluster has the user {USER!r}.", todo="leave it out, or use another name.")
    check(Config(users=dict.fromkeys(wanted, User())))
    return wanted


def add(engine: Engine, names: Sequence[str]) -> None:
    """Add users, each with a group and a home of its own; those who were removed get theirs back."""
    _run(engine, "add", names)


def remove(engine: Engine, names: Sequence[str]) -> None:
    """Remove users, with their jobs and with their processes on the login node, and return when these have ended.

    Their homes stay. Raises `SpecError` for an unknown user.
    """
    there = present(engine)
    for name in names:
        if name not in there:
            raise unknown(name, there)
    _run(engine, "remove", names)  # first, so that nothing new starts
    for uid in (there[name] for name in names):
        engine.exec("bash", "-c", _END_PROCESSES, "end", str(uid), user="root")
        engine.exec("sh", "-c", _END_JOBS, "end", str(uid), on="slurmctld", user="root", timeout=_ENDING_SECONDS)


def associate(engine: Engine, names: Sequence[str], account: str | None) -> None:
    """Give users an account, which is made if it is not there; by default, one of the user's name."""
    variables = {"ACCOUNT": account or ""}
    engine.exec("sh", "-ec", _ASSOCIATE, "associate", *names, on="slurmctld", user="root", env=variables)


def dissociate(engine: Engine, names: Sequence[str]) -> None:
    """Remove users from accounting. Their jobs must have ended; `sacct` still shows them."""
    engine.exec("sh", "-ec", _DISSOCIATE, "dissociate", *names, on="slurmctld", user="root")


def present(engine: Engine) -> dict[str, int]:
    """Return the users who can submit jobs, and their IDs."""
    return people(engine.exec("getent", "passwd", user="root").stdout)


def _run(engine: Engine, action: str, names: Sequence[str]) -> None:
    done = engine.exec(_SCRIPT, action, *names, user="root", check=False)
    if done.returncode:
        raise SlurmSimError(f"Could not {action} {', '.join(names)}.", done.stderr)
