"""The launcher's session: options, signals, and clean-up."""

from __future__ import annotations

import ast
import os
import pty
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bridge_site import LAUNCHER, Site, executable, new_site, old_pythons
from tests.support.waiting import until


@pytest.fixture
def site() -> Iterator[Site]:
    """Make a site, and remove it after the test."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup ignores it, and then no shell could trap it
    with new_site() as site:
        yield site
    signal.signal(signal.SIGHUP, before)


def test_source_parses_as_python_3_7() -> None:
    """The launcher uses no newer syntax; `ast` cannot check for 3.6, so the next test runs old interpreters."""
    ast.parse(LAUNCHER.read_text(encoding="utf-8"), feature_version=(3, 7))


def test_runs_on_old_pythons() -> None:
    """The launcher starts on every Python from 3.6 to 3.10 on this machine, without packages."""
    pythons = old_pythons()
    if not pythons:
        pytest.skip("needs a Python from 3.6 to 3.10 on PATH or in ~/.pyenv")
    for python in pythons:
        done = subprocess.run([python, "-IS", LAUNCHER, "--help"], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), python
        assert done.stdout.startswith("Usage: dask-hpc")


def test_finds_python_and_sif(site: Site) -> None:
    """Started through a link, the launcher finds a Python and the SIF beside its own file."""
    (site.bin / "python3").symlink_to(site.python)
    (site.bin / "linked").symlink_to(site.launcher)
    done = subprocess.run([site.bin / "linked", "exec", "echo", "a b"], env=site.environment, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"a b\n", b"")


@pytest.mark.parametrize("status", [0, 1, 77, 255])
def test_passes_exit_status_through(site: Site, status: int) -> None:
    """The launcher exits with the program's status."""
    assert site.run(f"exit {status}").returncode == status


def test_reports_killed_program_like_a_shell(site: Site) -> None:
    """A program that is killed by a signal gives 128 plus the signal's number."""
    assert site.run("kill -KILL $$").returncode == 137


def test_session_folder_is_private(site: Site) -> None:
    """The socket is in a folder of mode 0700."""
    done = site.run('stat -c %a "${DASK_HPC_BRIDGE%/*}"; stat -c %F "$DASK_HPC_BRIDGE"')
    assert done.stdout == b"700\nsocket\n"


@pytest.mark.parametrize("name", ["x" * 100, "with,comma", "with:colon"])
def test_uses_tmp_if_runtime_folder_is_unsuitable(site: Site, name: str) -> None:
    """A runtime folder too long for a socket's 107 bytes, or with a comma or colon, is replaced by /tmp."""
    runtime = site.folder / name
    runtime.mkdir(mode=0o700)
    done = site.run('echo "${DASK_HPC_BRIDGE%/*}"', env={"XDG_RUNTIME_DIR": str(runtime)})
    assert done.returncode == 0
    assert done.stdout.startswith(b"/tmp/dask-hpc-")
    assert list(runtime.iterdir()) == []


def test_uses_longest_possible_runtime_folder(site: Site) -> None:
    """A runtime folder that just fits the kernel's limit is used."""
    uid = str(os.getuid())
    most = 107 - len("/dask-hpc-4294967295-0123456789ab/socket")
    runtime = site.folder / ("x" * (most - len(str(site.folder)) - 1))
    runtime.mkdir(mode=0o700)
    done = site.run('echo "${DASK_HPC_BRIDGE%/*}"', env={"XDG_RUNTIME_DIR": str(runtime)})
    assert done.stdout.startswith(f"{runtime}/dask-hpc-{uid}-".encode())


