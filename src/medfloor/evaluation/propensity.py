"""Estimate the chance of being treated, and compare by weights that it gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from medfloor.errors import UsageError
from medfloor.evaluation.likelihood import Likelihood, binomial, independent

Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]
Ints: TypeAlias = NDArray[np.int64]
Estimand = Literal["att", "ate"]


@dataclass(frozen=True, slots=True, eq=False)
class Propensity:
    """Be a propensity score: the chance of being treated given covariates, by a logit.

    `design` has the columns that were used, a constant first, `index` is the logit of the chance. `left_out` are the
    places of covariates that others make up.
    """

    design: Floats
    fit: Likelihood
    index: Floats
    left_out: tuple[int, ...]

    @property
    def chance(self) -> Floats:
        """Give the chance of each row, rounded to 12 digits: rows with the same covariates get the very same number."""
        return np.round(1 / (1 + np.exp(-self.index)), 12)

    @property
    def influence(self) -> Floats:
        """Give what each row adds to the coefficients: the inverse information times the row's score."""
        return np.asarray(self.fit.scores @ self.fit.bread)


def propensity(treated: Bools, covariates: Floats) -> Propensity:
    """Fit a logit of treatment on covariates (one column each, no constant).

    Raises UsageError separated, not_estimable.
    """
    columns = np.column_stack([np.ones(len(treated)), covariates])
    kept = independent(columns)
    design = columns[:, kept]
    try:
        fit = binomial(treated.astype(np.float64), design, link="logit", weight=None)
    except UsageError as error:
        if error.code != "separated":
            raise
        # The words of a logit of an outcome would send the user to a linear probability model, which is no score.
        raise UsageError(
            "separated",
            "the covariates tell without fail who is treated, so that nobody without the treatment is alike; leave out "
            "the covariates that decide it, join categories, or ask at a line (evaluate discontinuity)",
        ) from None
    left_out = tuple(place - 1 for place in range(columns.shape[1]) if place not in kept)
    return Propensity(design, fit, np.asarray(design @ fit.beta), left_out)


def odds_weights(score: Propensity, treated: Bools, estimand: Estimand) -> Floats:
    """Weigh rows by the score: 1 and p/(1-p) for the effect on the treated; 1/p and 1/(1-p) for the effect on all."""
    odds = np.exp(score.index)
    if estimand == "att":
        return np.where(treated, 1.0, odds)
    return np.where(treated, 1 + 1 / odds, 1 + odds)


def weighted_difference(score: Propensity, treated: Bools, outcome: Floats, estimand: Estimand) -> tuple[float, Floats]:
    """Give the difference of weighted means, and what each row adds to it; errors know that the score is estimated.

    Means are sums of weighted outcomes over sums of weights (Hájek). The influences of rows come from stacking the
    equations of the score and of the means (Lunceford and Davidian 2004, Statistics in Medicine 23, section 3).
    """
    odds, weight = np.exp(score.index), odds_weights(score, treated, estimand)
    means, influence = [], np.zeros(len(outcome))
    for side, sign in ((treated, 1.0), (~treated, -1.0)):
        w = np.where(side, weight, 0.0)
        mean = float(w @ outcome / w.sum())
        off = w * (outcome - mean) / w.sum()
        # How the weight moves with the index: p/(1-p) is its own slope, 1/p has the slope -(1-p)/p, and 1 has none.
        own = -1 / odds if estimand == "ate" else np.zeros(len(odds))
        slope = np.where(side, np.where(treated, own, odds), 0.0)
        moved = (slope * (outcome - mean)) @ score.design / w.sum()
        influence += sign * (off + score.influence @ moved)
        means.append(mean)
    return means[0] - means[1], influence


def beyond_support(score: Propensity, treated: Bools, estimand: Estimand) -> Bools:
    """Mark rows whose score lies outside the scores of the other side.

    Treated rows beyond the lowest and highest score of controls, for the effect on the treated; for the effect on all
    also controls beyond the scores of the treated (Dehejia and Wahba 1999; King and Zeng 2006).
    """
    index = np.round(score.index, 12)

    def outside(rows: Bools) -> Bools:
        others = index[~rows]
        return np.asarray(rows & ((index < others.min()) | (index > others.max())), np.bool_)

    return outside(treated) | outside(~treated) if estimand == "ate" else outside(treated)
