"""ssh to the login node, with this host's own client."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import pytest

from slurm_sim import NotRunningError, SlurmSim, SpecError
from slurm_sim._docker import docker
from tests.support import lacking
from tests.support.command import new_name, refused, slurm_sim_command
from tests.support.engine_elsewhere import from_client
from tests.support.jobs import script
from tests.support.processes import running
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module", autouse=True)
def ssh_is_installed() -> None:
    """Skip these tests without the clients ssh and rsync, or fail in CI."""
    if not (shutil.which("ssh") and shutil.which("rsync")):
        lacking("ssh or rsync not found: install them with tests/install-clients.sh")


@pytest.fixture(scope="module")
def sim() -> Iterator[SlurmSim]:
    """Mini-cluster with ssh and the user alice."""
    with SlurmSim(name=new_name(), nodes=2, ssh=True, users=["alice"]) as sim:
        yield sim


@pytest.fixture
def config(sim: SlurmSim) -> Path:
    """Path of ssh's configuration."""
    return sim.ssh_config()


def ssh(config: Path, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run this host's ssh client, which reads no other configuration."""
    return subprocess.run(["ssh", "-F", config, *words], input=stdin, capture_output=True, timeout=100, check=False)


def said(config: Path, *words: str, stdin: bytes = b"") -> str:
    """Run ssh, which must succeed and print no errors, and return the output."""
    done = ssh(config, *words, stdin=stdin)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode()


def rejected(config: Path, *words: str) -> str:
    """Run ssh, which must fail before the command runs, and return its errors."""
    done = ssh(config, *words, "echo ran")
    assert (done.returncode, done.stdout) == (255, b"")
    return done.stderr.decode()


def transfer(program: str, config: Path, *words: str, stdin: str = "") -> None:
    done = subprocess.run(
        [program, "-F", config, *words], input=stdin, capture_output=True, timeout=100, check=False, text=True
    )
    assert done.returncode == 0, done.stderr


def host_key(config: Path) -> str:
    """Return the key that the client expects of the login node."""
    return (config.parent / "known_hosts").read_text().partition(" ")[2]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def background(config: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run ssh in the background; end it at the end."""
    with subprocess.Popen(["ssh", "-F", config, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as client:
        try:
            yield client
        finally:
            client.kill()


def reachable(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def page(port: int, path: str = "") -> bytes:
    with build_opener(ProxyHandler({})).open(f"http://127.0.0.1:{port}/{path}", timeout=60) as answer:
        return bytes(answer.read())


def test_runs_commands(sim: SlurmSim, config: Path) -> None:
    """Commands run on the login node as hpc; streams and exit status pass through, and Slurm's commands work."""
    assert said(config, "login", "hostname; id -un; pwd") == "login\nhpc\n/home/hpc\n"
    assert said(config, "login", "srun -N2 hostname").split() in (["c1", "c2"], ["c2", "c1"])
    data = bytes(range(256)) * 4096
    assert ssh(config, "login", "cat", stdin=data).stdout == data
    done = ssh(config, "login", "echo out; echo err >&2; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, b"out\n", b"err\n")
    job = said(config, "login", "sbatch --parsable --wait", stdin=b"#!/bin/bash\nsrun -N1 hostname\n").strip()
    assert said(config, "login", f"cat slurm-{job}.out").startswith("c")


def test_runs_as_other_users(config: Path) -> None:
    """USER@login is another user of the mini-cluster, whose jobs run as that user."""
    assert said(config, "alice@login", "id -un; pwd; srun id -un") == "alice\n/home/alice\nalice\n"
    assert "denied" in ssh(config, "alice@login", "ls /home/hpc").stderr.decode()


def test_users_who_come_and_go(sim: SlurmSim, config: Path) -> None:
    """A user who is added can log in at once; when removed, the sessions end and no new one is possible."""
    sim.add_users("carol")
    assert said(config, "carol@login", "id -un") == "carol\n"
    with background(config, "-tt", "carol@login", "tail -f /dev/null -s 141421") as client:
        until(lambda: running(sim, "141421"), "the start of a session")
        sim.remove_users("carol")
        client.wait(60)
    assert not running(sim, "141421")
    assert "Permission denied" in rejected(config, "carol@login")


def test_environment_is_that_of_exec(sim: SlurmSim, config: Path) -> None:
    """Commands and login shells have the programs and the variables that `slurm-sim exec` has."""
    ask = "command -v squeue; command -v python; command -v dask-hpc; echo $LANG $OMP_NUM_THREADS $PMIX_MCA_gds"
    wanted = sim.exec("sh", "-c", ask).stdout
    assert "squeue" in wanted
    assert said(config, "login", ask) == said(config, "login", f"bash -lc '{ask}'") == wanted
    assert said(config, "-T", "login", stdin=ask.encode()) == wanted


def test_terminal(config: Path) -> None:
    """A session with a terminal owns it."""
    done = ssh(config, "-tt", "alice@login", "stty size >/dev/null && stat --format=%U $(tty)")
    assert (done.returncode, done.stdout) == (0, b"alice\r\n")


@pytest.mark.parametrize("options", [(), ("-O",)], ids=["sftp", "scp"])
@pytest.mark.parametrize("user", ["hpc", "alice"])
def test_scp_copies_both_ways(config: Path, tmp_path: Path, options: tuple[str, ...], user: str) -> None:
    """`scp` copies files and folders both ways, with either protocol."""
    (tmp_path / "f").mkdir()
    (tmp_path / "f/x y").write_bytes(bytes(range(256)) * 1000)
    transfer("scp", config, *options, "-r", str(tmp_path / "f"), f"{user}@login:copied")
    assert said(config, f"{user}@login", "stat --format=%U copied/*") == f"{user}\n"
    transfer("scp", config, *options, "-r", f"{user}@login:copied", str(tmp_path / "back"))
    assert (tmp_path / "back/x y").read_bytes() == (tmp_path / "f/x y").read_bytes()
    said(config, f"{user}@login", "rm -r copied")


def test_rsync_copies_both_ways(config: Path, tmp_path: Path) -> None:
    """`rsync` copies a folder both ways."""
    (tmp_path / "f").mkdir()
    (tmp_path / "f/x y").write_bytes(bytes(range(256)) * 1000)
    rsync = ["rsync", "-a", "--rsh", f"ssh -F '{config}'"]
    for places in (f"{tmp_path}/f/", "login:copied"), ("login:copied/", f"{tmp_path}/back"):
        subprocess.run([*rsync, *places], timeout=100, check=True)
    assert (tmp_path / "back/x y").read_bytes() == (tmp_path / "f/x y").read_bytes()
    said(config, "login", "rm -r copied")


def test_sftp_copies_both_ways(config: Path, tmp_path: Path) -> None:
    """`sftp` copies both ways."""
    path = script(tmp_path, "hostname")
    transfer("sftp", config, "-b", "-", "login", stdin=f"put {path} a\nrename a b\nget b {tmp_path}/back\nrm b\n")
    assert (tmp_path / "back").read_bytes() == path.read_bytes()


def test_forwards_ports(sim: SlurmSim, config: Path) -> None:
    """`-L` reaches a server on the login node's loopback, `-D` any host of the mini-cluster, and `-R` this host."""
    here, socks = free_port(), free_port()
    words = ("-L", f"{here}:127.0.0.1:2222", "-D", str(socks), "-N", "login")
    with background(config, *words):
        until(lambda: reachable(here) and reachable(socks), "the forwarding")
        with socket.create_connection(("127.0.0.1", here)) as server:
            assert server.recv(8) == b"SSH-2.0-"
        with socket.create_connection(("127.0.0.1", socks)) as proxy:
            proxy.sendall(b"\5\1\0")  # SOCKS 5, without a password
            assert proxy.recv(2) == b"\5\0"
            proxy.sendall(b"\5\1\0\3\5login" + (2222).to_bytes(2))
            assert proxy.recv(10)[1] == 0
            assert proxy.recv(8) == b"SSH-2.0-"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        back = f"8124:127.0.0.1:{listening.getsockname()[1]}"
        with background(
            config, "-R", back, "login", "bash -c 'exec 3<>/dev/tcp/127.0.0.1/8124; echo hello >&3; cat <&3'"
        ):
            listening.settimeout(60)
            with listening.accept()[0] as connection:
                assert connection.recv(6) == b"hello\n"


def test_many_sessions_at_once(config: Path, tmp_path: Path) -> None:
    """Many sessions at once work, over one connection each and over one for all, as editors use it."""
    wanted = [f"{number}\n" for number in range(60)]
    with ThreadPoolExecutor(30) as pool:
        assert list(pool.map(lambda number: said(config, "login", f"echo {number}"), range(60))) == wanted
    shared = tmp_path / "control"
    words = ("-S", str(shared), "login")
    with background(config, "-M", "-N", *words):
        until(shared.exists, "the shared connection")
        with ThreadPoolExecutor(30) as pool:
            assert list(pool.map(lambda number: said(config, *words, f"echo {number}"), range(60))) == wanted


def test_accepts_nothing_but_the_key(config: Path, tmp_path: Path) -> None:
    """No password, no other key, no root and no user of a daemon; mistakes do not lock out those who have the key."""
    no_key = ("-o", "IdentityFile=none", "-o", "PreferredAuthentications=password,keyboard-interactive,none")
    assert "Permission denied (publickey)" in rejected(config, *no_key, "login")
    other = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True)
    plain = tmp_path / "config"
    plain.write_text(config.read_text().replace(f"{config.parent}/id_ed25519", str(other)))
    for _ in range(10):
        assert "Permission denied (publickey)" in rejected(plain, "login")
    for user in ("root", "slurm", "munge", "sshd", "nobody", "nosuch"):
        rejected(config, f"{user}@login")
    assert said(config, "login", "id -un") == "hpc\n"


def test_pins_host_key(sim: SlurmSim, config: Path, tmp_path: Path) -> None:
    """The client rejects a login node with another host key, and another mini-cluster rejects this one's key."""
    with SlurmSim(name=new_name(), nodes=1, ssh=True) as other:
        theirs = other.ssh_config()
        assert theirs.parent != config.parent
        port = next(line for line in theirs.read_text().splitlines() if "Port" in line)
        ours = "\n".join(port if "Port" in line else line for line in config.read_text().splitlines())
        mixed = tmp_path / "config"
        mixed.write_text(ours)
        assert "Host key verification failed" in rejected(mixed, "login")
        mixed.write_text(
            ours.replace("StrictHostKeyChecking yes", "StrictHostKeyChecking no").replace(
                f"{config.parent}/known_hosts", "/dev/null"
            )
        )
        assert "Permission denied (publickey)" in rejected(mixed, "login")
    assert not theirs.parent.exists()


def test_pins_host_key_by_address(config: Path, tmp_path: Path) -> None:
    """Clients that ignore HostKeyAlias, such as paramiko, find the host key by address and port, and check it."""
    (port,) = (line.split()[1] for line in config.read_text().splitlines() if "Port" in line)
    plain = tmp_path / "config"
    plain.write_text(
        "".join(line for line in config.read_text().splitlines(keepends=True) if "HostKeyAlias" not in line)
    )
    assert said(plain, "login", "id -un") == "hpc\n"
    known = (config.parent / "known_hosts").read_text()
    (tmp_path / "known_hosts").write_text(known.replace(f":{port}", ":1"))
    plain.write_text(plain.read_text().replace(f"{config.parent}/known_hosts", f"{tmp_path}/known_hosts"))
    assert "Host key verification failed" in rejected(plain, "login")


def test_files_are_private(sim: SlurmSim, config: Path) -> None:
    """Only the user can read the files; the keys are in no image, log, variable or process list."""
    assert config.parent.stat().st_mode & 0o7777 == 0o700
    files = sorted(config.parent.iterdir())
    assert [file.name for file in files] == ["config", "id_ed25519", "id_ed25519.pub", "known_hosts"]
    assert {file.stat().st_mode & 0o7777 for file in files} == {0o600}
    key = (config.parent / "id_ed25519").read_text().splitlines()[2]
    container = sim.container("login")
    for look in (("inspect", container), ("logs", container), ("exec", container, "cat", "/etc/ssh/authorized_keys")):
        done = docker(*look)
        assert key not in done.stdout + done.stderr
    assert docker("exec", container, "sh", "-c", "ls /dev/shm").stdout == ""
    found = docker(
        "run",
        "--rm",
        "--entrypoint=sh",
        sim.spec.login_image,
        "-c",
        "ls /etc/ssh/*key* 2>&1 | wc -l; ls /etc/ssh/*key*",
    )
    assert "No such file" in found.stderr
    (port,) = docker("port", container).stdout.splitlines()
    assert port.startswith("2222/tcp -> 127.0.0.1:")


def test_config_is_stable(sim: SlurmSim, config: Path) -> None:
    """Asking again, also at the same time, keeps the key; without the files, there is a new key."""
    key = (config.parent / "id_ed25519").read_text()
    done = slurm_sim_command("ssh-config", "--name", sim.name)
    assert (done.stdout.decode(), done.stderr) == (f"{config}\n", b"")
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: sim.ssh_config(), range(8))) == {config}
    assert (config.parent / "id_ed25519").read_text() == key
    for file in config.parent.iterdir():
        file.unlink()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: sim.ssh_config(), range(8)))
    assert said(config, "login", "id -un") == "hpc\n"
    assert (config.parent / "id_ed25519").read_text() != key


