"""Simulate outcomes as they would be under each treatment and each mediator: linear, logit and probit models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from medfloor.errors import UsageError
from medfloor.evaluation.likelihood import binomial, chance, sandwich, slope

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
EFFECTS = (
    "acme_control", "acme_treated", "acme", "ade_control", "ade_treated", "ade", "total", "proportion_control",
    "proportion_treated", "proportion",
)  # fmt: skip
"""Average causal mediation effects (through the mediator), average direct effects, their sum, and shares of it."""

_MOST_CELLS = 2_000_000
"""How many numbers, rows times draws, are simulated at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Equation:
    """Be one fitted equation: `kind` linear, logit or probit, coefficients, covariance, deviation of the error."""

    kind: str
    beta: Floats
    vcov: Floats
    sigma: float


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """Be what is needed to simulate: columns, the kinds of both equations, and whether the mediator works differently.

    `held` has a constant and the covariates. `low` and `high` are the two treatments that are held beside each other.
    `names` are the user's, of mediator and outcome.
    """

    treatment: Floats
    mediator: Floats
    outcome: Floats
    held: Floats
    mediator_kind: str
    outcome_kind: str
    interaction: bool
    low: float
    high: float
    names: tuple[str, str] = ("mediator", "outcome")

    def designs(self) -> tuple[Floats, Floats]:
        """Give the designs of both equations: treatment (and mediator, and their product) first, then what is held."""
        d, m = self.treatment, self.mediator
        product = [d * m] if self.interaction else []
        return np.column_stack([d, self.held]), np.column_stack([d, m, *product, self.held])


def fit(kind: str, y: Floats, x: Floats, errors: str, cluster: Ints | None) -> Equation:
    """Fit an equation, with errors "iid", "hc1", "hc3" or "cluster".

    The covariance of a logit or probit is that of R's glm (expected information) and of sandwich around it; a linear
    equation has n - K degrees of freedom.

    Raises UsageError separated, not_estimable, one_cluster.
    """
    n, k = x.shape
    if kind != "linear":
        found = binomial(y, x, link=kind, weight=None)
        bread, scores = found.bread, found.scores
        index = x @ found.beta
        p = chance(kind, index)
        spread = slope(kind, index) ** 2 / np.maximum(p * (1 - p), 1e-300)
        if errors == "cluster":
            assert cluster is not None
            return Equation(kind, found.beta, sandwich(found, cluster), 0.0)
        leverage = spread * np.einsum("ij,jk,ik->i", x, bread, x)
        return Equation(kind, found.beta, _covariance(bread, scores, leverage, errors, bread), 0.0)
    scale = np.sqrt((x**2).mean(axis=0))
    scale[scale == 0] = 1.0
    z = x / scale
    bread = np.linalg.pinv(z.T @ z, hermitian=True)
    beta = bread @ (z.T @ y)
    residual = y - z @ beta
    sigma = float((residual**2).sum() / max(n - k, 1)) ** 0.5
    scores = residual[:, None] * z
    if errors == "cluster":
        assert cluster is not None
        groups = int(cluster.max()) + 1
        sums = np.column_stack([np.bincount(cluster, one, groups) for one in scores.T])
        middle = bread @ (sums.T @ sums) @ bread * groups / max(groups - 1, 1) * (n - 1) / max(n - k, 1)
    else:
        leverage = np.einsum("ij,jk,ik->i", z, bread, z)
        middle = _covariance(bread, scores, leverage, errors, bread * sigma**2)
    return Equation(kind, beta / scale, middle / np.outer(scale, scale), sigma)


def _covariance(bread: Floats, scores: Floats, leverage: Floats, errors: str, iid: Floats) -> Floats:
    if errors == "iid":
        return iid
    n, k = scores.shape
    if errors == "hc3":
        scores = scores / np.maximum(1 - leverage, 1e-12)[:, None]
        return np.asarray(bread @ (scores.T @ scores) @ bread)
    return np.asarray(bread @ (scores.T @ scores) @ bread * n / (n - k))


def quasi_bayes(setting: Setting, errors: str, cluster: Ints | None, draws: int, seed: int) -> Floats:
    """Draw coefficients of both equations from their normal approximation and simulate: one row a draw, as `EFFECTS`.

    Algorithm 1 of Imai, Keele and Tingley (2010, Psychological Methods 15, 309-334), as `mediate` of R's mediation does
    it: a linear mediator gets the same error under both treatments, a binary one is drawn under each.
    """
    mediator, outcome = _both(setting, errors, cluster)
    rng = np.random.Generator(np.random.PCG64(seed))
    theta_m = _normal(rng, mediator, draws)
    theta_y = _normal(rng, outcome, draws)
    return _simulate(setting, theta_m, theta_y, np.full(draws, mediator.sigma), rng)


def resampled(setting: Setting, cluster: Ints | None, draws: int, seed: int) -> tuple[Floats, Floats]:
    """Fit both equations to resampled rows (or whole clusters), and simulate; give the sample's effects and the draws'.

    Effects are averages over the rows of the sample, also in the draws, as in R's mediation. Draws in which an equation
    cannot be fitted are NaN.
    """
    x_m, x_y = setting.designs()
    mediator, outcome = _both(setting, "iid", None)
    rng = np.random.Generator(np.random.PCG64(seed))
    codes = np.arange(len(setting.outcome)) if cluster is None else cluster
    groups = int(codes.max()) + 1
    theta_m, theta_y = np.full((draws, x_m.shape[1]), np.nan), np.full((draws, x_y.shape[1]), np.nan)
    sigma = np.full(draws, np.nan)
    for place in range(draws):
        counts = np.bincount(rng.integers(0, groups, groups), minlength=groups)[codes].astype(np.float64)
        theta_m[place], sigma[place] = _refit(mediator, setting.mediator, x_m, counts)
        theta_y[place], _ = _refit(outcome, setting.outcome, x_y, counts)
    first = _simulate(setting, mediator.beta[None], outcome.beta[None], np.array([mediator.sigma]), rng)
    return first[0], _simulate(setting, theta_m, theta_y, sigma, rng)


