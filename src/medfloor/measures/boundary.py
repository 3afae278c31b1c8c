"""Look at both sides of a line: local polynomials whose coefficients carry influence, kernels, bandwidths, density."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from medfloor.errors import UsageError
from medfloor.measures.design import Structure
from medfloor.measures.influence import Array, Base, Quantity, count, total

Bools = npt.NDArray[np.bool_]
Kernel = Literal["uniform", "triangular", "epanechnikov"]
KERNELS: tuple[str, ...] = get_args(Kernel)
Side = Literal["<", "<=", ">", ">="]
SIDES: tuple[str, ...] = get_args(Side)

MOST_BINS = 1_000_000
"""More bins than this say that the running variable is no measurement but has values that cannot be meant."""


@dataclass(frozen=True, slots=True)
class Line:
    """Be a line in a running variable: who has `sign` `value` is eligible.

    >>> Line(2300.0, "<").below(np.array([2299.0, 2300.0])).tolist()
    [True, False]
    """

    value: float
    sign: Side = "<"

    def __post_init__(self) -> None:
        """Refuse a line that parts nobody."""
        if self.sign not in SIDES:
            raise UsageError("bad_sign", f"sign {self.sign!r} is none of {', '.join(SIDES)}; '<': less is eligible")
        if not math.isfinite(self.value):
            raise UsageError(
                "bad_cutoff",
                f"the cutoff {self.value} is no number; give the value at which the status changes",
            )

    @property
    def helps_below(self) -> bool:
        """Say whether those below the line are eligible."""
        return self.sign in ("<", "<=")

    def below(self, values: Array) -> Bools:
        """Mark the rows below the line; those exactly at it stand where the sign puts them."""
        return values < self.value if self.sign in ("<", ">=") else values <= self.value


def kernel_weights(distance: Array, bandwidth: float, kernel: Kernel) -> Array:
    """Weigh rows by their distance from the line: 1 (uniform), 1 - |u| (triangular), 1 - u^2 (epanechnikov), u = d/h.

    Zero beyond the bandwidth. A constant factor of a kernel changes no estimate and is left out.

    >>> kernel_weights(np.array([-2.0, -0.5, 0.0, 1.0]), 1.0, "triangular").tolist()
    [0.0, 0.5, 1.0, 0.0]
    """
    if kernel not in KERNELS:
        raise UsageError("bad_choice", f"there is no kernel {kernel!r}; use {', '.join(KERNELS)}")
    u = np.abs(distance) / bandwidth
    if kernel == "uniform":
        return np.asarray(u <= 1, np.float64)
    return np.maximum(1 - u, 0.0) if kernel == "triangular" else np.maximum(1 - u * u, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Half:
    """Be the rows of one side within the bandwidth: their positions, scaled distances from the line, kernel weights."""

    rows: npt.NDArray[np.intp]
    t: Array
    kernel: Array

    def fit(self, weight: Array, values: Array, order: int, scale: float) -> Polynomial:
        """Fit a polynomial in the distance by weighted least squares."""
        w, y, t = weight[self.rows] * self.kernel, values[self.rows], self.t
        powers = [np.ones(len(t))]
        for _ in range(order):
            powers.append(powers[-1] * t)
        # Moments instead of a matrix of regressors: ten million rows need no more than a few columns.
        moments = [float(w @ one) for one in powers]
        moments += [float((w * powers[-1]) @ one) for one in powers[1:]]
        gram = np.array([[moments[i + j] for j in range(order + 1)] for i in range(order + 1)])
        # Fewer different distances than coefficients: nothing is determined.
        if not moments[0] > 0 or np.linalg.cond(gram) > 1e13:
            return Polynomial(np.full(order + 1, np.nan), None, self, values, scale)
        inverse = np.linalg.inv(gram)
        beta = inverse @ np.array([float((w * y) @ one) for one in powers])
        return Polynomial(beta, inverse, self, values, scale)

    def used(self, weight: Array) -> int:
        """Count the rows with a weight above zero."""
        return int(np.count_nonzero(weight[self.rows]))


@dataclass(frozen=True, slots=True, eq=False)
class Polynomial:
    """Be one side's fit: coefficients in scaled distance, and what their influence is made of."""

    beta: Array
    inverse: Array | None
    half: Half
    values: Array
    scale: float

    def coefficient(self, power: int, correction: float, rows: int) -> Quantity:
        """Give the coefficient of distance^power in the units of the data, with its influence.

        The derivative of weighted least squares with respect to the weight of row i is (X'WX)^-1 x_i k_i e_i.
        """
        unit = self.scale**-power
        if self.inverse is None:
            return Quantity(math.nan)
        row_of = self.inverse[power] * (unit * correction)

        def influence() -> Array:
            half = self.half
            scores = half.kernel * (self.values[half.rows] - np.polynomial.polynomial.polyval(half.t, self.beta))
            scores *= np.polynomial.polynomial.polyval(half.t, row_of)
            out = np.zeros(rows)
            out[half.rows] = scores
            return out

        return Quantity(float(self.beta[power]) * unit, ((1.0, Base(influence)),))

    def at(self, distance: Array) -> Array:
        """Give the fitted values at distances from the line."""
        return np.asarray(np.polynomial.polynomial.polyval(distance / self.scale, self.beta), np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Be the rows near a line, ready to be fitted on both sides with one kernel, bandwidth and order."""

    below: Half
    above: Half
    order: int
    scale: float

    @classmethod
    def of(cls, distance: Array, below: Bools, *, kernel: Kernel, bandwidth: float, order: int) -> Window:
        """Choose the rows with a kernel weight above zero, and scale their distances."""
        weights = kernel_weights(distance, bandwidth, kernel)
        inside = weights > 0
        scale = float(np.abs(distance[inside]).max(initial=0.0)) or 1.0

        def half(side: Bools) -> Half:
            rows = np.flatnonzero(inside & side)
            return Half(rows, distance[rows] / scale, weights[rows])

        return cls(half(below), half(~below), order, scale)

    def fit(self, weight: Array, values: Array, structure: Structure) -> Fit:
        """Fit both sides; the errors get the factor n/(n-k) of HC1, or its like for clusters."""
        k = 2 * (self.order + 1)
        n = self.below.used(weight) + self.above.used(weight)
        sides = [half.fit(weight, values, self.order, self.scale) for half in (self.below, self.above)]
        return Fit(sides[0], sides[1], _small_sample(n, k, structure), len(weight))


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """Be the fitted polynomials below and above a line."""

    below: Polynomial
    above: Polynomial
    correction: float
    rows: int

    def level(self, side: Literal["below", "above"]) -> Quantity:
        """Give the limit at the line from one side."""
        return self.coefficient(side, 0)

    def coefficient(self, side: Literal["below", "above"], power: int) -> Quantity:
        """Give one coefficient of one side, in the units of the data."""
        return (self.below if side == "below" else self.above).coefficient(power, self.correction, self.rows)


def _small_sample(n: int, k: int, structure: Structure) -> float:
    """Give the factor on influences that makes errors HC1 (rows) or CR1 (clusters, (n-1)/(n-k) as Stata).

    The design's variance has N/(N-1) already, N rows or clusters of the whole sample; for rows it is taken back, so
    that a window gives what a regression on its rows alone gives.
    """
    if n <= k:
        return math.nan
    if structure.cluster is None and structure.strata == 1:
        return math.sqrt(n / (n - k) * (structure.size - 1) / structure.size)
    return math.sqrt((n - 1) / (n - k))


# Bandwidths


def edge_constant(kernel: Kernel) -> float:
    """Give the constant of the best bandwidth of a local line at an edge: 3.4375 for the triangular kernel.

    (C2 / (4 C1))^(1/5) of Imbens and Kalyanaraman (2012), with bandwidths as half widths.

    >>> round(edge_constant("triangular"), 4), round(edge_constant("uniform"), 4)
    (3.4375, 2.7019)
    """
    u = (np.arange(20_000) + 0.5) / 20_000
    k = kernel_weights(u, 1.0, kernel)
    # Kernels integrate to one over both sides.
    k = k / (2 * k.mean())
    nu = [float((u**j * k).mean()) for j in range(4)]
    pi = [float((u**j * k * k).mean()) for j in range(3)]
    span = nu[2] * nu[0] - nu[1] ** 2
    bias = ((nu[2] ** 2 - nu[1] * nu[3]) / span) ** 2 / 4
    noise = (nu[2] ** 2 * pi[0] - 2 * nu[1] * nu[2] * pi[1] + nu[1] ** 2 * pi[2]) / span**2
    return float((noise / (4 * bias)) ** 0.2)


def rule_of_thumb(distance: Array, values: Array, below: Bools, kernel: Kernel) -> float:
    """Choose a bandwidth by the rule of thumb of Fan and Gijbels (1996, section 4.2), a quartic on each side.

    h = C [s^2 range / sum of m''(x)^2]^(1/5), the mean of both sides. NaN where a side has too few different points.
    """
    constant = edge_constant(kernel)
    found = [quartic_bandwidth(distance[side], values[side], constant) for side in (below, ~below)]
    return float(np.mean(found))


def quartic_bandwidth(x: Array, y: Array, constant: float) -> float:
    """Give one side's rule of thumb: the constant times [s^2 range / sum of m''(x)^2]^(1/5) of a fitted quartic."""
    if len(np.unique(x)) < 6:
        return math.nan
    low, high = float(x.min()), float(x.max())
    reach = high - low
    z = (x - low) / reach
    powers = np.vander(z, 5, increasing=True)
    beta, *_ = np.linalg.lstsq(powers, y, rcond=None)
    off = y - powers @ beta
    noise = float(off @ off) / max(len(x) - 5, 1)
    bend = np.polynomial.polynomial.polyval(z, [2 * beta[2], 6 * beta[3], 12 * beta[4]]) / reach**2
    curved = float(bend @ bend)
    if not curved > 0 or not noise > 0:
        return reach
    return min(float(constant * (noise * reach / curved) ** 0.2), reach)


def imbens_kalyanaraman(distance: Array, values: Array, below: Bools, kernel: Kernel) -> float:
    """Choose the bandwidth of Imbens and Kalyanaraman (2012, section 4.2) for the jump of a local line.

    Density and variances at the line from a pilot window of 1.84 s n^(-1/5); third derivative from a cubic with a jump;
    second derivatives from quadratics on each side; regularised. NaN where a side has too few points.
    """
    n, spread = len(distance), float(distance.std(ddof=1)) if len(distance) > 1 else 0.0
    pilot = 1.84 * spread * n**-0.2
    near = np.abs(distance) <= pilot
    sides = (below, ~below)
    if min(int((near & side).sum()) for side in sides) < 3:
        return math.nan
    density = float(near.sum()) / (2 * n * pilot)
    noise = [float(values[near & side].var(ddof=1)) for side in sides]
    x = distance / spread
    cubic = np.column_stack([np.ones(n), ~below, x, x**2, x**3])
    third = 6 * float(np.linalg.lstsq(cubic, values, rcond=None)[0][4]) / spread**3
    bends, slack = [], 0.0
    for side, s2 in zip(sides, noise, strict=True):
        reach = float(np.abs(distance[side]).max())
        wide = reach
        if third and s2 > 0:
            wide = min(reach, 3.56 * (s2 / (density * third**2)) ** (1 / 7) * int(side.sum()) ** (-1 / 7))
        rows = side & (np.abs(distance) <= wide)
        if len(np.unique(distance[rows])) < 3:
            return math.nan
        square = np.vander(distance[rows] / wide, 3, increasing=True)
        bends.append(2 * float(np.linalg.lstsq(square, values[rows], rcond=None)[0][2]) / wide**2)
        slack += 2160 * s2 / (int(rows.sum()) * wide**4)
    below_line = density * ((bends[1] - bends[0]) ** 2 + slack)
    if not below_line > 0 or not sum(noise) > 0:
        return float(np.abs(distance).max())
    return float(edge_constant(kernel) * (sum(noise) / below_line) ** 0.2 * n**-0.2)


# Density


@dataclass(frozen=True, slots=True, eq=False)
class Heaping:
    """Be McCrary's (2008) look at the density of a running variable on both sides of a line.

    The histogram's heights at the line are local linear fits with a triangular kernel; these are fixed sums of weights,
    so the log difference is a smooth function of totals and its error follows from the design.
    """

    shares: tuple[Array, Array]
    width: float
    bandwidth: float

    @classmethod
    def of(cls, distance: Array, below: Bools, weight: Array, bandwidth: float | None = None) -> Heaping | None:
        """Bin the distances with McCrary's width, 2 s n^(-1/2), and choose his bandwidth; None if too few bins."""
        seen = weight > 0
        n = int(seen.sum())
        if n < 10:
            return None
        width = 2 * float(distance[seen].std(ddof=1)) * n**-0.5
        if not width > 0 or float(np.ptp(distance)) / width > MOST_BINS:
            return None
        bins = np.floor(distance / width).astype(np.int64)
        # The line itself is a border of bins: a row exactly there belongs to its own side.
        bins[below] = np.ceil(distance[below] / width).astype(np.int64) - 1
        lowest, highest = int(bins[seen].min()), int(bins[seen].max())
        if lowest >= 0 or highest < 0:
            return None
        places = np.arange(lowest, highest + 1)
        centres = (places + 0.5) * width
        heights = np.bincount(bins[seen] - lowest, weight[seen], minlength=len(places)) / (weight.sum() * width)
        if bandwidth is None:
            # 3.348 is McCrary's own constant (2008, section 3.2).
            found = [quartic_bandwidth(centres[side], heights[side], 3.348) for side in (places < 0, places >= 0)]
            bandwidth = float(np.mean(found))
        if not bandwidth > width:
            return None
        parts = []
        for side in (places < 0, places >= 0):
            by_bin = np.where(side, _line_at_edge(np.where(side, centres, np.inf), bandwidth), 0.0)
            parts.append(np.where(seen, by_bin[np.clip(bins - lowest, 0, len(places) - 1)], 0.0) / width)
        return cls((parts[0], parts[1]), width, bandwidth)

    def log_difference(self, weight: Array) -> Quantity:
        """Give ln f(above) - ln f(below) at the line; NaN where a fitted density is not above zero."""
        people = count(weight)
        below, above = (total(weight, share) / people for share in self.shares)
        return above.log() - below.log()


def _line_at_edge(centres: Array, bandwidth: float) -> Array:
    """Give the weight of each bin in a local linear fit at zero, triangular kernel."""
    k = np.maximum(1 - np.abs(centres) / bandwidth, 0.0)
    x = np.where(k > 0, centres, 0.0)
    s0, s1, s2 = float(k.sum()), float(k @ x), float(k @ (x * x))
    span = s0 * s2 - s1 * s1
    if not span > 0:
        return np.full(len(centres), np.nan)
    return np.asarray(k * (s2 - s1 * x) / span, np.float64)
