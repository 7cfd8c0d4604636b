"""Paths on the command line: `~` and variables are expanded where the path is used."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import Any

import click

_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")


class LocalPath(click.ParamType[Path]):
    """A path on this machine, with `~` and variables expanded as in a shell.

    The shell itself does not expand them in `--output=~/file` or between single quotes.
    """

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the path; a usage error if it is empty or contains an unset variable."""
        text = _checked(self, str(value), param, ctx)
        if missing := [name for match in _VARIABLE.finditer(text) if not os.environ.get(name := match[1] or match[2])]:
            self.fail(f"{text!r} contains the unset variable {missing[0]}.", param, ctx)
        path = _VARIABLE.sub(lambda match: os.environ[match[1] or match[2]], text)
        try:
            return Path(path).expanduser()
        except RuntimeError:
            self.fail(f"{text!r} is in the home of an unknown user (write ./~ for a file of that name).", param, ctx)


class NodePath(click.ParamType[str]):
    """A path on the nodes, such as `$TMPDIR` or `/scratch/$USER`; each node expands it."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the path unchanged; a usage error if it is empty."""
        return _checked(self, str(value), param, ctx)


def _checked(kind: click.ParamType[Any], text: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
    if not text.strip() or "\n" in text or "\0" in text:
        kind.fail(f"{text!r} is not a valid path.", param, ctx)
    return text


def in_bash(path: str) -> str:
    """Return a path as a bash word that expands only `~` and variables; an unset variable ends the script."""
    home, slash, rest = path.partition("/")
    if home == "~":
        return f'"$HOME"{slash}{in_bash(rest) if rest else ""}'
    if not _VARIABLE.search(path):
        return shlex.quote(path)
    quoted = re.sub(r'(["\\`])', r"\\\1", path)
    parts = re.split(r"(\$\w+|\$\{\w+\})", quoted)
    return '"' + "".join(_variable(part) if i % 2 else part.replace("$", r"\$") for i, part in enumerate(parts)) + '"'


def _variable(text: str) -> str:
    return f"${{{text.strip('${}')}:?is not set on this node}}"
