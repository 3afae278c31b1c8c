"""Look for the best point of a grid with few looks: all of them where they are few, else evolve and exchange."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from medfloor.sparing import ready

Point = tuple[int, ...]
Objective = Callable[[Point], float]

_CROSSOVER = 0.9
_SCALE = (0.5, 1.0)
_LEAST, _MOST = 10, 24
"""Members of a generation."""
_EVOLVING = 0.4
"""The part of the looks that differential evolution gets; the rest go to exchanges around the best that it finds."""
_STRIDES = (1, 2, 3, 5, 8)
_LITTLE = 1e-9


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
    excess: Objective | None = None,
) -> None:
    """Look at points of a grid until so many looks are used.

    `sizes` are the numbers of places on each axis; `used` counts the looks of the caller, who remembers the points that
    it saw, so that one that is asked for again costs nothing. `starts` belong to the first generation. `excess` says by
    which part of a budget a point exceeds it (below zero: what is left). What was found is what the caller remembers.

    SciPy's differential evolution (Storn and Price 1997; best/1/bin, every axis integer) comes first, as the objective
    is a step function without slopes. Then exchanges around the best: one axis moves, and another moves so far that by
    the slopes of `excess` the budget is just kept, as the best of a budget lies where it is spent. Where exchanges find
    nothing more, evolution begins again beside it, until the looks are used up or nothing new comes.

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
    rng = np.random.default_rng(seed)
    best: list[tuple[float, Point]] = []

    def look(point: Point) -> float:
        """Look within the looks that are left, and remember the best."""
        count = used()
        found = objective(point)
        if not best or found < best[0][0]:
            best[:] = [(found, point)]
        if used() > count and used() - before >= looks:
            raise _Enough
        return found

    try:
        for start in starts:
            look(start)
        given = list(starts)
        while (left := looks - (used() - before)) > 0:
            count = used()
            _evolve(sizes, look, math.ceil(_EVOLVING * left), used, rng, given)
            _exchange(sizes, look, excess or (lambda point: 0.0), rng, best[0][1])
            if used() == count:
                return
            given = [best[0][1]]
    except _Enough:
        return


class _Pause(Exception):
    """Say that evolution has had its part of the looks."""


def _evolve(
    sizes: Sequence[int],
    look: Objective,
    looks: int,
    used: Callable[[], int],
    rng: np.random.Generator,
    starts: Sequence[Point],
) -> None:
    ready("scipy.optimize")
    from scipy.optimize import differential_evolution

    before = used()
    members = max(5, min(_MOST, max(_LEAST, 3 * len(sizes)), looks // 5))

    def within(x: npt.NDArray[np.float64]) -> float:
        if used() - before >= looks:
            raise _Pause
        return look(tuple(int(one) for one in np.rint(x)))

    try:
        differential_evolution(
            within,
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
    except _Pause:
        return


def _first(sizes: Sequence[int], members: int, rng: np.random.Generator, starts: Sequence[Point]) -> Iterator[Point]:
    """Give the first generation: the starts, and a Latin hypercube for the rest."""
    given = list(dict.fromkeys(starts))[: members - 1]
    yield from given
    rest = members - len(given)
    columns = [(rng.permutation(rest) + rng.random(rest)) / max(1, rest) * size for size in sizes]
    for row in range(rest):
        yield tuple(min(int(column[row]), size - 1) for column, size in zip(columns, sizes, strict=True))


def _exchange(sizes: Sequence[int], look: Objective, excess: Objective, rng: np.random.Generator, at: Point) -> None:
    """Better a point by moves of one axis, and of two that leave the budget as it is, until none helps."""
    value = look(at)
    while True:
        slopes = _slopes(sizes, look, excess, at)
        moves = list(_moves(sizes, at))
        for place in rng.permutation(len(moves)):
            axis, stride, other = moves[place]
            point = _moved(sizes, at, axis, stride, other, slopes, excess(at))
            if point is not None and (found := look(point)) < value:
                at, value = point, found
                break
        else:
            return


def _slopes(sizes: Sequence[int], look: Objective, excess: Objective, at: Point) -> list[float]:
    """Give by how much a step on each axis changes what a point costs, from one point beside it."""
    found = []
    for axis, size in enumerate(sizes):
        stride = max(1, size // 8)
        stride = stride if at[axis] + stride < size else -min(stride, at[axis])
        if stride == 0:
            found.append(0.0)
            continue
        beside = (*at[:axis], at[axis] + stride, *at[axis + 1 :])
        look(beside)
        found.append((excess(beside) - excess(at)) / stride)
    return found


def _moves(sizes: Sequence[int], at: Point) -> Iterator[tuple[int, int, int | None]]:
    """Give the moves from a point: an axis, how far, and the axis that keeps the budget (None: it is not kept)."""
    for axis, size in enumerate(sizes):
        strides = {*_STRIDES, size // 4, size // 2, size - 1} - {0}
        for stride in sorted(strides | {-one for one in strides}):
            if 0 <= at[axis] + stride < size:
                yield axis, stride, None
                yield from ((axis, stride, other) for other in range(len(sizes)) if other != axis)


def _moved(
    sizes: Sequence[int], at: Point, axis: int, stride: int, other: int | None, slopes: Sequence[float], spent: float
) -> Point | None:
    point = list(at)
    point[axis] += stride
    if other is not None:
        if abs(slopes[other]) < _LITTLE:
            return None
        # Towards the cheaper side, because a package just over the budget is none.
        keeps = -(spent + slopes[axis] * stride) / slopes[other]
        keeps = min(max(keeps, -float(sizes[other])), float(sizes[other]))
        steps = math.floor(keeps) if slopes[other] > 0 else math.ceil(keeps)
        point[other] = min(max(point[other] + steps, 0), sizes[other] - 1)
    return tuple(point)
