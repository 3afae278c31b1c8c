"""Evaluate B-splines in plain numpy, as scikit-learn's SplineTransformer does (extrapolation constant, no bias)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def basis(values: Array, knots: Sequence[float], degree: int) -> Array:
    """Give the B-splines of known values: one row a value, len(knots) + degree - 2 columns.

    `knots` rise; beyond the first and the last one the splines stay as they are there. The last spline is left out,
    because all together are 1 and the model has an intercept. Source: de Boor (1978), as in SplineTransformer of
    scikit-learn, whose knots beyond the ends continue the first and the last distance.

    >>> basis(np.array([0.0, 0.5, 3.0]), [0.0, 1.0], 1).tolist()
    [[1.0], [0.5], [0.0]]
    """
    first, local = _local(values, knots, degree)
    found = np.zeros((len(values), len(knots) + degree - 1))
    rows = np.arange(len(values))
    for step in range(degree + 1):
        found[rows, first + step] = local[step]
    return found[:, :-1]


def curve(values: Array, knots: Sequence[float], degree: int, coefficients: Sequence[float]) -> Array:
    """Add up the splines of known values, each times its coefficient: `basis` @ coefficients, without the matrix.

    >>> curve(np.array([0.0, 0.5, 3.0]), [0.0, 1.0], 1, [4.0]).tolist()
    [4.0, 2.0, 0.0]
    """
    first, local = _local(values, knots, degree)
    weights = np.append(np.asarray(coefficients, np.float64), 0.0)
    total = np.zeros(len(values))
    for step in range(degree + 1):
        total += local[step] * weights[first + step]
    return total


def _local(values: Array, knots: Sequence[float], degree: int) -> tuple[npt.NDArray[np.int64], list[Array]]:
    """Give, for each value, the first spline that is not zero there, and the degree + 1 that are not."""
    base = np.asarray(knots, np.float64)
    low, high = base[1] - base[0], base[-1] - base[-2]
    below = base[0] - low * np.arange(degree, 0, -1)
    above = base[-1] + high * np.arange(1, degree + 1)
    full = np.concatenate([below, base, above])
    at = np.clip(values, base[0], base[-1])
    span = np.clip(np.searchsorted(full, at, side="right") - 1, degree, degree + len(base) - 2)
    # The NURBS Book, algorithm A2.2: the splines of one degree from those of the degree below.
    local = [np.ones(len(at))]
    for order in range(1, degree + 1):
        saved = np.zeros(len(at))
        raised: list[Array] = []
        for step in range(order):
            right = full[span + step + 1] - at
            left = at - full[span + 1 - order + step]
            share = local[step] / (right + left)
            raised.append(saved + right * share)
            saved = left * share
        local = [*raised, saved]
    return span - degree, local
