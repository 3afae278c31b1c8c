"""Compile functions once and keep the result, also for service users without a home.

Numba's cache is a pickle, so it must lie in a folder that only the user can write. This module names such a folder
before numba is imported; where none can be had, functions are compiled without a cache. `parallel=True` is never used:
threads over person ranges that release the GIL do as well, and forked processes and musl stay safe.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


def cache_folder() -> Path | None:
    """Give a folder of the user's own for compiled code, made if needed, or None where there is none.

    NUMBA_CACHE_DIR wins; then XDG_CACHE_HOME or ~/.cache; then a private folder under the system's temporary one.
    """
    if os.environ.get("NUMBA_CACHE_DIR"):
        return Path(os.environ["NUMBA_CACHE_DIR"])
    homes = [os.environ.get("XDG_CACHE_HOME"), os.path.expanduser("~/.cache"), f"{tempfile.gettempdir()}/medfloor-{os.getuid()}"]
    for home in homes:
        if not home or home.startswith("~"):
            continue
        folder = Path(home) / "medfloor" / "compiled"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            state = folder.stat()
        except OSError:
            continue
        if state.st_uid == os.getuid() and not state.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and os.access(folder, os.W_OK):
            return folder
    return None


_FOLDER = cache_folder()
if _FOLDER is not None:
    os.environ.setdefault("NUMBA_CACHE_DIR", str(_FOLDER))

import numba  # noqa: E402  (the cache folder must be named first)


def compiled(function: F) -> F:
    """Compile a function that releases the GIL; its plain twin stays at `.py_func`.

    Integers wrap silently and indexes are not checked in compiled code, so callers validate amounts and shapes first.
    """
    made: F = numba.njit(nogil=True, cache=_FOLDER is not None, error_model="numpy")(function)
    return made


def inlined(function: F) -> F:
    """Compile a small function that others call; it lives in their cache entry."""
    made: F = numba.njit(nogil=True, cache=_FOLDER is not None, error_model="numpy", inline="never")(function)
    return made
