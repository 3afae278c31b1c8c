"""Take unit and wave effects out of columns exactly, by counting: no iteration, no compiler."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]


def two_way_residuals(columns: Floats, unit: Ints, period: Ints, weight: Floats | None = None) -> Floats:
    """Give what is left of each column after unit and wave effects, as (weighted) least squares leaves it.

    `columns` has one column a variable; `unit` codes 0, 1, ...; `period` waves 1, 2, .... Waves are few, so that the
    wave effects are solved for directly once the unit effects are out (Frisch and Waugh 1933, Econometrica 1, 387-401),
    also in unbalanced panels.

    >>> y = np.array([[1.0], [2.0], [5.0], [9.0]])
    >>> two_way_residuals(y, np.array([0, 0, 1, 1]), np.array([1, 2, 1, 2])).ravel().round(2).tolist()
    [0.75, -0.75, -0.75, 0.75]
    """
    waves = np.unique(period)[1:]
    dummies = (period[:, None] == waves).astype(np.float64)
    return residuals(unit_residuals(columns, unit, weight), unit_residuals(dummies, unit, weight), weight)


def unit_residuals(columns: Floats, unit: Ints, weight: Floats | None = None) -> Floats:
    """Take the (weighted) mean of each unit out of each column."""
    units = int(unit.max()) + 1 if len(unit) else 0
    mass = np.maximum(np.bincount(unit, weight, units), np.finfo(np.float64).tiny)
    left = np.empty(columns.shape, np.float64)
    for place in range(columns.shape[1]):
        column = columns[:, place]
        total = np.bincount(unit, column if weight is None else column * weight, units)
        left[:, place] = column - (total / mass)[unit]
    return left


def residuals(columns: Floats, others: Floats, weight: Floats | None = None) -> Floats:
    """Take out of each column what other columns explain; a column that depends on the others counts once."""
    if not others.shape[1]:
        return columns
    weighted = others if weight is None else others * weight[:, None]
    slope = np.linalg.lstsq(weighted.T @ others, weighted.T @ columns, rcond=1e-12)[0]
    return np.asarray(columns - others @ slope)
