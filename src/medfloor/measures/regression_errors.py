"""Give the standard errors of a concentration index that older programs print, so that their tables can be matched.

Only `convenient_design` and `delta_design` see how the sample was drawn. The influence function does too, knows that
mean and ranks are estimated, and is what medfloor uses unless told otherwise.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np

from medfloor.measures.curve import Cumulated
from medfloor.measures.design import Structure
from medfloor.measures.influence import Array
from medfloor.measures.rank import Ranking

ErrorRule = Literal["influence", "convenient", "delta", "kwv", "convenient_design", "delta_design"]
ERROR_RULES: tuple[str, ...] = get_args(ErrorRule)


def regression_error(
    rule: str, ranking: Ranking, weight: Array, values: Array, structure: Structure | None = None
) -> float:
    """Give the standard error of the standard index by a rule; NaN with fewer than three rows.

    `convenient`: that of the slope of 2 var(R) y / mu on R, least squares with the weights (Kakwani, Wagstaff and van
    Doorslaer 1997; conindex's default), which takes mu for known. `delta`: by the delta method from the
    regression of y on R, C = 2 var(R) b / (a + b / 2) (O'Donnell et al. 2008, chapter 8). `kwv`: the formula of
    Kakwani, Wagstaff and van Doorslaer 1997 for independent rows, with the mean ordinate for ties.
    `convenient_design` and `delta_design` take the same regressions with the errors of the design (`structure`), as
    Stata's svy: regress has them, which is what conindex with svy does.

    >>> y = np.array([1.0, 2.0, 3.0, 5.0])
    >>> round(regression_error("convenient", Ranking.of(y), np.ones(4), y), 6)
    0.039365
    """
    n = int(np.count_nonzero(weight))
    whole = float(weight.sum())
    mu = float(weight @ values) / whole
    if n < 3 or mu == 0:
        return math.nan
    ranks = ranking.fractional(weight)
    spread = float(weight @ (ranks - 0.5) ** 2) / whole
    if spread == 0:
        return math.nan
    if rule == "kwv":
        return _kwv(ranking, weight, values, ranks, n)
    slope = float(weight @ ((ranks - 0.5) * values)) / (whole * spread)
    level = mu - 0.5 * slope
    left = values - level - slope * ranks
    by_level, by_slope = -2 * spread * slope / mu**2, 2 * spread * level / mu**2
    if rule.endswith("_design"):
        assert structure is not None
        if rule == "convenient_design":
            by_level, by_slope = 0.0, 2 * spread / mu
        scores = weight * left / whole * (by_level + (by_slope - 0.5 * by_level) * (ranks - 0.5) / spread)
        return math.sqrt(max(structure.variance(scores), 0.0)) if structure.size > 1 else math.nan
    # Variance of the error a unit of weight, as R's lm(weights=) and Stata's aweights.
    noise = float(weight @ left**2) / (n - 2)
    if rule == "convenient":
        return 2 * spread / abs(mu) * math.sqrt(noise / (whole * spread))
    var_slope = noise / (whole * spread)
    var_level, between = noise / whole + 0.25 * var_slope, -0.5 * var_slope
    found = by_level**2 * var_level + 2 * by_level * by_slope * between + by_slope**2 * var_slope
    return math.sqrt(max(found, 0.0))


def _kwv(ranking: Ranking, weight: Array, values: Array, ranks: Array, n: int) -> float:
    whole = float(weight.sum())
    mu = float(weight @ values) / whole
    index = 2 * float(weight @ (values * ranks)) / (whole * mu) - 1
    ordinates = Cumulated.of(ranking, weight, values).sums / (whole * mu)
    pairs = ordinates[1:] + ordinates[:-1]
    around = ranking.place(pairs if ranking.group is None else pairs[ranking.group])
    a = values / mu * (2 * ranks - 1 - index) + 2 - around
    return math.sqrt(max(float(weight @ a**2) / whole - (1 + index) ** 2, 0.0) / n)
