"""Write the commands of sacctmgr that make the accounts, users and QOS of a new mini-cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from slurm_sim.config import DEFAULT_QOS, USER, Account, Config, Qos, User, all_accounts, ancestors


def commands(config: Config) -> str:
    """Return sacctmgr's commands, one per line, in an order in which nothing is used before it exists."""
    lines = [*_qos(config), *_accounts(config), *_users(config)]
    return "\n".join(lines)  # without an end of the last line: sacctmgr rejects an empty one


def _qos(config: Config) -> Iterator[str]:
    for name, qos in config.qos.items():
        if name != DEFAULT_QOS:
            yield _command("add qos", {"Name": name, **_of_qos(qos)})
        elif settings := {key: value for key, value in _of_qos(qos).items() if value not in (None, "")}:
            yield _command(f"modify qos {name} set", settings)
    for name, qos in config.qos.items():
        if qos.preempts:
            yield _command(f"modify qos {name} set", {"Preempt": ",".join(qos.preempts)})
    if config.qos:  # accounts and users inherit this
        yield _command("modify account root set", {"QOS": ",".join(dict.fromkeys([DEFAULT_QOS, *config.qos]))})


def _of_qos(qos: Qos) -> dict[str, object]:
    return {"Priority": qos.priority, "PreemptMode": qos.preempt, "Flags": ",".join(qos.flags), **qos.limits}


def _accounts(config: Config) -> Iterator[str]:
    """Yield the commands for accounts, each after the one above it."""
    own = {name: Account() for name in all_accounts(config)}
    every = own | config.accounts
    for name in sorted(every, key=lambda name: len(ancestors(config, name)) if name in config.accounts else 0):
        account = every[name]
        words = {"Parent": account.parent, "Description": account.description, "Fairshare": account.fairshare}
        yield _command("add account", {"Name": name, **words, **account.limits})


def _users(config: Config) -> Iterator[str]:
    for name, user in ({USER: User()} | config.users).items():
        level = "Administrator" if user.admin else None
        default = user.account or name
        for account in dict.fromkeys([default, *user.accounts]):
            words = {"Name": name, "Account": account, "AdminLevel": level, "QOS": ",".join(user.qos)}
            fairshare = {"Fairshare": user.fairshare} if account == default else {}
            yield _command("add user", {**words, **fairshare, **user.limits})


def _command(command: str, words: Mapping[str, object]) -> str:
    """Return a command with those of the words that have a value."""
    return " ".join([command, *(f"{key}={_quoted(value)}" for key, value in words.items() if value not in (None, ""))])


def _quoted(value: object) -> str:
    """Return a value as sacctmgr reads it: without quotes, it ends at a space; it cannot contain a quote."""
    text = " ".join(str(value).replace('"', "'").split())
    return f'"{text}"' if " " in text or "'" in text else text
