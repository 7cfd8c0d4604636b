"""Prepare every Python of the environment as it starts: `dask_hpc_startup.pth` imports this package.

- `venv` runs the environment's commands in the active virtual environment, if that was made from this environment.
- `imports` corrects other packages as they are imported, without changing their files.

Every start of Python pays for what is imported here, so modules are imported only where they are needed.
"""

from __future__ import annotations

import sys

from dask_hpc_startup import imports, venv

venv.follow_active()
sys.meta_path.insert(0, imports.Corrections())
