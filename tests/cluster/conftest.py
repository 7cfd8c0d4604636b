"""Fixtures shared by the mini-cluster tests."""

from __future__ import annotations

from tests.support.all_run import all_run

__all__ = ["all_run"]
