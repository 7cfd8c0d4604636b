"""Find what a command needs to run as a user of a container."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from slurm_sim._docker import docker
from slurm_sim._suggest import did_you_mean
from slurm_sim.errors import SpecError

# The user's entry, and whether the home is there; for an unknown name, all entries and status 2.
_ASK = """
entry=$(getent passwd "$1") || { getent passwd; exit 2; }
home=${entry%:*}
[ ! -d "${home##*:}" ] || there=yes
echo "$entry:${there-}"
"""
_UNKNOWN = 2
_FIRST_UID, _LAST_UID = 1000, 59999


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """A user, as the engine needs it.

    Attributes:
        user: Argument of the engine's `--user`: a name from the image, or UID:GID.
        uid: Its ID.
        gid: ID of its group.
        env: Variables that the engine does not set for UID:GID.
        workdir: Its home, or None for the image's working directory.
    """

    user: str
    uid: int
    gid: int
    env: dict[str, str] = {}
    workdir: str | None = None


# The engine finds these in the image by itself.
_OF_IMAGE = {
    "hpc": Identity(user="hpc", uid=_FIRST_UID, gid=_FIRST_UID),
    str(_FIRST_UID): Identity(user="hpc", uid=_FIRST_UID, gid=_FIRST_UID),
    **dict.fromkeys(("root", "0"), Identity(user="root", uid=0, gid=0)),
}


def identify(container: str, user: str) -> Identity:
    """Return a user, given by name or ID. Raises `SpecError` for an unknown name.

    The engine itself looks for users in the image only.
    """
    if user in _OF_IMAGE:
        return _OF_IMAGE[user]
    done = docker("exec", "--user=root", container, "sh", "-c", _ASK, "identify", user)
    if done.returncode == _UNKNOWN:
        if user.isdigit():
            return Identity(user=f"{user}:{user}", uid=int(user), gid=int(user))
        raise unknown(user, people(done.stdout))
    if done.returncode:  # the container does not run: the command itself says so
        return Identity(user=user, uid=0, gid=0)
    name, _, uid, gid, _, home, _, there = done.stdout.strip().split(":")
    env = {"HOME": home, "USER": name, "LOGNAME": name}
    return Identity(user=f"{uid}:{gid}", uid=int(uid), gid=int(gid), env=env, workdir=home if there else "/")


def people(passwd: str) -> dict[str, int]:
    """Return the users of a passwd file who are people, not daemons, and their IDs."""
    rows = [line.split(":") for line in passwd.splitlines()]
    return {row[0]: int(row[2]) for row in rows if _FIRST_UID <= int(row[2]) <= _LAST_UID}


def unknown(user: str, existing: Iterable[str]) -> SpecError:
    """Return the error for a user who is not found; it suggests the nearest one."""
    there = ", ".join(existing)
    todo = did_you_mean(user, existing, f"use one of these, or run 'slurm-sim user add {user}'.")
    return SpecError(f"Unknown user {user!r}.", f"existing: {there}", todo)
