"""Import libraries of estimation without what is never used here: drawing, tables, the whole of scipy.stats.

pyfixest, diff-diff and statsmodels import drawing and table libraries and all of scipy.stats at once, which takes
longer than a small job itself. While they are imported here, those stand behind names that import them when something
of them is used. Who uses such a library beside us finds all of it, and the real modules under their own names.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

_LATER = (
    "matplotlib", "matplotlib.pyplot", "seaborn", "maketables", "scipy.stats",
    "pyfixest.estimation.post_estimation.ritest",
)  # fmt: skip
"""What stands behind a name at first; ritest is by itself another way to numba."""

_LOCK = threading.RLock()


def ready(library: str) -> ModuleType:
    """Import a library sparingly, and give it.

    Raises ImportError where it is not installed.

    >>> ready("math").sqrt(4.0)
    2.0
    """
    if library in sys.modules:
        return sys.modules[library]
    with sparing():
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
            for name, one in stands.items():
                if sys.modules.get(name) is one:
                    del sys.modules[name]


class _Later(ModuleType):
    """Be a module that is imported when something of it is used, not when its names are."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = _Distribution(name) if (self.__name__, name) in _KNOWN else _Name(self.__name__, name)
        setattr(self, name, found)
        return found


class _Name:
    """Be a name of such a module; what is asked of it is asked of the real one."""

    def __init__(self, module: str, name: str) -> None:
        self._place = module, name

    def _real(self) -> Any:
        module, name = self._place
        # Our stand is gone from the list of modules, once the library is imported.
        if isinstance(sys.modules.get(module), _Later):
            del sys.modules[module]
        return getattr(importlib.import_module(module), name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._real(), name)

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self._real()(*args, **options)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[Any, ...]:
        """Be the real class where another is made of it."""
        return (self._real(),)

    def __or__(self, other: Any) -> Any:
        """Be one of several types in an annotation, which nobody reads."""
        return self


class _Distribution(_Name):
    """Be a distribution of scipy.stats whose tails are those functions of scipy.special that it asks itself."""

    def __init__(self, name: str) -> None:
        super().__init__("scipy.stats", name)
        self._own = name

    def cdf(self, x: Any, *shapes: Any, **options: Any) -> Any:
        """Give the chance of at most x."""
        return self._ask("cdf", x, shapes, options)

    def sf(self, x: Any, *shapes: Any, **options: Any) -> Any:
        """Give the chance of more than x."""
        return self._ask("sf", x, shapes, options)

    def ppf(self, q: Any, *shapes: Any, **options: Any) -> Any:
        """Give the value below which a share q lies."""
        return self._ask("ppf", q, shapes, options)

    def pdf(self, x: Any, *shapes: Any, **options: Any) -> Any:
        """Give the density at x."""
        return self._ask("pdf", x, shapes, options)

    def _ask(self, what: str, x: Any, shapes: tuple[Any, ...], options: dict[str, Any]) -> Any:
        import numpy as np

        named = tuple(options.pop(key) for key in ("df", "dfn", "dfd") if key in options)
        shapes += named
        values = [np.asarray(one, float) for one in (x, *shapes)]
        inside = all(np.isfinite(one).all() for one in values) and all((one > 0).all() for one in values[1:])
        if what == "ppf":
            inside = inside and bool(((values[0] > 0) & (values[0] < 1)).all())
        elif self._own in ("chi2", "f"):
            inside = inside and bool((values[0] >= 0).all())
        if options or not inside or (self._own, what) not in _TAILS or len(shapes) != _SHAPES[self._own]:
            return getattr(self._real(), what)(x, *shapes, **options)
        return _TAILS[self._own, what](*values)


def _special(name: str, flip: bool = False) -> Callable[..., Any]:
    """Give a function of scipy.special that is asked the shapes first, of -x with `flip`."""

    def asked(x: Any, *shapes: Any) -> Any:
        from scipy import special

        return getattr(special, name)(*shapes, -x if flip else x)

    return asked


def _normal_density(x: Any) -> Any:
    import numpy as np

    return np.exp(-(x**2) / 2.0) / np.sqrt(2 * np.pi)


_SHAPES = {"t": 1, "norm": 0, "chi2": 1, "f": 2}
_KNOWN = {("scipy.stats", name) for name in _SHAPES}
_TAILS: dict[tuple[str, str], Callable[..., Any]] = {
    ("t", "cdf"): _special("stdtr"),
    ("t", "sf"): _special("stdtr", flip=True),
    ("t", "ppf"): _special("stdtrit"),
    ("norm", "pdf"): _normal_density,
    ("norm", "cdf"): _special("ndtr"),
    ("norm", "sf"): _special("ndtr", flip=True),
    ("norm", "ppf"): _special("ndtri"),
    ("chi2", "cdf"): _special("chdtr"),
    ("chi2", "sf"): _special("chdtrc"),
    ("f", "cdf"): _special("fdtr"),
    ("f", "sf"): _special("fdtrc"),
}
