"""Read what Slurm says of a job, of an array's tasks and of a heterogeneous job's components."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

_ENDED = {
    *("COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "BOOT_FAIL", "DEADLINE"),
    *("OUT_OF_MEMORY", "REVOKED"),
}
# Only what begins a line is Slurm's: a user may have written anything into a name, a comment or a path.
_FIRST = (
    r"JobId=(?P<id>\d+)(?: ArrayJobId=\d+ ArrayTaskId=(?P<task>\S+))?(?: HetJobId=\d+ HetJobOffset=(?P<component>\d+))?"
)
_LINES = {
    "UserId": r".*\((?P<uid>\d+)\) GroupId=",
    "JobState": r"(?P<state>\S+) Reason=(?P<reason>.*) Dependency=",
    "Requeue": r".* ExitCode=(?P<exit_code>\d+):(?P<signal>\d+)",
    "NodeList": r"(?P<nodes>\S*)",
    "BatchHost": r"(?P<host>\S*)",
    "StdErr": r"(?P<errors>.*)",
    "StdOut": r"(?P<output>.*)",
}


class JobRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A job, as Slurm reports it.

    The record of an array or of a heterogeneous job sums up its parts: it has ended when all of them have, and is
    COMPLETED if all of them are.

    Attributes:
        id: Slurm's job id.
        state: Slurm's word: COMPLETED, FAILED, TIMEOUT, OUT_OF_MEMORY, …
        reason: Why it waits or ended, in Slurm's words.
        exit_code: The status that its script ended with.
        signal: The signal that ended it, or 0.
        nodes: Slurm's list of its nodes, such as c[1-2].
        output: The path of its output.
        errors: The path of its error output, which by default is that of its output.
        host: The node that its script runs on; empty if it has not started.
        uid: Its user's number.
        task: The task of an array, such as 3 (1-2%2 for those that wait), or a component, such as +1.
        tasks: The records of an array's tasks, or of a heterogeneous job's components.
    """

    id: int
    state: str
    reason: str
    exit_code: int
    signal: int
    nodes: str
    output: str
    errors: str = ""
    host: str = ""
    uid: int = 1000
    task: str = ""
    tasks: tuple[JobRecord, ...] = ()

    @property
    def ended(self) -> bool:
        """True if no part of the job runs or will run."""
        return self.state in _ENDED

    @property
    def held(self) -> bool:
        """True if the job is held until a user releases it."""
        return self.reason.startswith("JobHeld")

    @property
    def hopeless(self) -> bool:
        """True if the job waits for a condition that can never be met."""
        return self.reason == "DependencyNeverSatisfied"

    @property
    def summary(self) -> str:
        """The job's state or end, in one line."""
        killed = f", signal {self.signal}" if self.signal else ""
        return f"status {self.exit_code}{killed}, reason {self.reason}"


def parse_records(text: str) -> list[JobRecord]:
    """Read what `scontrol show job` says: a record for each task of an array and component of a heterogeneous job."""
    return [_parse(part) for part in re.split(r"^(?=JobId=)", text, flags=re.MULTILINE)[1:]]


def _parse(text: str) -> JobRecord:
    first, *others = text.splitlines()
    lines: dict[str, str] = {}
    for line in others:
        name, _, value = line.lstrip().partition("=")
        lines.setdefault(name, value)
    found: dict[str, str] = {}
    for pattern, line in [(_FIRST, first), *((pattern, lines.get(name, "")) for name, pattern in _LINES.items())]:
        match = re.match(pattern, line)
        found |= {name: value for name, value in match.groupdict().items() if value} if match else {}
    host = found.get("host", "").removesuffix("(null)")
    return JobRecord(
        id=int(found["id"]),
        state=found["state"],
        reason=found["reason"],
        exit_code=int(found.get("exit_code", 0)),
        signal=int(found.get("signal", 0)),
        nodes=found.get("nodes", "").removesuffix("(null)"),
        output=_expand(found.get("output", ""), found["id"], host),
        errors=_expand(found.get("errors", ""), found["id"], host),
        host=host,
        uid=int(found.get("uid", 1000)),
        task=found.get("task") or (f"+{found['component']}" if "component" in found else ""),
    )


def _expand(path: str, job_id: str, host: str) -> str:
    """Fill in what only the node knows, and scontrol leaves; a batch script is task 0 on node 0 of its job."""
    values = {"N": host, "n": "0", "t": "0", "s": "batch", "J": job_id}

    def value(match: re.Match[str]) -> str:
        text = values[match[2]]
        return text.zfill(int(match[1] or 0)) if text.isdigit() else text

    return re.sub(r"%(\d*)([NntsJ])", value, path) if host else path


def _number(record: JobRecord) -> int:
    match = re.search(r"\d+", record.task)
    return int(match[0]) if match else 0


def sum_up(job_id: int, records: Sequence[JobRecord]) -> JobRecord:
    """Return the record of a job out of those of its parts."""
    if len(records) == 1 and not records[0].task:
        return records[0]
    records = sorted(records, key=_number)
    waiting = [record for record in records if not record.ended]
    failed = [record for record in records if record.state != "COMPLETED"]
    begun = [record for record in waiting if record.state != "PENDING"]
    telling = (begun or waiting or failed or records)[0]
    return msgspec.structs.replace(
        telling,
        id=job_id,
        exit_code=max(record.exit_code for record in records),
        signal=max(record.signal for record in records),
        nodes=",".join(dict.fromkeys(record.nodes for record in records if record.nodes)),
        task="",
        tasks=tuple(records),
    )
