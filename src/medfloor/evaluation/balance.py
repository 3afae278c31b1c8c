"""Hold treated and controls beside each other: standardised differences, variance ratios, distributions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]

SMALL = 0.1
"""Standardised differences up to this are usually called small (Austin 2009, Statistics in Medicine 28, 3083-3107)."""


def balance(
    covariates: Mapping[str, Floats], treated: Bools, weight: Floats, *, of_the_treated: bool = True
) -> pl.DataFrame:
    """Compare covariates of treated and controls before matching and, with `weight`, after it.

    One row a covariate: `before` and `after` are standardised differences of means, treated less controls, divided by
    one and the same standard deviation of all rows before matching: that of the treated, or, where the effect is not on
    the treated alone, the root of the mean of both variances; of a covariate of zeros and ones it is the root of
    p(1-p) (R's MatchIt). `variance_...` are ratios of variances (null for zeros and ones), `ecdf_...` the largest
    difference of the cumulative distributions, `treated_...` and `control_...` means. What is not defined is null.
    """
    same = np.ones(len(treated))
    rows = []
    for name, values in covariates.items():
        spread = _spread(values, treated, of_the_treated)
        row: dict[str, object] = {"covariate": name, "before": None, "after": None}
        for when, w in (("before", same), ("after", weight)):
            means = [_mean(values[side], w[side]) for side in (treated, ~treated)]
            row[when] = (means[0] - means[1]) / spread if spread > 0 else None
            row[f"variance_{when}"] = _variance_ratio(values, treated, w)
            row[f"ecdf_{when}"] = _farthest(values, treated, w)
            row[f"treated_{when}"], row[f"control_{when}"] = means
        rows.append(row)
    order = ["covariate"] + [
        f"{what}{when}" for what in ("", "variance_", "ecdf_", "treated_", "control_") for when in ("before", "after")
    ]
    frame = pl.DataFrame(rows, infer_schema_length=None, schema_overrides=dict.fromkeys(order[1:], pl.Float64()))
    return frame.select(order).with_columns(pl.col(pl.Float64).fill_nan(None))


def _spread(values: Floats, treated: Bools, of_the_treated: bool) -> float:
    variances = []
    for side in (treated, ~treated):
        there = values[side]
        share = float(there.mean())
        binary = np.isin(values, (0.0, 1.0)).all()
        variances.append(share * (1 - share) if binary else float(there.var(ddof=1)) if len(there) > 1 else 0.0)
    return math.sqrt(variances[0] if of_the_treated else sum(variances) / 2)


def _mean(values: Floats, weight: Floats) -> float:
    return float(np.average(values, weights=weight)) if weight.sum() > 0 else math.nan


def _variance_ratio(values: Floats, treated: Bools, weight: Floats) -> float | None:
    if np.isin(values, (0.0, 1.0)).all():
        return None
    found = []
    for side in (treated, ~treated):
        w, x = weight[side], values[side]
        free = w.sum() - (w**2).sum() / w.sum() if w.sum() > 0 else 0.0
        if not free > 0:
            return None
        found.append(float(w @ (x - np.average(x, weights=w)) ** 2 / free))
    return found[0] / found[1] if found[1] > 0 else None


def _farthest(values: Floats, treated: Bools, weight: Floats) -> float:
    points, place = np.unique(values, return_inverse=True)
    shares = []
    for side in (treated, ~treated):
        mass = np.bincount(place[side], weight[side], len(points))
        shares.append(np.cumsum(mass) / max(mass.sum(), 1e-300))
    return float(np.abs(shares[0] - shares[1]).max())
