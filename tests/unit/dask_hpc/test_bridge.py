"""The bridge: inside the SIF, Slurm's commands call the site's, and no other command can be called."""

from __future__ import annotations

import array
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dask_hpc.bridge import shim
from tests.support.bridge_site import SHIM, Site, new_site


@pytest.fixture
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """Create a site; a test may parametrize the launcher's constants."""
    with new_site(**getattr(request, "param", {})) as site:
        yield site


@pytest.mark.parametrize("words", ["'a b' ''", "'$HOME' '`id`' '\"'", "'new\nline' '\\' --x=ü", "'%s' '*' ' '"])
def test_passes_arguments_unchanged(site: Site, words: str) -> None:
    """Blanks, quotes, newlines and empty arguments arrive unchanged: no shell is involved."""
    site.command("squeue", 'printf "%s\\n" $# "$@"')
    direct = subprocess.run(["sh", "-c", f"{site.bin}/squeue {words}"], capture_output=True, check=True)
    assert site.run(f"squeue {words}").stdout == direct.stdout


def test_passes_streams_and_status_through(site: Site) -> None:
    """Standard output and error stay apart, and the exit status is the command's."""
    site.command("sinfo", "echo out; echo err >&2; exit 7")
    done = site.run("sinfo; echo $?")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"out\n7\n", b"err\n")


def test_passes_working_directory_and_slurm_variables(site: Site) -> None:
    """The command runs in the caller's directory with its Slurm variables; all other variables are the site's."""
    site.command("sacct", "pwd; env")
    (site.folder / "a b").mkdir()
    script = "cd 'a b'; unset SLURM_OLD; export SLURM_JOB_ID=5 SBATCH_ACCOUNT='x y' OTHER=inside; exec sacct"
    done = site.run(script, env={"SLURM_OLD": "1", "OTHER": "outside", "SITE": "yes"})
    lines = done.stdout.decode().splitlines()
    assert lines[0] == f"{site.folder}/a b"
    assert {"SLURM_JOB_ID=5", "SBATCH_ACCOUNT=x y", "OTHER=outside", "SITE=yes"} <= set(lines)
    assert not [line for line in lines if line.startswith(("SLURM_OLD", "APPTAINERENV_"))]


@pytest.mark.parametrize("command", ["sbatch", "srun"])
def test_passes_variables_to_jobs(site: Site, command: str) -> None:
    """The caller's variables reach sbatch and srun, except those of the SIF; the site's own variables stay."""
    site.command(command, "env")
    ours = "FOO='a b' DASK_X=1 OTHER=inside LINES=\"$(printf '1\\n2')\""
    theirs = "PYTHONPATH=/sif LD_LIBRARY_PATH=/sif APPTAINER_NAME=x HOME=/sif PRTE_MCA_plm=^slurm VIRTUAL_ENV=/sif"
    done = site.run(
        f"env {ours} {theirs} {command}", env={"OTHER": "outside", "SITE": "yes", "LD_LIBRARY_PATH": "/site"}
    )
    lines = done.stdout.decode().splitlines()
    assert {"FOO=a b", "DASK_X=1", "OTHER=inside", "SITE=yes", "LD_LIBRARY_PATH=/site", f"HOME={site.folder}"} <= set(
        lines
    )
    assert [line for line in lines if "/sif" in line or "plm" in line or "DASK_HPC_BRIDGE" in line] == []


def test_old_launcher_gets_only_slurm_variables(site: Site) -> None:
    """An older launcher, which does not announce that it accepts other variables, gets only Slurm's."""
    site.command("sbatch", "env")
    lines = site.run("unset DASK_HPC_BRIDGE_TAKES; FOO=1 SBATCH_X=2 sbatch").stdout.decode().splitlines()
    assert "SBATCH_X=2" in lines
    assert "FOO=1" not in lines


def test_passes_non_utf8_arguments(site: Site) -> None:
    """Arguments may be any bytes, as file names may."""
    site.command("sbatch", 'printf %s "$1" | od -An -tx1')
    assert site.run("sbatch \"$(printf 'a\\377')\"").stdout == b" 61 ff\n"


