"""Compile functions once and keep the result, also for service users without a home.

Numba's cache is a pickle, so it must lie in a folder that only the user can write. This module finds such a folder;
where none can be had, functions are compiled without a cache. `parallel=True` is never used: threads over person ranges
that release the GIL do as well, and forked processes and musl stay safe.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


def cache_folder() -> Path | None:
    """Give a folder of the user's own for compiled code, made if needed, or None where there is none.

    NUMBA_CACHE_DIR wins; then XDG_CACHE_HOME or ~/.cache; then a private folder under the system's temporary one. Its
    name ends in a digest of the sources, because numba does not notice when a constant of another module changes.
    """
    user = os.getuid() if hasattr(os, "getuid") else -1
    homes = [
        os.environ.get("NUMBA_CACHE_DIR"),
        os.environ.get("XDG_CACHE_HOME"),
        os.path.expanduser("~/.cache"),
        f"{tempfile.gettempdir()}/medfloor-{user}",
    ]
    for home in homes:
        if not home or home.startswith("~"):
            continue
        ours = Path(home).absolute() / "medfloor"
        folder = ours / f"compiled-{_digest()}"
        try:
            ours.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
            safe = _keeps_names(ours.parent, user) and _is_private(ours, user) and _is_private(folder, user)
        except OSError:
            continue
        if safe and os.access(folder, os.W_OK):
            return folder
    return None


def _is_private(folder: Path, user: int) -> bool:
    """Say whether a folder is the user's, and nobody else can put anything into it."""
    state = folder.stat()
    if user < 0:  # no such owners and modes on this system, where homes are private by themselves
        return True
    return state.st_uid == user and not state.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _keeps_names(folder: Path, user: int) -> bool:
    """Say whether a stranger cannot put another folder in the place of the user's; a group of one's own may write."""
    state = folder.stat()
    if user < 0:
        return True
    return state.st_uid in (user, 0) and (not state.st_mode & stat.S_IWOTH or bool(state.st_mode & stat.S_ISVTX))


def _digest() -> str:
    here = Path(__file__).parent
    names = ("settlement/kernel.py", "settlement/loops.py", "policy/compile.py", "money.py", "measures/exceeding.py")
    sources = [here / name for name in names]
    text = b"".join(source.read_bytes() for source in sources)
    return hashlib.blake2b(text, digest_size=6).hexdigest()


_FOLDER = cache_folder()


def is_compiled() -> bool:
    """Say whether the kernel's compiled code lies ready in the cache."""
    return _FOLDER is not None and any(_FOLDER.glob("**/kernel._settle-*.nbi"))


KINDS = (
    "int: n; double: x; read-only arrays r1 r2 (int64), p1 (int32), b1 (bool), f1 (double); "
    "arrays written w1 w2 w3 (int64), v1 (int32), g1 g2 (double)"
)
"""How signatures are written; the digit is the number of dimensions."""


def compiled(signature: str, gives: str = "void", counted: bool = True) -> Callable[[F], F]:
    """Compile a function that releases the GIL, for one signature (see KINDS); its plain twin stays at `.py_func`.

    One signature means one compilation: a read-only array and a writable one would otherwise be compiled apart. Numba
    is imported here, after the cache folder was named. Integers wrap silently and indexes are not checked in compiled
    code, so callers validate amounts and shapes first. A function that allocates nothing is compiled with
    `counted=False`: without reference counts on the arrays that it hands to smaller functions, which took a third of
    the kernel's time.
    """
    import numba
    from numba import types

    def kind(token: str) -> Any:
        if token in ("n", "x", "bool", "void"):
            return {"n": types.int64, "x": types.float64, "bool": types.boolean, "void": types.void}[token]
        doubles = {"f": types.float64, "g": types.float64}
        held = {"p": types.int32, "v": types.int32, "b": types.boolean, **doubles}.get(token[0], types.int64)
        return types.Array(held, int(token[1]), "C", readonly=token[0] in "rpbf")

    made = kind(gives)(*(kind(token) for token in signature.split()))

    def compile_it(function: F) -> F:
        options: dict[str, Any] = {"nogil": True, "cache": _FOLDER is not None, "error_model": "numpy", "_nrt": counted}
        settings: Any = numba.config
        before = settings.CACHE_DIR
        # For this function only: what else uses numba here, and programs started from here, keep their own folder.
        settings.CACHE_DIR = before if _FOLDER is None else str(_FOLDER)
        try:
            ready: F = numba.njit(made, **options)(function)
        finally:
            settings.CACHE_DIR = before
        return ready

    return compile_it


def inlined(function: F) -> F:
    """Compile a small function that compiled ones call, without reference counts: it allocates nothing."""
    import numba

    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "_nrt": False}
    made: F = numba.njit(**options)(function)
    return made
