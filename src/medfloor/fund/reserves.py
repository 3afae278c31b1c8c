"""Say how long reserves last: months of payment, reserve lines, first years of deficit and of an empty fund.

Months of payment are the balance at the end of a year over a twelfth of that year's payments (可支付月数).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from medfloor.errors import UsageError

Array = npt.NDArray[np.float64]

LINES = (3.0, 6.0, 9.0)
"""Months that are asked about unless told otherwise. The classes of the ministry (6 to 9 months normal, below 3 too
few, of 2009 and for employees) are recalled and not seen; so lines are parameters."""

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def months(reserve: Array, outgo: Array) -> Array:
    """Give months of payment; NaN where nothing is paid. A reserve below zero gives months below zero.

    >>> months(np.array([8183.02]), np.array([10661.49])).round(2).tolist()
    [9.21]
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Array = np.where(outgo > 0, 12 * reserve / outgo, np.nan)
    return found


def below(held: Array, line: float) -> tuple[Array, Array]:
    """Give the probability of being below a line in each year, and of having been so by then; paths are the last axis.

    >>> now, ever = below(np.array([[7.0, 5.0], [7.0, 8.0]]), 6.0)
    >>> now.tolist(), ever.tolist()
    ([0.5, 0.0], [0.5, 0.5])
    """
    under = held < line
    return under.mean(axis=-1), np.logical_or.accumulate(under, axis=0).mean(axis=-1)


def first_year(happens: npt.NDArray[np.bool_], first: int) -> Array:
    """Give the first year in which something happens, path by path (the last axis); infinity where it never does.

    >>> first_year(np.array([[False, True], [True, False]]), 2026).tolist()
    [2027.0, 2026.0]
    """
    found = np.where(happens.any(axis=0), first + happens.argmax(axis=0), math.inf)
    return np.asarray(found, np.float64)


def fan(values: Array) -> Array:
    """Give quantiles over paths, the last axis: shape (quantiles, ...). The nearest path at or above is taken.

    >>> fan(np.arange(101.0)).tolist()
    [5.0, 25.0, 50.0, 75.0, 95.0]
    """
    ordered = np.sort(values, axis=-1)
    last = values.shape[-1] - 1
    return np.stack([ordered[..., math.ceil(last * share - 1e-9)] for share in QUANTILES])


def read_lines(given: Sequence[float] | str) -> tuple[float, ...]:
    """Read reserve lines, in months, in ascending order.

    Raises UsageError bad_lines for what is no number or is below zero.

    >>> read_lines("9,3,6")
    (3.0, 6.0, 9.0)
    """
    parts = given.split(",") if isinstance(given, str) else given
    try:
        found = sorted({float(one) for one in parts})
    except ValueError:
        found = []
    if not found or any(not math.isfinite(one) or one < 0 for one in found):
        raise UsageError("bad_lines", f"{given!r} are no reserve lines; write months such as 3,6,9")
    return tuple(found)