def test_passes_language(site: Site) -> None:
    """LC_ALL, which determines the format of Slurm's output, is the caller's."""
    site.command("squeue", "echo $LC_ALL $LANG")
    assert site.run("export LC_ALL=C LANG=inside; squeue", env={"LANG": "site"}).stdout == b"C site\n"


def test_passes_large_binary_data(site: Site) -> None:
    """50 MiB of random bytes pass through unchanged."""
    site.command("sbatch", "exec cat")
    data = os.urandom(1 << 20) * 50
    assert site.run("exec sbatch", stdin=data).stdout == data


def test_closed_pipe_ends_command(site: Site) -> None:
    """A command ends when its reader closes the pipe, as it does without the bridge."""
    site.command("sacct", "exec yes")
    assert site.run("sacct | head -n 2").stdout == b"y\ny\n"


def test_serves_twenty_calls_at_once(site: Site) -> None:
    """Calls do not wait for each other, and each gets its own answer."""
    site.command(
        "squeue", f"touch {site.folder}/$1; until [ $(ls {site.folder}/n* | wc -l) = 20 ]; do sleep 0.05; done; echo $1"
    )
    done = site.run("for i in $(seq 20); do squeue n$i & done; wait")
    assert sorted(done.stdout.split()) == sorted(f"n{i}".encode() for i in range(1, 21))


_SIGNAL = """
import subprocess, sys
with subprocess.Popen(["srun"], stdout=subprocess.PIPE, text=True) as srun:
    srun.stdout.readline()
    srun.send_signal(int(sys.argv[1]))
    print(srun.stdout.read(), srun.wait(), sep="")
"""


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_passes_signals_to_command(site: Site, signum: signal.Signals) -> None:
    """A signal to the stand-in reaches the command, which may handle it."""
    name = signum.name[3:]
    site.command("srun", f"trap 'echo got {name}; exit 9' {name}; echo here; while :; do sleep 0.05; done")
    (site.folder / "caller.py").write_text(_SIGNAL)
    done = site.run(f"{sys.executable} caller.py {int(signum)}")
    assert done.stdout == f"got {name}\n9\n".encode()


def test_stand_in_dies_of_same_signal(site: Site) -> None:
    """If the command is killed by a signal, so is the stand-in, and a shell reports 128 plus the signal."""
    site.command("srun", "kill -KILL $$")
    assert site.run("srun; echo $?").stdout == b"137\n"


@pytest.mark.parametrize("site", [{"KILL_SECONDS": 0.1}], indirect=True)
def test_ends_command_of_killed_caller(site: Site) -> None:
    """When the stand-in is killed, its command ends too, and the next call is served."""
    site.command("srun", f"echo $$ >{site.folder}/pid; trap '' TERM; while :; do sleep 0.05; done")
    site.command("squeue", f"kill -0 $(cat {site.folder}/pid) 2>/dev/null || echo gone")
    done = site.run(
        'srun & until [ -s pid ]; do sleep 0.02; done; kill -9 $!; until [ -n "$(squeue)" ]; do :; done; squeue'
    )
    assert done.stdout == b"gone\n"


@pytest.mark.parametrize(
    "words",
    ["show job 5", "-o show nodes", "--json show job", "ping", "-do show partition", "hold 5", "requeue 5", "update x"],
)
def test_allows_scontrol_on_jobs(site: Site, words: str) -> None:
    """Subcommands that show information or change jobs are allowed; Slurm checks who owns the jobs."""
    site.command("scontrol", 'echo "$@"')
    assert site.run(f"scontrol {words}").stdout.decode() == words + "\n"


@pytest.mark.parametrize(
    "words",
    ["create x", "", "-M show reboot x", "shutdown", "-Mshow delete", "--cluster show token", "sho", "'show '"],
)
def test_rejects_administration_by_scontrol(site: Site, words: str) -> None:
    """Administrative subcommands are rejected, and so is any option that could hide one."""
    site.command("scontrol", "echo called")
    done = site.run(f"scontrol {words}")
    assert done.returncode == 126
    assert done.stdout == b""
    assert b"refused" in done.stderr
    assert b"What to do" in done.stderr


