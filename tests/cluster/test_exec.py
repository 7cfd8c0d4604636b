"""`exec` behaves like a local command: streams, standard input and exit status pass through."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from slurm_sim import CommandError, NotRunningError, SlurmSim
from tests.support.command import refused, slurm_sim_command
from tests.support.processes import running

ODD = ["a b", "", "'", '"', "$HOME", "*", "\\n", "ä→π", "--help", "-", "#x", ";", "a\nb"]
PRINT_NUL = ("printf", "%s\\0")


def test_passes_binary_data_unchanged(slurm_sim: SlurmSim) -> None:
    """Every byte value passes through standard input and output unchanged, many times over."""
    sent = bytes(range(256)) * 4096
    done = slurm_sim_command("exec", "--name", slurm_sim.name, "--", "cat", stdin=sent)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == sent


def test_keeps_stdout_stderr_and_status_apart(slurm_sim: SlurmSim) -> None:
    """Standard output, standard error and exit status pass through separately."""
    done = slurm_sim_command("exec", "--name", slurm_sim.name, "--", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, b"out\n", b"err\n")


@pytest.mark.soak
def test_missing_input_is_end_of_file(slurm_sim: SlurmSim) -> None:
    """A command that reads standard input does not hang if nothing is sent."""
    done = slurm_sim_command("exec", "--name", slurm_sim.name, "--", "wc", "--bytes")
    assert done.stdout == b"0\n"


@pytest.mark.parametrize("on", ["login", "c1", "slurmctld"])
def test_on_selects_node(slurm_sim: SlurmSim, on: str) -> None:
    """`--on` selects the login node, the controller or a compute node, by hostname."""
    done = slurm_sim_command("exec", "--name", slurm_sim.name, "--on", on, "--", "cat", "/etc/hostname")
    assert done.stdout.decode().strip() == on


def test_user_selects_user(slurm_sim: SlurmSim) -> None:
    """Commands run as hpc in its home folder, or as the user given with `--user`."""
    ours = slurm_sim_command("exec", "--name", slurm_sim.name, "--", "sh", "-c", "whoami; pwd; echo ~")
    assert ours.stdout.decode().split() == ["hpc", "/home/hpc", "/home/hpc"]
    roots = slurm_sim_command("exec", "--name", slurm_sim.name, "--user", "root", "--", "whoami")
    assert roots.stdout == b"root\n"


def test_workdir_sets_working_directory(slurm_sim: SlurmSim) -> None:
    """`--workdir` sets the command's working directory."""
    done = slurm_sim_command("exec", "--name", slurm_sim.name, "--workdir", "/tmp", "--", "pwd")
    assert done.stdout == b"/tmp\n"


def test_rejects_unknown_node(slurm_sim: SlurmSim) -> None:
    """The command and the library reject an unknown node; the command lists the existing ones."""
    said = refused("exec", "--name", slurm_sim.name, "--on", "c99", "--", "true", status=1)
    assert "'c99'" in said
    assert "c1, c2" in said
    with pytest.raises(NotRunningError, match="'c99' not found"):
        slurm_sim.exec("true", on="c99")


def test_names_unknown_program(slurm_sim: SlurmSim) -> None:
    """A program that is not found is named, with exit status 126 or 127 (engines differ)."""
    done = slurm_sim_command("exec", "--name", slurm_sim.name, "--", "no-such-program")
    assert done.returncode in {126, 127}
    assert b"no-such-program" in done.stdout + done.stderr


def test_rejects_missing_command(slurm_sim: SlurmSim) -> None:
    """Without a command, `exec` fails and shows its usage."""
    assert "COMMAND" in refused("exec", "--name", slurm_sim.name)


def test_passes_odd_arguments_unchanged(slurm_sim: SlurmSim) -> None:
    """Blanks, quotes, dollars, stars and newlines in arguments arrive unchanged, from command and library."""
    done = slurm_sim_command("exec", "--name", slurm_sim.name, "--", *PRINT_NUL, *ODD)
    assert done.stdout.decode().split("\0")[:-1] == ODD
    assert slurm_sim.exec(*PRINT_NUL, *ODD).stdout.split("\0")[:-1] == ODD


def test_passes_options_to_command(slurm_sim: SlurmSim) -> None:
    """Options after the command's name go to the command, even without `--`."""
    done = slurm_sim_command("exec", "--name", slurm_sim.name, "sinfo", "--noheader", "--format=%R")
    assert done.stdout == b"general\n"


def test_library_sends_text_and_variables(slurm_sim: SlurmSim) -> None:
    """`stdin` accepts text, and `env` adds variables."""
    done = slurm_sim.exec("sh", "-c", "cat; echo $WHAT", stdin="π ", env={"WHAT": "a = b c"})
    assert done.stdout == "π a = b c\n"