def test_folder_of_files(sim: SlurmSim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files are in the user's runtime folder if there is one, else in the state folder; odd paths work."""
    odd = tmp_path / "a b%h"
    odd.mkdir()
    monkeypatch.setenv("XDG_STATE_HOME", str(odd))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    path = sim.ssh_config()
    assert path == odd / "slurm-sim" / sim.name / "config"
    assert said(path, "login", "id -un") == "hpc\n"
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "missing"))
    assert sim.ssh_config() == path
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert sim.ssh_config() == tmp_path / "slurm-sim" / sim.name / "config"


def test_killed_client_ends_its_session(sim: SlurmSim, config: Path) -> None:
    """When a client is killed, its session and its terminal's processes end."""
    with background(config, "-tt", "login", "exec tail -f /dev/null -s 173205") as client:
        until(lambda: running(sim, "173205"), "the start of a session")
        client.send_signal(signal.SIGKILL)
    until(lambda: not running(sim, "173205") and not running(sim, "sshd-session: hpc"), "the end of the session")


def test_without_ssh(tmp_path: Path) -> None:
    """A mini-cluster without --ssh has no sshd, no port and no such capability, and says how to get one."""
    with SlurmSim(name=new_name(), nodes=1) as plain:
        said = refused("ssh-config", "--name", plain.name)
        assert f"Mini-cluster '{plain.name}' was started without ssh." in said
        assert f"'slurm-sim up --name {plain.name} --ssh' starts one with ssh." in said
        with pytest.raises(SpecError, match="without ssh"):
            plain.ssh_config()
        assert docker("port", plain.container("login")).stdout == ""
        assert not running(plain, "sshd: ")
        assert "SYS_CHROOT" not in docker("inspect", plain.container("login")).stdout
    assert "not found" in refused("ssh-config", "--name", plain.name, status=1)