@pytest.mark.parametrize(
    ("words", "status"), [("-nP show assoc user=x", 0), ("list qos", 0), ("-i delete user x", 126)]
)
def test_sacctmgr_only_shows(site: Site, words: str, status: int) -> None:
    """Accounts and limits can be shown, but not changed."""
    site.command("sacctmgr", "echo called")
    assert site.run(f"sacctmgr {words}").returncode == status


def test_names_command_that_site_lacks(site: Site) -> None:
    """A command that the cluster does not have is an error that says so."""
    done = site.run("sacct")
    assert done.returncode == 126
    assert b"this cluster has none on PATH" in done.stderr


def test_rejects_deleted_working_directory(site: Site) -> None:
    """In a deleted working directory no command is run, as sbatch would run jobs there."""
    site.command("sbatch", "echo called")
    done = site.run("mkdir gone; cd gone; rmdir ../gone; sbatch")
    assert (done.returncode, done.stdout) == (125, b"")
    assert b"No such file or directory" in done.stderr


def test_names_working_directory_that_host_lacks(site: Site) -> None:
    """A working directory that exists only in the SIF is rejected by name."""
    site.command("squeue", "echo fine")
    raw = Raw(site)
    assert raw.say(request(b"squeue", b"/only/in/the/sif", b"0")).startswith(b"refused the folder /only/in/the/sif is")
    assert raw.end() == b"fine\n"


class Raw:
    """A caller that sends arbitrary bytes."""

    def __init__(self, site: Site) -> None:
        self.process = site.start("sh", "-c", 'echo "$DASK_HPC_BRIDGE"; read line; squeue', options=("--log=log",))
        assert self.process.stdout
        self.address = self.process.stdout.readline().decode().strip()

    @contextmanager
    def sent(self, data: bytes, files: int = 3) -> Iterator[socket.socket]:
        """Send bytes with this number of file descriptors; yield the open connection."""
        with socket.socket(socket.AF_UNIX) as connection, Path(os.devnull).open("r+b") as null:
            connection.connect(self.address)
            fds = array.array("i", [null.fileno()] * files)
            connection.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)] if files else [])
            yield connection

    def say(self, data: bytes, files: int = 3) -> bytes:
        """Send bytes with this number of file descriptors; return the reply."""
        with self.sent(data, files) as connection:
            try:
                return connection.recv(1000)
            except ConnectionResetError:
                return b""

    def end(self) -> bytes:
        """Let the session make its own call and end; return the output of the call."""
        return self.process.communicate(b"\n")[0]


def request(*fields: bytes) -> bytes:
    text = b"\0".join(fields)
    return b"DHB1" + len(text).to_bytes(4, "big") + text


