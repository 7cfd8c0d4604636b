"""Leave files out of a package, with the reasons. This happens before hashes are made, so that they stay true."""

from __future__ import annotations

from fnmatch import fnmatch

SITE = "lib/python3.*/site-packages"
# Patterns of paths below the prefix (`*` crosses slashes).
LEFT_OUT = (
    # nothing compiles in the image: it has no compiler
    "*.a",
    "include/*",
    # documentation is read on the web
    "share/man/*",
    "share/doc/*",
    # numpy's tests of itself: 10 MB, imported by nothing. Dask's and its satellites' stay: people run them here.
    f"{SITE}/numpy/*/tests/*",
    f"{SITE}/numpy/tests/*",
    # Bokeh's JavaScript for debugging Bokeh, its compiler for extensions (wants Node.js) and that one's type
    # declarations; the dashboard loads *.min.js
    f"{SITE}/bokeh/server/static/js/compiler.js",
    f"{SITE}/bokeh/server/static/js/lib/*",
    f"{SITE}/bokeh/server/static/lib/*",
)
MINIFIABLE = f"{SITE}/bokeh/server/static/js/*.js"


def is_left_out(path: str) -> bool:
    """Return whether the environment leaves out a path below the prefix."""
    return any(fnmatch(path, pattern) for pattern in LEFT_OUT) or (
        fnmatch(path, MINIFIABLE) and not path.endswith(".min.js")
    )
