"""A Slurm job: what Slurm says of it, and waiting for its end."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from slurm_sim.errors import JobTimeoutError

if TYPE_CHECKING:
    from slurm_sim.cluster import SlurmSim

_RUNNING = {"PENDING", "RUNNING", "COMPLETING", "CONFIGURING", "SUSPENDED", "REQUEUED", "STAGE_OUT", "SIGNALING"}
# Only what begins a line is Slurm's: a user may have written anything into a name, a comment or a path.
_FIELDS = (
    r"^JobId=(?P<id>\d+) ",
    r"^ +JobState=(?P<state>\S+) Reason=(?P<reason>.*) Dependency=",
    r"^ +Requeue=.* ExitCode=(?P<exit_code>\d+):(?P<signal>\d+)",
    r"^ +NodeList=(?P<nodes>\S*)",
    r"^ +StdOut=(?P<output>.*)",
)


class JobRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What Slurm says of a job.

    Attributes:
        id: Slurm's job id.
        state: Slurm's word: COMPLETED, FAILED, TIMEOUT, OUT_OF_MEMORY, …
        reason: Why it waits or ended, in Slurm's words.
        exit_code: The status that its script ended with.
        signal: The signal that ended it, or 0.
        nodes: Slurm's list of its nodes, such as c[1-2].
        output: The path of its output, on /home.
    """

    id: int
    state: str
    reason: str
    exit_code: int
    signal: int
    nodes: str
    output: str

    @property
    def ended(self) -> bool:
        """Whether nothing of it runs or will run."""
        return self.state not in _RUNNING


def parse_record(text: str) -> JobRecord:
    """Reads what `scontrol show job` says of one job."""
    fields: dict[str, str] = {}
    for pattern in _FIELDS:
        match = re.search(pattern, text, re.MULTILINE)
        fields |= match.groupdict() if match else {}
    return JobRecord(
        id=int(fields["id"]),
        state=fields["state"],
        reason=fields["reason"],
        exit_code=int(fields.get("exit_code", 0)),
        signal=int(fields.get("signal", 0)),
        nodes=fields.get("nodes", "").removesuffix("(null)"),
        output=fields.get("output", ""),
    )


class Job:
    """A job in a mini-cluster."""

    def __init__(self, sim: SlurmSim, job_id: int) -> None:
        self.sim, self.id = sim, job_id

    def __repr__(self) -> str:
        return f"<Job {self.id} in {self.sim.name}>"

    def record(self) -> JobRecord:
        """What Slurm says of it now. Raises `CommandError` for a job that Slurm does not know."""
        return parse_record(self.sim.exec("scontrol", "show", "job", str(self.id)).stdout)

    def wait(self, timeout: float = 600) -> JobRecord:
        """Returns when the job has ended, however it ended.

        Args:
            timeout: Seconds. When they are over, `JobTimeoutError` says what the job was doing.
        """
        return self._await("end", lambda record: record.ended, timeout)

    def wait_until_running(self, timeout: float = 600) -> JobRecord:
        """Returns when the job has started; as `wait`, otherwise."""
        return self._await("start", lambda record: record.state == "RUNNING" or record.ended, timeout)

    def _await(self, what: str, reached: Callable[[JobRecord], bool], timeout: float) -> JobRecord:
        end = time.monotonic() + timeout
        while not reached(record := self.record()):
            if time.monotonic() > end:
                doing = f"{record.state}, reason {record.reason}, nodes {record.nodes or 'none'}"
                raise JobTimeoutError(
                    f"job {self.id} did not {what} within {timeout:g} s",
                    seen=f"{doing}\n{self.output()[-800:]}",
                    hint="a longer timeout, or `scancel` and see why it waits",
                )
            time.sleep(0.05)  # Slurm tells nobody what becomes of a job; asking takes as long as this
        return record

    def output(self) -> str:
        """What it has written to its output file so far."""
        path = self.record().output
        return self.sim.exec("cat", path, check=False).stdout if path else ""

    def cancel(self) -> None:
        """Ends it. `wait` returns when it is gone."""
        self.sim.exec("scancel", str(self.id))
