"""Build the local conda channel: PyPI wheels and Debian packages, by committed hashes, as conda packages.

sources.py (downloads, checks hashes) → wheels.py, python.py (make packages; strip.py selects the files to leave out) →
conda.py (writes them). The same sources give the same bytes, on any day and any machine.
"""
