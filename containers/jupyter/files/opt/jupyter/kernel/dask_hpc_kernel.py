"""Start the notebook's kernel in the environment's Python; this folder comes last on its path and replaces nothing."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    sys.path.append(sys.path.pop(0))

    from ipykernel import kernelapp

    kernelapp.launch_new_instance()
