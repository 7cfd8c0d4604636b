"""Stand in for one of Slurm's commands, which the launcher outside the SIF runs: see `dask_hpc.bridge`.

Runs as a script (`python -IS`). It imports the modules beneath `os`, `socket` and `signal`, which halves its start-up
time.
"""

import _signal  # type: ignore[import-not-found]
import _socket
import posix
import sys

_MOST_BYTES = 4 << 20
_SIGNALS = (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP, _signal.SIGQUIT, _signal.SIGUSR1, _signal.SIGUSR2)
_PREFIXES = (b"SLURM_", b"SBATCH_", b"SQUEUE_", b"SCANCEL_", b"SACCT_", b"SINFO_", b"SCONTROL_", b"SRUN_")
_START = "start it with the launcher beside the SIF: ./dask-hpc exec PROGRAM, or ./dask-hpc shell"


def _request() -> bytes:
    """Return this call in the form that `dask_hpc.bridge` describes."""
    command, *arguments = [word.encode(errors="surrogateescape") for word in sys.argv]
    name = command.rpartition(b"/")[2]
    takes_all = name in posix.environ.get(b"DASK_HPC_BRIDGE_TAKES", b"").split()
    own = _image_variables() if takes_all else b""
    variables = [
        key + b"=" + value
        for key, value in posix.environ.items()
        if key.startswith(_PREFIXES) or key == b"LC_ALL" or (takes_all and b'%s="%s"\n' % (key, value) not in own)
    ]
    fields = [name, posix.getcwdb(), b"%d" % len(arguments), *arguments, *variables]
    text = b"\0".join(fields)
    if len(text) > _MOST_BYTES:
        _fail(f"too many bytes of arguments and variables: {len(text)}", "pass a script on standard input")
    return b"DHB1" + len(text).to_bytes(4, "big") + text


def _image_variables() -> bytes:
    """Return the variables that the image sets, which no job needs, as lines of the form `NAME="value"`."""
    try:
        file = posix.open("/etc/environment", posix.O_RDONLY)
    except OSError:
        return b""
    found = posix.read(file, 1 << 16)
    posix.close(file)
    return found


def _connect() -> _socket.socket:
    """Return a connection to the launcher, after checking that it is a process of the same user."""
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        connection.connect(posix.environ.get(b"DASK_HPC_BRIDGE", b""))
    except OSError as error:
        _fail(f"cannot reach Slurm from here ({error.strerror})", _START)
    peer = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
    user = int.from_bytes(peer[4:8], sys.byteorder)
    if user != posix.getuid():
        _fail(f"the bridge belongs to user {user}, not to you", _START)
    return connection


def _open_standard_streams() -> None:
    """Open /dev/null in place of closed standard streams, as all three are sent."""
    while (fd := posix.open("/dev/null", posix.O_RDWR)) < 3:
        pass
    posix.close(fd)


def _call(request: bytes) -> str:
    """Pass on signals until the launcher replies, and return its reply."""
    connection = _connect()
    streams = b"".join(fd.to_bytes(4, sys.byteorder) for fd in (0, 1, 2))
    sent = connection.sendmsg([request], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, streams)])
    if sent < len(request):  # sendall() would send even nothing, which fails if the launcher has replied and closed
        connection.sendall(request[sent:])
    for signum in _SIGNALS:
        if _signal.getsignal(signum) != _signal.SIG_IGN:
            _signal.signal(signum, lambda number, _frame: connection.send(bytes([number])) and None)
    reply = b""
    while not reply.endswith(b"\n"):
        part = connection.recv(4096)
        if not part:
            _fail("the launcher exited", "check whether the command has done its work before you repeat it")
        reply += part
    return reply.decode(errors="backslashreplace").strip()


def _fail(what: str, todo: str, status: int = 125) -> None:
    """Print the error, and exit."""
    name = sys.argv[0].rpartition("/")[2]
    posix.write(2, f"{name}: {what}.\nWhat to do: {todo}.\n".encode())
    posix._exit(status)


def main() -> None:
    """Exit as the command outside exited."""
    _open_standard_streams()
    try:
        outcome, _, rest = _call(_request()).partition(" ")
    except OSError as error:
        _fail(f"lost the connection to the launcher ({error.strerror})", "check whether the launcher is still running")
    if outcome == "signaled":
        if int(rest) in _SIGNALS:
            _signal.signal(int(rest), _signal.SIG_DFL)
        posix.kill(posix.getpid(), int(rest))
    if outcome == "refused":
        _fail(f"refused: {rest}", "run it outside the SIF", 126)
    posix._exit(int(rest))


if __name__ == "__main__":
    main()
