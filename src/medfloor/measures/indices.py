"""Compute the family of rank-dependent indices: standard, generalised, bounded, extended and symmetric."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, get_args

import numpy as np

from medfloor.measures.curve import Cumulated
from medfloor.measures.influence import Array, Quantity, count, total
from medfloor.measures.rank import Ranking

Index = Literal["standard", "generalised", "modified", "wagstaff", "erreygers", "extended", "symmetric"]
INDICES: tuple[str, ...] = get_args(Index)

BOUNDED = ("modified", "wagstaff", "erreygers")
"""The indices that know the bounds of the variable."""

Bounds = tuple[float, float]


def twice_covariance(ranking: Ranking, weight: Array, values: Array) -> Quantity:
    """Estimate 2 cov(y, R), the generalised concentration index: twice the covariance of a variable and the rank.

    It is also there where the variable has a mean of zero.

    >>> y = np.array([1.0, 2.0, 3.0, 4.0])
    >>> twice_covariance(Ranking.of(y), np.ones(4), y).value
    0.625
    """
    size = count(weight)
    return (2.0 / size) * ranking.concordance(weight, values) / size - total(weight, values) / size


def bounded_index(index: str, twice: Quantity, mu: Quantity, bounds: Bounds | None) -> Quantity:
    """Turn 2 cov(y, R) into an index; `bounds` are the least and the greatest value that the variable can take.

    standard C = 2 cov / mu; generalised 2 cov (Clarke et al. 2002); modified 2 cov / (mu - a) (Erreygers and Van Ourti
    2011); wagstaff 2 cov (b - a) / ((b - mu)(mu - a)) (Wagstaff 2005); erreygers 8 cov / (b - a) (Erreygers 2009). NaN
    where what stands below is zero.

    >>> bounded_index("erreygers", Quantity(0.1), Quantity(0.5), (0.0, 1.0)).value
    0.4
    """
    if index == "generalised":
        return twice
    if index == "standard":
        return twice / mu
    assert bounds is not None
    low, high = bounds
    if index == "modified":
        return twice / (mu - low)
    if index == "wagstaff":
        return twice * (high - low) / ((high - mu) * (mu - low))
    return 4.0 * twice / (high - low)


def extended_index(ranking: Ranking, weight: Array, values: Array, nu: float) -> Quantity:
    """Estimate the extended concentration index of aversion to inequality `nu` (1: none; 2: the standard index).

    C(v) = 1 - sum over ranks g of ybar_g [(1 - p_(g-1))^v - (1 - p_g)^v] / mu, exact for ties and weights (Pereira
    1998; Wagstaff 2002; for ties in the manner of Lerman and Yitzhaki 1989).

    >>> y = np.array([1.0, 2.0, 3.0, 4.0])
    >>> round(extended_index(Ranking.of(y), np.ones(4), y, 2.0).value, 12)
    0.25
    """

    def towards(share: Array) -> Array:
        # What is left above a rank can fall below zero by rounding alone.
        return np.asarray(1.0 - np.maximum(1.0 - share, 0.0) ** nu, np.float64)

    def slope(share: Array) -> Array:
        return np.asarray(nu * np.maximum(1.0 - share, 0.0) ** (nu - 1.0), np.float64)

    return 1.0 - _weighed(ranking, weight, values, towards, slope)


def symmetric_index(ranking: Ranking, weight: Array, values: Array, beta: float) -> Quantity:
    """Estimate the symmetric index: both ends of the ranking weigh more as `beta` rises (2: the standard index).

    S(b) = sum over ranks g of ybar_g 2^(b-2) [|p_g - 1/2|^b - |p_(g-1) - 1/2|^b] / mu (Erreygers, Clarke and Van Ourti
    2012), the weight function integrated over the share of each rank, so that ties and weights are exact.

    >>> y = np.array([1.0, 2.0, 3.0, 4.0])
    >>> round(symmetric_index(Ranking.of(y), np.ones(4), y, 2.0).value, 12)
    0.25
    """

    def towards(share: Array) -> Array:
        return np.asarray(2.0 ** (beta - 2.0) * np.abs(share - 0.5) ** beta, np.float64)

    def slope(share: Array) -> Array:
        off = share - 0.5
        return np.asarray(2.0 ** (beta - 2.0) * beta * np.sign(off) * np.abs(off) ** (beta - 1.0), np.float64)

    return _weighed(ranking, weight, values, towards, slope)


def _weighed(
    ranking: Ranking,
    weight: Array,
    values: Array,
    towards: Callable[[Array], Array],
    slope: Callable[[Array], Array],
) -> Quantity:
    """Estimate sum over ranks of ybar_g [F(p_g) - F(p_(g-1))] / mu, for a function F of the rank and its slope."""
    summed = Cumulated.of(ranking, weight, values)
    whole = float(summed.people[-1])
    if not whole > 0:
        return Quantity(math.nan)
    share = summed.people / whole
    within = np.diff(summed.people)
    with np.errstate(divide="ignore", invalid="ignore"):
        average = np.where(within > 0, np.diff(summed.sums) / within, 0.0)
    steps = np.diff(towards(share))
    value = float(average @ steps)

    def influence() -> Array:
        # d/dw of F(p) is F'(p) (1[below p] - p) / W for each end of each rank, and ybar_g moves with its own rows.
        bends = slope(share)
        at_end, at_start = average * bends[1:], average * bends[:-1]
        net = np.append(at_end[:-1] - at_start[1:], at_end[-1])
        above = np.cumsum(net[::-1])[::-1]
        common = float(at_end @ share[1:] - at_start @ share[:-1])
        with np.errstate(divide="ignore", invalid="ignore"):
            own = np.where(within > 0, steps / within, 0.0)
        group = np.arange(len(within)) if ranking.group is None else ranking.group
        y = values[ranking.order]
        scores = own[group] * (y - average[group]) + (above[group] - common) / whole
        return ranking.place(scores)

    return total(weight, influence, value) / (total(weight, values) / count(weight))
