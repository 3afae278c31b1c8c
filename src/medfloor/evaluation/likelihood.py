"""Fit yes-or-no and ordered outcomes by statsmodels, with errors that let the rows of a cluster go together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from medfloor.errors import UsageError
from medfloor.evaluation.heard import hearing
from medfloor.sparing import ready

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Numbers = npt.NDArray[np.float64]
    Codes = npt.NDArray[np.int64]

_FAR = {"logit": 15.0, "probit": 5.0}
"""Beyond such a linear index (chances of 1e-7) it is asked whether a coefficient is on its way to infinity."""


@dataclass(frozen=True, slots=True, eq=False)
class Likelihood:
    """Be a likelihood at its highest: coefficients, inverse information, and the score of each row or unit.

    `beta` stands for the columns of the design in their order, then, for ordered outcomes, the cut points. `scores` has
    a row for each row of the design, or for each unit (conditional logit), whose codes are `score_of`.
    """

    beta: Numbers
    bread: Numbers
    scores: Numbers
    loglik: float
    loglik_null: float


def binomial(y: Numbers, x: Numbers, *, link: str, weight: Numbers | None) -> Likelihood:
    """Fit a logit or probit of a 0/1 outcome on the columns of x (a constant among them) by iterated least squares.

    The bread is the inverse of the expected information, as in R's glm and sandwich. Weights multiply the likelihood of
    their row (pseudo-likelihood).

    Raises UsageError separated where the outcome is predicted without fail, not_estimable.
    """
    import numpy as np

    scale = _scale(x)
    linear = ready("statsmodels.genmod.generalized_linear_model")
    links = linear.families.links
    family = linear.families.Binomial(links.Logit() if link == "logit" else links.Probit())
    w = np.ones(len(y)) if weight is None else weight / weight.mean()
    with hearing(link):
        model = linear.GLM(y, x / scale, family=family, freq_weights=w)
        found = model.fit(maxiter=200, tol=1e-13, tol_criterion="params")
        index = x / scale @ found.params
    if not np.isfinite(index).all() or np.abs(index).max() > _FAR[link]:
        _refuse_separation((2 * y - 1)[:, None] * x / scale)
    p, density = chance(link, index), slope(link, index)
    spread = np.maximum(p * (1 - p), 1e-300)
    scores = (w * (y - p) * density / spread)[:, None] * (x / scale)
    information = (x / scale).T @ ((w * density**2 / spread)[:, None] * (x / scale))
    mean = float(np.average(y, weights=w))
    null = float(w.sum() * (mean * np.log(mean) + (1 - mean) * np.log(1 - mean)))
    loglik = float((w * np.where(y == 1, np.log(np.maximum(p, 1e-300)), np.log(np.maximum(1 - p, 1e-300)))).sum())
    return _unscaled(Likelihood(found.params, _inverse(information), scores, loglik, null), scale)


def conditional_logit(y: Numbers, x: Numbers, unit: Codes) -> Likelihood:
    """Fit a conditional logit (Chamberlain 1980): the likelihood of which waves of a unit were the ones with 1.

    Rows are sorted by unit, every unit has zeros and ones, and x has no constant. A score stands for each unit, in the
    order of the units. By statsmodels with Newton's method, whose default (BFGS) stops at a relative error of 2e-4.

    Raises UsageError separated, not_estimable.
    """
    import numpy as np

    ready("statsmodels.discrete.conditional_models")
    from statsmodels.discrete.conditional_models import ConditionalLogit

    scale = _scale(x)
    try:
        with hearing("conditional_logit"):
            model = ConditionalLogit(y, x / scale, groups=unit)
            beta = np.asarray(model.fit(method="newton", maxiter=100, disp=0).params, float)
            # statsmodels takes its Hessian from one-sided differences of the score; central ones agree with R to 1e-9.
            bread = _inverse(_slopes(lambda at: -np.asarray(model.score(at), float), beta))
    except UsageError:
        _refuse_separation(_pairs(y, x / scale, unit))
        raise
    # statsmodels does not say here whether it converged; at the top another step of Newton leads nowhere.
    scores = np.array([model.score_grp(group, beta) for group in range(int(unit.max()) + 1)])
    ended = np.abs(bread @ scores.sum(0)).max() <= 1e-6 * max(1.0, np.abs(beta).max())
    if not ended or not np.isfinite(bread).all() or np.abs(beta).max() > _FAR["logit"]:
        _refuse_separation(_pairs(y, x / scale, unit))
    if not ended:
        raise _lost()
    null = float(model.loglike(np.zeros(len(beta))))
    return _unscaled(Likelihood(beta, bread, scores, float(model.loglike(beta)), null), scale)


def ordered(y: Codes, x: Numbers, *, link: str, weight: Numbers | None) -> Likelihood:
    """Fit an ordered logit or probit of codes 0..k-1 (all of them there) on x, which has no constant.

    P(y <= j) = F(cut_j - x'b). statsmodels finds the neighbourhood, in increments of cut points; some steps of Newton
    in the cut points themselves end it, so that errors belong to what is printed.

    Raises UsageError separated, not_estimable.
    """
    import numpy as np

    ready("statsmodels.miscmodels.ordinal_model")
    from statsmodels.miscmodels.ordinal_model import OrderedModel

    scale, levels = _scale(x), int(y.max()) + 1
    z = x / scale
    w = np.ones(len(y)) if weight is None else weight / weight.mean()
    with hearing(f"ordered_{link}"):
        model = OrderedModel(y, z, distr=link)
        rough = model.fit(method="bfgs", disp=0, maxiter=500)
        cuts = model.transform_threshold_params(rough.params)[1:-1]
        theta = np.concatenate([np.asarray(rough.params)[: z.shape[1]], cuts])
    ended = False
    for _ in range(50):
        information = _numeric_information(theta, y, z, link, w)
        step = np.linalg.lstsq(information, _ordered_scores(theta, y, z, link, w).sum(0), rcond=None)[0]
        theta = theta + step
        ended = bool(np.abs(step).max() < 1e-11 * max(1.0, np.abs(theta).max()))
        if ended or not np.isfinite(theta).all():
            break
    if not ended or np.any(np.diff(theta[z.shape[1] :]) <= 0) or np.abs(theta).max() > _FAR[link]:
        _refuse_separation(_beyond_cuts(y, z, levels))
    if not ended:
        raise _lost()
    shares = np.bincount(y, w, minlength=levels) / w.sum()
    loglik = float((w * np.log(_ordered_chance(theta, y, z, link))).sum())
    null = float(w.sum() * (shares * np.log(shares)).sum())
    full = np.concatenate([scale, np.ones(levels - 1)])
    scores = _ordered_scores(theta, y, z, link, w)
    bread = _inverse(_numeric_information(theta, y, z, link, w))
    return _unscaled(Likelihood(theta, bread, scores, loglik, null), full)


def sandwich(found: Likelihood, cluster: Codes) -> Numbers:
    """Give the variance with rows (or units) of one cluster going together, enlarged by G/(G-1) for G clusters.

    `cluster` has a code for each score. Source: White (1982); the factor is that of R's sandwich::vcovCL.

    Raises UsageError one_cluster.
    """
    import numpy as np

    codes = np.unique(cluster, return_inverse=True)[1]
    groups = int(codes.max()) + 1
    if groups < 2:
        raise UsageError("one_cluster", "there is one cluster only; errors need many, so name another cluster")
    sums = np.column_stack([np.bincount(codes, column, minlength=groups) for column in found.scores.T])
    return np.asarray(found.bread @ (sums.T @ sums) @ found.bread * groups / (groups - 1), float)


def chance(link: str, index: Numbers) -> Numbers:
    """Give F: the chance of 1 at a linear index."""
    from scipy.special import expit, ndtr

    return expit(index) if link == "logit" else ndtr(index)  # type: ignore[no-any-return]


def slope(link: str, index: Numbers) -> Numbers:
    """Give f, the slope of F."""
    import numpy as np

    if link == "logit":
        p = chance(link, index)
        return p * (1 - p)
    return np.asarray(np.exp(-0.5 * index**2) / np.sqrt(2 * np.pi), float)


def bend(link: str, index: Numbers) -> Numbers:
    """Give f', the slope of f."""
    import numpy as np

    if link == "logit":
        return np.asarray(slope(link, index) * (1 - 2 * chance(link, index)), float)
    return np.asarray(-index * slope(link, index), float)


def independent(x: Numbers) -> list[int]:
    """List the columns that are not made of those before them."""
    import numpy as np

    basis = np.empty((len(x), 0))
    kept: list[int] = []
    for place, column in enumerate((x / _scale(x)).T):
        rest = column - basis @ (basis.T @ column)
        rest = rest - basis @ (basis.T @ rest)  # twice is enough (Giraud, Langou and Rozloznik 2005)
        if np.linalg.norm(rest) > 1e-9 * max(float(np.linalg.norm(column)), 1e-300):
            kept.append(place)
            basis = np.column_stack([basis, rest / np.linalg.norm(rest)])
    if len(kept) >= len(x):
        raise UsageError(
            "not_estimable", f"{len(x)} rows are too few for {x.shape[1]} columns; leave out covariates or name others"
        )
    return kept


def _scale(x: Numbers) -> Numbers:
    """Give each column's size, so that yuan and shares meet the solver alike."""
    import numpy as np

    size = np.sqrt((x**2).mean(axis=0))
    return np.asarray(np.where(size > 0, size, 1.0), float)


def _unscaled(found: Likelihood, scale: Numbers) -> Likelihood:
    return Likelihood(
        found.beta / scale, found.bread / scale[:, None] / scale[None, :], found.scores * scale, found.loglik,
        found.loglik_null,
    )  # fmt: skip


def _inverse(information: Numbers) -> Numbers:
    import numpy as np

    return np.asarray(np.linalg.pinv((information + information.T) / 2, hermitian=True), float)


def _ends(theta: Numbers, y: Codes, x: Numbers) -> tuple[Numbers, Numbers]:
    """Give the upper and lower end of each row's interval on the scale of the linear index."""
    import numpy as np

    cuts = np.concatenate([[-np.inf], theta[x.shape[1] :], [np.inf]])
    index = x @ theta[: x.shape[1]]
    return cuts[y + 1] - index, cuts[y] - index


def _ordered_chance(theta: Numbers, y: Codes, x: Numbers, link: str) -> Numbers:
    import numpy as np

    upper, lower = _ends(theta, y, x)
    return np.asarray(np.maximum(chance(link, upper) - chance(link, lower), 1e-300), float)


def _ordered_scores(theta: Numbers, y: Codes, x: Numbers, link: str, w: Numbers) -> Numbers:
    import numpy as np

    upper, lower = _ends(theta, y, x)
    p = np.maximum(chance(link, upper) - chance(link, lower), 1e-300)
    high, low = _finite_slope(link, upper), _finite_slope(link, lower)
    scores = np.zeros((len(y), len(theta)))
    scores[:, : x.shape[1]] = -((high - low) / p * w)[:, None] * x
    rows, first = np.arange(len(y)), x.shape[1]
    last = len(theta) - first
    inner = y < last
    scores[rows[inner], first + y[inner]] += (high / p * w)[inner]
    inner = y > 0
    scores[rows[inner], first + y[inner] - 1] -= (low / p * w)[inner]
    return scores


def _finite_slope(link: str, index: Numbers) -> Numbers:
    import numpy as np

    inside = np.where(np.isfinite(index), index, 0.0)
    return np.asarray(np.where(np.isfinite(index), slope(link, inside), 0.0), float)


def _numeric_information(theta: Numbers, y: Codes, x: Numbers, link: str, w: Numbers) -> Numbers:
    """Give minus the slope of the summed score."""
    import numpy as np

    return _slopes(lambda at: -np.asarray(_ordered_scores(at, y, x, link, w).sum(0), float), theta)


def _slopes(function: Callable[[Numbers], Numbers], at: Numbers) -> Numbers:
    """Give the slopes of a gradient by central differences, made symmetric."""
    import numpy as np

    columns = []
    for place in range(len(at)):
        step = np.zeros(len(at))
        step[place] = 1e-5 * max(1.0, abs(at[place]))
        columns.append((function(at + step) - function(at - step)) / (2 * step[place]))
    made = np.column_stack(columns)
    return np.asarray((made + made.T) / 2, float)


def _lost() -> UsageError:
    return UsageError(
        "not_estimable", "the likelihood has no clear top; leave out covariates that say nearly the same, or join waves"
    )


def _refuse_separation(rows: Numbers) -> None:
    """Raise separated where some change of the coefficients lowers no row's likelihood and lifts some.

    `rows` times the change says which way each row goes. A linear programme looks for one (Konis 2007).
    """
    import numpy as np

    linprog = ready("scipy.optimize").linprog

    solved = linprog(-rows.sum(0), A_ub=-rows, b_ub=np.zeros(len(rows)), bounds=(-1, 1), method="highs")
    if solved.success and float((rows @ solved.x).max()) > 1e-3:
        raise UsageError(
            "separated",
            "some combination of the columns tells the outcome without fail, so that a coefficient would be infinite; "
            "leave out or join categories, or use the linear probability model",
        )


def _pairs(y: Numbers, x: Numbers, unit: Codes) -> Numbers:
    """Give, within each unit, each row with 1 less each row with 0."""
    import numpy as np

    made = []
    for place in np.split(np.arange(len(y)), np.flatnonzero(np.diff(unit)) + 1):
        ones, zeros = place[y[place] == 1], place[y[place] == 0]
        made.append((x[ones][:, None, :] - x[zeros][None, :, :]).reshape(-1, x.shape[1]))
    return np.concatenate(made)


def _beyond_cuts(y: Codes, x: Numbers, levels: int) -> Numbers:
    """Give how far each row lies below its upper cut point and above its lower one, in coefficients and cut points."""
    import numpy as np

    cuts = np.eye(levels - 1)
    below, above = y < levels - 1, y > 0
    upper = np.column_stack([-x[below], cuts[y[below]]])
    lower = np.column_stack([x[above], -cuts[y[above] - 1]])
    return np.concatenate([upper, lower])


def column_that_tells(y: Numbers, x: Numbers, candidates: Sequence[int]) -> tuple[int, Any] | None:
    """Find the first column of zeros and ones where all rows with one of the values have the same outcome.

    Returns its place and those rows (true or false a row), None where there is none.
    """
    import numpy as np

    for place in candidates:
        column = x[:, place]
        if not np.isin(column, (0.0, 1.0)).all():
            continue
        for value in (0.0, 1.0):
            rows = column == value
            if rows.any() and not rows.all() and y[rows].min() == y[rows].max():
                return place, rows
    return None
