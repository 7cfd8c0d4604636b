"""A command in a container ends with the process that started it, and its job ends with the command."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from slurm_sim import SlurmSim
from slurm_sim._docker import docker
from slurm_sim._lifeline import Lifeline
from tests.support.command import SLURM_SIM, environment
from tests.support.processes import running
from tests.support.waiting import until, until_in

JOB = ("srun", "-N2", "tail", "-f", "/dev/null")
IDLE = '[ -z "$(squeue --noheader)" ]'
BUSY = '[ -n "$(squeue --noheader --states=running)" ]'
TIMEOUT = 150
LINKS = "find /dev/shm -name '.slurm-sim-*' -user hpc"  # each user's next command removes the links of earlier ones


@contextmanager
def started(sim: SlurmSim, *command: str, stdin: int = subprocess.DEVNULL) -> Iterator[subprocess.Popen[bytes]]:
    """Run `slurm-sim exec`, and kill it at the end."""
    pipe = subprocess.PIPE
    whole = [SLURM_SIM, "exec", "--name", sim.name, "--", *command]
    with subprocess.Popen(whole, stdin=stdin, stdout=pipe, stderr=pipe, env=environment()) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.soak
@pytest.mark.parametrize(("name", "status"), [("INT", 130), ("TERM", 143), ("HUP", 129), ("KILL", -9)])
def test_signal_ends_job(slurm_sim: SlurmSim, name: str, status: int) -> None:
    """A signal, even SIGKILL, ends srun and frees its nodes; the status is 128 plus the signal's number."""
    with started(slurm_sim, "sh", "-c", f"{' '.join(JOB)}; :") as command:
        until_in(slurm_sim, BUSY)
        command.send_signal(signal.Signals[f"SIG{name}"])
        command.communicate(timeout=TIMEOUT)
        assert command.returncode == status
    until_in(slurm_sim, IDLE)


def test_command_receives_signal(slurm_sim: SlurmSim) -> None:
    """A program can clean up on a signal, and its last output passes through."""
    script = "trap 'echo cleaned up; exit' INT; echo ready; while :; do read -t 1 <> <(:); done"
    with started(slurm_sim, "bash", "-c", script) as command:
        assert command.stdout is not None
        assert command.stdout.readline() == b"ready\n"
        command.send_signal(signal.SIGINT)
        output, _ = command.communicate(timeout=TIMEOUT)
    assert (command.returncode, output) == (130, b"cleaned up\n")


def test_command_that_reads_nothing_ends_with_its_client(slurm_sim: SlurmSim) -> None:
    """If the client is killed, its command ends, even if it has not read its input."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with started(slurm_sim, "tail", "-f", "/dev/null", "-s", "662607", stdin=reading) as command:
        until(lambda: running(slurm_sim, "662607"), "the start of the command")
        with suppress(BlockingIOError):
            while True:
                os.write(writing, bytes(65536))
        command.kill()
        until(lambda: not running(slurm_sim, "662607"), "the end of the command", TIMEOUT)
    os.close(reading)
    os.close(writing)


def test_command_ends_with_engine_client(slurm_sim: SlurmSim) -> None:
    """A command ends if the engine's client is killed instead of slurm-sim."""
    with started(slurm_sim, "tail", "-f", "/dev/null", "-s", "137035") as command:
        until(lambda: running(slurm_sim, "137035"), "the start of the command")
        for child in subprocess.check_output(["pgrep", "-P", str(command.pid), "-f", "137035"]).split():
            os.kill(int(child), signal.SIGKILL)
        command.communicate(timeout=TIMEOUT)
        assert command.returncode == 137
    assert not running(slurm_sim, "137035")


def test_background_process_outlives_command(slurm_sim: SlurmSim) -> None:
    """A background process keeps running after its command, and no file of the session is left."""
    left = "tail -f /dev/null -s 299792 >/dev/null 2>&1 & echo $!"
    with started(slurm_sim, "sh", "-c", left) as command:
        pid = command.communicate(timeout=TIMEOUT)[0].decode().strip()
    assert len(running(slurm_sim, "299792")) == 1
    slurm_sim.exec("kill", pid)
    until_in(slurm_sim, f"[ ! -e /proc/{pid} ] && [ $({LINKS} | wc -l) -le 1 ]")  # this command's own link


