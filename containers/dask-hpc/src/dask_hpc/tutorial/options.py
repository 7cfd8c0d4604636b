"""Make command-line options from the signature and the docstring of a script's `main`."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import NoneType, SimpleNamespace, UnionType
from typing import Any

import click
from docstring_parser import parse

from dask_hpc.clusters.facts import Value
from dask_hpc.errors import WorkloadError
from dask_hpc.units import Count, Counts

_PLAIN: dict[object, click.ParamType[Any]] = {
    int: Count(minimum=-(10**15)),
    float: click.FLOAT,
    str: click.STRING,
    Path: click.Path(path_type=Path),
}
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_SUPPORTED = "int, float, str, bool, Path, Literal[…] or a tuple of int"


def help_of(main: Callable[..., Any]) -> str:
    """Return the description in a docstring, without the sections on arguments, return value and errors."""
    text = parse(inspect.getdoc(main) or "")
    return "\n\n".join(part for part in (text.short_description, text.long_description) if part)


def options_of(main: Callable[..., Any], types: Mapping[str, click.ParamType[Any]]) -> list[click.Option]:
    """Return an option for every parameter of `main` except the first, the client.

    Args:
        main: a function with annotations; its docstring (Google's, NumPy's or Sphinx's style) has the options' help.
        types: types that replace the annotations', by parameter.

    Raises:
        WorkloadError: `main` has no client parameter, or a parameter cannot be an option.
    """
    parameters = list(inspect.signature(main).parameters.values())
    if not parameters or parameters.pop(0).kind not in _POSITIONAL:
        raise WorkloadError("main has no parameter for the Dask client.", todo="write def main(client, …).")
    if strangers := sorted(set(types) - {one.name for one in parameters}):
        raise WorkloadError(f"The checks give types for unknown parameters of main: {', '.join(strangers)}.")
    described = {one.arg_name: one.description or "" for one in parse(inspect.getdoc(main) or "").params}
    hints = _hints(main, parameters)
    return [_option(one, hints[one.name], types.get(one.name), described) for one in parameters]


def recorded(value: object) -> Value:
    """Return an option's value as stored in a result: tuples and paths become text, as typed."""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return value if isinstance(value, Value) else str(value)


def in_words(value: object) -> str:
    """Return an option's value as shown in help: large numbers have grouped digits."""
    return f"{value:_}" if type(value) is int and abs(value) >= 10_000 else str(recorded(value))


def _hints(main: Callable[..., Any], parameters: Sequence[inspect.Parameter]) -> dict[str, object]:
    """Return every parameter's type: its annotation without None, or else its default's type.

    The client's annotation is not evaluated: a script may import its name for type checkers only.
    """
    written = {one.name: one.annotation for one in parameters if one.annotation is not inspect.Parameter.empty}
    names = getattr(inspect.unwrap(main), "__globals__", {})
    found = typing.get_type_hints(SimpleNamespace(__annotations__=written), globalns=names)
    return {one.name: _not_none(found[one.name]) if one.name in found else _default_type(one) for one in parameters}


def _not_none(hint: object) -> object:
    inner = [one for one in typing.get_args(hint) if one is not NoneType]
    return inner[0] if typing.get_origin(hint) in (typing.Union, UnionType) and len(inner) == 1 else hint


def _default_type(parameter: inspect.Parameter) -> object:
    return str if parameter.default in (inspect.Parameter.empty, None) else type(parameter.default)


def _option(
    parameter: inspect.Parameter, hint: object, given: click.ParamType[Any] | None, described: Mapping[str, str]
) -> click.Option:
    name = parameter.name
    if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
        raise WorkloadError(f"main's parameter *{name} cannot be an option.", todo="name each parameter.")
    dashed = name.replace("_", "-")
    text = " ".join(described.get(name, "").split())
    required = parameter.default is inspect.Parameter.empty
    settings: dict[str, Any] = {"help": text, "required": required}
    if not required:
        settings |= {"default": parameter.default, "show_default": parameter.default is not None}
    if hint is bool:
        return click.Option([f"--{dashed}/--no-{dashed}", name], **settings)
    if isinstance(parameter.default, int | tuple):
        settings["default"] = in_words(parameter.default)  # help shows a default as it is
    return click.Option([f"--{dashed}", name], type=given or _type(hint, name), **settings)


def _type(hint: object, name: str) -> click.ParamType[Any]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return click.Choice(arguments)
    if tuple in (hint, origin) and set(arguments) <= {int, ...}:
        return Counts(-(10**15), length=0 if ... in arguments else len(arguments))
    if hint in _PLAIN:
        return _PLAIN[hint]
    raise WorkloadError(f"main's parameter {name} cannot be an option.", f"Its type is {hint}.", f"use {_SUPPORTED}.")
