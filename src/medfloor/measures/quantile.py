"""Estimate quantiles with their influence: it needs the density there, which is estimated by a kernel."""

from __future__ import annotations

import math
from functools import cache
from typing import Literal, TypeAlias

import numpy as np

from medfloor.errors import UsageError
from medfloor.measures.influence import Array, Quantity, total
from medfloor.measures.rank import quantile
from medfloor.words import Phrase

Bandwidth: TypeAlias = Literal["population", "sample"] | float
"""How wide the kernel of a density is: see `density`."""


def estimated_quantile(values: Array, weight: Array, share: float, bandwidth: Bandwidth = "population") -> Quantity:
    """Estimate a quantile, with the influence (share - 1[y <= q]) / (W f(q)).

    The value is the inverse of the weighted distribution (see `medfloor.measures.rank.quantile`), f the density at it
    (see `density`). NaN without weight. Source: Deville (1999), Survey Methodology 25, 193-203; Osier (2009), Survey
    Research Methods 3, 167-195.

    >>> round(estimated_quantile(np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.ones(5), 0.5).value, 1)
    3.0
    """
    value = quantile(values, weight, share)

    def influence() -> Array:
        slope = float(weight.sum()) * density(values, weight, value, bandwidth)
        return np.asarray((share - (values <= value)) / slope, np.float64)

    return total(weight, influence, value)


def density(values: Array, weight: Array, at: float, bandwidth: Bandwidth = "population") -> float:
    """Estimate the density at a point with a Gaussian kernel: sum of w phi((at - y) / h) / (W h).

    The bandwidth h is part of the definition. "population" is s / N^(1/5), with s the weighted standard deviation and N
    the sum of the weights, as in Osier (2009) and in R's convey; weights that add up to something else than a
    population then give another h. "sample" is 0.9 min(s, IQR / 1.34) / n^(1/5), with n the effective number of rows,
    (sum w)^2 / sum w^2 (Silverman 1986, p. 48), and does not know the scale of the weights. A number is h itself.

    Infinite where all values are the same and equal to the point.

    Raises UsageError bad_bandwidth.

    >>> round(density(np.array([0.0, 0.0]), np.ones(2), 0.0, 1.0), 4)
    0.3989
    """
    wide = width(values, weight, bandwidth)
    if wide == 0:
        return math.inf if bool(((values == at) & (weight > 0)).any()) else 0.0
    kernel = np.subtract(at, values)
    kernel /= wide
    np.square(kernel, out=kernel)
    kernel *= -0.5
    # Below exp(-700) a double has nothing left to add.
    np.maximum(kernel, -700.0, out=kernel)
    np.exp(kernel, out=kernel)
    return float(weight @ kernel) / (float(weight.sum()) * wide * math.sqrt(2 * math.pi))


def width(values: Array, weight: Array, bandwidth: Bandwidth) -> float:
    """Give the kernel's width in the unit of the values. Raises UsageError bad_bandwidth.

    >>> width(np.array([1.0, 3.0]), np.ones(2), 0.25)
    0.25
    """
    if not isinstance(bandwidth, str):
        if not 0 < bandwidth < math.inf:
            raise UsageError(
                "bad_bandwidth", f"bandwidth {bandwidth} is not above zero; it is in the unit of the values"
            )
        return float(bandwidth)
    if bandwidth not in ("population", "sample"):
        raise UsageError("bad_bandwidth", f"there is no bandwidth {bandwidth!r}; use population, sample or a number")
    mass = float(weight.sum())
    centre = float(weight @ values) / mass
    off = values - centre
    spread = math.sqrt(max(float(weight @ (off * off)) / mass, 0.0))
    if bandwidth == "population":
        return float(spread / mass**0.2)
    rows = mass**2 / float(weight @ weight)
    between = (quantile(values, weight, 0.75) - quantile(values, weight, 0.25)) / 1.34
    return float(0.9 * (min(spread, between) or spread) / rows**0.2)


@cache
def bandwidth_words(bandwidth: Bandwidth) -> Phrase:
    """Say how wide the kernel is.

    >>> bandwidth_words("population").say("en")
    's / N^(1/5), N the sum of the weights'
    """
    if isinstance(bandwidth, str):
        return Phrase(f"bandwidth.{bandwidth}")
    return Phrase.of("bandwidth.given", width=f"{bandwidth:g}")
