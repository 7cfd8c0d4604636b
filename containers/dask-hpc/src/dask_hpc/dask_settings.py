"""The user's own settings for Dask: which there are, and an error that names them where Dask cannot use one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from dask_hpc.errors import DaskHpcError, RequestError

OF_A_RUN = {"distributed.scheduler.idle-timeout": None, "distributed.scheduler.no-workers-timeout": None}
"""A run ends its Dask cluster by itself, and waits for jobs as long as --timeout says, whatever a user has set."""
_THEIR_VARIABLES = {f"DASK_{name.replace('.', '__').replace('-', '_').upper()}" for name in OF_A_RUN}

_NO_SETTING = ("DASK_HPC_", "DASK_CONFIG", "DASK_ROOT_CONFIG", "DASK_INTERNAL_INHERIT_CONFIG")


def users(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Return the variables and files that have a user's settings; a file of comments has none."""
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
    """If Dask cannot be loaded or started, and the user has settings for it, turn its error into one that names them.

    Raises:
        RequestError: in place of an error of Dask's.
    """
    try:
        yield
    except (DaskHpcError, OSError):
        raise
    except Exception as error:
        if not (own := users()):
            raise
        raise RequestError(
            "Dask cannot be started with your settings for it.",
            "\n".join([_reason(error), *(f"  {one}" for one in own)]),
            "correct the setting; without any, the run starts with DASK_CONFIG=/dev/null and no such variable.",
        ) from error


def _reason(error: BaseException) -> str:
    """Return what was wrong first, of those causes that say it in a sentence."""
    chain = [error]
    while inner := chain[-1].__cause__ or chain[-1].__context__:
        chain.append(inner)
    first = next((one for one in reversed(chain) if " " in str(one)), chain[-1])
    return f"{type(first).__name__}: {first}"


def without_theirs(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without the variables that would go before `OF_A_RUN`."""
    return {name: value for name, value in environ.items() if name.upper() not in _THEIR_VARIABLES}


def refuse_unencrypted(*, tls: bool) -> None:
    """Refuse `--no-tls` to a user whose settings want encryption."""
    from dask import config

    if not tls and config.get("distributed.comm.require-encryption", None):
        raise RequestError(
            "--no-tls contradicts your settings for Dask.",
            "Found: distributed.comm.require-encryption is true",
            "leave --no-tls out, or change the setting.",
        )