@pytest.mark.parametrize(
    "listing",
    [
        r"printf '7 dask-hpc-%s-1\n8 caf\351\n9 \377\376\n' $SESSION",
        "exit 1",
        "sleep 0.1; kill -9 $$",
        r"printf '\n\n7\n'",
    ],
    ids=["not UTF-8", "squeue fails", "squeue is killed", "unexpected"],
)
def test_clean_up_removes_credentials_even_if_squeue_fails(site: Site, listing: str) -> None:
    """Credentials are removed, even if squeue fails or prints invalid text; the session's jobs are cancelled."""
    site.command("squeue", f'. "$HOME/session"; {listing}')
    site.command("scancel", 'echo "$@" >>"$HOME/cancelled"')
    script = """
echo "SESSION=$DASK_HPC_SESSION" >"$1/session"
folder=$1/.dask-hpc/dask-hpc-$DASK_HPC_SESSION-abcd.tls
mkdir -p "$folder"; touch "$folder/key.pem"
kill -KILL $$
"""
    done = site.run(f"set -- {site.folder}; {script}", env={"SQUEUE_STATES": "PD", "SCANCEL_STATE": "PD"})
    assert done.returncode == 137
    assert list((site.folder / ".dask-hpc").iterdir()) == []
    assert b"Traceback" not in done.stderr
    cancelled = site.folder / "cancelled"
    assert (cancelled.read_text() if cancelled.exists() else "") == ("7\n" if r"\351" in listing else "")


def test_clean_up_removes_dashboards_of_killed_programs(site: Site) -> None:
    """A dashboard's socket is removed if nothing listens on it, and the folder with the last socket."""
    folder = Path(f"/tmp/dask-hpc-{os.getuid()}.dashboards")
    folder.mkdir(mode=0o700, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as killed, socket.socket(socket.AF_UNIX) as alive:
        killed.bind(str(folder / "60001.sock"))
        killed.close()
        alive.bind(str(folder / "60002.sock"))
        alive.listen()
        site.run("kill -KILL $$")
        assert not (folder / "60001.sock").exists()
        assert (folder / "60002.sock").exists()
    site.run("kill -KILL $$")
    assert not (folder / "60002.sock").exists()


def test_passes_variables_by_name(site: Site) -> None:
    """Only the variables of Slurm and Dask, and those that the user names, pass into the SIF."""
    given = {"DASK_A": "1", "SLURM_B": "2", "PYTHONPATH": "/x", "MINE": "3", "MY_C": "4", "DASK_HPC_PASS": "MINE MY_*"}
    names = {line.partition("=")[0] for line in site.run("env", env=given).stdout.decode().splitlines()}
    assert {"DASK_A", "SLURM_B", "MINE", "MY_C"} <= names
    assert "PYTHONPATH" not in names


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_passes_signals_to_program(site: Site, signum: signal.Signals) -> None:
    """A signal to the launcher reaches the program, which may clean up and choose its exit status."""
    name = signum.name[3:]
    site.command("scancel", "echo cancelled")
    with site.start("sh", "-c", f"trap 'scancel; exit 9' {name}; echo here; while :; do sleep 0.05; done") as launcher:
        assert launcher.stdout
        assert launcher.stdout.readline() == b"here\n"
        launcher.send_signal(signum)
        assert launcher.communicate()[0] == b"cancelled\n"
    assert launcher.returncode == 9


def test_cleans_up_after_killed_launcher(site: Site) -> None:
    """After SIGKILL of the launcher, the program gets SIGTERM and still reaches Slurm; running commands end."""
    site.command("scancel", f"echo cancelled >{site.folder}/cancelled")
    site.command("srun", "exec sleep 1000")
    with site.start("sh", "-c", "trap 'scancel; exit 9' TERM; srun & echo here; wait") as launcher:
        assert launcher.stdout
        assert launcher.stdout.readline() == b"here\n"
        launcher.kill()
    until((site.folder / "cancelled").exists, "scancel")
    until(lambda: not site.sessions(), "the end of the session")


def test_ends_program_when_session_is_killed(site: Site) -> None:
    """After SIGKILL of the session, the launcher ends the program and exits with 137."""
    site.command("srun", "exec sleep 1000")
    with site.start("sh", "-c", "srun & echo here; wait") as launcher:
        assert launcher.stdout
        assert launcher.stdout.readline() == b"here\n"
        children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGKILL)
        assert launcher.wait() == 137


