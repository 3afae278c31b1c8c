"""Work out how the payments of a pool are spread: claims by number and size, by Fourier, with its error under control.

Number of claims: Poisson, or negative binomial where a place has a shock of its own. Size of a claim: lognormal, with a
Pareto tail on request, or a table of one's own. A shock that all share multiplies everything.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from medfloor.errors import InputError, UsageError
from medfloor.sparing import ready

special, fft = ready("scipy.special"), ready("scipy.fft")

Array = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]

TOLERANCE = 1e-5
"""How far a probability may be off where nothing else is asked."""

_FEW = 64.0
"""Below so many expected claims the sum has a visible jump at zero, and is worked out on a lattice, not by cosines."""

_PANEL = 16
_MOST_TERMS = 2**16
_MOST_CELLS = 2**22
_MOST_LEVELS = 5
_BEYOND = 9.0
_LEAST_TAIL = 1e-10
_NO_SHOCK = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Severity:
    """Be the size of a claim: lognormal (`sigma` of its log, `scale` its median), a Pareto tail, or values and weights.

    The tail holds the share `tail_share` of claims, from `threshold` on, with exponent `alpha`. `values` and `weights`
    are empty where the size is not a table.
    """

    scale: float
    sigma: float
    tail_share: float
    alpha: float
    threshold: float
    values: Array
    weights: Array

    def nodes(self, panels: int) -> tuple[Array, Array]:
        """Give sizes and their weights, so that means over claims become sums; more panels, finer."""
        if len(self.values):
            return self.values, self.weights
        top = float(special.ndtri(1 - self.tail_share)) if self.tail_share else _BEYOND + 2 * self.sigma
        places, widths = _panels(-_BEYOND, top, panels)
        values, weights = self.scale * np.exp(self.sigma * places), widths * np.exp(-(places**2) / 2)
        weights *= (1 - self.tail_share) / weights.sum()
        if self.tail_share:
            # Beyond the threshold the log of the size is exponential; 40 mean lengths leave less than 1e-17 of them.
            places, widths = _panels(0.0, 40 / self.alpha, panels)
            beyond = widths * np.exp(-self.alpha * places)
            values = np.concatenate([values, self.threshold * np.exp(places)])
            weights = np.concatenate([weights, self.tail_share * beyond / beyond.sum()])
        return values, weights

    def mean(self) -> float:
        """Give the mean size."""
        values, weights = self.nodes(256)
        return float(values @ weights)

    def second(self) -> float:
        """Give the mean of the squared size."""
        values, weights = self.nodes(256)
        return float(values**2 @ weights)

    def below(self, size: Array) -> Array:
        """Give the share of claims of at most a size."""
        if len(self.values):
            order = np.argsort(self.values)
            whole = np.concatenate([[0.0], np.cumsum(self.weights[order])])
            return whole[np.searchsorted(self.values[order], size, side="right")]
        with np.errstate(divide="ignore"):
            body = special.ndtr(np.log(np.maximum(size, 0.0) / self.scale) / self.sigma)
        if not self.tail_share:
            return np.asarray(body, dtype=float)
        tail = 1 - self.tail_share * (np.maximum(size, self.threshold) / self.threshold) ** -self.alpha
        return np.where(size < self.threshold, body, tail)

    def drawn(self, many: int, rng: np.random.Generator) -> Array:
        """Draw sizes at random."""
        if len(self.values):
            return np.asarray(rng.choice(self.values, many, p=self.weights), dtype=float)
        if not self.tail_share:
            return self.scale * np.exp(self.sigma * rng.standard_normal(many))
        chance = rng.random(many)
        body = self.scale * np.exp(self.sigma * special.ndtri(np.minimum(chance, 1 - self.tail_share)))
        tail = self.threshold * (np.maximum(1 - chance, 1e-300) / self.tail_share) ** (-1 / self.alpha)
        return np.where(chance < 1 - self.tail_share, body, tail)


@dataclass(frozen=True, slots=True, eq=False)
class Risk:
    """Be one place's risk: members, claims a member and year, their size, the spread of a shock of its own.

    `own` is the coefficient of variation of a gamma factor on the number of claims: above 0 it is negative binomial.
    """

    members: int
    frequency: float
    severity: Severity
    own: float = 0.0

    @property
    def expected(self) -> float:
        """Give the expected number of claims."""
        return self.members * self.frequency

    def moments(self) -> tuple[float, float]:
        """Give mean and variance of the year's payments."""
        claims, mean = self.expected, self.severity.mean()
        return claims * mean, claims * self.severity.second() + (self.own * claims * mean) ** 2


