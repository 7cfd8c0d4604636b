"""Configure the kernel and its sockets, for JupyterLab and programs that run notebooks."""

from __future__ import annotations

from typing import Any

c: Any = get_config()  # type: ignore[name-defined]  # noqa: F821 (traitlets' own way)

c.KernelSpecManager.ensure_native_kernel = False
# Sockets in a folder that only hpc can read, not ports that every user of this node can reach.
c.KernelManager.transport = "ipc"