def test_removes_what_killed_session_left(site: Site) -> None:
    """The next start removes the folder of a killed session, but no folder in use and no unrelated one."""
    stale, other = (site.runtime / f"dask-hpc-{os.getuid()}-{name}" for name in ("0123456789ab", "notes"))
    for folder in (stale, other):
        folder.mkdir(mode=0o700)
    (stale / "socket").touch()
    with site.start("sh", "-c", "echo here; read line") as launcher:
        assert launcher.stdout
        launcher.stdout.readline()
        late = site.run("true", env={"DASK_HPC_NOW": "1"})
        assert late.returncode == 0
        assert len(site.sessions()) == 3
        launcher.communicate(b"\n")
    os.utime(stale)
    assert stale.exists()  # so young that it may belong to a session that is starting
    program = (
        "import runpy, time; now = time.time; time.time = lambda: now() + 60;"
        f"runpy.run_path({str(site.launcher)!r}, run_name='__main__')"
    )
    command = [sys.executable, "-c", program, "exec", "true"]
    subprocess.run(command, env=site.environment, check=True)
    assert site.sessions() == [other]
    other.rmdir()


# The launcher forwards signals in order: once SIGUSR1 has arrived, a second SIGINT would have, too.
_COUNT_INTERRUPTS = """
import os, signal
taken, interrupts, number = {signal.SIGINT, signal.SIGUSR1}, 0, None
signal.pthread_sigmask(signal.SIG_BLOCK, taken)
os.write(1, b"READY")
while number != signal.SIGUSR1:
    number = signal.sigwait(taken)
    interrupts += number == signal.SIGINT
    os.write(1, b"INTERRUPTED" if number == signal.SIGINT else b"COUNTED %d END" % interrupts)
"""


def test_delivers_ctrl_c_once(site: Site) -> None:
    """Ctrl-C interrupts the program once: by the terminal, not also by the launcher."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(site.folder)
        words = ["exec", sys.executable, "-c", _COUNT_INTERRUPTS]
        os.execve(site.python, [site.python, "-s", str(site.launcher), *words], site.environment)
    seen = b""

    def read_until(word: bytes) -> None:
        nonlocal seen
        while word not in seen:
            try:
                seen += os.read(terminal, 100)
            except OSError:
                pytest.fail(f"{word!r} is not in {seen!r}")

    read_until(b"READY")
    os.write(terminal, b"\x03")
    read_until(b"INTERRUPTED")
    os.kill(pid, signal.SIGUSR1)
    read_until(b" END")
    os.waitpid(pid, 0)
    os.close(terminal)
    assert b"COUNTED 1 END" in seen


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--sif=gone.sif", "shell"], "gone.sif: No such file"),
        (["--sif", "short.sif", "shell"], "128 of 1128 bytes"),
        (["--sif=text", "shell"], "Not a SIF"),
        (["--banana", "shell"], "Unknown option --banana"),
        (["--sif"], "its value is missing"),
        (["exec"], "No command given"),
        ([], "No command given"),
    ],
)
def test_rejects_bad_sif_or_command_line(site: Site, words: list[str], expected: str) -> None:
    """A damaged SIF or a bad command line is an error before anything starts."""
    header = b"#!/usr/bin/env run-singularity\n\0SIF_MAGIC\0".ljust(112, b"\0")
    sizes = (128).to_bytes(8, "little") + (1000).to_bytes(8, "little")
    (site.folder / "short.sif").write_bytes((header + sizes)[:128])
    (site.folder / "text").write_text("not a SIF")
    command = [site.python, str(site.launcher), *words]
    done = subprocess.run(command, env=site.environment, cwd=site.folder, capture_output=True, text=True)
    assert done.returncode == 2
    assert expected in done.stderr
    assert "What to do" in done.stderr
    assert "Traceback" not in done.stderr


def test_reports_missing_apptainer(site: Site) -> None:
    """Without Apptainer on PATH, for example before its module is loaded, the error names it."""
    (site.bin / "apptainer").unlink()
    done = site.run("true")
    assert done.returncode == 2
    assert b"neither apptainer nor singularity" in done.stderr


def test_passes_apptainer_error_through(site: Site) -> None:
    """If Apptainer fails to start, its own message and status are passed through."""
    executable(site.bin / "apptainer", "#!/bin/sh\necho FATAL: no user namespaces >&2\nexit 255\n")
    done = site.run("true")
    assert (done.returncode, done.stderr) == (255, b"FATAL: no user namespaces\n")


def test_help_lists_every_option(site: Site) -> None:
    """--help prints all options on standard output and exits with 0."""
    done = subprocess.run([site.python, str(site.launcher), "--help"], capture_output=True, text=True, check=True)
    assert all(word in done.stdout for word in ("--sif", "--bind", "--log", "--nv", "exec", "shell", "Example"))
