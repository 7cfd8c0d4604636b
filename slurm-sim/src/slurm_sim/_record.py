"""Parse Slurm's records of a job, of an array's tasks and of a heterogeneous job's components."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

_ENDED = {
    *("COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "BOOT_FAIL", "DEADLINE"),
    *("OUT_OF_MEMORY", "REVOKED"),
}
# Only the start of a line is Slurm's own: a name, a comment or a path may contain anything.
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
        id: Slurm's job ID.
        state: State in Slurm's words: COMPLETED, FAILED, TIMEOUT, OUT_OF_MEMORY, …
        reason: Reason for its state, in Slurm's words.
        exit_code: Exit status of its script.
        signal: Number of the signal that ended it, or 0.
        nodes: Slurm's list of its nodes, such as c[1-2].
        output: Path of its output file.
        errors: Path of its error file; by default, that of its output file.
        host: Node that its script runs on; empty before the start.
        uid: ID of its user.
        task: Task of an array, such as 3 (1-2%2 for pending ones), or component, such as +1.
        tasks: Records of an array's tasks, or of a heterogeneous job's components.
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
    """Parse the output of `scontrol show job`: one record per task of an array or component of a heterogeneous job."""
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


_SEPARATOR = "\x1f"
_FIELDS = (
    *("JobID", "JobIDRaw", "JobName", "State", "ExitCode", "Reason", "NodeList", "UID", "User", "StdOut", "StdErr"),
)


def sacct(job_id: int) -> list[str]:
    """Return the command that `parse_accounted` understands the output of."""
    how = ("--allocations", "--noheader", "--parsable2", f"--delimiter={_SEPARATOR}")
    return ["sacct", *how, f"--jobs={job_id}", f"--format={','.join(_FIELDS)}"]


def parse_accounted(text: str) -> list[JobRecord]:
    """Parse the output of `sacct`, as `parse_records` does that of `scontrol show job`."""
    return [_accounted(dict(zip(_FIELDS, line.split(_SEPARATOR), strict=True))) for line in text.splitlines()]


def _accounted(fields: dict[str, str]) -> JobRecord:
    name = re.fullmatch(r"(?P<first>\d+)(?:_\[?(?P<task>[^\]]*)\]?|(?P<component>\+\d+))?", fields["JobID"])
    parts = name.groupdict(default="") if name else {"first": "", "task": "", "component": ""}
    status, _, signal = fields["ExitCode"].partition(":")
    nodes = fields["NodeList"].removesuffix("None assigned")
    first = re.match(r"([^,\[]+)(?:\[(\d+))?", nodes)
    host = f"{first[1]}{first[2] or ''}" if first else ""
    raw = fields["JobIDRaw"]
    values = {"A": parts["first"], "a": parts["task"], "j": raw, "u": fields["User"], "x": fields["JobName"]}
    return JobRecord(
        id=int(raw),
        state=fields["State"].partition(" ")[0],  # of "CANCELLED by 1000"
        reason=fields["Reason"],
        exit_code=int(status),
        signal=int(signal),
        nodes=nodes,
        output=_expand(fields["StdOut"], raw, host, **values),
        errors=_expand(fields["StdErr"] or fields["StdOut"], raw, host, **values),
        host=host,
        uid=int(fields["UID"]),
        task=parts["task"] or parts["component"],
    )


def _expand(path: str, job_id: str, host: str, **others: str) -> str:
    """Expand the patterns that Slurm leaves to the node, and others; a batch script is task 0 on node 0 of its job."""
    values = others | ({"N": host, "n": "0", "t": "0", "s": "batch", "J": job_id} if host else {})

    def value(match: re.Match[str]) -> str:
        text = values[match[2]]
        return text.zfill(int(match[1] or 0)) if text.isdigit() else text

    return re.sub(rf"%(\d*)([{''.join(values)}])", value, path) if values else path


def _number(record: JobRecord) -> int:
    match = re.search(r"\d+", record.task)
    return int(match[0]) if match else 0


def sum_up(job_id: int, records: Sequence[JobRecord]) -> JobRecord:
    """Combine the records of a job's parts into the job's record."""
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
