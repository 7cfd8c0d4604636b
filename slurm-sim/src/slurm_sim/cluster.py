"""The mini-cluster: started, used, scaled, and taken down."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Self

from slurm_sim import _copying, _found, _images, _jupyter, _lifecycle, _revive, _scaling, _sif, _submission, faults
from slurm_sim._docker import Completed
from slurm_sim._engine import USER, Engine
from slurm_sim._locking import exclusive
from slurm_sim._signals import interrupted_once
from slurm_sim._slurm import empty_queue
from slurm_sim.job import Job
from slurm_sim.spec import MAX_NODES, Spec, check_count, check_name, check_slurm_conf, parse_memory

__all__ = ["SlurmSim"]


class SlurmSim:
    """A real Slurm cluster in containers; as a context manager, it is up inside and gone after.

    Args:
        nodes: Compute nodes, named c1…cN; 512 at most.
        cpus_per_node: What a node tells Slurm that it has, whatever the host has.
        memory_per_node: As Slurm says it: `4G`, `512M`, or a number of MiB.
        name: A Compose project's name; by default, an unused one.
        image: What login node and nodes run; it must be built on ours (see README). Default: $SLURM_SIM_IMAGE, else
            slurm-sim/node where it has been built, else plain Slurm.
        bare: Login node and nodes have Slurm, PMIx and Apptainer, and nothing to run but what a SIF brings.
        sif: Only with `bare`: a SIF of this host, which all nodes find in /shared, read-only.
        jupyter: JupyterLab on the login node, see `jupyter()`.
        slurm_conf: Lines of slurm.conf that replace the default ones: `{"KillWait": 2}`.
        verbose: Show what an image build prints.

    Raises:
        SpecError: A number, a name, a memory, a SIF or a line of slurm.conf that makes no sense.
    """

    def __init__(
        self,
        nodes: int = 2,
        *,
        cpus_per_node: int = 2,
        memory_per_node: str | int = "4G",
        name: str | None = None,
        image: str | None = None,
        bare: bool = False,
        sif: str | Path | None = None,
        jupyter: bool = False,
        slurm_conf: Mapping[str, object] | None = None,
        verbose: bool = False,
    ) -> None:
        if jupyter:
            _jupyter.check(bare=bare, image=image or os.environ.get("SLURM_SIM_IMAGE"))
        self.spec = Spec(
            name=check_name(f"slurm-sim-{secrets.token_hex(3)}" if name is None else name),
            nodes=check_count("nodes", nodes, MAX_NODES),
            cpus_per_node=check_count("CPUs per node", cpus_per_node, 1024),
            memory_mb=parse_memory(memory_per_node),
            bare=bare,
            sif=_sif.of_bare(sif, bare=bare),
            jupyter=jupyter,
            slurm_conf=check_slurm_conf(slurm_conf or {}),
            **_images.default_images(image, bare=bare, jupyter=jupyter),
        )
        self.engine = Engine(self.spec.name)
        self._verbose = verbose

    @classmethod
    def attach(cls, name: str) -> Self:
        """Return the mini-cluster of that name, which runs or is stopped. Raises `NotRunningError`."""
        sim = cls.__new__(cls)
        sim.spec = _found.find(check_name(name)).spec
        sim.engine = Engine(name)
        sim._verbose = False
        return sim

    @property
    def name(self) -> str:
        """Its Compose project."""
        return self.spec.name

    def __repr__(self) -> str:
        return f"<SlurmSim {self.name}>"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    def start(self, *, timeout: float | None = None) -> dict[str, float]:
        """Start it; return when all nodes are idle and a job has run.

        One that is stopped, in whole or in part, comes back with its files and its queue: this returns when all of its
        nodes are back.

        Args:
            timeout: Seconds; without it, 30 and one more for each node, and two minutes more with JupyterLab.

        Raises:
            EngineError: No engine, or no image and no way to build it.
            SpecError: It runs already, or there is a stopped one of that name which differs.
            StartError: It did not become ready; the message has the log lines that explain it. Nothing is left of a new
                one, and nothing is removed of one that was stopped.

        Returns:
            The seconds that each part took.
        """
        images = [self.spec.controller_image, self.spec.login_image, self.spec.node_image]
        _images.ensure(images, verbose=self._verbose)
        timeout = timeout or 30 + self.spec.nodes + 120 * self.spec.jupyter
        with exclusive(self.name), interrupted_once():
            found = _found.existing(self.name)
            if found is None:
                return _lifecycle.start(self.spec, timeout)
            _revive.refuse_others(found, self.spec)
            return _revive.revive(self.engine, found, timeout)

    def down(self) -> None:
        """End it, with its containers, networks and volumes. Does nothing where it is down."""
        _lifecycle.remove(self.name)

    def nodes(self) -> list[str]:
        """Return the compute nodes' names, in order."""
        return self.engine.nodes()

    def exec(
        self,
        *command: str,
        on: str = "login",
        user: str = USER,
        workdir: str | None = None,
        env: Mapping[str, str] | None = None,
        stdin: str | bytes = b"",
        check: bool = True,
        timeout: float | None = None,
    ) -> Completed:
        """Run a command in a container and return its status, output and errors.

        Args:
            command: The program and its arguments; no shell reads them.
            on: `login`, `slurmctld` or a node such as `c1`.
            user: Whom it runs as.
            workdir: Its working directory; the user's home without it.
            env: More environment variables.
            stdin: What it reads.
            check: Raise `CommandError` if its status is not 0.
            timeout: Seconds until it is ended and `TimeoutError` is raised.
        """
        return self.engine.exec(
            *command, on=on, user=user, workdir=workdir, env=env, stdin=stdin, check=check, timeout=timeout
        )

    def submit(self, script: str | Path, *options: str, user: str = USER) -> Job:
        """Submit a batch script of this host, with options of sbatch.

        Raises:
            FileNotFoundError: There is no such script.
            JobError: Slurm refused it, or was asked for something else, such as `--test-only`; the message is Slurm's.
        """
        done = _submission.submit(self.engine, Path(script), options, user=user)
        if done.job_id is None:
            raise _submission.no_job(self.engine, script, done.sbatch)
        return self.job(done.job_id)

    def job(self, job_id: int) -> Job:
        """Return a job that was submitted by other means."""
        return Job(self.engine, job_id)

    def cancel_all(self, *, timeout: float = 180) -> None:
        """Cancel every job; return when the queue is empty, or raise `TimeoutError`."""
        self.exec("sh", "-c", empty_queue(), on="slurmctld", user="root", timeout=timeout)

    def scale(self, nodes: int) -> None:
        """Add nodes, or take the last ones away; return when Slurm agrees.

        Jobs on a node that goes end as Slurm ends them when a node is lost: batch jobs are queued again.
        """
        _scaling.scale(self.engine, self.spec, check_count("nodes", nodes, MAX_NODES))

    def fault(self, kind: faults.Fault | str, *targets: str) -> None:
        """Break something on purpose, or mend it: see `Fault`. Raises `SpecError` for what cannot be broken."""
        faults.inject(self.engine, faults.Fault.parse(kind), *targets)

    def logs(self, service: str = "slurmctld", *, lines: int = 200) -> str:
        """Return the last lines that a daemon wrote."""
        return self.engine.logs(service, lines)

    def jupyter(self) -> _jupyter.Jupyter:
        """Return where its JupyterLab is. Raises `NotRunningError` without one that answers."""
        self.check_service("login")
        return _jupyter.find(self.engine)

    def put(self, source: str | Path, target: str, *, on: str = "login") -> None:
        """Copy a file or a folder of this host into a container, where it belongs to `hpc`."""
        _copying.put(self.engine, Path(source), PurePosixPath(target), on=on)

    def get(self, source: str, target: str | Path, *, on: str = "login") -> None:
        """Copy a file or a folder out of a container."""
        _copying.get(self.engine, PurePosixPath(source), Path(target), on=on)

    def check_service(self, service: str) -> None:
        """Raise `NotRunningError` unless the container of that service runs."""
        self.engine.require(service)

    def state(self, service: str) -> str:
        """Return the engine's word for a service's container: `running`, `exited`, `paused`; "" without one."""
        return self.engine.state(service)

    def container(self, service: str) -> str:
        """Return the name that the engine knows a service's container by."""
        return self.engine.container(service)
