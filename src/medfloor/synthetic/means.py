"""Give households income, consumption and food: quintile means met exactly, food a falling share of a rising budget."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medfloor.errors import InputError
from medfloor.synthetic.draws import Array, Ints, root, stream
from medfloor.synthetic.homes import Homes
from medfloor.synthetic.place import Place

_KNOTS = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
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
        self._index = top_index
        self._logs = np.log(fifths)
        share = (np.arange(_GRID) + 0.5) / _GRID
        for _ in range(60):
            reached = self.at(share).reshape(5, -1).mean(axis=1)
            self._logs = self._logs + np.log(fifths / reached)
            if not (np.diff(self._logs) > 0).all():
                raise InputError("bad_place", "income.fifths: no rising distribution has these means of fifths")

    def at(self, share: Array) -> Array:
        """Give income a head at shares of the population ranked by it, between 0 and 1."""
        # SciPy's interpolation takes half a second to load, which who only reads a population need not wait for.
        from scipy.interpolate import PchipInterpolator

        middle = np.exp(PchipInterpolator(_KNOTS, self._logs)(np.clip(share, _KNOTS[0], _KNOTS[-1])))
        low = np.sqrt(np.minimum(share, _KNOTS[0]) / _KNOTS[0])
        high = (np.minimum(1.0, (1 - share) / (1 - _KNOTS[-1]))) ** (-1 / self._index)
        return np.asarray(middle * low * high, np.float64)


def make_means(place: Place, homes: Homes, seed: int) -> Means:
    """Give each household its income and its budget for all but health."""
    rng = stream(seed, "means")
    curve = IncomeCurve(np.array(list(place.parts("income.fifths").values())), place.value("income.top_index"))
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

        def short_of(lift: float) -> float:
            whole = curve.at(_ranks(lift * town + part, size)) * size
            return float((whole @ town / (size @ town)) / (whole @ (1 - town) / (size @ (1 - town)))) - wanted

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