HOSTILE = {
    "garbage": b"GET / HTTP/1.1\r\n\r\n",
    "empty": request(b""),
    "huge length": b"DHB1\xff\xff\xff\xff" + b"x" * 1000,
    "no program": request(b"sh", b"/", b"0"),
    "path": request(b"/bin/sh", b"/", b"0"),
    "path to it": request(b"../bin/squeue", b"/", b"0"),
    "NUL in the name": request(b"squeue\0", b"/", b"0"),
    "control": request(b"scontrol", b"/", b"2", b"create", b"x"),
    "count too high": request(b"squeue", b"/", b"9", b"x"),
    "count no number": request(b"squeue", b"/", b"-1", b"x"),
    "count huge": request(b"squeue", b"/", b"9" * 5000),
    "variable": request(b"squeue", b"/", b"0", b"LD_PRELOAD=/tmp/x.so"),
    "variable, nearly": request(b"squeue", b"/", b"0", b"SLURM_X\n=1"),
    "folder": request(b"squeue", b"/nowhere", b"0"),
    "too much": request(b"squeue", b"/", b"0") + b"more",
    "not text": request(b"\xff\xfe", b"\xff", b"\xff"),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_rejects_hostile_requests(site: Site, data: bytes) -> None:
    """Any invalid request is rejected and logged, and the next call is served."""
    site.command("squeue", "echo fine")
    raw = Raw(site)
    assert raw.say(data).startswith(b"refused")
    assert raw.end() == b"fine\n"
    assert "refused" in (site.folder / "log").read_text()


@pytest.mark.parametrize("files", [0, 1, 2, 9])
def test_rejects_request_without_three_streams(site: Site, files: int) -> None:
    """Fewer than three file descriptors are rejected; if there are more, only three are used."""
    site.command("squeue", "echo fine")
    raw = Raw(site)
    reply = raw.say(request(b"squeue", b"/", b"0"), files)
    assert reply.startswith(b"refused") if files < 3 else reply == b"exited 0\n"
    assert raw.end() == b"fine\n"


HALF = b"DHB1\0\0\0\x09sq"


@pytest.mark.soak
@pytest.mark.parametrize("site", [{"REQUEST_SECONDS": 1}], indirect=True)
def test_closes_connection_with_half_sent_request(site: Site) -> None:
    """A caller that never finishes its request is cut off after REQUEST_SECONDS."""
    site.command("squeue", "echo fine")
    raw = Raw(site)
    assert raw.say(HALF) == b""
    assert raw.end() == b"fine\n"


@pytest.mark.soak
@pytest.mark.parametrize("site", [{"REQUEST_SECONDS": 10_000}], indirect=True)
def test_serves_others_while_request_is_half_sent(site: Site) -> None:
    """A caller that never finishes its request does not keep others waiting."""
    site.command("squeue", "echo fine")
    raw = Raw(site)
    with raw.sent(HALF):
        assert raw.say(request(b"squeue", b"/", b"0")) == b"exited 0\n"
    assert raw.end() == b"fine\n"


NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3", "-c")
as_root = pytest.mark.skipif(os.getuid() != 0, reason="becoming another user needs root")


@pytest.fixture
def public() -> Iterator[Path]:
    """Create a folder that any user may enter and write to."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


@as_root
def test_rejects_other_user(public: Path) -> None:
    """Another user is rejected even if the folder is open to all, as the kernel identifies the caller's user."""
    site = Site(public)
    site.command("squeue", "echo fine")
    raw = Raw(site)
    connect = f"import socket; s = socket.socket(socket.AF_UNIX); s.connect({raw.address!r}); print(s.recv(9))"
    done = subprocess.run([*NOBODY, connect], capture_output=True, text=True)
    assert "PermissionError" in done.stderr
    for path in (site.runtime, Path(raw.address).parent, Path(raw.address)):
        path.chmod(0o777)
    done = subprocess.run([*NOBODY, connect], capture_output=True, text=True)
    assert done.stdout == "b''\n", done.stderr
    assert raw.end() == b"fine\n"
    assert "refused user 65534" in (site.folder / "log").read_text()


@as_root
def test_stand_in_rejects_bridge_of_other_user(public: Path) -> None:
    """The stand-in sends nothing to a socket of another user."""
    address = public / "socket"
    listen = (
        f"import socket; s = socket.socket(socket.AF_UNIX); s.bind({str(address)!r}); s.listen(); print(flush=True)"
    )
    command = [*NOBODY, f"{listen}; print(s.accept()[0].recv(99))"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
        assert server.stdout
        server.stdout.readline()
        environment = {"DASK_HPC_BRIDGE": str(address)}
        done = subprocess.run([sys.executable, "-IS", SHIM], env=environment, capture_output=True, text=True)
        assert done.returncode == 125
        assert "belongs to user 65534" in done.stderr
        assert server.communicate()[0] == b"b''\n"


def test_reads_reply_of_launcher_that_closed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reply is read even if the launcher has already closed the connection."""

    class Closed:
        def sendmsg(self, parts: list[bytes], _ancillary: object) -> int:
            return len(parts[0])

        def sendall(self, _data: bytes) -> None:
            raise BrokenPipeError

        def recv(self, _size: int) -> bytes:
            return b"exited 7\n"

    monkeypatch.setattr(shim, "_connect", Closed)
    monkeypatch.setattr(shim, "_SIGNALS", ())
    assert shim._call(b"request") == "exited 7"


def test_names_launcher_if_bridge_is_missing() -> None:
    """If the SIF was started without the launcher, the error names the launcher."""
    done = subprocess.run([sys.executable, "-IS", SHIM], env={}, capture_output=True, text=True)
    assert done.returncode == 125
    assert "./dask-hpc" in done.stderr