@dataclass(frozen=True, slots=True, eq=False)
class Losses:
    """Be the distribution of a pool's payments in a year: `below` is the probability of at most `grid`, yuan.

    Both are of payments before the shock that all share: a gamma factor of mean 1 whose coefficient of variation is
    `common`; `mean` and `sd` are with it. `error` is the largest change of a probability at the last refinement, or a
    tenth of the miss of the mean in standard deviations, whichever is greater. `way` is cosines or lattice, `terms` how
    many cells the grid has.
    """

    grid: Array
    below: Array
    common: float
    mean: float
    sd: float
    error: float
    way: str
    terms: int

    def exceeds(self, amount: float) -> float:
        """Give the probability that payments exceed an amount."""
        if self.common < _NO_SHOCK:
            return float(1 - np.interp(amount, self.grid, self.below, left=0.0, right=1.0))
        if amount < 0:
            return 1.0
        shape = self.common**-2
        mass = np.diff(self.below)
        kept = mass > 1e-15
        middle = ((self.grid[1:] + self.grid[:-1]) / 2)[kept]
        # Below a billionth of the amount, no shock reaches it.
        over = special.gammaincc(shape, shape * amount / np.maximum(middle, amount * 1e-9 + 1e-9))
        start = special.gammaincc(shape, shape * amount / self.grid[0]) if self.grid[0] > 0 else 0.0
        return float(min(1.0, mass[kept] @ over + self.below[0] * start))

    def quantiles(self, shares: Array) -> Array:
        """Give quantiles of payments before the shock that all share."""
        return np.interp(shares, self.below, self.grid)


def lognormal(mean: float, cv: float, *, tail_share: float = 0.0, alpha: float = 2.5) -> Severity:
    """Make the size of claims from its mean and its coefficient of variation.

    With `tail_share` the largest claims, that share of all, follow a Pareto law with exponent `alpha` instead; `cv` is
    then of the lognormal before that, and the mean is met all the same.

    Raises UsageError bad_severity for what no distribution has; alpha must exceed 2, or the spread is not finite.

    >>> round(lognormal(7674, 1.8).mean(), 6), round(lognormal(7674, 1.8, tail_share=0.01).mean(), 6)
    (7674.0, 7674.0)
    """
    if not (math.isfinite(mean) and mean > 0):
        raise UsageError("bad_severity", f"a mean claim of {mean:g} yuan is impossible; give one above zero")
    if not 0.01 <= cv <= 20:
        raise UsageError("bad_severity", f"a coefficient of variation of {cv:g} is impossible; give 0.01 to 20")
    if not 0 <= tail_share <= 0.5:
        raise UsageError("bad_severity", f"a tail of {tail_share:g} of the claims is impossible; give 0 to 0.5")
    if tail_share and not 2 < alpha <= 100:
        raise UsageError("bad_severity", f"a tail with exponent {alpha:g} has no finite spread; give above 2, to 100")
    sigma = math.sqrt(math.log1p(cv**2))
    threshold = math.exp(sigma * float(special.ndtri(1 - tail_share))) if tail_share else math.inf
    none = np.zeros(0)
    raw = Severity(1.0, sigma, tail_share, alpha, threshold, none, none)
    scale = mean / raw.mean()
    return Severity(scale, sigma, tail_share, alpha, threshold * scale, none, none)


