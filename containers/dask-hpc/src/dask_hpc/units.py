"""Command-line values: counts such as 2e8, memory such as 4GiB, wall times such as 1-00:00:00."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Any

import click

NO_MEMORY = 0
"""`--memory none`: ask Slurm for no memory."""

UNLIMITED = 100 * 365 * 86400
"""An unlimited wall time, in seconds."""


class Count(click.ParamType[int]):
    """A whole number, also written 2e8 or 200_000_000.

    Args:
        minimum: the smallest value allowed.
        maximum: the largest value allowed.
    """

    name = "count"

    def __init__(self, minimum: int = 1, maximum: int = 10**15) -> None:
        self.minimum = minimum
        self.maximum = maximum

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number; a usage error if it is not whole or out of range."""
        try:
            number = Decimal(str(value).strip())
        except InvalidOperation:
            self.fail(f"{value!r} is not a number (write 1000, 1_000 or 1e3).", param, ctx)
        if not number.is_finite() or number > self.maximum or number < self.minimum:
            self.fail(f"{value} is not between {self.minimum} and {self.maximum:.15g}.", param, ctx)
        if number % 1:
            self.fail(f"{value} is not a whole number.", param, ctx)
        return int(number)


class Bounds(click.ParamType["int | tuple[int, int]"]):
    """A whole number, or a range such as 1-8, from a smallest number, which may be 0, to a largest one.

    Args:
        maximum: the largest number allowed.
        minimum: the smallest number allowed that is not the beginning of a range.
    """

    name = "count"

    def __init__(self, maximum: int = 100_000, *, minimum: int = 1) -> None:
        self._fewest, self._most, self._single = Count(0, maximum), Count(1, maximum), Count(minimum, maximum)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | tuple[int, int]:
        """Return the number or the bounds; a usage error if the range is empty."""
        parts = value if isinstance(value, (tuple, list)) else str(value).strip().lstrip("-").split("-")
        if len(parts) == 1:
            return self._single.convert(value, param, ctx)
        if len(parts) != 2:
            self.fail(f"{value!r} is not a number or a range (write 4 or 1-8).", param, ctx)
        fewest, most = self._fewest.convert(parts[0], param, ctx), self._most.convert(parts[1], param, ctx)
        if fewest > most:
            self.fail(f"{value!r} begins with the larger number (write {most}-{fewest}).", param, ctx)
        return most if fewest == most else (fewest, most)


class Counts(click.ParamType[tuple[int, ...]]):
    """Comma-separated whole numbers, such as 7000,3000.

    Args:
        minimum: the smallest number allowed.
        maximum: the largest number allowed.
        length: the required number of values; 0 for any.
    """

    name = "counts"

    def __init__(self, minimum: int = 1, maximum: int = 10**15, *, length: int = 0) -> None:
        self.count = Count(minimum, maximum)
        self.length = length

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """Return the numbers; a usage error if one is not whole or out of range, or if their number is wrong."""
        parts = value if isinstance(value, tuple) else str(value).split(",")
        if self.length and len(parts) != self.length:
            self.fail(f"{value!r} has {len(parts)} numbers; write {self.length}, separated by commas.", param, ctx)
        return tuple(self.count.convert(part, param, ctx) for part in parts)


class Memory(click.ParamType[int]):
    """An amount of memory in Dask's notation (4GiB, 500MB), or `none`; the value is in MiB, rounded down."""

    name = "memory"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return MiB, or `NO_MEMORY`; a usage error if it is not an amount of at least 64 MiB."""
        from dask.utils import parse_bytes

        if isinstance(value, int):
            return value
        if value.strip().lower() == "none":
            return NO_MEMORY
        try:
            mib = int(parse_bytes(value)) >> 20
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is not an amount of memory (write 4GiB or 500MB).", param, ctx)
        if mib < 64 or value.strip().isdigit():
            self.fail(f"{value} is too little for a worker, which needs 64MiB (a bare number is bytes).", param, ctx)
        return mib


class Walltime(click.ParamType[int]):
    """A wall time in any of Slurm's forms: minutes, M:S, H:M:S, D-H[:M[:S]] or UNLIMITED; the value is in seconds.

    Slurm counts whole minutes, and rounds up.
    """

    name = "walltime"
    _form = re.compile(r"(?:(?P<days>\d+)-)?(?P<rest>\d+(?::\d+){0,2})")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return seconds; a usage error if it is not in one of Slurm's forms or is 0."""
        if isinstance(value, int):
            return value
        text = str(value).strip()
        if text.upper() in {"UNLIMITED", "INFINITE", "-1"}:
            return UNLIMITED
        match = self._form.fullmatch(text)
        if not match:
            self.fail(f"{value!r} is not a wall time (write 30, 1:30:00 or 1-00:00:00).", param, ctx)
        parts = [int(part) for part in match["rest"].split(":")]
        seconds = self._seconds(match["days"], parts)
        if not seconds:
            self.fail(f"{value} is zero (write UNLIMITED for no limit).", param, ctx)
        return min(-(-seconds // 60) * 60, UNLIMITED)

    @staticmethod
    def _seconds(days: str | None, parts: list[int]) -> int:
        units = [3600, 60, 1] if days or len(parts) == 3 else [60, 1]
        return int(days or 0) * 86400 + sum(part * unit for part, unit in zip(parts, units, strict=False))


def format_walltime(seconds: int) -> str:
    """Return seconds in sbatch's form: [D-]HH:MM:SS, or UNLIMITED."""
    if seconds >= UNLIMITED:
        return "UNLIMITED"
    days, rest = divmod(seconds, 86400)
    clock = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days}-{clock}" if days else clock
