"""Part an effect into the path through a mediator and the rest, by products of least-squares coefficients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from medfloor.errors import UsageError

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

RHO = tuple(round(-0.95 + 0.05 * step, 2) for step in range(39))
"""The correlations between the errors of mediator and outcome under which the mediated effect is told."""

_MOST_COUNTS = 4_000_000
"""How many counts of clusters in draws are held at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Be the columns of a mediation, effects of units taken out: treatment, mediator, outcome, and what is held fixed.

    `held` has a constant (where no effects are taken out), covariates and waves, none made up by others. `cluster` has
    the code 0..G-1 of each row, `weight` has the mean 1. `absorbed` counts effects of units, `nested` says that units
    lie within clusters.
    """

    treatment: Floats
    mediator: Floats
    outcome: Floats
    held: Floats
    weight: Floats
    cluster: Ints
    absorbed: int
    nested: bool

    @property
    def rows(self) -> int:
        """Count the rows."""
        return len(self.outcome)

    @property
    def groups(self) -> int:
        """Count the clusters."""
        return int(self.cluster.max()) + 1


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """Be one regression: coefficients of the columns asked for first, their covariance, and each row's influence."""

    beta: Floats
    vcov: Floats
    influence: Floats
    residual: Floats
    factor: float


def line(columns: Columns, y: Floats, x: list[Floats], errors: str) -> Line:
    """Regress y on x and on what is held fixed, by weighted least squares; give only the coefficients of x.

    `errors`: "iid"; "ml" (the same with n in place of n - K, as programs of structural equations print them); "hc1";
    "hc3"; "cluster", enlarged by G/(G-1) (n-1)/(n-K), where effects of units nested in clusters do not count in K.
    """
    design = np.column_stack([*x, columns.held])
    root = np.sqrt(columns.weight)
    scale = np.sqrt(((design * root[:, None]) ** 2).mean(axis=0))
    scale[scale == 0] = 1.0
    z = design / scale
    gram = z.T @ (z * columns.weight[:, None])
    inverse = np.linalg.pinv(gram, hermitian=True)
    slope = inverse @ (z.T @ (columns.weight * y))
    residual = y - z @ slope
    n, k = columns.rows, design.shape[1]
    free = n - k - columns.absorbed
    if free < 1:
        raise UsageError("not_estimable", f"{n} rows are too few for {k + columns.absorbed} coefficients and effects")
    scores = (columns.weight * residual)[:, None] * z
    if errors in ("iid", "ml"):
        variance = float((columns.weight * residual**2).sum()) / (n if errors == "ml" else free)
        covariance, factor = inverse * variance, 1.0
    elif errors == "cluster":
        sums = np.column_stack([np.bincount(columns.cluster, one, columns.groups) for one in scores.T])
        counted = k + (1 if columns.absorbed and columns.nested else columns.absorbed)
        factor = columns.groups / (columns.groups - 1) * (n - 1) / (n - counted)
        covariance = inverse @ (sums.T @ sums) @ inverse * factor
    else:
        factor = n / free
        if errors == "hc3":
            leverage = columns.weight * np.einsum("ij,jk,ik->i", z, inverse, z)
            scores, factor = scores / np.maximum(1 - leverage, 1e-12)[:, None], 1.0
        covariance = inverse @ (scores.T @ scores) @ inverse * factor
    own = len(x)
    influence = (scores @ inverse / scale)[:, :own]
    return Line((slope / scale)[:own], (covariance / np.outer(scale, scale))[:own, :own], influence, residual, factor)


@dataclass(frozen=True, slots=True, eq=False)
class Paths:
    """Be the paths of a mediation, one value a draw (or one): everything follows from five numbers.

    `a` is the effect of the treatment on the mediator, `total` that on the outcome; `s1` and `s2` are the deviations of
    what is left of outcome and mediator once treatment and covariates are taken out, and `rho` their correlation.
    """

    a: Floats
    total: Floats
    s1: Floats
    s2: Floats
    rho: Floats

    @property
    def b(self) -> Floats:
        """Give the effect of the mediator on the outcome, the treatment held fixed."""
        return np.asarray(self.rho * self.s1 / self.s2)

    @property
    def indirect(self) -> Floats:
        """Give the effect through the mediator, a b."""
        return np.asarray(self.a * self.b)

    @property
    def direct(self) -> Floats:
        """Give the effect that does not go through the mediator: the total less the indirect, in linear models."""
        return np.asarray(self.total - self.indirect)

    def under(self, rho: float) -> Floats:
        """Give the indirect effect if the errors of mediator and outcome had a correlation of rho.

        a s1/s2 [r - rho sqrt((1 - r^2) / (1 - rho^2))] with r the correlation `rho` of this record; it is zero at
        rho = r. Source: Imai, Keele and Yamamoto (2010, Statistical Science 25, theorem 4).
        """
        own = np.clip(self.rho, -1, 1)
        return np.asarray(self.a * self.s1 / self.s2 * (own - rho * np.sqrt((1 - own**2) / (1 - rho**2))))


