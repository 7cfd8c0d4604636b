"""Tie a command in a container to the process that asked for it.

The engine leaves a command running when its client exits. It closes the command's standard input, but that proves
nothing: many inputs are empty. So a second session beside the command, the lifeline, only reads. It passes on the
signals that it reads. When its input ends, the client has exited, even by SIGKILL, and the lifeline ends the command.
"""

from __future__ import annotations

import _thread
import secrets
import subprocess
from collections.abc import Sequence
from contextlib import suppress

from slurm_sim._docker import start_docker

GRACE = 20
"""Seconds until a command that was told to end has ended: those of the script below, and a few more."""

# The first to make the link wins: the command, which then begins, or the lifeline of a client that has exited, so that
# the command never begins. Links of commands that have ended lead nowhere.
_BEGIN = """
for old in "${0%-*}"-*; do [ -e "$old" ] || ! [ -L "$old" ] || rm -f "$old" 2>/dev/null; done
ln -s /proc/$$ "$0" 2>/dev/null || ! [ -L "$0" ] || { rm -f "$0"; exit 143; }
command -v -- "$1" >/dev/null || { echo "slurm-sim: $1: command not found" >&2; exit 127; }
exec "$@"
"""

# A command that the engine starts leads its own session, which includes a shell's background jobs but not daemons.
_WATCH = r"""
link=$1 terminal=$2
members() { # the processes of the session, without those that have ended
  local stat line
  for stat in /proc/[0-9]*/stat; do
    read -r line 2>/dev/null <"$stat" || continue
    set -- ${line##*) }
    [ "$4" = "$leader" ] && [ "$1" != Z ] && stat=${stat%/stat} && echo "${stat#/proc/}"
  done 2>/dev/null
}
left() { # succeeds if something must still end; a lost terminal does not end what `nohup` protects
  if [ -n "$terminal" ]; then [ -d "/proc/$leader" ]; else [ -n "$(members)" ]; fi
}
pass() { kill -s "$1" $(members) 2>/dev/null; }

read -r word || word=HUP
[ "$word" != done ] || exec rm -f "$link"
if ln -s / "$link" 2>/dev/null; then
  # a command that comes late removes the link, within seconds; if its client was killed, it never comes
  {
    while [ -L "$link" ] && [ $SECONDS -lt 60 ]; do sleep 0.1; done # nothing here can wait for a file's removal
    rm -f "$link"
  } </dev/null >/dev/null 2>&1 &
  exit
fi
leader=$(readlink "$link") leader=${leader#/proc/}
if [ -d "/proc/$leader" ]; then
  pass "$word"
  began=$SECONDS told=
  while left; do
    if read -r -t 0.1 word; then
      [ "$word" != done ] || break
      pass "$word"
    elif [ $? -le 128 ]; then
      sleep 0.1 # end of input, not a timeout; the kernel sends other processes no event when a session is empty
    fi
    # srun needs more than one Ctrl-C, and interactive shells ignore SIGTERM
    if [ -z "$told" ] && [ $((SECONDS - began)) -ge 5 ]; then told=1 && pass HUP; fi
    if [ $((SECONDS - began)) -ge 15 ]; then
      kill -s KILL "$leader" 2>/dev/null
      [ -n "$terminal" ] || pass KILL
    fi
    [ $((SECONDS - began)) -lt 18 ] || break # another user's processes cannot be killed
  done
fi
rm -f "$link"
"""


class Lifeline:
    """Ends a command in a container when this process ends.

    Args:
        container: The container's name.
        user: The user that the command runs as.
        terminal: Whether the command has a terminal; losing it does not end what `nohup` protects.
    """

    def __init__(self, container: str, user: str, *, terminal: bool = False) -> None:
        # in memory: after a restart of the container, an old link would lead to a new process
        self._link = f"/dev/shm/.slurm-sim-{secrets.token_hex(8)}"  # noqa: S108 - the container's
        watch = ["bash", "-c", _WATCH, "slurm-sim-lifeline", self._link, "1" if terminal else ""]
        self._session = ["exec", "--interactive", f"--user={user}", container, *watch]
        self._client: subprocess.Popen[bytes] | None = None

    def tie(self, command: Sequence[str]) -> list[str]:
        """Return the command line that starts `command` so that this lifeline finds it."""
        return ["sh", "-c", _BEGIN, self._link, *command]

    def start(self) -> None:
        """Open the session, without waiting for it."""
        quiet = subprocess.DEVNULL
        self._client = start_docker(*self._session, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet)

    def send(self, word: str) -> None:
        """Send a signal, such as INT, to every process of the command."""
        if self._client is None:
            self.start()
        assert self._client
        assert self._client.stdin
        with suppress(OSError):  # the container has exited, and the command with it
            self._client.stdin.write(f"{word}\n".encode())

    def await_end(self) -> None:
        """Wait for the end of a command that was told to end; the session kills it if it does not."""
        assert self._client
        try:
            self._client.wait(GRACE)
        except subprocess.TimeoutExpired:  # the container hangs
            self._client.kill()
        self._close()

    def release(self) -> None:
        """Close the lifeline of a command that has ended by itself."""
        if self._client is not None:
            self.send("done")
            _thread.start_new_thread(self._close, ())  # nothing depends on the session's end

    def _close(self) -> None:
        assert self._client
        assert self._client.stdin
        with suppress(OSError):
            self._client.stdin.close()
        self._client.wait()
