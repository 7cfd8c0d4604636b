"""Options made from the signature and the docstring of a script's `main`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import click
import pytest
from click.testing import CliRunner

from dask_hpc.errors import WorkloadError
from dask_hpc.tutorial.options import help_of, in_words, options_of, recorded
from dask_hpc.units import Count, Counts


def parsed(main: Callable[..., Any], *line: str, **types: click.ParamType[Any]) -> dict[str, Any]:
    """Return the options' values of a command line."""
    found: dict[str, Any] = {}
    command = click.Command("script", params=[*options_of(main, types)], callback=lambda **values: found.update(values))
    done = CliRunner().invoke(command, line)
    assert done.exit_code == 0, done.output
    return found


def every_type(
    client: object,
    count: int = 3,
    share: float = 0.5,
    name: str = "a",
    folder: Path = Path("here"),
    kind: Literal["fast", "exact"] = "fast",
    order: Literal[1, 2] = 1,
    shape: tuple[int, int] = (2, 3),
    sizes: tuple[int, ...] = (1,),
    limit: int | None = None,
    quick: bool = False,
    strict: bool | None = None,
) -> None:
    """Take one of each."""


def test_values_have_types_of_annotations() -> None:
    """Defaults are main's, and values on the command line get the types of the annotations."""
    assert parsed(every_type) == {
        "count": 3,
        "share": 0.5,
        "name": "a",
        "folder": Path("here"),
        "kind": "fast",
        "order": 1,
        "shape": (2, 3),
        "sizes": (1,),
        "limit": None,
        "quick": False,
        "strict": None,
    }
    line = (
        "--count 2e3 --share 1e-3 --name b --folder x --kind exact --order 2 --shape 4,5 --sizes 1,2,3 --limit 7"
        " --quick --no-strict"
    )
    assert parsed(every_type, *line.split()) == {
        "count": 2000,
        "share": 0.001,
        "name": "b",
        "folder": Path("x"),
        "kind": "exact",
        "order": 2,
        "shape": (4, 5),
        "sizes": (1, 2, 3),
        "limit": 7,
        "quick": True,
        "strict": False,
    }


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--count 1.5", ["--count", "1.5 is not a whole number"]),
        ("--count many", ["--count", "'many' is not a number"]),
        ("--share much", ["--share", "much"]),
        ("--kind slow", ["--kind", "'fast', 'exact'"]),
        ("--shape 4", ["--shape", "1 numbers; write 2"]),
        ("--sizes 1;2", ["--sizes", "not a number"]),
        ("--count 0", ["--count", "0 is not between 1 and 9"]),
        ("--sizes 0,1", ["--sizes", "0 is not between 1"]),
    ],
)
def test_rejects_values_of_wrong_type_or_range(line: str, words: list[str]) -> None:
    """The message names the option, the value and the form or the range."""
    types = {"count": Count(1, 9), "sizes": Counts(1)}
    done = CliRunner().invoke(click.Command("script", params=[*options_of(every_type, types)]), line.split())
    assert done.exit_code == 2
    assert [word for word in words if word not in done.output] == [], done.output


def test_takes_type_from_default_where_annotation_is_missing() -> None:
    """A script without annotations also has options."""

    def main(client, n=5, share=0.5, fast=False, word=None):  # type: ignore[no-untyped-def]
        """Compute."""

    found = parsed(main, "--n", "7", "--share", "0.25", "--fast", "--word", "x")
    assert found == {"n": 7, "share": 0.25, "fast": True, "word": "x"}


def test_parameter_without_default_is_required() -> None:
    """A parameter without a default makes a required option."""

    def main(client: object, n: int) -> None:
        """Compute."""

    (option,) = options_of(main, {})
    assert option.required


def google(client: object, long_name: int = 20_000) -> None:
    """Compute something.

    More about it.

    Args:
        client: of a Dask cluster.
        long_name: Rows of the matrix,
            and its columns.

    Returns:
        Nothing.
    """


def numpy(client: object, long_name: int = 20_000) -> None:
    """Compute something.

    More about it.

    Parameters
    ----------
    client :
        of a Dask cluster.
    long_name : int
        Rows of the matrix,
        and its columns.

    Returns
    -------
    Nothing.
    """  # noqa: D416 (NumPy's style)


@pytest.mark.parametrize("main", [google, numpy])
def test_help_comes_from_docstring(main: Callable[..., None]) -> None:
    """Options get their help from Google's and NumPy's docstring styles, and defaults are readable."""
    (option,) = options_of(main, {})
    record = option.get_help_record(click.Context(click.Command("script")))
    assert record == ("--long-name COUNT", "Rows of the matrix, and its columns.  [default: 20_000]")
    assert help_of(main) == "Compute something.\n\nMore about it."


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ("", ["no parameter for the Dask client", "def main(client, …)"]),
        ("*, client=None", ["no parameter for the Dask client"]),
        ("client, *rest", ["*rest", "name each parameter"]),
        ("client, **rest", ["rest", "name each parameter"]),
        ("client, data: dict = None", ["data", "dict", "use int, float, str, bool"]),
    ],
)
def test_rejects_main_that_no_command_line_can_call(parameters: str, words: list[str]) -> None:
    """The error names the parameter, its type and the supported ones."""
    scope: dict[str, Any] = {}
    exec(f"def main({parameters}): ...", scope)
    with pytest.raises(WorkloadError) as caught:
        options_of(scope["main"], {})
    assert [word for word in words if word not in str(caught.value)] == []


def test_rejects_type_for_unknown_parameter() -> None:
    """A mistyped name in the checks is an error, not an option without its range."""
    with pytest.raises(WorkloadError, match="unknown parameters of main: cuont"):
        options_of(every_type, {"cuont": Count()})


@pytest.mark.parametrize(
    ("value", "kept", "said"),
    [((7000, 3000), "7000,3000", "7000,3000"), (20_000, 20_000, "20_000"), (True, True, "True"), (Path("a"), "a", "a")],
)
def test_values_are_recorded_as_typed(value: object, kept: object, said: str) -> None:
    """Results store tuples and paths as text; help shows large numbers with grouped digits."""
    assert recorded(value) == kept
    assert in_words(value) == said
