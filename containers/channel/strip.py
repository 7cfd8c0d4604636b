"""Select the files that packages leave out, with the reasons. RECORD and hashes are made afterwards, without them."""

from __future__ import annotations

from fnmatch import fnmatch

SITE = "lib/python3.*/site-packages"
# Patterns of paths below the prefix (`*` matches slashes, too).
LEFT_OUT = (
    # the image has no compiler
    "*.a",
    "include/*",
    # documentation is on the web
    "share/man/*",
    "share/doc/*",
    # numpy's tests: 10 MB that nothing imports. The tests of Dask and its satellites stay: they are run in the image.
    f"{SITE}/numpy/*/tests/*",
    f"{SITE}/numpy/tests/*",
    # Bokeh's JavaScript for debugging Bokeh, its compiler for extensions (needs Node.js) and the compiler's type
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
