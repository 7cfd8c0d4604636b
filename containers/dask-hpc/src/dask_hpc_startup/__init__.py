"""Prepare every Python of the environment as it starts: `dask_hpc_startup.pth` imports this package.

It does two things. A command of the environment runs in the virtual environment that is active, if that was made from
this environment (`venv`). And what other packages get wrong is corrected as they are imported (`imports` has the list),
without a change to their files.

Every start of Python pays for what is imported here, so modules are imported where they are needed.
"""

from __future__ import annotations

import sys

from dask_hpc_startup import imports, venv

venv.follow_active()
sys.meta_path.insert(0, imports.Corrections())
