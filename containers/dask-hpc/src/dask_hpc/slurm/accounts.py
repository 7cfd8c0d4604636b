"""The accounts that jobs are charged to."""

from __future__ import annotations

import getpass
import os
from dataclasses import dataclass

from dask_hpc.slurm.commands import run
from dask_hpc.slurm.environment import CHOICES


@dataclass(frozen=True)
class Accounts:
    """The names of a user's accounts, the default one first, or the reason for having none."""

    names: tuple[str, ...] = ()
    why_none: str = ""


def accounts() -> Accounts:
    """Return the accounts that this user may charge; only `$SBATCH_ACCOUNT`, if it is set."""
    if chosen := os.environ.get(CHOICES["account"]):
        return Accounts((chosen,))
    user = getpass.getuser()
    answer = run("sacctmgr", "-nP", "show", "assoc", f"user={user}", "format=account")
    if answer.status is None:
        return Accounts(why_none="sacctmgr not found")
    if answer.status and "accounting_storage" in answer.err:
        return Accounts(why_none="this Slurm keeps no accounts")
    if answer.status:
        return Accounts(why_none=f"sacctmgr: {answer.said}")
    found = list(dict.fromkeys(line.strip() for line in answer.out.splitlines() if line.strip()))
    if not found:
        return Accounts(why_none="sacctmgr lists no account of yours")
    default = run("sacctmgr", "-nP", "show", "user", user, "format=defaultaccount").out.strip()
    return Accounts(tuple(sorted(found, key=lambda name: name != default)))
