"""Import libraries of estimation without what is never used here: drawing, tables, the whole of scipy.stats.

pyfixest, diff-diff and statsmodels import drawing and table libraries and all of scipy.stats at once, which takes
longer than a small job itself. While they are imported here, those stand behind names that import them when something
of them is used. Whoever uses such a library beside us finds all of it, and other threads never meet a stand.
"""

from __future__ import annotations

import functools
import importlib
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

_LATER = (
    "matplotlib", "matplotlib.pyplot", "seaborn", "maketables", "scipy.stats",
    "pyfixest.estimation.post_estimation.ritest", "statsmodels.distributions",
)  # fmt: skip
"""What stands behind a name at first; ritest is by itself another way to numba."""

_LOCK = threading.RLock()


def ready(library: str) -> ModuleType:
    """Import a library sparingly, and give it.

    Raises ImportError where it is not installed.

    >>> ready("math").sqrt(4.0)
    2.0
    """
    if library not in sys.modules:
        with sparing():
            importlib.import_module(library)
    # Also where it is there: another thread may be in the middle of its import, which is waited for.
    return importlib.import_module(library)


@contextmanager
def sparing() -> Iterator[None]:
    """Let those libraries stand behind names for a while: for imports, and for calls that import by themselves."""
    with _LOCK:
        stands = {name: _Later(name) for name in _LATER if name not in sys.modules}
        for name, one in stands.items():
            parent, _, own = name.rpartition(".")
            if parent in stands:
                setattr(stands[parent], own, one)
        sys.modules.update(stands)
        try:
            yield
        finally:
            _take_away(stands)


def _take_away(stands: Iterable[str]) -> None:
    for name in stands:
        if isinstance(sys.modules.get(name), _Later):
            del sys.modules[name]


def _real(module: str) -> ModuleType:
    """Import a module for good, and all that it imports."""
    _take_away(_LATER)
    return importlib.import_module(module)


class _Later(ModuleType):
    """Be a module that is imported when something of it is used, not when its names are.

    Names are stood for only while a library is imported, and only for the thread that does so.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._thread = threading.get_ident()

    def __getattr__(self, name: str) -> Any:
        if name == "__path__":
            return _Path(self.__name__)
        if name.startswith("__"):
            raise AttributeError(name)
        there = sys.modules.get(self.__name__)
        ours = threading.get_ident() == self._thread
        # Also later, but not once the real one is there: its whole import is what is spared.
        spared = there is None or (isinstance(there, _Later) and (ours or there is not self))
        if self.__name__ == "scipy.stats" and name in _SHAPES and spared:
            return _Distribution(self.__name__, name)
        return _Name(self.__name__, name) if there is self and ours else getattr(_real(self.__name__), name)


class _Path:
    """Be where the modules of such a package lie; who looks there imports one of them, and so the package."""

    def __init__(self, module: str) -> None:
        self._module = module

    def __iter__(self) -> Iterator[str]:
        return iter(_real(self._module).__path__)


class _Name:
    """Be a name of such a module; what is asked of it is asked of the real one."""

    def __init__(self, module: str, name: str) -> None:
        self._place = module, name

    def _real(self) -> Any:
        module, name = self._place
        return getattr(_real(module), name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._real(), name)

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self._real()(*args, **options)

    def __instancecheck__(self, one: Any) -> bool:
        return isinstance(one, self._real())

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[Any, ...]:
        """Be the real class where another is made of it."""
        return (self._real(),)

    def __or__(self, other: Any) -> Any:
        """Be one of several types in an annotation, which nobody reads."""
        return self

    __ror__ = __or__


class _Distribution(_Name):
    """Be a distribution of scipy.stats whose tails are those functions of scipy.special that it asks itself."""

    def __getattr__(self, name: str) -> Any:
        if (self._place[1], name) in _TAILS:
            return functools.partial(self._tail, name)
        return super().__getattr__(name)

    def _tail(self, what: str, x: Any, *shapes: Any, **options: Any) -> Any:
        """Give the chance of at most x (cdf), of more (sf), the value below which a share x lies (ppf), the density."""
        import numpy as np

        own = self._place[1]
        named = tuple(options.pop(key) for key in _SHAPES[own] if key in options)
        values = [np.asarray(one, float) for one in (x, *shapes, *named)]
        inside = all(np.isfinite(one).all() for one in values) and all((one > 0).all() for one in values[1:])
        if what == "ppf":
            inside = inside and bool(((values[0] > 0) & (values[0] < 1)).all())
        elif own in ("chi2", "f"):
            inside = inside and bool((values[0] >= 0).all())
        if options or not inside or len(values) - 1 != len(_SHAPES[own]):
            return getattr(self._real(), what)(x, *shapes, *named, **options)
        from scipy import special

        if what == "pdf":
            return np.exp(-(values[0] ** 2) / 2.0) / np.sqrt(2 * np.pi)
        function, sign = _TAILS[own, what]
        return getattr(special, function)(*values[1:], sign * values[0])


_SHAPES: dict[str, tuple[str, ...]] = {"t": ("df",), "norm": (), "chi2": ("df",), "f": ("dfn", "dfd")}
"""The distributions whose tails are asked of scipy.special, and what gives the shape of each."""

_TAILS = {
    ("t", "cdf"): ("stdtr", 1), ("t", "sf"): ("stdtr", -1), ("t", "ppf"): ("stdtrit", 1),
    ("norm", "cdf"): ("ndtr", 1), ("norm", "sf"): ("ndtr", -1), ("norm", "ppf"): ("ndtri", 1), ("norm", "pdf"): ("", 1),
    ("chi2", "cdf"): ("chdtr", 1), ("chi2", "sf"): ("chdtrc", 1),
    ("f", "cdf"): ("fdtr", 1), ("f", "sf"): ("fdtrc", 1),
}  # fmt: skip
"""The functions of scipy.special, and with which sign they are asked; there is none for a density."""
