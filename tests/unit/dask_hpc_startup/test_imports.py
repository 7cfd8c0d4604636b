"""Corrections of other packages as they are imported, in a separate Python."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[3] / "containers/dask-hpc/src"
START = f"import sys; sys.path.insert(0, {str(SOURCE)!r}); import dask_hpc_startup\n"


def run(code: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a Python that has started like the environment's."""
    return subprocess.run([sys.executable, "-c", START + code], capture_output=True, text=True)


def test_startup_imports_little() -> None:
    """Every start of Python pays for imports, so no module of the standard library is imported."""
    code = "before = set(sys.modules); import dask_hpc_startup; print(*sorted(set(sys.modules) - before))"
    done = run(f"import sys; [sys.modules.pop(name) for name in list(sys.modules) if 'startup' in name]; {code}")
    assert done.stdout.split() == ["dask_hpc_startup", "dask_hpc_startup.imports", "dask_hpc_startup.venv"]


def test_corrected_module_looks_like_any_other() -> None:
    """Loader, source and spec of a corrected module are its own."""
    done = run(
        "import inspect, distributed.comm.tcp as tcp, importlib.resources as r\n"
        "print(type(tcp.__loader__).__name__, type(tcp.__spec__.loader).__name__, tcp.__file__.endswith('tcp.py'))\n"
        "print('class TLSListener' in inspect.getsource(tcp), r.files('distributed.comm').joinpath('tcp.py').is_file())"
    )
    assert done.stdout.split() == ["SourceFileLoader", "SourceFileLoader", "True", "True", "True"]


def test_corrections_follow_import() -> None:
    """Importing a module applies its corrections."""
    done = run(
        "import distributed.comm\n"
        "print('dask_hpc_startup.openssl' in sys.modules)\n"
        "import ssl; print(hasattr(ssl.SSLSocket.read, '__wrapped__'), hasattr(ssl.SSLObject.read, '__wrapped__'))"
    )
    assert done.stdout.split() == ["True", "True", "True"]


@pytest.mark.parametrize(
    ("then", "status"),
    [("os.kill(os.getpid(), signal.SIGINT)", -2), ("os.kill(os.getpid(), signal.SIGTERM)", -15), ("sys.exit(5)", 5)],
)
def test_dask_jobqueue_leaves_signals_alone(then: str, status: int) -> None:
    """Importing dask_jobqueue does not change how a program ends on signals or exits."""
    assert run(f"import os, signal, time, dask_jobqueue; {then}; time.sleep(30)").returncode == status


def test_handler_of_program_stays() -> None:
    """The program's SIGINT handler stays set after the import, and `signal.signal` is restored."""
    done = run(
        "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); real = signal.signal\n"
        "import dask_jobqueue; print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN, signal.signal is real)"
    )
    assert done.stdout.split() == ["True", "True"]


def test_imports_dask_jobqueue_in_thread() -> None:
    """The import sets no signal handler, which only the main thread can do."""
    code = "from concurrent.futures import ThreadPoolExecutor as T; T().submit(__import__, 'dask_jobqueue').result()"
    done = run(code)
    assert (done.returncode, done.stderr) == (0, "")


RUNNER = """
import asyncio, os, signal, threading
from dask_jobqueue.runner import BaseRunner, Role

class Runner(BaseRunner):
    async def get_role(self): return Role.ROLE
    async def start_scheduler(self): await self.work()
    async def start_worker(self): await self.work()
    async def get_scheduler_address(self): return None
    async def work(self): WORK

Runner(scheduler=True)
print("started", signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""


@pytest.mark.parametrize(
    ("role", "work", "status", "said"),
    [
        ("worker", "pass", 0, ""),
        ("scheduler", "pass", 0, ""),
        ("worker", "os.kill(os.getpid(), signal.SIGINT); await asyncio.sleep(30)", 130, ""),
        ("client", "pass", 0, "started True\n"),
    ],
    ids=["worker ends", "scheduler ends", "worker is interrupted", "client continues"],
)
def test_runner_ends_its_process(role: str, work: str, status: int, said: str) -> None:
    """A finished scheduler or worker ends its process with 0, an interrupted one with 130; a client continues."""
    code = RUNNER.replace("ROLE", role).replace("WORK", work)
    # the correction wraps methods of dask-jobqueue's own class, so these replace them there
    own = (
        "for n in ('start_scheduler', 'start_worker'): setattr(BaseRunner, n, getattr(Runner, n)); delattr(Runner, n)\n"
    )
    corrected = "from dask_hpc_startup import runner; runner._end_by_signal(BaseRunner)\n"
    done = run(code.replace("Runner(scheduler", own + corrected + "Runner(scheduler"))
    assert (done.returncode, done.stdout) == (status, said), done.stderr