def _both(setting: Setting, errors: str, cluster: Ints | None) -> tuple[Equation, Equation]:
    """Fit both equations; where one is separated, say which, and what to do."""
    found = []
    asked = (("mediator", setting.mediator_kind, setting.mediator), ("outcome", setting.outcome_kind, setting.outcome))
    for (which, kind, values), x, name in zip(asked, setting.designs(), setting.names, strict=True):
        try:
            found.append(fit(kind, values, x, errors, cluster))
        except UsageError as error:
            if error.code != "separated":
                raise
            raise UsageError(
                "separated",
                f"the {kind} equation of the {which} {name!r}: its other columns tell {name!r} without fail (perfect "
                "prediction), so that a coefficient would be infinite; leave out or join what tells it, or use "
                f"--{which}-model linear",
            ) from None
    return found[0], found[1]


def _normal(rng: np.random.Generator, equation: Equation, draws: int) -> Floats:
    # A root by eigenvalues, because a covariance may be singular where covariates depend on each other.
    values, vectors = np.linalg.eigh((equation.vcov + equation.vcov.T) / 2)
    root = vectors * np.sqrt(np.maximum(values, 0))
    return np.asarray(equation.beta + rng.standard_normal((draws, len(equation.beta))) @ root.T)


def _refit(equation: Equation, y: Floats, x: Floats, counts: Floats) -> tuple[Floats, float]:
    """Fit an equation again with counts of rows, starting from the sample's; NaN where it does not settle."""
    lost = np.full(x.shape[1], np.nan)
    try:
        if equation.kind == "linear":
            beta = np.linalg.solve(x.T @ (counts[:, None] * x), x.T @ (counts * y))
            free = max(float(counts.sum()) - x.shape[1], 1.0)
            return np.asarray(beta, np.float64), float((counts * (y - x @ beta) ** 2).sum() / free) ** 0.5
        beta = equation.beta
        for _ in range(30):
            index = x @ beta
            p, density = chance(equation.kind, index), slope(equation.kind, index)
            spread = np.maximum(p * (1 - p), 1e-12)
            gram = x.T @ ((counts * density**2 / spread)[:, None] * x)
            step = np.linalg.solve(gram, x.T @ (counts * (y - p) * density / spread))
            beta = beta + step
            if np.abs(x @ step).max() < 1e-8:
                return np.asarray(beta, np.float64), 0.0
    except np.linalg.LinAlgError:
        return lost, float("nan")
    return lost, float("nan")


def _simulate(setting: Setting, theta_m: Floats, theta_y: Floats, sigma: Floats, rng: np.random.Generator) -> Floats:
    """Average potential outcomes over the rows for each draw of coefficients."""
    rows = len(setting.outcome)
    step = max(1, _MOST_CELLS // rows)
    found = []
    for first in range(0, len(theta_m), step):
        part = slice(first, first + step)
        under = _mediators(setting, theta_m[part], sigma[part], rng)
        at = _outcomes(setting, theta_y[part])
        y11, y10 = at(setting.high, under[1]), at(setting.high, under[0])
        y01, y00 = at(setting.low, under[1]), at(setting.low, under[0])
        found.append(np.column_stack([y01 - y00, y11 - y10, y10 - y00, y11 - y01, y11 - y00]))
    acme_0, acme_1, ade_0, ade_1, total = np.concatenate(found).T
    acme, ade = (acme_0 + acme_1) / 2, (ade_0 + ade_1) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = [one / total for one in (acme_0, acme_1, acme)]
    return np.column_stack([acme_0, acme_1, acme, ade_0, ade_1, ade, total, *shares])


def _mediators(setting: Setting, theta: Floats, sigma: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Draw the mediator of each row under both treatments."""
    base = theta[:, 1:] @ setting.held.T
    indices = [base + theta[:, [0]] * at for at in (setting.low, setting.high)]
    if setting.mediator_kind == "linear":
        error = rng.standard_normal(base.shape) * sigma[:, None]
        return indices[0] + error, indices[1] + error
    drawn = [(rng.random(base.shape) < chance(setting.mediator_kind, one)).astype(np.float64) for one in indices]
    return drawn[0], drawn[1]


def _outcomes(setting: Setting, theta: Floats) -> Callable[[float, Floats], Floats]:
    """Give a function: treatment, mediators -> the mean outcome of each draw."""
    own = 3 if setting.interaction else 2
    base = theta[:, own:] @ setting.held.T

    def mean(at: float, mediator: Floats) -> Floats:
        index = base + theta[:, [0]] * at + theta[:, [1]] * mediator
        if setting.interaction:
            index = index + theta[:, [2]] * at * mediator
        return np.asarray((index if setting.outcome_kind == "linear" else chance(setting.outcome_kind, index)).mean(1))

    return mean


def check_kind(kind: str, values: Floats, name: str) -> None:
    """Refuse a logit or probit of what is not 0 or 1. Raises UsageError bad_model, not_binary."""
    if kind not in ("linear", "logit", "probit"):
        raise UsageError("bad_model", f"there is no model {kind!r} of a mediation; use linear, logit or probit")
    if kind != "linear" and not np.isin(values, (0.0, 1.0)).all():
        odd = values[~np.isin(values, (0.0, 1.0))][0]
        raise UsageError("not_binary", f"{name!r} has the value {odd:g}; a {kind} needs 0 and 1, or use linear")
