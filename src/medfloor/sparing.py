"""Import libraries of estimation without what is never used here: drawing, tables, the whole of scipy.stats.

pyfixest, diff-diff, statsmodels and scipy import drawing and table libraries, parallel work and all of scipy.stats at
once, which takes longer than a small job itself. While they are imported here, those stand behind names that import
them when something of them is used. Whoever uses such a library beside us finds all of it, and other threads never meet
a stand.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import math
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

_LATER = (
    "matplotlib", "matplotlib.pyplot", "seaborn", "maketables", "scipy.stats", "joblib", "tqdm", "asyncio",
    "pyfixest.estimation.post_estimation.ritest", "statsmodels.distributions",
    "numpy.f2py", "numpy.testing", "scipy.spatial", "scipy.linalg.interpolative",
)  # fmt: skip
"""What stands behind a name at first; ritest is by itself another way to numba, and numpy's and scipy's own are copied
by scipy into spaces of names, or kept for global optimisers and programs without full rank."""

_FORMULAS = ("formulaic", "formulaic.parser", "formulaic.utils", "formulaic.utils.constraints")
"""What stands behind a name for statsmodels, which is given arrays; pyfixest makes classes of it."""

_SINGLY = ("diff_diff",)
"""Packages whose modules are imported one by one: each of some sixty is listed by its `__init__`, and few are used."""

_LOCK = threading.RLock()


def ready(library: str) -> ModuleType:
    """Import a library, or a module of it, sparingly, and give it.

    Raises ImportError where it is not installed.

    >>> ready("math").sqrt(4.0)
    2.0
    """
    if library not in sys.modules:
        with sparing(_FORMULAS if library.startswith("statsmodels.") else ()):
            _list_later(library.partition(".")[0])
            importlib.import_module(library)
    # Also where it is there: another thread may be in the middle of its import, which is waited for.
    return importlib.import_module(library)


@contextmanager
def sparing(more: Iterable[str] = ()) -> Iterator[None]:
    """Let those libraries, and `more`, stand behind names for a while: for imports, and for calls that import."""
    with _LOCK:
        # scipy copies all names of numpy, which looks for its modules in itself first.
        names = [name for name in (*_LATER, *more) if not name.startswith("numpy.") or "numpy" in sys.modules]
        stands = {name: _Later(name) for name in names if name not in sys.modules}
        for name, one in stands.items():
            parent, _, own = name.rpartition(".")
            package = stands.get(parent) or sys.modules.get(parent)
            if package is not None and own not in vars(package):
                setattr(package, own, one)
        sys.modules.update(stands)
        try:
            yield
        finally:
            _take_away(stands)


def _take_away(stands: Iterable[str]) -> None:
    for name in stands:
        parent, _, own = name.rpartition(".")
        package = sys.modules.get(parent)
        if not isinstance(package, _Later) and isinstance(vars(package).get(own) if package else None, _Later):
            delattr(package, own)
        if isinstance(sys.modules.get(name), _Later):
            del sys.modules[name]


def _real(module: str) -> ModuleType:
    """Import a module for good, and all that it imports."""
    _take_away([name for name, one in list(sys.modules.items()) if isinstance(one, _Later)])
    return importlib.import_module(module)


def _list_later(name: str) -> None:
    """Put such a package in its place, without its own text."""
    if name not in _SINGLY or name in sys.modules:
        return
    spec = importlib.util.find_spec(name)
    if spec is None or spec.loader is None or spec.submodule_search_locations is None:
        return
    package = _Package(name)
    package.__spec__, package.__loader__, package.__file__ = spec, spec.loader, spec.origin
    package.__package__, package.__path__ = name, spec.submodule_search_locations
    sys.modules[name] = package


class _Package(ModuleType):
    """Be a package whose modules are imported one by one; its own text is run once anything else of it is asked for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in ("__all__", "__version__"):
            raise AttributeError(name)
        self._fill(name)
        return getattr(self, name)

    def __dir__(self) -> Iterable[str]:
        self._fill("__all__")
        return dir(self)

    def _fill(self, name: str) -> None:
        with sparing():
            if type(self) is not _Package:
                return  # Another thread was first.
            if vars(self).get("_filling"):
                raise AttributeError(name)  # Its own text asks for what is not there.
            vars(self)["_filling"] = True
            try:
                self.__spec__.loader.exec_module(self)  # type: ignore[union-attr]
                self.__class__ = ModuleType  # type: ignore[assignment]
            finally:
                del vars(self)["_filling"]


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
        if self.__name__ == "scipy.stats" and spared:
            if name in _SHAPES:
                return _distribution(self.__name__, name)
            if name == "scoreatpercentile":
                return _Percentile(self.__name__, name)
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