def test_engine_elsewhere(sim: SlurmSim, client: str) -> None:
    """Where the port cannot be reached, the same files are written, with another key, and the advice is a tunnel."""
    done = from_client(client, "ssh-config", "--name", sim.name)
    path = f"/root/.local/state/slurm-sim/{sim.name}/config"
    assert (done.returncode, done.stdout) == (0, f"{path}\n")
    (port,) = (line.split()[1] for line in sim.ssh_config().read_text().splitlines() if "Port" in line)
    assert f"first open a tunnel to it: ssh -N -L {port}:127.0.0.1:{port} USER@" in done.stderr
    assert "Traceback" not in done.stderr
    assert f"Port {port}\n" in docker("exec", client, "cat", path).stdout
    keys = docker("exec", sim.container("login"), "cat", "/etc/ssh/authorized_keys").stdout.splitlines()
    ours = (sim.ssh_config().parent / "id_ed25519.pub").read_text().strip()
    theirs = docker("exec", client, "cat", path.replace("config", "id_ed25519.pub")).stdout.strip()
    assert {ours, theirs} <= set(keys)
    assert ours != theirs


def test_restart_and_end(tmp_path: Path) -> None:
    """After a stop, ssh works again with the same keys, after a lost login node with new ones; `down` removes them."""
    name = new_name()
    with SlurmSim(name=name, nodes=1, ssh=True) as sim:
        config = sim.ssh_config()
        before = {file.name: file.read_text() for file in config.parent.iterdir()}
        host = host_key(config)
        assert docker("stop", *(sim.container(one) for one in sim.spec.services)).returncode == 0
        with pytest.raises(NotRunningError, match="partly stopped"):
            sim.ssh_config()
        assert slurm_sim_command("up", "--name", name, "--ssh").returncode == 0
        assert sim.ssh_config() == config
        assert said(config, "login", "srun hostname") == "c1\n"
        after = {file.name: file.read_text() for file in config.parent.iterdir()}
        with_port = {"config": "", "known_hosts": ""}
        assert (before | with_port, host) == (after | with_port, host_key(config))
        docker("rm", "--force", sim.container("login"))
        sim.start()
        assert said(sim.ssh_config(), "login", "srun hostname") == "c1\n"
        assert host_key(config) != host
    assert not config.parent.exists()
    config.parent.mkdir(mode=0o755, parents=True)
    for file, text in before.items():  # left behind by a machine that crashed
        (config.parent / file).write_text(text)
    with SlurmSim(name=name, nodes=1, ssh=True) as sim:
        assert said(sim.ssh_config(), "login", "id -un") == "hpc\n"
        assert (config.parent / "id_ed25519").read_text() != before["id_ed25519"]
        assert config.parent.stat().st_mode & 0o7777 == 0o700
        assert {file.stat().st_mode & 0o7777 for file in config.parent.iterdir()} == {0o600}
        assert slurm_sim_command("down", "--name", name).returncode == 0
    assert not config.parent.exists()


@pytest.mark.slurm_sim(bare=True, ssh=True)
def test_ssh_to_bare_nodes(slurm_sim: SlurmSim) -> None:
    """A bare login node has ssh, too, and its users can still have namespaces."""
    config = slurm_sim.ssh_config()
    assert said(config, "login", "srun -N2 id -un") == "hpc\nhpc\n"
    assert said(config, "login", "unshare --user --map-root-user --mount id -un") == "root\n"


@pytest.mark.slurm_sim(jupyter=True, ssh=True)
def test_ssh_beside_jupyter(slurm_sim: SlurmSim) -> None:
    """ssh works beside JupyterLab, and forwards its port."""
    config = slurm_sim.ssh_config()
    here = free_port()
    with background(config, "-N", "-L", f"{here}:127.0.0.1:8888", "login"):
        until(lambda: reachable(here), "the forwarding")
        assert b"jupyter" in page(here, "login").lower()
