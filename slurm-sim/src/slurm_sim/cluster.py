"""Start, use, scale and remove a mini-cluster."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Self

import msgspec

from slurm_sim import (
    _accounting,
    _asked,
    _copying,
    _found,
    _images,
    _jupyter,
    _lifecycle,
    _rest,
    _revive,
    _scaling,
    _sif,
    _ssh,
    _submission,
    _users,
    faults,
)
from slurm_sim._docker import Completed
from slurm_sim._engine import Engine
from slurm_sim._locking import exclusive
from slurm_sim._signals import interrupted_once
from slurm_sim._slurm import empty_queue
from slurm_sim.config import USER
from slurm_sim.errors import SpecError
from slurm_sim.job import Job
from slurm_sim.spec import Spec, check_name

__all__ = ["SlurmSim"]


class SlurmSim:
    """A real Slurm cluster in containers; as a context manager, it starts on entry and is removed on exit.

    Args:
        nodes: Number of compute nodes, named c1…cN; at most 512. Default: 2.
        cpus_per_node: CPUs per node, as reported to Slurm, regardless of the host's. Default: 2.
        memory_per_node: Memory per node, as reported to Slurm: `4G`, `512M`, or a number of MiB. Default: `4G`.
        gpus_per_node: Simulated GPUs per node: `2`, `a100:2`, or `a100:2,v100:1`.
        partitions: Partitions besides `general`, which has all nodes: `["debug:nodes=1,time=10"]`.
        accounting: Run slurmdbd and a database: sacct, sacctmgr, accounts, QOS and limits.
        users: Users besides `hpc`.
        ssh: Run sshd on the login node, published on this host's loopback.
        rest: Run slurmrestd, published on this host's loopback.
        config: A `cluster.toml`, which can say all of this and more; arguments add to it.
        name: Name of the Compose project; by default, an unused one.
        image: Image of login and compute nodes; it must be built on ours (see README). Default: $SLURM_SIM_IMAGE, else
            slurm-sim/node if built, else plain Slurm.
        bare: Give login and compute nodes only Slurm, PMIx and Apptainer; a SIF brings the programs.
        sif: With `bare`: a SIF on this host, which all nodes find in /shared, read-only.
        jupyter: Run JupyterLab on the login node, see `jupyter()`.
        slurm_conf: Lines of slurm.conf that replace the default ones: `{"KillWait": 2}`.
        verbose: Show the output of image builds.

    Raises:
        SpecError: A number, name, memory size, SIF, line of slurm.conf or anything in the `cluster.toml` is invalid.
    """

    def __init__(
        self,
        nodes: int | None = None,
        *,
        cpus_per_node: int | None = None,
        memory_per_node: str | int | None = None,
        gpus_per_node: str | int | None = None,
        partitions: Sequence[str] = (),
        accounting: bool = False,
        users: Sequence[str] = (),
        ssh: bool = False,
        rest: bool = False,
        config: str | Path | None = None,
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
        asked = _asked.configuration(
            config,
            nodes=nodes,
            cpus_per_node=cpus_per_node,
            memory_per_node=memory_per_node,
            gpus_per_node=gpus_per_node,
            partitions=partitions,
            accounting=accounting,
            users=users,
            ssh=ssh,
            rest=rest,
            slurm_conf=slurm_conf or {},
        )
        self.spec = Spec(
            **msgspec.structs.asdict(asked),
            name=check_name(f"slurm-sim-{secrets.token_hex(3)}" if name is None else name),
            bare=bare,
            sif=_sif.of_bare(sif, bare=bare),
            jupyter=jupyter,
            **_images.default_images(image, bare=bare, jupyter=jupyter),
        )
        self.engine = Engine(self.spec.name)
        self._verbose = verbose

    @classmethod
    def attach(cls, name: str) -> Self:
        """Return an existing mini-cluster, running or stopped. Raises `NotRunningError` if it is not found."""
        sim = cls.__new__(cls)
        sim.spec = _found.find(check_name(name)).spec
        sim.engine = Engine(name)
        sim._verbose = False
        return sim

    @property
    def name(self) -> str:
        """Its name, which is that of its Compose project."""
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
        """Start the mini-cluster; return when all nodes are idle and a job has run.

        A mini-cluster that is stopped, wholly or partly, comes back with its files and its queue: this returns when all
        of its nodes are back.

        Args:
            timeout: Seconds. Default: 30, plus 1 per node, plus 120 with JupyterLab.

        Raises:
            EngineError: No engine answers, or an image is missing and cannot be built.
            SpecError: It is already running, or a stopped one of that name has other settings.
            StartError: It did not become ready; the message has the log lines that explain it. A new mini-cluster is
                removed; nothing is removed of a stopped one.

        Returns:
            The duration of each part, in seconds.
        """
        _images.ensure(_images.of(self.spec), verbose=self._verbose)
        timeout = timeout or 30 + self.spec.nodes + 120 * self.spec.jupyter
        with exclusive(self.name), interrupted_once():
            found = _found.existing(self.name)
            if found is None:
                return _lifecycle.start(self.spec, timeout)
            _revive.refuse_others(found, self.spec)
            return _revive.revive(self.engine, found, timeout)

    def down(self) -> None:
        """Remove the mini-cluster with its containers, networks and volumes. Does nothing if it does not exist."""
        _lifecycle.remove(self.name)

    def nodes(self) -> list[str]:
        """Return the names of the compute nodes, in order."""
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
        """Run a command in a container and return its exit status, output and errors.

        Args:
            command: Program and arguments, which no shell interprets.
            on: `login`, `slurmctld` or a node such as `c1`.
            user: User to run the command as.
            workdir: Working directory. Default: the user's home.
            env: Additional environment variables.
            stdin: Standard input.
            check: Raise `CommandError` if the exit status is not 0.
            timeout: Seconds after which the command is ended and `TimeoutError` is raised.
        """
        return self.engine.exec(
            *command, on=on, user=user, workdir=workdir, env=env, stdin=stdin, check=check, timeout=timeout
        )

    def submit(self, script: str | Path, *options: str, user: str = USER) -> Job:
        """Submit a batch script from this host, with sbatch's options.

        Raises:
            FileNotFoundError: The script was not found.
            JobError: sbatch rejected it, or did not submit it, as with `--test-only`; the message is sbatch's.
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

    def scale(self, nodes: int | None = None, **groups: int) -> None:
        """Add nodes, or remove the last ones; return when Slurm agrees.

        Jobs on a removed node end as if the node was lost: Slurm requeues batch jobs.

        Args:
            nodes: Number of nodes, in a mini-cluster with one group of them.
            groups: Number of nodes per group: `scale(gpu=3)`.

        Raises:
            SpecError: A number or a group is invalid, or a reservation holds a node to remove.
        """
        _scaling.scale(self.engine, self.spec, _scaling.wanted(self.spec, nodes, groups))

    def fault(self, kind: faults.Fault | str, *targets: str) -> None:
        """Inject a fault, or repair it; see `Fault`. Raises `SpecError` for an unknown fault or node."""
        faults.inject(self.engine, faults.Fault.parse(kind), *targets)

    def roll_up(self) -> None:
        """Bring sreport and sshare up to date: with accounting, Slurm does this once an hour and once a minute.

        sreport counts hours: `sreport user top start=now-30minutes` reports the current one. Jobs that run are counted
        as if they ran until its end.

        Raises:
            SpecError: The mini-cluster has no accounting.
            NotRunningError: A part of it is not running.
        """
        _accounting.roll_up(self.engine)

    def logs(self, service: str = "slurmctld", *, lines: int = 200) -> str:
        """Return the last lines of a daemon's log."""
        return self.engine.logs(service, lines)

    def jupyter(self) -> _jupyter.Jupyter:
        """Return the addresses of its JupyterLab. Raises `NotRunningError` if it does not answer."""
        self.check_service("login")
        return _jupyter.find(self.engine)

    def ssh_config(self) -> Path:
        """Write the files for ssh to the login node, and return ssh's configuration: `ssh -F PATH login`.

        The files belong to this user of this host, and `down` removes them. Call this again after each
        start, which may change the port.

        Raises:
            SpecError: The mini-cluster was started without ssh.
            NotRunningError: Its login node does not run.
        """
        return _ssh.write_config(self.engine, self.spec)

    def users(self) -> dict[str, int]:
        """Return the users who can submit jobs, and their IDs: `{"hpc": 1000}` and those that were added."""
        self.check_service("login")
        return _users.present(self.engine)

    def add_users(self, *names: str, account: str | None = None) -> None:
        """Add users, each with their own group and home. Does nothing for a user who exists.

        A user who was removed gets the ID and the home back.

        Args:
            names: Their names.
            account: With accounting: the account that their jobs are charged to. Default: one with the user's name.

        Raises:
            SpecError: A name is invalid, or there is an account but no accounting.
        """
        wanted = _users.check_names(names)
        if account and not self.spec.accounting:
            raise SpecError("An account needs accounting.", todo="leave it out, or start one with accounting.")
        self.engine.require("login", "slurmctld")
        with exclusive(self.name), interrupted_once():
            _users.add(self.engine, wanted)
            if self.spec.accounting:
                _users.associate(self.engine, wanted, account)

    def remove_users(self, *names: str) -> None:
        """Remove users, and return when their jobs and their processes on the login node have ended.

        Their homes stay, for when they are added again. Raises `SpecError` for an unknown user.
        """
        wanted = _users.check_names(names)
        self.engine.require("login", "slurmctld")
        with exclusive(self.name), interrupted_once():
            _users.remove(self.engine, wanted)
            if self.spec.accounting:
                _users.dissociate(self.engine, wanted)

    def rest(self) -> _rest.Rest:
        """Return where its REST API answers. Raises `NotRunningError` if it does not, or was not asked for."""
        _rest.require(self.engine, self.spec)
        self.check_service("slurmrestd")
        return _rest.find(self.engine)

    def token(self, user: str = USER, *, lifetime: int = _rest.HOUR) -> str:
        """Return a token for the REST API.

        Args:
            user: User that the token acts as.
            lifetime: Seconds until it expires.

        Raises:
            NotRunningError: The mini-cluster has no REST API, or its controller is not running.
            SpecError: The user is unknown, or the lifetime is invalid.
        """
        _rest.require(self.engine, self.spec)
        self.check_service("slurmctld")
        return _rest.token(self.engine, user, lifetime)

    def put(self, source: str | Path, target: str, *, on: str = "login", user: str = USER) -> None:
        """Copy a file or a folder from this host into a container, where it belongs to the user."""
        _copying.put(self.engine, Path(source), PurePosixPath(target), on=on, user=user)

    def get(self, source: str, target: str | Path, *, on: str = "login") -> None:
        """Copy a file or a folder out of a container."""
        _copying.get(self.engine, PurePosixPath(source), Path(target), on=on)

    def check_service(self, service: str) -> None:
        """Raise `NotRunningError` unless this service is running."""
        self.engine.require(service)

    def state(self, service: str) -> str:
        """Return a service's state in the engine's words: `running`, `exited`, `paused`; "" without a container."""
        return self.engine.state(service)

    def container(self, service: str) -> str:
        """Return the name of a service's container."""
        return self.engine.container(service)
