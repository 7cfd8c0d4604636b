"""Builds the local conda channel: PyPI wheels and Debian packages, by committed hashes, as conda packages.

sources.py (fetched, hashes checked) → wheels.py, python.py (a Package each; strip.py says what is left out) →
conda.py (bytes on disk). The same sources give the same bytes, on any day and any machine.
"""
