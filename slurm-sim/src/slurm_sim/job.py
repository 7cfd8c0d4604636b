"""Query a Slurm job, and wait for its end."""

from __future__ import annotations

import time
from collections.abc import Callable

from slurm_sim import _output
from slurm_sim._engine import Engine
from slurm_sim._record import JobRecord, parse_accounted, parse_records, sacct, sum_up
from slurm_sim.errors import CommandError, JobError, JobTimeoutError, SlurmSimError

__all__ = ["Job", "JobRecord"]

_UNKNOWN = "Invalid job id"


class Job:
    """A job in a mini-cluster: a single one, an array or a heterogeneous job."""

    def __init__(self, engine: Engine, job_id: int) -> None:
        self.engine = engine
        self.id = job_id
        self._last: JobRecord | None = None
        self._parts: dict[str, JobRecord] = {}

    def __repr__(self) -> str:
        return f"<Job {self.id} in {self.engine.name}>"

    @property
    def state(self) -> str:
        """Its state, in Slurm's words; see `record`."""
        return self.record().state

    def record(self) -> JobRecord:
        """Return Slurm's current record of the job or, once slurmctld has forgotten it (MinJobAge), accounting's.

        Without accounting, it is the last one that was seen.

        Raises:
            CommandError: Slurm does not know the job.
            JobError: Slurm has forgotten the job, which had not ended when last queried.
        """
        now = self._now()
        # Slurm forgets ended tasks one by one, but failed ones must not be missing at the end.
        for record in self._parts.values():
            if record.task.isdigit() and not record.ended and record.task not in now:
                raise self._forgotten(record)
        kept = {task: record for task, record in self._parts.items() if record.ended and (task or not now)}
        if not kept | now:
            assert self._last
            raise self._forgotten(self._last)
        self._parts = kept | now
        self._last = sum_up(self.id, list(self._parts.values()))
        return self._last

    def _now(self) -> dict[str, JobRecord]:
        """Return the records of the job's parts that Slurm has now; accounting, if any, knows those of ended ones.

        Raises:
            CommandError: Slurm has none and never had, or does not answer.
        """
        try:
            said = self.engine.exec("scontrol", "show", "job", str(self.id)).stdout
        except CommandError as error:
            if _UNKNOWN not in error.stderr:
                raise
            accounted = self._accounted()
            if not accounted and self._last is None:
                raise
            return accounted
        now = {record.task: record for record in parse_records(said)}
        missing = [task for task, record in self._parts.items() if not record.ended and task not in now]
        if missing or (self._last is None and "" not in now):  # the first tasks may be forgotten already
            return self._accounted() | now
        return now

    def _accounted(self) -> dict[str, JobRecord]:
        """Return the ended parts of the job in accounting; none without accounting, or if it does not answer."""
        said = self.engine.exec(*sacct(self.id), check=False).stdout
        return {record.task: record for record in parse_accounted(said) if record.ended}

    def _forgotten(self, last: JobRecord) -> JobError:
        return JobError(
            f"Slurm has forgotten job {self.id}, whose end is unknown.",
            f"{last.state}, {last.summary}, when last queried",
            "set a longer MinJobAge: 'slurm-sim up --slurm-conf MinJobAge=3600'.",
        )

    def wait(self, timeout: float = 600, *, on_change: Callable[[JobRecord], None] | None = None) -> JobRecord:
        """Wait until the job has ended, in any state; an array or a heterogeneous job, until all of its parts have.

        Args:
            timeout: Seconds, after which `JobTimeoutError` says what the job was doing.
            on_change: Called with the record at each new state.

        Raises:
            JobError: The job can never start, because a job that it depends on has failed.
        """
        return self._await("end", lambda record: record.ended, timeout=timeout, on_change=on_change)

    def wait_until_running(self, timeout: float = 600) -> JobRecord:
        """Wait until the job has started or ended; otherwise like `wait`."""
        return self._await("start", lambda record: record.state == "RUNNING" or record.ended, timeout=timeout)

    def _await(
        self,
        what: str,
        reached: Callable[[JobRecord], bool],
        *,
        timeout: float,
        on_change: Callable[[JobRecord], None] | None = None,
    ) -> JobRecord:
        end = time.monotonic() + timeout
        told = None
        while True:
            began = time.monotonic()
            record, trouble = self._try_record()
            if record and on_change and (record.state, record.reason) != told:
                told = (record.state, record.reason)
                on_change(record)
            if record and reached(record):
                return record
            if record and record.hopeless:
                raise JobError(
                    f"Job {self.id} will never start: {record.reason}.",
                    "a job that it depends on did not end as required",
                    f"run 'scancel {self.id}'.",
                )
            if time.monotonic() > end:
                raise self._late(what, timeout, record=record, trouble=trouble)
            # Slurm sends no event when a job ends; wait as long as the query took, which is longer for a large array
            time.sleep(max(0.05, time.monotonic() - began))

    def _try_record(self) -> tuple[JobRecord | None, str]:
        """Return the record, or the error of a controller that may be restarting."""
        try:
            return self.record(), ""
        except CommandError as error:
            if _UNKNOWN in error.stderr:
                raise
            return None, error.stderr

    def _late(self, what: str, timeout: float, *, record: JobRecord | None, trouble: str) -> JobTimeoutError:
        seen = trouble
        if record:
            try:
                written = self.output()[-800:]
            except SlurmSimError as error:
                written = error.what
            seen = f"{record.state}, reason {record.reason}, nodes {record.nodes or 'none'}\n{written}"
        todo = "use a longer timeout, or check why it waits, and 'scancel' it."
        if record and record.held:
            todo = f"release it with 'scontrol release {self.id}'."
        return JobTimeoutError(f"Job {self.id} did not {what} within {timeout:g} s.", seen, todo)

    def output(self) -> str:
        """Return the contents of its output file so far, with a heading for each file if there are several.

        Raises:
            JobError: The file is on a node that is not running.
        """
        return _output.read(self.engine, self.record(), errors=False)

    def errors(self) -> str:
        """Return the contents of its error file so far, unless that is the output file; see `output`."""
        return _output.read(self.engine, self.record(), errors=True)

    def cancel(self) -> None:
        """Cancel the job with all of its tasks or components. `wait` returns when it has ended."""
        uid = (self._last or self.record()).uid  # only a job's own user may cancel it
        self.engine.exec("scancel", str(self.id), user=str(uid))
