"""Rank people from poor to rich: mid-ranks with ties, quantiles and quantile groups, all weighted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medfloor.measures.influence import Array, Quantity, count, dot, total


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Be rows in the order of a variable, with their ties; made once, used under any weights.

    `order` gives the rows from the lowest value to the highest. `group` numbers the different values by place in that
    order, and `first` is the place where each begins; both are None where no two rows are equal. Tied rows share one
    rank, so no order among them can matter.
    """

    order: npt.NDArray[np.intp]
    group: npt.NDArray[np.int64] | None
    first: npt.NDArray[np.int64] | None

    @classmethod
    def of(cls, by: Array) -> Ranking:
        """Rank rows by a variable."""
        order = np.argsort(by)
        ordered = by[order]
        new = np.empty(len(by), np.bool_)
        new[:1] = True
        np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
        if new.all():
            return cls(order, None, None)
        return cls(order, np.cumsum(new) - 1, np.flatnonzero(new))

    def place(self, ordered: Array) -> Array:
        """Put values that stand in the order of ranks back beside their rows."""
        out = np.empty(len(ordered))
        out[self.order] = ordered
        return out

    def below(self, ordered: Array) -> Array:
        """Sum values (in order) over all lower rows and half of the tied ones, the row itself among them."""
        if self.group is None or self.first is None:
            out = np.cumsum(ordered)
            out -= 0.5 * ordered
            return out
        sums = np.add.reduceat(ordered, self.first)
        upto = np.cumsum(sums)
        upto -= 0.5 * sums
        return np.asarray(upto[self.group], np.float64)

    def fractional(self, weight: Array) -> Array:
        """Give weighted fractional mid-ranks in (0, 1), beside their rows: their weighted mean is exactly one half.

        R_i = (weight below + half of the tied weight) / total weight (Kakwani, Wagstaff and van Doorslaer 1997;
        conindex uses the same).

        >>> Ranking.of(np.array([3.0, 1.0, 1.0, 9.0])).fractional(np.ones(4)).tolist()
        [0.625, 0.25, 0.25, 0.875]
        """
        ranks = self.below(weight[self.order])
        ranks /= weight.sum()
        return self.place(ranks)

    def concordance(self, weight: Array, values: Array) -> Quantity:
        """Estimate S = sum of w_i y_i times the weight below i (half of the tied), the heart of every rank index.

        C = 2 S / (W Y) - 1, where W and Y are the totals of the weights and of y. The influence of row i is y_i times
        the weight below it, plus w y summed over the rows above it and half of the tied ones.
        """
        w = weight[self.order]
        beneath = self.below(w)
        y = values[self.order].astype(np.float64, copy=False)
        wy = w * y
        whole = float(wy.sum())

        def influence() -> Array:
            scores = self.below(wy)
            np.subtract(whole, scores, out=scores)
            scores += y * beneath
            return self.place(scores)

        return total(weight, influence, dot(wy, beneath))


def concentration(ranking: Ranking, weight: Array, values: Array, sums: Quantity | None = None) -> Quantity:
    """Estimate the concentration index of values over a ranking, with its influence.

    C = 2 cov_w(y, R) / mu. NaN where the values sum to zero. `sums` is the total of the values, if it is at hand.

    >>> y = np.array([1.0, 2.0, 3.0, 4.0])
    >>> concentration(Ranking.of(y), np.ones(4), y).value
    0.25
    """
    whole = total(weight, values) if sums is None else sums
    return 2.0 * ranking.concordance(weight, values) / (count(weight) * whole) - 1.0


def quantile(values: Array, weight: Array, share: float) -> float:
    """Give a weighted quantile: the inverse of the empirical distribution, the mean of two where it is flat.

    As Stata's pctile and R laeken's weightedQuantile. NaN without weight.

    >>> quantile(np.array([1.0, 2.0, 3.0, 4.0]), np.ones(4), 0.5)
    2.5
    """
    return float(quantiles(values, weight, [share])[0])


def quantiles(values: Array, weight: Array, shares: Sequence[float]) -> Array:
    """Give several weighted quantiles in one sort; see `quantile`."""
    seen = weight > 0
    values, weight = values[seen], weight[seen]
    if not len(values):
        return np.full(len(shares), np.nan)
    order = np.argsort(values)
    ordered = values[order]
    upto = np.cumsum(weight[order])
    wanted = np.asarray(shares) * upto[-1]
    # A cumulated weight counts as reached when rounding alone keeps it apart.
    slack = 1e-12 * upto[-1]
    at = np.minimum(np.searchsorted(upto, wanted - slack), len(ordered) - 1)
    after = np.minimum(at + 1, len(ordered) - 1)
    flat = np.abs(upto[at] - wanted) <= slack
    return np.asarray(np.where(flat, (ordered[at] + ordered[after]) / 2, ordered[at]), np.float64)


def quantile_groups(values: Array, weight: Array, groups: int) -> tuple[npt.NDArray[np.int64], Array]:
    """Part rows into groups of equal weight, 0 the poorest; a value at a cut belongs below (Stata's xtile).

    Returns each row's group and the cuts between them.

    >>> quantile_groups(np.array([5.0, 1.0, 3.0, 2.0]), np.ones(4), 2)[0].tolist()
    [1, 0, 1, 0]
    """
    cuts = quantiles(values, weight, [step / groups for step in range(1, groups)])
    return np.searchsorted(cuts, values, side="left").astype(np.int64), cuts