def empirical(values: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> Severity:
    """Make the size of claims from sizes that were seen; claims of zero are none.

    More than 50,000 different sizes are joined into 20,000 neighbours by rank, each with its mean.

    Raises InputError bad_claims for a size that is no number or below zero, or where none is above zero.

    >>> empirical([100.0, 300.0]).mean()
    200.0
    """
    given = np.asarray(values, dtype=float).ravel()
    heavy = np.ones(len(given)) if weights is None else np.asarray(weights, dtype=float).ravel()
    if len(heavy) != len(given) or not np.isfinite(given).all() or (given < 0).any() or (heavy < 0).any():
        raise InputError("bad_claims", "a size or weight of a claim is no number, or below zero; mend or drop the row")
    kept = (given > 0) & (heavy > 0)
    if not kept.any():
        raise InputError("bad_claims", "no claim is above zero; the size of claims cannot be told from them")
    sizes, place = np.unique(given[kept], return_inverse=True)
    mass = np.bincount(place, weights=heavy[kept])
    if len(sizes) > 50_000:
        group = np.minimum((20_000 * np.cumsum(mass) / mass.sum()).astype(int), 19_999)
        joined = np.bincount(group, weights=mass)
        sizes = np.bincount(group, weights=mass * sizes)[joined > 0] / joined[joined > 0]
        mass = joined[joined > 0]
    return Severity(math.nan, math.nan, 0.0, math.nan, math.inf, sizes, mass / mass.sum())


def risk(members: float, frequency: float, severity: Severity, *, own: float = 0.0) -> Risk:
    """Make a place's risk, checked.

    Raises UsageError bad_pool for members, claims a member or a shock that cannot be.
    """
    if not (math.isfinite(members) and 1 <= members <= 2e9 and members == int(members)):
        raise UsageError("bad_pool", f"{members:g} members are impossible; give a whole number from 1 to 2,000,000,000")
    if not (math.isfinite(frequency) and 0 < frequency <= 1000):
        raise UsageError("bad_pool", f"{frequency:g} claims a member are impossible; give above 0, to 1,000")
    _check_shock(own)
    return Risk(int(members), frequency, severity, own)


def losses(
    risks: Sequence[Risk], *, common: float = 0.0, tolerance: float = TOLERANCE, terms: int | None = None
) -> Losses:
    """Work out the distribution of what a pool of places pays in a year; places are independent but for `common`.

    The characteristic function of the sum is exact up to the quadrature over sizes; it is inverted by a series of
    cosines (Fang and Oosterlee 2008, equation 11), or for few claims on a lattice by the fast Fourier transform.
    Range, terms and quadrature are refined together until no probability moves by more than `tolerance`, and the mean
    is met to ten times that in standard deviations (of a table's few sizes, steps may shift by a cell).
    With `terms` nothing is refined: the grid is taken as it is, and refused where it is too coarse.

    Raises UsageError coarse_grid where the tolerance is not met, bad_shock, bad_tolerance, no_places.

    >>> village = losses([risk(1_000, 0.207, lognormal(7674, 1.8))])
    >>> round(village.exceeds(1.02 * village.mean), 3)
    0.412
    """
    if not risks:
        raise UsageError("no_places", "there is no place to pool; name at least one")
    if not 1e-9 <= tolerance <= 0.01:
        raise UsageError("bad_tolerance", f"a tolerance of {tolerance:g} is impossible; give 1e-9 to 0.01")
    if terms is not None and not 8 <= terms <= _MOST_CELLS:
        raise UsageError("bad_tolerance", f"{terms:,} terms are impossible; give 8 to {_MOST_CELLS:,}")
    _check_shock(common)
    few = min(one.expected for one in risks) < _FEW and sum(one.expected for one in risks) < _FEW
    invert = _lattice if few else _cosines
    levels = range(_MOST_LEVELS) if terms is None else range(2)
    last, error = None, math.inf
    for level in levels:
        made = invert(risks, level, None if terms is None else terms * 2**level)
        if made is None:
            break
        if last is not None:
            error = max(_moved(last, made, risks, shift=few), _missed(made, risks) / 10)
            if error <= tolerance:
                break
        last = made
    if made is None or not error <= tolerance:
        raise UsageError(
            "coarse_grid",
            f"the distribution of the payments is known to {error:.1g} only, and {tolerance:.1g} was asked; "
            + (
                "raise the tolerance, or lower the spread of claims"
                if terms is None
                else "leave terms out, or raise it"
            ),
        )
    grid, below = made
    mean = sum(one.moments()[0] for one in risks)
    square = sum(one.moments()[1] for one in risks) + mean**2
    sd = math.sqrt(square * (1 + common**2) - mean**2)
    below = np.clip(np.maximum.accumulate(below), 0.0, 1.0)
    return Losses(grid, below, common, mean, sd, error, "lattice" if few else "cosines", len(grid) - 1)


def simulate_losses(risks: Sequence[Risk], *, draws: int, rng: np.random.Generator, common: float = 0.0) -> Array:
    """Draw what a pool pays in a year, claim by claim: the check on `losses`, and independent of it.

    Where that would be more than 30 million claims, claims are drawn by the number in each of some 500 bins of size,
    finer towards the largest; a bin pays its mean.

    Raises UsageError bad_draws, bad_shock, no_places.
    """
    if not risks:
        raise UsageError("no_places", "there is no place to pool; name at least one")
    if not 2 <= draws <= 10_000_000:
        raise UsageError("bad_draws", f"{draws:,} draws are impossible; give 2 to 10,000,000")
    _check_shock(common)
    total = np.zeros(draws)
    for one in risks:
        factor = rng.gamma(one.own**-2, one.own**2, draws) if one.own else np.ones(draws)
        if one.expected * draws <= 3e7:
            counts = rng.poisson(one.expected * factor)
            sizes = one.severity.drawn(int(counts.sum()), rng)
            total += np.bincount(np.repeat(np.arange(draws), counts), weights=sizes, minlength=draws)
        else:
            for size, weight in zip(*_bins(one.severity), strict=True):
                total += size * rng.poisson(one.expected * weight * factor)
    return total * (rng.gamma(common**-2, common**2, draws) if common else 1.0)


def _check_shock(cv: float) -> None:
    if not 0 <= cv <= 1:
        raise UsageError("bad_shock", f"a shock with a coefficient of variation of {cv:g} is impossible; give 0 to 1")


@functools.cache
def _gauss() -> tuple[Array, Array]:
    places, weights = np.polynomial.legendre.leggauss(_PANEL)
    return places, weights


def _panels(low: float, high: float, panels: int) -> tuple[Array, Array]:
    """Give nodes and weights of Gauss and Legendre on panels of one width."""
    places, weights = _gauss()
    edges = np.linspace(low, high, panels + 1)
    half = (high - low) / panels / 2
    return (edges[:-1, None] + half * (1 + places)).ravel(), np.tile(half * weights, panels)


def _cosines(risks: Sequence[Risk], level: int, terms: int | None) -> tuple[Array, Array] | None:
    """Invert by cosines between mean - L sd and mean + L sd; None where the series does not end."""
    mean = sum(one.moments()[0] for one in risks)
    sd = math.sqrt(sum(one.moments()[1] for one in risks))
    reach = 12.0 * 2**level
    # The range begins below zero where it can, so that what is periodic does not fold upon the claims themselves.
    low, high = max(mean - reach * sd, -2 * sd), mean + reach * sd
    step = math.pi / (high - low)
    many = terms or 512
    while True:
        found = _exponents(risks, step, many, min(64 * 2**level, 256))
        wave = np.exp(found - 1j * step * low * np.arange(many))
        if terms is not None or np.abs(wave[-8:]).max() < _LEAST_TAIL:
            break
        if many >= _MOST_TERMS:
            return None
        many *= 2
    order = np.arange(1, many)
    # A thousand cells a standard deviation, so that straight lines between them err by less than a ten millionth.
    cells = max(4 * many, 2 ** math.ceil(math.log2(1000 * (high - low) / sd)))
    padded = np.zeros(cells - 1)
    padded[: many - 1] = 2 / (high - low) * wave[1:].real / (order * step)
    share = np.arange(cells + 1) / cells
    below = share * wave[0].real
    # A discrete sine transform of type I is twice the sum of sines at the inner points.
    below[1:-1] += fft.dst(padded, type=1) / 2
    return low + share * (high - low), below


def _exponents(risks: Sequence[Risk], step: float, many: int, panels: int) -> Complex:
    """Give the log of the characteristic function of the sum at step x (0 .. many - 1)."""
    found = np.zeros(many, dtype=complex)
    for one in risks:
        values, weights = one.severity.nodes(panels)
        lift = one.expected * (_characteristic(values, weights, step, many) - 1)
        found += _number(one, lift)
    return found


def _number(one: Risk, lift: Complex) -> Complex:
    """Put the number of claims around the size: Poisson, or negative binomial with a shock of its own."""
    return np.asarray(
        -np.log1p(-(one.own**2) * lift) / one.own**2 if one.own > _NO_SHOCK else lift, dtype=np.complex128
    )


def _characteristic(values: Array, weights: Array, step: float, many: int) -> Complex:
    """Give the mean of exp(i u x) at u = step x (0 .. many - 1), by powers of one column."""
    block = math.ceil(math.sqrt(many))
    found = np.zeros((block, block), dtype=complex)
    for start in range(0, len(values), 4096):
        x, w = values[start : start + 4096], weights[start : start + 4096]
        turn, rest = np.exp(1j * step * block * x), np.exp(1j * step * x)
        # exp(i u x) at row a and column b is turn ** a * rest ** b; each power is the one before times one factor.
        rows = np.multiply.accumulate(np.vstack([w.astype(complex), np.tile(turn, (block - 1, 1))]), axis=0)
        columns = np.multiply.accumulate(np.vstack([np.ones_like(turn), np.tile(rest, (block - 1, 1))]), axis=0)
        found += rows @ columns.T
    return found.ravel()[:many]


def _lattice(risks: Sequence[Risk], level: int, terms: int | None) -> tuple[Array, Array] | None:
    """Invert on a lattice from zero on; None where it would have too many cells."""
    smallest = min(one.severity.mean() for one in risks)
    mean = sum(one.moments()[0] for one in risks)
    sd = math.sqrt(sum(one.moments()[1] for one in risks))
    reach = mean + 12 * sd
    while sum(one.expected * float(1 - one.severity.below(np.array([reach / 2]))[0]) for one in risks) > 1e-8:
        reach *= 1.5
    cells = terms or 2 ** max(6, math.ceil(math.log2(reach / smallest * 32 * 2**level)))
    if cells > _MOST_CELLS:
        return None
    # Cell j holds payments between j - 1/2 and j + 1/2 steps; its probability is told at its upper edge.
    step = reach / cells
    edges = (np.arange(cells) + 0.5) * step
    found = np.zeros(cells // 2 + 1, dtype=complex)
    for one in risks:
        share = _cells(one.severity, edges, step)
        found += _number(one, one.expected * (fft.rfft(share) - share.sum()))
    mass = fft.irfft(np.exp(found), cells)
    return np.concatenate([[-step / 2], edges]), np.concatenate([[0.0], np.cumsum(mass)])


def _cells(severity: Severity, edges: Array, step: float) -> Array:
    """Put sizes on the lattice: by the share between edges; a table's are split, so that its mean is kept."""
    if not len(severity.values):
        return np.diff(np.concatenate([[0.0], severity.below(edges)]))
    place = np.minimum(severity.values / step, len(edges) - 1.000001)
    lower = place.astype(int)
    above = place - lower
    share = np.bincount(lower, weights=severity.weights * (1 - above), minlength=len(edges))
    share += np.bincount(lower + 1, weights=severity.weights * above, minlength=len(edges))
    return np.asarray(share, dtype=np.float64)


def _moved(before: tuple[Array, Array], after: tuple[Array, Array], risks: Sequence[Risk], *, shift: bool) -> float:
    """Give how far probabilities moved between two levels, at sixty points around the mean."""
    mean = sum(one.moments()[0] for one in risks)
    sd = math.sqrt(sum(one.moments()[1] for one in risks))
    points = mean + sd * np.linspace(-4, 8, 61)
    by = 2 * float(before[0][2] - before[0][1]) if shift and any(len(one.severity.values) for one in risks) else 0.0
    new = np.interp(points, *after)
    moved = float(
        max((np.interp(points - by, *before) - new).max(), (new - np.interp(points + by, *before)).max(), 0.0)
    )
    # Probabilities never fall, and come to one; a grid that is too coarse breaks this first.
    falls = float(max(0.0, -np.diff(after[1]).min()))
    return max(0.0, moved, falls, abs(float(after[1][-1]) - 1))


def _missed(made: tuple[Array, Array], risks: Sequence[Risk]) -> float:
    """Give how far the mean of the distribution is from the mean of the claims, in standard deviations."""
    mean = sum(one.moments()[0] for one in risks)
    sd = math.sqrt(sum(one.moments()[1] for one in risks))
    grid, below = made
    found = float(grid[-1] - np.trapezoid(below, grid))
    return abs(found - mean) / sd


def _bins(severity: Severity) -> tuple[Array, Array]:
    """Join sizes into some 500 bins with their means: 300 of one share, then ever finer ones for the largest."""
    values, weights = severity.nodes(1024)
    order = np.argsort(values)
    values, weights = values[order], weights[order]
    edges = np.concatenate([np.linspace(0, 0.99, 300), 1 - np.geomspace(0.01, 1e-9, 200)[1:]])
    group = np.searchsorted(edges, np.cumsum(weights) - weights / 2)
    mass = np.bincount(group, weights=weights)
    sums = np.bincount(group, weights=weights * values)
    return np.asarray(sums[mass > 0] / mass[mass > 0]), np.asarray(mass[mass > 0], dtype=np.float64)


def ruin_by_size(
    sizes: Sequence[int], frequency: float, severity: Severity, *, lines: Sequence[float], common: float = 0.0
) -> tuple[Array, Array]:
    """Give the spread by pool size, and the probability to pay beyond 1 + line of what is expected.

    Spread is the coefficient of variation. Shapes: 2 x sizes, and 2 x sizes x lines; first random claims alone, then
    with the shock that all share. Raises what `losses` and `risk` raise, and UsageError bad_lines.
    """
    if not lines or any(not (math.isfinite(one) and 0 < one <= 5) for one in lines):
        raise UsageError("bad_lines", f"{list(lines)} are no lines above what is expected; give some from 0 to 5")
    _check_shock(common)
    spread, found = np.zeros((2, len(sizes))), np.zeros((2, len(sizes), len(lines)))
    for place, size in enumerate(sizes):
        alone = losses([risk(size, frequency, severity)])
        sd = math.sqrt((alone.sd**2 + alone.mean**2) * (1 + common**2) - alone.mean**2)
        for row, made in enumerate((alone, replace(alone, common=common, sd=sd))):
            spread[row, place] = made.sd / made.mean
            found[row, place] = [made.exceeds((1 + line) * made.mean) for line in lines]
    return spread, found