def paths(columns: Columns) -> Paths:
    """Give the paths of the sample."""
    return _from_moments(_moments(columns).sum(axis=0)[None], _width(columns))


def bootstrap(columns: Columns, draws: int, seed: int) -> Paths:
    """Give the paths of samples in which whole clusters are drawn with replacement; draws that fail are NaN.

    Drawing a cluster twice is the same as counting its sums of products twice, so that nothing is estimated on rows
    again. Effects of units stay taken out, because a unit lies within one cluster; waves and covariates are taken out
    anew in each draw.
    """
    moments = _moments(columns)
    groups, width = columns.groups, _width(columns)
    rng = np.random.Generator(np.random.PCG64(seed))
    step = max(1, _MOST_COUNTS // groups)
    found = []
    for first in range(0, draws, step):
        size = min(step, draws - first)
        counts = rng.multinomial(groups, np.full(groups, 1 / groups), size=size).astype(np.float64)
        found.append(_from_moments(counts @ moments, width))
    return Paths(*(np.concatenate([getattr(one, name) for one in found]) for name in ("a", "total", "s1", "s2", "rho")))


def _width(columns: Columns) -> int:
    return 3 + int(columns.held.shape[1])


def _moments(columns: Columns) -> Floats:
    """Sum the products of all pairs of columns within each cluster: one row a cluster, the upper triangle."""
    table = [columns.treatment, columns.mediator, columns.outcome, *columns.held.T]
    pairs = [(i, j) for i in range(len(table)) for j in range(i, len(table))]
    found = np.empty((columns.groups, len(pairs)))
    weighted = [columns.weight * one for one in table]
    for place, (i, j) in enumerate(pairs):
        found[:, place] = np.bincount(columns.cluster, weighted[i] * table[j], columns.groups)
    return found


def _from_moments(flat: Floats, width: int) -> Paths:
    """Take what is held fixed out of the products of treatment, mediator and outcome, and give the paths."""
    upper = np.triu_indices(width)
    gram = np.zeros((len(flat), width, width))
    gram[:, upper[0], upper[1]] = flat
    gram[:, upper[1], upper[0]] = flat
    left = gram[:, :3, :3]
    if width > 3:
        held, cross = gram[:, 3:, 3:], gram[:, 3:, :3]
        size = np.sqrt(np.maximum(np.einsum("dii->di", held), 1e-300))
        inverse = np.linalg.pinv(held / size[:, :, None] / size[:, None, :], rcond=1e-11, hermitian=True)
        scaled = cross / size[:, :, None]
        left = left - np.swapaxes(scaled, 1, 2) @ inverse @ scaled
    dd, dm, dy = left[:, 0, 0], left[:, 0, 1], left[:, 0, 2]
    # A treatment that a draw holds fixed has no effect in it; rounding leaves about 1e-14 of it.
    known = dd > 1e-10 * np.maximum(gram[:, 0, 0], 1e-300)
    safe = np.where(known, dd, 1.0)
    a, total = dm / safe, dy / safe
    mm, yy, my = left[:, 1, 1] - a * dm, left[:, 2, 2] - total * dy, left[:, 1, 2] - a * dy
    known &= (mm > 1e-10 * gram[:, 1, 1]) & (yy > 0)
    s1, s2 = np.sqrt(np.where(known, yy, np.nan)), np.sqrt(np.where(known, mm, np.nan))
    nothing = np.where(known, 0.0, np.nan)
    return Paths(a + nothing, total + nothing, s1, s2, np.asarray(my / (s1 * s2)))
