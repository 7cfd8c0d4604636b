"""Read a job's output: on /home, which all nodes share, or in a node's own file system."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

import msgspec

from slurm_sim._engine import Engine
from slurm_sim._record import JobRecord
from slurm_sim.errors import JobError, NotRunningError

_SHARED = "/home/"

# Reads pairs of title and path. Only regular files: reading a FIFO or a device might never end.
_SHOW = r"""
while IFS= read -r -d '' title && IFS= read -r -d '' path; do
  printf %s "$title"
  if [ -f "$path" ]; then
    cat -- "$path"
  elif ! [ -e "$path" ]; then
    [ -d "${path%/*}" ] && why="no such file" || why="no such folder"
    echo "slurm-sim: nothing was written to $path on $(cat /etc/hostname): $why" >&2
  fi
done
"""


class File(msgspec.Struct, kw_only=True):
    """A file that a job wrote, and where it can be read; tasks of an array may share one."""

    path: str
    service: str
    uid: int
    tasks: list[str]


def files(record: JobRecord, *, errors: bool) -> list[File]:
    """Return the files of a job's output, or the separate files of its error output."""
    found: dict[tuple[str, str], File] = {}
    for part in record.tasks or (record,):
        path = part.errors if errors else part.output
        writes = part.host and part.task in {"", "+0", part.task.lstrip("+")}  # a job's script runs in one component
        if not writes or path in {"", "/dev/null"} or (errors and path == part.output):
            continue
        service = "login" if path.startswith(_SHARED) else part.host
        file = found.setdefault((service, path), File(path=path, service=service, uid=part.uid, tasks=[]))
        file.tasks.append(part.task)
    return list(found.values())


def read(engine: Engine, record: JobRecord, *, errors: bool) -> str:
    """Return the contents of these files. Raises `JobError` for a file on a node that is not running."""
    said = ""
    for service, uid, request in _requests(files(record, errors=errors)):
        try:
            said += engine.exec("bash", "-c", _SHOW, on=service, user=uid, stdin=request, check=False).stdout
        except NotRunningError as error:
            raise _out_of_reach(record, request, error) from None
    return said


def show(engine: Engine, record: JobRecord, *, errors: bool) -> None:
    """Copy these files, of any content and size, to standard output or standard error.

    Raises:
        JobError: A file is on a node that is not running.
    """
    for service, uid, request in _requests(files(record, errors=errors)):
        try:
            engine.require(service)
        except NotRunningError as error:
            raise _out_of_reach(record, request, error) from None
        engine.stream("bash", "-c", _SHOW, on=service, user=uid, stdin=request, stdout=2 if errors else None)


def _requests(found: list[File]) -> Iterator[tuple[str, str, bytes]]:
    """Yield a container, a user and the files to read there; keep the tasks' order, and group neighbours."""
    titled = len(found) > 1 or any(len(file.tasks) > 1 for file in found)
    for (service, uid), there in groupby(found, key=lambda file: (file.service, file.uid)):
        pairs = (item for file in there for item in (_title(file, first=file is found[0]) if titled else "", file.path))
        yield service, str(uid), b"".join(item.encode() + b"\0" for item in pairs)


def _title(file: File, *, first: bool) -> str:
    """Return a heading as `head` and `tail` print it."""
    tasks = f"task{'s' * (len(file.tasks) > 1)} {','.join(file.tasks)}" if any(file.tasks) else "output"
    where = "" if file.service == "login" else f" on {file.service}"
    return f"{'' if first else chr(10)}==> {tasks}: {file.path}{where} <==\n"


def _out_of_reach(record: JobRecord, request: bytes, error: NotRunningError) -> JobError:
    path = request.decode().split("\0")[1]
    return JobError(f"Output of job {record.id} in {path} cannot be read.", f"{error.what}\n{error.seen}", error.todo)