class _Percentile(_Name):
    """Be scoreatpercentile, which is asked of one plain column of numbers: the same operations in the same order."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        import numpy as np

        plain = len(args) == 2 and not options and isinstance(args[1], (int, float)) and 0 <= args[1] <= 100
        values = np.asarray(args[0]) if plain else np.empty(0)
        if values.ndim != 1 or values.dtype != np.float64 or not len(values) or not np.isfinite(values).all():
            return super().__call__(*args, **options)
        place = args[1] / 100.0 * (len(values) - 1)
        first = int(place)
        weights = np.array([1.0] if first == place else [first + 1 - place, place - first])
        return np.add.reduce(np.sort(values)[first : first + len(weights)] * weights) / weights.sum()


class _Distribution(_Name):
    """Be a distribution of scipy.stats whose tails are those functions of scipy.special that it asks itself."""

    def __getattr__(self, name: str) -> Any:
        if (self._place[1], name) not in _TAILS:
            return super().__getattr__(name)
        tail: Any = functools.partial(self._tail, name)
        if self._place[1] == "norm":
            tail = _of_one_number(name, tail)
        vars(self)[name] = tail  # Kept, for it is asked for thousands of times.
        return tail

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
            return np.exp(-(values[0] ** 2) / 2.0) / _ROOT
        function, sign = _TAILS[own, what]
        return getattr(special, function)(*values[1:], sign * values[0])


_distribution = functools.cache(_Distribution)


def _of_one_number(what: str, careful: Callable[..., Any]) -> Callable[..., Any]:
    """Give a tail of the normal that is asked of one number at once, and of all else with care."""
    import numpy as np
    from scipy import special

    name, sign = _TAILS["norm", what]
    function = getattr(special, name) if name else None

    def tail(x: Any, *shapes: Any, **options: Any) -> Any:
        plain = type(x) in (float, np.float64) and not shapes and not options and math.isfinite(x)
        if not plain or (what == "ppf" and not 0 < x < 1):
            return careful(x, *shapes, **options)
        if function is None:
            return np.exp(-(x * x) / 2.0) / _ROOT
        return function(x if sign > 0 else -x)

    return tail


_ROOT = math.sqrt(2 * math.pi)

_SHAPES: dict[str, tuple[str, ...]] = {"t": ("df",), "norm": (), "chi2": ("df",), "f": ("dfn", "dfd")}
"""The distributions whose tails are asked of scipy.special, and what gives the shape of each."""

_TAILS = {
    ("t", "cdf"): ("stdtr", 1), ("t", "sf"): ("stdtr", -1), ("t", "ppf"): ("stdtrit", 1),
    ("norm", "cdf"): ("ndtr", 1), ("norm", "sf"): ("ndtr", -1), ("norm", "ppf"): ("ndtri", 1), ("norm", "pdf"): ("", 1),
    ("chi2", "cdf"): ("chdtr", 1), ("chi2", "sf"): ("chdtrc", 1),
    ("f", "cdf"): ("fdtr", 1), ("f", "sf"): ("fdtrc", 1),
}  # fmt: skip
"""The functions of scipy.special, and with which sign they are asked; there is none for a density."""
