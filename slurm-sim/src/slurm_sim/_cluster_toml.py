"""Read a `cluster.toml`. Errors name the key, its line, its value and the valid ones."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from slurm_sim._suggest import did_you_mean
from slurm_sim.config import Account, Config, ConfigError, NodeGroup, Partition, Preemption, Qos, Scripts, User
from slurm_sim.errors import SpecError
from slurm_sim.spec import check_slurm_conf

_TABLES: dict[str, type[msgspec.Struct]] = {
    "nodes": NodeGroup,
    "partitions": Partition,
    "users": User,
    "accounts": Account,
    "qos": Qos,
}
"""Tables whose keys are names."""

_SINGLE: dict[str, type[msgspec.Struct]] = {"preemption": Preemption, "scripts": Scripts}
_SWITCHES = ("accounting", "ssh", "rest")
_KEYS = [*_SWITCHES, *_TABLES, *_SINGLE, "slurm"]
_WORDS = {
    "int": "a whole number",
    "str": "text in quotes",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "float": "a number",
}
_MOST_OF_A_SCRIPT = 65536


class ClusterToml:
    """A file and its configuration, whose rules are not checked yet: options may add to it.

    Args:
        file: Path of the file.

    Raises:
        SpecError: The file cannot be read, or a key or a value is invalid.
    """

    def __init__(self, file: str | Path) -> None:
        self._path = Path(file)
        self._text = _text(self._path)
        try:
            self.config = _config(tomllib.loads(self._text), self._path.parent)
        except tomllib.TOMLDecodeError as error:
            raise SpecError(f"{self._path} is not valid TOML.", str(error), "see https://toml.io.") from None
        except ConfigError as error:
            raise self.located(error) from None

    def located(self, error: ConfigError) -> SpecError:
        """Return the error with the file and the line, if the line is in the file."""
        line = line_of(self._text, error.at)
        where = f"{self._path}, line {line}: " if line else ""
        return SpecError(where + error.what, error.seen, error.todo)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        seen = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SpecError(f"Cannot read {path}.", str(seen), "name a cluster.toml.") from None


def _config(data: Mapping[str, Any], folder: Path) -> Config:
    _check_keys(data, _KEYS)
    given: dict[str, Any] = {}
    for key in _SWITCHES:
        if key in data:
            given[key] = _convert(data[key], bool, key)
    for key, kind in _TABLES.items():
        tables = _table(data.get(key, {}), key)
        given[key] = {name: _struct(table, kind, key, name) for name, table in tables.items()}
    for key, kind in _SINGLE.items():
        if key in data:
            given[key] = _struct(data[key], kind, key)
    if "scripts" in data:
        given["scripts"] = _scripts(given["scripts"], folder)
    slurm: dict[str, str | list[str]] = {}
    for key, value in _table(data.get("slurm", {}), "slurm").items():
        try:
            slurm |= check_slurm_conf({key: value})
        except SpecError as error:
            raise ConfigError(error.what, error.seen, error.todo, at=("slurm", key)) from None
    return Config(groups=given.pop("nodes"), slurm_conf=slurm, **given)


def _check_keys(table: Mapping[str, Any], known: list[str], *at: str) -> None:
    for key in table:
        if key not in known:
            where = f" in [{'.'.join(at)}]" if at else ""
            todo = did_you_mean(key, known, f"use one of {', '.join(known)}.")
            raise ConfigError(f"Unknown key {key!r}{where}.", todo=todo, at=(*at, key))


def _table(value: object, *at: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{'.'.join(at)} is not a table.", repr(value), f"write [{'.'.join(at)}.NAME].", at=at)
    return value


def _struct(value: object, kind: type[msgspec.Struct], *at: str) -> Any:
    table = _table(value, *at)
    _check_keys(table, list(kind.__struct_fields__), *at)
    return _convert(table, kind, *at)


def _convert(value: object, kind: type[Any], *at: str) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        what, _, path = str(error).partition(" - at `$")
        inside = tuple(re.findall(r"\.(\w+)", path))
        place = (*at, *inside)
        seen: Any = value
        for key in inside:
            seen = seen[key] if isinstance(seen, Mapping) and key in seen else seen
        raise ConfigError(
            f"Invalid value of {'.'.join(place)}." if inside or not isinstance(value, Mapping) else f"{what}.",
            repr(seen),
            f"give {_choices(kind, inside) or _allowed(what)}.",
            at=place,
        ) from None


def _choices(kind: type[Any], inside: tuple[str, ...]) -> str:
    """Return the words that a key accepts, if only some are accepted."""
    hint = get_type_hints(kind).get(inside[0]) if inside else None
    words = [word for part in (hint, *get_args(hint)) if get_origin(part) is Literal for word in get_args(part)]
    return f"one of {', '.join(words)}" if words else ""


def _allowed(what: str) -> str:
    """Return what msgspec has expected, in TOML's words."""
    missing = re.search(r"missing required field `(\w+)`", what)
    if missing:
        return f"a value for {missing[1]!r}"
    expected = what.removeprefix("Expected ").partition(", got")[0]
    for name, word in _WORDS.items():
        expected = re.sub(rf"`?\b{name}\b`?", word, expected)
    return expected.replace(" | ", " or ").replace("`", "").replace(" or null", "")


def _scripts(named: Scripts, folder: Path) -> Scripts:
    """Return the texts of scripts that are named relative to the file's folder."""
    texts: dict[str, str] = {}
    for key in Scripts.__struct_fields__:
        name = getattr(named, key)
        if not name:
            continue
        try:
            texts[key] = (folder / name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            seen = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise ConfigError(f"Cannot read the {key} {folder / name}.", str(seen), at=("scripts", key)) from None
        start, how = ("", "in Lua") if key == "job_submit" else ("#!", "that starts with #!")
        if not texts[key].startswith(start) or len(texts[key]) > _MOST_OF_A_SCRIPT:
            todo = f"use a script of at most {_MOST_OF_A_SCRIPT} characters {how}."
            raise ConfigError(f"The {key} {folder / name} is no script.", todo=todo, at=("scripts", key))
    return Scripts(**texts)


def line_of(text: str, at: tuple[str, ...]) -> int | None:
    """Return the line of a key, or of the nearest table around it; None if neither is written on a line."""
    table: tuple[str, ...] = ()
    best = 0
    found: int | None = None
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped.startswith("["):
            table = _keys_of(stripped)
            path = table
        elif "=" in stripped and not stripped.startswith("#"):
            path = (*table, *_keys_of(stripped.partition("=")[0] + "=0"))
        else:
            continue
        common = min(len(path), len(at))
        if common > best and path[:common] == at[:common]:
            best, found = common, number
    return found


def _keys_of(line: str) -> tuple[str, ...]:
    """Return the keys in a line of TOML that has a table's header or one dotted key."""
    try:
        value: Any = tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return ()
    keys = []
    while isinstance(value, (dict, list)) and value:
        value = value[0] if isinstance(value, list) else value
        if not value:
            break
        key = next(iter(value))
        keys.append(key)
        value = value[key]
    return tuple(keys)
