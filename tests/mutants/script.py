"""Mutate a script that tests start without installed packages: write each mutant in the script's place in turn."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from rich.progress import track

from tests.mutants import TREES, Package

SECONDS = 120  # timeout of all tests of a mutant, which usually take 10 s


class Script:
    """A script of a package, in the package's tree."""

    def __init__(self, name: str, package: Package) -> None:
        self.name = name
        self.tests = package.tests
        self.tree = TREES / name
        self.source = self.tree / "src" / package.script
        self.place = self.tree / "containers/dask-hpc/src" / package.script
        self.store = self.tree / "mutants/script.json"

    def verdicts(self) -> dict[str, str]:
        """Return the verdicts on the script's mutants, unless the script has changed since."""
        stored = json.loads(self.store.read_text(encoding="utf-8")) if self.store.is_file() else {}
        found: dict[str, str] = stored.get(_sha256(self.source), {})
        return found

    def run(self, mutants: list[str]) -> None:
        """Test each mutant, one at a time, which is slower than mutmut itself."""
        original = self.source.read_bytes()
        version = _sha256(self.source)
        known = self.verdicts()
        if mutants and self._verdict() != "survived":
            sys.exit(f"mutants: {self.tests} fails in {self.tree} without a mutant")
        for mutant in track(mutants, description=self.name):
            try:
                subprocess.run(["mutmut", "apply", mutant], cwd=self.tree, check=True, capture_output=True)
                self.place.write_bytes(self.source.read_bytes())
                known[mutant] = self._verdict()
            finally:
                self.source.write_bytes(original)
                self.place.write_bytes(original)
            self.store.write_text(json.dumps({version: known}), encoding="utf-8")

    def _verdict(self) -> str:
        command = ["pytest", "-x", "-q", "-p", "no:cacheprovider", self.tests]
        quiet = subprocess.DEVNULL
        with subprocess.Popen(command, cwd=self.tree, stdout=quiet, stderr=quiet, start_new_session=True) as tests:
            try:
                return "killed" if tests.wait(SECONDS) else "survived"
            except subprocess.TimeoutExpired:
                return "timeout"
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(tests.pid, signal.SIGKILL)


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