def test_command_that_never_started_leaves_no_file(slurm_sim: SlurmSim) -> None:
    """If the client exits before its command starts, the command never runs, and no file or process is left."""
    lifeline = Lifeline(slurm_sim.container("login"), "hpc")
    lifeline.send("TERM")
    lifeline.await_end()
    link = lifeline.tie([])[-1]
    assert slurm_sim.exec("readlink", link).stdout == "/\n"
    late = docker("exec", "--user=hpc", slurm_sim.container("login"), *lifeline.tie(["touch", "/home/hpc/began"]))
    assert late.returncode == 143
    until_in(slurm_sim, f"[ ! -e /home/hpc/began ] && [ ! -L {link} ] && ! pgrep --full '[s]lurm-sim-lifeline {link}'")


def test_library_timeout_ends_job(slurm_sim: SlurmSim) -> None:
    """The timeout of `exec` ends the command with all of its processes, and so its job."""
    with pytest.raises(TimeoutError):
        slurm_sim.exec("sh", "-c", f"{' '.join(JOB)}; :", timeout=3)
    until_in(slurm_sim, IDLE)


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, -2), (signal.SIGKILL, -9)])
def test_library_ends_command_with_its_process(slurm_sim: SlurmSim, signum: signal.Signals, status: int) -> None:
    """A program that is interrupted or killed while it waits in `exec` leaves no job."""
    program = "import sys; from slurm_sim import SlurmSim; SlurmSim.attach(sys.argv[1]).exec(*sys.argv[2:])"
    with subprocess.Popen([sys.executable, "-c", program, slurm_sim.name, *JOB], stderr=subprocess.PIPE) as process:
        until_in(slurm_sim, f"{BUSY} && [ $(pgrep --full --count '[s]lurm-sim-lifeline') -ge 2 ]")  # plus its own
        process.send_signal(signum)
        process.communicate(timeout=TIMEOUT)
        assert process.returncode == status
    until_in(slurm_sim, IDLE)


class Terminal:
    """`slurm-sim shell` on a terminal."""

    def __init__(self, sim: SlurmSim) -> None:
        self.pid, self.file = pty.fork()
        if self.pid == 0:
            os.execve(SLURM_SIM, [SLURM_SIM, "shell", "--name", sim.name], environment())
        self.seen = b""
        threading.Thread(target=self._read, daemon=True).start()
        self.expect("$ ")

    def _read(self) -> None:
        with suppress(OSError):  # a terminal reports its end as an error
            while True:
                self.seen += os.read(self.file, 4096)

    def expect(self, text: str) -> None:
        until(lambda: text.encode() in self.seen, f"{text!r} on the terminal")

    def type(self, text: str) -> None:
        os.write(self.file, text.encode())

    def end(self) -> int:
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.file)
        return status


def test_shell_on_terminal(slurm_sim: SlurmSim) -> None:
    """A shell runs on a terminal, Ctrl-C ends its running command, and its exit status passes through."""
    terminal = Terminal(slurm_sim)
    terminal.type("tty; tail -f /dev/null -s 602214\n")
    terminal.expect("/dev/pts/")
    until(lambda: running(slurm_sim, "602214"), "the start of the command")
    terminal.type("\x03")
    until(lambda: not running(slurm_sim, "602214"), "the end of the command")
    terminal.type("exit 5\n")
    assert terminal.end() == 5


def test_lost_terminal_ends_job_and_spares_nohup(slurm_sim: SlurmSim) -> None:
    """If its terminal is lost, a shell and its job end, but not a process that `nohup` protects."""
    terminal = Terminal(slurm_sim)
    terminal.type(f"nohup tail -f /dev/null -s 980665 & {' '.join(JOB)}\n")
    until_in(slurm_sim, BUSY)
    os.kill(terminal.pid, signal.SIGHUP)
    assert terminal.end() == 129
    until_in(slurm_sim, IDLE)
    assert len(running(slurm_sim, "980665")) == 1
    slurm_sim.exec("pkill", "-f", "980665")
    slurm_sim.exec("rm", "-f", "nohup.out")


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_signal_removes_mini_cluster_of_run(slurm_sim: SlurmSim, signum: signal.Signals, status: int) -> None:
    """`slurm-sim run` leaves no container, regardless of the signal that ends it."""
    script = "cat /proc/self/mountinfo; echo; exec tail -f /dev/null"  # prints the container's ID
    command = [SLURM_SIM, "run", "--nodes=1", "--", "sh", "-c", script]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe) as run:
        assert run.stdout is not None
        said = "".join(iter(lambda: run.stdout.readline().decode().strip() if run.stdout else "", ""))
        found = re.search(r"containers/([0-9a-f]{64})/hostname", said)
        assert found
        assert docker("inspect", found[1]).returncode == 0
        run.send_signal(signum)
        _, errors = run.communicate(timeout=TIMEOUT)
    assert run.returncode == status, errors
    assert docker("inspect", found[1]).returncode != 0
