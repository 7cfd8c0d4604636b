"""Programs that tests copy into a mini-cluster and run there."""

from __future__ import annotations

from pathlib import Path

PROGRAMS = Path(__file__).parent
