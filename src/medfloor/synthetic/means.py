"""Give households income, consumption and food: quintile means met exactly, food a falling share of a rising budget."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from medfloor.errors import InputError
from medfloor.sparing import ready
from medfloor.synthetic.draws import Array, Ints, root, stream
from medfloor.synthetic.homes import Homes
from medfloor.synthetic.place import Place

_KNOTS = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
_APART = np.diff(_KNOTS)
_GRID = 20_000
_SEARCHED = 60_000


@dataclass(frozen=True)
class Means:
    """Be what households live on, in yuan a year: `income` and `registered` (as the register sees it) of households.

    `standing` is the person's place in the ranking by income a head, as a standard normal number. `budget` is what a
    household spends on all but health, before food is taken from it.
    """

    income: Array
    registered: Array
    standing: Array
    budget: Array


class IncomeCurve:
    """Be the distribution of income a head whose means by fifths are exactly those published.

    Logarithms of quantiles are a monotone cubic (Fritsch and Carlson 1980) through the middles of the fifths; below the
    lowest knot income falls with the square root of the rank, above the highest it has a Pareto tail. The middles are
    found by iteration.
    """

    def __init__(self, fifths: Array, top_index: float) -> None:
        if len(fifths) != 5 or not (np.diff(fifths) > 0).all() or fifths[0] <= 0:
            raise InputError("bad_place", "income.fifths: five means that rise from above zero are needed")
        if top_index <= 1:
            raise InputError("bad_place", "income.top_index: a Pareto index above 1 is needed for a mean to exist")
        logs = np.log(fifths)
        places = _Places.of((np.arange(_GRID) + 0.5) / _GRID, top_index)
        for _ in range(60):
            reached = places.incomes(logs).reshape(5, -1).mean(axis=1)
            before, logs = logs, logs + np.log(fifths / reached)
            if not (np.diff(logs) > 0).all():
                raise InputError("bad_place", "income.fifths: no rising distribution has these means of fifths")
            if (logs == before).all():  # every further round would give the same
                break
        self._index = top_index
        self._logs = logs

    def at(self, share: Array) -> Array:
        """Give income a head at shares of the population ranked by it, between 0 and 1."""
        return _Places.of(share, self._index).incomes(self._logs)


@dataclass(frozen=True)
class _Places:
    """Be shares of the population and all that of their incomes does not hang on the middles of the fifths.

    `piece` is the stretch between knots in which a share lies, `beyond` how far beyond its first knot; `low` and `high`
    are what incomes below the lowest knot and above the highest are multiplied by.
    """

    piece: Ints
    beyond: Array
    low: Array
    high: Array

    @classmethod
    def of(cls, share: Array, top_index: float) -> _Places:
        inner = np.clip(share, _KNOTS[0], _KNOTS[-1])
        piece = np.minimum(np.searchsorted(_KNOTS, inner, side="right") - 1, len(_APART) - 1)
        low = np.sqrt(np.minimum(share, _KNOTS[0]) / _KNOTS[0])
        high = np.ones(len(share))
        top = np.flatnonzero(share > _KNOTS[-1])
        high[top] = np.minimum(1.0, (1 - share[top]) / (1 - _KNOTS[-1])) ** (-1 / top_index)
        return cls(piece, inner - _KNOTS[piece], low, high)

    def incomes(self, logs: Array) -> Array:
        """Give incomes where the logarithms of quantiles go through `logs` at the knots."""
        cubic = _cubic(logs)[:, self.piece]
        squared = self.beyond * self.beyond
        # The order of SciPy's sums, so that its PchipInterpolator gives the same bits; a test holds them together.
        told = cubic[3] + cubic[2] * self.beyond + cubic[1] * squared + cubic[0] * (squared * self.beyond)
        return np.asarray(np.exp(told) * self.low * self.high, np.float64)


def _cubic(values: Array) -> Array:
    """Give the four coefficients, highest power first, of each piece of the monotone cubic through rising values."""
    found: Array = ready("scipy.interpolate").PchipInterpolator(_KNOTS, values).c
    return found


@functools.lru_cache(maxsize=64)
def _curve_of(fifths: tuple[float, ...], top_index: float) -> IncomeCurve:
    """Give the curve of a place; who makes up many populations of one place finds it once."""
    return IncomeCurve(np.array(fifths), top_index)


def make_means(place: Place, homes: Homes, seed: int) -> Means:
    """Give each household its income and its budget for all but health."""
    rng = stream(seed, "means")
    curve = _curve_of(tuple(place.parts("income.fifths").values()), place.value("income.top_index"))
    dependents = homes.total(((homes.age < 15) | (homes.age >= 65)).astype(np.float64)) / homes.size
    luck = rng.standard_normal(len(homes.size)) - 0.5 * (dependents - dependents.mean())
    income, share = _by_residence(place, homes, curve, luck)
    error = np.exp(place.value("income.register_error") * rng.standard_normal(len(income)))
    spread = np.exp(place.value("consumption.spread") * rng.standard_normal(len(income)))
    budget = income ** place.value("consumption.income_elasticity") * spread
    standing = np.sqrt(3.0) * (2 * share - 1)  # a uniform rank with mean 0 and standard deviation 1
    return Means(income * homes.size, income * homes.size * error, standing[homes.home], budget * homes.size)


def _by_residence(place: Place, homes: Homes, curve: IncomeCurve, luck: Array) -> tuple[Array, Array]:
    """Find how far town stands above country so that the ratio of their means is the published one."""
    wanted = place.value("income.urban_to_rural")
    few = slice(None, None, max(1, len(luck) // _SEARCHED))  # a part of the households is enough to find it
    town, size, part = homes.urban[few].astype(np.float64), homes.size[few], luck[few]
    lift = 0.0
    if 0 < float(town.sum()) < len(town):
        sides = np.flatnonzero(town), np.flatnonzero(1 - town)
        heads = [int(size[side].sum()) for side in sides]

        def short_of(lift: float) -> float:
            whole = curve.at(_ranks(lift * town + part, size)) * size
            means = [float(whole[side].sum()) / count for side, count in zip(sides, heads, strict=True)]
            return means[0] / means[1] - wanted

        lift = root(short_of, -4, 4, rounds=16)
    share = _ranks(lift * homes.urban + luck, homes.size)
    return curve.at(share), share


def _ranks(score: Array, size: Ints) -> Array:
    """Give each household the share of people who live in poorer ones, plus half of its own."""
    order = np.argsort(score, kind="stable")
    heads = size[order].astype(np.float64)
    share = np.empty(len(score))
    share[order] = (np.cumsum(heads) - heads / 2) / heads.sum()
    return share


def consumption_of(place: Place, homes: Homes, means: Means, health: Array) -> dict[str, Array]:
    """Give consumption (with health spending), food, housing and utilities of households, in yuan a year."""
    wanted = place.share("consumption.of_income") * float(means.income.sum())
    other = means.budget * max(0.1, (wanted - float(health.sum())) / float(means.budget.sum()))
    whole = other + health
    head = other / homes.size
    food = head ** place.value("consumption.food_elasticity") * homes.size
    target = place.share("consumption.food") * float(whole.sum())
    most = 0.85 * other
    scale = root(lambda k: float(np.minimum(np.exp(k) * food, most).sum()) - target, -20, 20)
    food = np.minimum(np.exp(scale) * food, most)
    dwelling = place.parts("consumption.dwelling")
    rest = other - food
    return {
        "consumption": whole,
        "food": food,
        "housing": rest * dwelling["housing"] / 100,
        "utilities": rest * dwelling["utilities"] / 100,
    }
