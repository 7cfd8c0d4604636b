"""List the user's own settings for Dask, and name them in the error if Dask cannot use one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from dask_hpc.errors import DaskHpcError, RequestError

OF_A_RUN = {"distributed.scheduler.idle-timeout": None, "distributed.scheduler.no-workers-timeout": None}
"""Settings of every run, regardless of the user's: a run ends its Dask cluster itself, and waits --timeout for jobs."""
_THEIR_VARIABLES = {f"DASK_{name.replace('.', '__').replace('-', '_').upper()}" for name in OF_A_RUN}

_NO_SETTING = ("DASK_HPC_", "DASK_CONFIG", "DASK_ROOT_CONFIG", "DASK_INTERNAL_INHERIT_CONFIG")


def users(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Return the variables and files with the user's settings; files that contain only comments are left out."""
    variables = [name for name in environ if name.startswith("DASK_") and not name.startswith(_NO_SETTING)]
    places = [Path(environ.get("DASK_CONFIG", "~/.config/dask")).expanduser()]
    files = [file for place in places for file in ([place] if place.is_file() else sorted(place.glob("*.y*ml")))]
    return [
        *(f"${name}={environ[name]}" for name in variables),
        *(str(file) for file in files if _says_something(file)),
    ]


def _says_something(file: Path) -> bool:
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return True
    return any(line.strip() and not line.lstrip().startswith("#") for line in lines)


@contextmanager
def blamed() -> Iterator[None]:
    """Name the user's settings in Dask's error, if Dask cannot be loaded or started with them.

    Raises:
        RequestError: Dask raised an error, and the user has settings for it.
    """
    try:
        yield
    except (DaskHpcError, OSError):
        raise
    except Exception as error:
        if not (own := users()):
            raise
        raise RequestError(
            "Cannot start Dask with your settings for it.",
            "\n".join([_reason(error), *(f"  {one}" for one in own)]),
            "correct the setting, or use none: set DASK_CONFIG=/dev/null and unset the variables.",
        ) from error


def _reason(error: BaseException) -> str:
    """Return the innermost cause whose message has more than one word."""
    chain = [error]
    while inner := chain[-1].__cause__ or chain[-1].__context__:
        chain.append(inner)
    first = next((one for one in reversed(chain) if " " in str(one)), chain[-1])
    return f"{type(first).__name__}: {first}"


def without_theirs(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without the variables that would override `OF_A_RUN`."""
    return {name: value for name, value in environ.items() if name.upper() not in _THEIR_VARIABLES}


def refuse_unencrypted(*, tls: bool) -> None:
    """Reject `--no-tls` if the user's settings require encryption."""
    from dask import config

    if not tls and config.get("distributed.comm.require-encryption", None):
        raise RequestError(
            "--no-tls contradicts your settings for Dask.",
            "Found: distributed.comm.require-encryption is true",
            "omit --no-tls, or change the setting.",
        )
