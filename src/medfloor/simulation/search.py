"""Look for the best point of a grid with few looks: all of them where they are few, else differential evolution."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

Point = tuple[int, ...]
Objective = Callable[[Point], float]

_CROSSOVER = 0.9
_SCALE = (0.5, 1.0)
_LEAST, _MOST = 10, 24
"""Members of a generation."""


class _Enough(Exception):
    """Say that the looks are used up."""


def search(
    sizes: Sequence[int],
    objective: Objective,
    *,
    looks: int,
    used: Callable[[], int],
    seed: int,
    starts: Sequence[Point] = (),
) -> None:
    """Look at points of a grid until so many looks are used.

    `sizes` are the numbers of places on each axis; `used` counts the looks of the caller, who remembers the points that
    it saw, so that one that is asked for again costs nothing. `starts` belong to the first generation. What was found
    is what the caller remembers.

    SciPy's differential evolution (Storn and Price 1997; best/1/bin, every axis integer) as the objective is a step
    function without slopes. It ends when the looks are used up or nothing new comes.

    >>> seen = {}
    >>> search([4, 3], lambda p: seen.setdefault(p, float(sum(p))), looks=50, used=lambda: len(seen), seed=1)
    >>> len(seen), min(seen, key=seen.get)
    (12, (0, 0))
    """
    before = used()
    if math.prod(sizes) <= looks:
        for point in itertools.product(*map(range, sizes)):
            objective(point)
        return
    for start in starts:
        if used() - before < looks:
            objective(start)
    _evolve(sizes, objective, looks - (used() - before), used, seed, starts)


def _evolve(
    sizes: Sequence[int], objective: Objective, looks: int, used: Callable[[], int], seed: int, starts: Sequence[Point]
) -> None:
    from scipy.optimize import differential_evolution

    before = used()
    if looks <= 0:
        return
    rng = np.random.default_rng(seed)
    members = max(5, min(_MOST, max(_LEAST, 3 * len(sizes)), looks // 5))

    def look(x: npt.NDArray[np.float64]) -> float:
        if used() - before >= looks:
            raise _Enough
        return objective(tuple(int(one) for one in np.rint(x)))

    try:
        differential_evolution(
            look,
            [(0, size - 1) for size in sizes],
            init=np.array(list(_first(sizes, members, rng, starts)), np.float64),
            integrality=[True] * len(sizes),
            strategy="best1bin",
            mutation=_SCALE,
            recombination=_CROSSOVER,
            maxiter=10 * (looks // members + 1),  # points seen before are free, so this is no count of looks
            tol=0.0,
            polish=False,
            seed=rng,
        )
    except _Enough:
        return


def _first(sizes: Sequence[int], members: int, rng: np.random.Generator, starts: Sequence[Point]) -> Iterator[Point]:
    """Give the first generation: the starts, and a Latin hypercube for the rest."""
    given = list(dict.fromkeys(starts))[:members]
    yield from given
    rest = members - len(given)
    columns = [(rng.permutation(rest) + rng.random(rest)) / max(1, rest) * size for size in sizes]
    for row in range(rest):
        yield tuple(min(int(column[row]), size - 1) for column, size in zip(columns, sizes, strict=True))