def test_failed_command_raises_with_its_output(slurm_sim: SlurmSim) -> None:
    """CommandError has the status, output and errors; with check=False they are returned instead."""
    with pytest.raises(CommandError, match=r"status 3\.\nno") as failed:
        slurm_sim.exec("sh", "-c", "echo yes; echo no >&2; exit 3")
    assert (failed.value.returncode, failed.value.stdout, failed.value.stderr) == (3, "yes\n", "no\n")
    assert slurm_sim.exec("sh", "-c", "exit 3", check=False).returncode == 3


def test_finds_process_that_is_still_running(slurm_sim: SlurmSim) -> None:
    """The search that the next tests rely on finds a process that is still running."""
    pid = slurm_sim.exec("sh", "-c", "tail -f /dev/null -s 161803 >/dev/null 2>&1 & echo $!").stdout.strip()
    assert len(running(slurm_sim, "161803")) == 1
    slurm_sim.exec("kill", pid)


@pytest.mark.soak
def test_timeout_ends_process(slurm_sim: SlurmSim) -> None:
    """On timeout, TimeoutError has the output so far, and the command no longer runs."""
    with pytest.raises(TimeoutError, match="within 1 s\nstarted"):
        slurm_sim.exec("sh", "-c", "echo started; exec tail -f /dev/null -s 314159", timeout=1)
    assert not running(slurm_sim, "314159")


@pytest.mark.soak
def test_timeout_kills_process_that_ignores_sigterm(slurm_sim: SlurmSim) -> None:
    """A command that ignores SIGTERM is killed two seconds later."""
    with pytest.raises(TimeoutError):
        slurm_sim.exec("bash", "-c", "trap '' TERM; while :; do read -t 0.271828 <> <(:); done", timeout=0.5)
    assert not running(slurm_sim, "271828")


def test_status_124_is_not_a_timeout(slurm_sim: SlurmSim) -> None:
    """A command that exits with 124 before its timeout does not raise TimeoutError."""
    assert slurm_sim.exec("sh", "-c", "exit 124", timeout=150, check=False).returncode == 124


def test_streams_output_through_pipe(slurm_sim: SlurmSim) -> None:
    """Output arrives as it is written, so a reader can respond to it."""
    from tests.support.command import SLURM_SIM

    command = [SLURM_SIM, "exec", "--name", slurm_sim.name, "--", "sh", "-c", "read a; echo $a; read b; echo $b"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as talk:
        assert talk.stdin is not None
        assert talk.stdout is not None
        for word in ("one\n", "two\n"):
            talk.stdin.write(word)
            assert talk.stdout.readline() == word
    assert talk.returncode == 0


def test_copies_files_in_and_out(slurm_sim: SlurmSim, tmp_path: Path) -> None:
    """`cp` copies a file in, where hpc owns it, and out again unchanged."""
    (tmp_path / "in").write_bytes(bytes(range(256)))
    inside = "login:/home/hpc/a file"
    assert slurm_sim_command("cp", "--name", slurm_sim.name, str(tmp_path / "in"), inside).returncode == 0
    assert slurm_sim.exec("stat", "--format=%U:%G", "a file").stdout == "hpc:hpc\n"
    assert slurm_sim_command("cp", "--name", slurm_sim.name, inside, str(tmp_path / "out")).returncode == 0
    assert (tmp_path / "out").read_bytes() == bytes(range(256))
    slurm_sim.exec("rm", "a file")


def test_copies_folders_in_and_out(slurm_sim: SlurmSim, tmp_path: Path) -> None:
    """A folder is copied into an existing folder, as with `cp -r`, keeping its modes, and out again."""
    (tmp_path / "f/sub").mkdir(parents=True)
    (tmp_path / "f/sub/run.sh").write_text("#!/bin/sh\necho hi\n")
    (tmp_path / "f/sub/run.sh").chmod(0o755)
    slurm_sim.put(tmp_path / "f", "/home/hpc")
    assert slurm_sim.exec("/home/hpc/f/sub/run.sh", on="c2").stdout == "hi\n"
    assert slurm_sim.exec("stat", "--format=%U", "f", "f/sub").stdout.split() == ["hpc", "hpc"]
    slurm_sim.get("/home/hpc/f", tmp_path / "back")
    assert (tmp_path / "back/sub/run.sh").read_text().endswith("echo hi\n")
    slurm_sim.exec("rm", "-r", "f")


def test_cp_rejects_invalid_paths(slurm_sim: SlurmSim, tmp_path: Path) -> None:
    """`cp` rejects a missing source, a missing target folder, an unknown node and two local paths."""
    name = ("--name", slurm_sim.name)
    missing = str(tmp_path / "missing")
    there = tmp_path / "there"
    there.touch()
    assert "missing" in refused("cp", *name, missing, "login:/tmp", status=1)
    assert "no-such" in refused("cp", *name, "login:/no-such", missing, status=1)
    assert "Cannot copy" in refused("cp", *name, str(there), "login:/no/such/folder", status=1)
    assert "One side" in refused("cp", *name, str(there), missing)
    assert "'c99' not found" in refused("cp", *name, str(there), "c99:/tmp", status=1)
    assert "'c99' not found" in refused("cp", *name, "c99:/tmp", missing, status=1)
