"""Follow a variable from the poorest to the richest: concentration and Lorenz curves, shares of quantile groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl

from medfloor.measures.influence import Array, Quantity, total
from medfloor.measures.rank import Ranking

MOST_POINTS = 200
"""A curve is drawn through all its corners if it has no more than this, else through as many even points."""


@dataclass(frozen=True, slots=True, eq=False)
class Cumulated:
    """Be weights and a variable, summed up from the poorest rank to the richest.

    `people` and `sums` begin with 0 and have one further value for each different rank: the weight, and the weighted
    sum of the variable, of all rows up to it. `last` gives the place in the order of ranks behind which each ends.
    """

    people: Array
    sums: Array
    last: Array

    @classmethod
    def of(cls, ranking: Ranking, weight: Array, values: Array | None) -> Cumulated:
        """Sum up under given weights; without `values`, the variable is 1."""
        w = weight[ranking.order]
        wy = w if values is None else w * values[ranking.order]
        if ranking.first is not None:
            w, wy = np.add.reduceat(w, ranking.first), np.add.reduceat(wy, ranking.first)
            last = np.append(ranking.first[1:], len(weight))
        else:
            last = np.arange(1, len(weight) + 1)
        return cls(np.append(0.0, np.cumsum(w)), np.append(0.0, np.cumsum(wy)), np.append(0, last))

    def upto(self, share: float) -> float:
        """Give the sum of the variable among the poorest share, on the line between two ranks."""
        return float(np.interp(share * self.people[-1], self.people, self.sums))

    def at(self, share: float) -> int:
        """Give the number of the first rank that reaches a share; rounding alone does not keep it apart."""
        whole = self.people[-1]
        place = int(np.searchsorted(self.people, share * whole - 1e-12 * whole))
        return min(max(place, 1), len(self.people) - 1)


def poorest(
    ranking: Ranking,
    weight: Array,
    values: Array | None,
    shares: Sequence[float],
    *,
    of_rank: bool = False,
    whole_ranks: bool = False,
) -> list[Quantity]:
    """Estimate the total of a variable among the poorest shares of the population, with its influence.

    On the line between two ranks, or with `whole_ranks` up to the first rank that reaches the share, as quantile groups
    are cut (see `quantile_groups`). Without `values` the variable is 1. The cut is estimated too: with m the mean of
    the variable at the cut, a row has the influence f (y - m) + p m, where f says how far it lies below the cut
    (Davidson and Duclos 1997; for the Lorenz curve Beach and Davidson 1983). m is the mean over the ranks within h of
    the share, h = n^(-1/5) / 2; `of_rank` says that the variable is the ranking variable itself, which is known at the
    cut.

    >>> y = np.array([1.0, 2.0, 3.0, 4.0])
    >>> [one.value for one in poorest(Ranking.of(y), np.ones(4), y, [0.25, 0.5, 1.0])]
    [1.0, 3.0, 10.0]
    """
    if not shares:
        return []
    summed = Cumulated.of(ranking, weight, values)
    whole = float(summed.people[-1])
    found = []
    for share in shares:
        if not 0 < share < 1:
            ends = total(weight, 1.0 if values is None else values)
            found.append(ends if share >= 1 else Quantity(0.0))
            continue
        place = summed.at(share)
        before, within = summed.people[place - 1], summed.people[place] - summed.people[place - 1]
        part = 1.0 if whole_ranks or within <= 0 else min(max((share * whole - before) / within, 0.0), 1.0)
        rise = float(summed.sums[place] - summed.sums[place - 1])
        slope = rise / within if of_rank and within > 0 else _slope(summed, weight, share)
        value = float(summed.sums[place - 1] + part * rise)
        ends_of = int(summed.last[place - 1]), int(summed.last[place])
        found.append(total(weight, _Below(ranking, values, ends_of, part, share, slope), value))
    return found


def curve(
    ranking: Ranking, weight: Array, values: Array, shares: Sequence[float], *, of_rank: bool = False
) -> list[Quantity]:
    """Estimate ordinates of the concentration curve L(p): the part of the variable that the poorest p have.

    Over its own ranks (`of_rank`) it is the Lorenz curve. NaN where the variable sums to zero.

    >>> y = np.array([1.0, 2.0, 3.0, 4.0])
    >>> [round(one.value, 12) for one in curve(Ranking.of(y), np.ones(4), y, [0.5, 0.625])]
    [0.3, 0.45]
    """
    sums = total(weight, values)
    return [one / sums for one in poorest(ranking, weight, values, shares, of_rank=of_rank)]


def quantile_totals(
    ranking: Ranking, weight: Array, values: Array | None, groups: int, *, of_rank: bool = False
) -> list[Quantity]:
    """Estimate the totals of a variable in quantile groups, the poorest first; the cuts are estimated with them.

    >>> y = np.array([4.0, 1.0, 3.0, 2.0])
    >>> [one.value for one in quantile_totals(Ranking.of(y), np.ones(4), y, 2)]
    [3.0, 7.0]
    """
    cuts = [step / groups for step in range(1, groups + 1)]
    upto = poorest(ranking, weight, values, cuts, of_rank=of_rank, whole_ranks=True)
    return [upto[0], *(high - low for low, high in pairwise(upto))]


def points(ranking: Ranking, weight: Array, values: Array, name: str, group: str | None = None) -> pl.DataFrame:
    """Give points to draw: columns curve, group, p (part of the population) and share (part of the variable).

    All corners where there are few, else 201 even points on the curve. No points where the variable sums to zero.
    """
    summed = Cumulated.of(ranking, weight, values)
    whole, sums = summed.people[-1], summed.sums[-1]
    schema = {"curve": pl.String, "group": pl.String, "p": pl.Float64, "share": pl.Float64}
    if not whole > 0 or sums == 0:
        return pl.DataFrame(schema=schema)
    if len(summed.people) <= MOST_POINTS:
        p, share = summed.people / whole, summed.sums / sums
    else:
        p = np.linspace(0.0, 1.0, MOST_POINTS + 1)
        share = np.interp(p * whole, summed.people, summed.sums) / sums
    return pl.DataFrame({"curve": [name] * len(p), "group": [group] * len(p), "p": p, "share": share}, schema=schema)


@dataclass(frozen=True, slots=True, eq=False)
class _Below:
    """Make the influences of a total below a cut, when an error is asked for."""

    ranking: Ranking
    values: Array | None
    ends: tuple[int, int]
    part: float
    share: float
    slope: float

    def __call__(self) -> Array:
        rows = len(self.ranking.order)
        inside = np.zeros(rows)
        inside[: self.ends[0]] = 1.0
        inside[self.ends[0] : self.ends[1]] = self.part
        out = self.ranking.place(inside)
        out *= (1.0 if self.values is None else self.values) - self.slope
        out += self.share * self.slope
        return out


def _slope(summed: Cumulated, weight: Array, share: float) -> float:
    """Estimate the mean of the variable at a cut from the ranks around it."""
    wide = 0.5 * float(np.count_nonzero(weight)) ** -0.2
    wide = min(wide, share, 1 - share)
    return float((summed.upto(share + wide) - summed.upto(share - wide)) / (2 * wide * summed.people[-1]))
