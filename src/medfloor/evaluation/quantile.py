"""Explain the whole distribution of an outcome and not its mean alone: quantile regression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import polars as pl

from medfloor.errors import UsageError
from medfloor.evaluation.fixed_effects import FEW_CLUSTERS, interval_told
from medfloor.evaluation.heard import hearing
from medfloor.evaluation.likelihood import independent
from medfloor.evaluation.result import Fit, estimates, inference, number_text
from medfloor.evaluation.sample import Sample, take
from medfloor.sparing import ready
from medfloor.words import Chain, Phrase

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Numbers = npt.NDArray[np.float64]

ERRORS = ("cluster", "robust", "iid", "bootstrap")
_HEAPED, _CROSSED = 0.2, 0.01
"""Shares of rows above which one value of the outcome, or crossing quantiles, are warned of."""


def quantile(
    panel: pl.DataFrame,
    *,
    outcome: str,
    treatment: str,
    quantiles: Sequence[float] = (0.25, 0.5, 0.75),
    unit: str | None = None,
    time: str | None = None,
    covariates: Sequence[str] = (),
    cluster: str | None = None,
    weight: str | None = None,
    waves: bool = True,
    errors: str | None = None,
    draws: int = 200,
    seed: int = 1,
    level: float = 0.95,
) -> Fit:
    """Estimate how quantiles of an outcome go with a treatment, beside covariates and waves.

    A coefficient is how much higher the quantile of the outcome is, in its unit, where the column is one higher. Rows
    have the quantile in `at`. There are no effects of units: with `unit` named, its rows only go together in errors.

    `errors`: "cluster", a sandwich with sums of scores by `cluster` (else `unit`); "robust", for rows that do not go
    together but differ in spread ("nid" in R's quantreg); "iid", one density for all rows (kernel estimate of
    statsmodels); "bootstrap", of clusters (or rows where there are none), `draws` times from `seed`. None takes the
    first that there is. Weights need "bootstrap". Intervals are of the normal distribution.

    Raises UsageError: what `take` raises, bad_quantile, bad_errors, bad_draws, one_cluster, no_variation,
    not_estimable.

    Source: Koenker and Bassett (1978); Hendricks and Koenker (1992); Parente and Santos Silva (2016) for clusters.

    >>> table = pl.DataFrame({"oop": [1.0, 2, 3, 4, 6, 8, 10], "covered": [0, 0, 0, 1, 1, 1, 1]})
    >>> fit = quantile(table, outcome="oop", treatment="covered", quantiles=[0.4], errors="robust")
    >>> round(fit.value("covered"), 6)  # the 0.4 quantiles are 2 and 6
    4.0
    """
    asked = _asked(quantiles, unit, cluster, weight, errors, draws, seed)
    sample = take(
        panel,
        numbers={"y": outcome, "d": treatment},
        labels={"cluster": asked.cluster} if asked.cluster else {},
        covariates=covariates,
        unit=unit,
        time=time,
        weight=weight,
    )
    # Where several planes fit equally well, as with whole yuan, the choice must not hang on the order of rows.
    numbers = [name for name in sample.frame.columns if name not in ("unit", "cluster")]
    sample = replace(sample, frame=sample.frame.sort(numbers, maintain_order=True))
    terms, x, left_out = _design(sample, time if waves else None)
    y = sample.frame["y"].to_numpy()
    w = sample.frame["w"].to_numpy() if weight else None
    found = [_fit_one(y, x, q, w) for q in asked.quantiles]
    variances, lost = _variances(y, x, w, found, sample, asked)
    clusters = sample.frame["cluster"].n_unique() if asked.cluster else None
    common = {
        "model": "quantile", "outcome": outcome, "rows": len(y), "clusters": clusters,
        "units": sample.frame["unit"].n_unique() if unit else None,
    }  # fmt: skip
    rows = [
        {**common, "term": terms[place], "at": one.q,
         **inference(float(one.beta[place]), float(variance[place, place]) ** 0.5, level=level)}
        for place in [*range(1, len(terms)), 0]
        for one, variance in zip(found, variances, strict=True)
    ]  # fmt: skip
    fitted = pl.DataFrame({"quantile": asked.quantiles, "pseudo_r2": [one.pseudo_r2 for one in found]})
    return Fit(
        method="quantile",
        rows=estimates(rows),
        equation=_equation(sample, asked, terms, time if waves else None, weight),
        errors=_errors_told(asked, clusters),
        drops=sample.drops,
        facts={"rows": len(y)} | ({"clusters": clusters} if clusters else {}),
        tables={"quantiles": fitted},
        shows=_shows(rows[: len(found)], level),
        not_shown=_not_shown(asked),
        warnings=_warnings(y, x, found, sample, asked, clusters, lost),
        notes=tuple(Phrase.of("binary.left_out", column=one) for one in left_out),
        sources=("Koenker and Bassett (1978)", "statsmodels")
        + (("Parente and Santos Silva (2016)",) if asked.errors == "cluster" else ()),
        level=level,
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """Be what is to be estimated."""

    quantiles: tuple[float, ...]
    unit: str | None
    cluster: str | None
    errors: str
    draws: int
    seed: int


@dataclass(frozen=True, slots=True, eq=False)
class _One:
    """Be the fit at one quantile; `exact` where the conditions of an optimum hold."""

    q: float
    beta: Numbers
    pseudo_r2: float
    exact: bool


def _asked(
    quantiles: Sequence[float], unit: str | None, cluster: str | None, weight: str | None, errors: str | None,
    draws: int, seed: int,
) -> _Asked:  # fmt: skip
    """Decide once what is estimated, and refuse what cannot be meant."""
    if not quantiles or any(not 0 < q < 1 for q in quantiles):
        raise UsageError("bad_quantile", f"quantiles lie between 0 and 1, not {list(quantiles)}; write 0.25,0.5,0.75")
    default = "bootstrap" if weight else "cluster" if cluster or unit else "robust"
    errors = errors or default
    if errors not in ERRORS:
        raise UsageError("bad_errors", f"there are no errors {errors!r}; use {', '.join(ERRORS)}")
    if errors == "cluster" and not (cluster or unit):
        raise UsageError("bad_errors", "errors 'cluster' need a cluster or a unit; name one, or use 'robust'")
    if weight and errors != "bootstrap":
        raise UsageError("bad_errors", f"with weights errors {errors!r} are not known; use 'bootstrap'")
    if errors == "bootstrap" and not 20 <= draws <= 100_000:
        raise UsageError("bad_draws", f"{draws} draws of a bootstrap are too few or too many; write 20 to 100,000")
    grouped = (cluster or unit) if errors in ("cluster", "bootstrap") else None
    return _Asked(tuple(sorted(set(quantiles))), unit, grouped, errors, draws, seed)


def _design(sample: Sample, time: str | None) -> tuple[list[str], Numbers, list[str]]:
    """Set a constant, the treatment, covariates and waves side by side; leave out what others say."""
    import numpy as np

    frame = sample.frame
    columns = [("constant", np.ones(frame.height)), (sample.names["d"], frame["d"].to_numpy())]
    columns += [(sample.names[name], frame[name].to_numpy()) for name in sample.covariates]
    if time:
        columns += [
            (f"{time}={sample.waves[wave - 1]:g}", (frame["period"] == wave).to_numpy().astype(float))
            for wave in sorted(frame["period"].unique().to_list())[1:]
        ]
    x = np.column_stack([values for _, values in columns])
    kept = independent(x)
    if 1 not in kept:
        raise UsageError(
            "no_variation", f"{sample.names['d']!r} never changes, so nothing can be said of it; check the column"
        )
    left_out = [term for place, (term, _) in enumerate(columns) if place not in kept]
    return [columns[place][0] for place in kept], x[:, kept], left_out


def _fit_one(y: Numbers, x: Numbers, q: float, w: Numbers | None) -> _One:
    """Fit one quantile, and say how much nearer to the rows it is than a quantile without columns."""
    import numpy as np

    beta, exact = _solved(y, x, q, np.ones(len(y)) if w is None else w)
    loss = _loss(y - x @ beta, q, w)
    order = np.argsort(y, kind="stable")
    below = np.cumsum((np.ones(len(y)) if w is None else w)[order])
    alone = _loss(y - y[order[np.searchsorted(below, q * below[-1])]], q, w)
    return _One(q, beta, 1 - loss / alone if alone else float("nan"), exact)


def _solved(y: Numbers, x: Numbers, q: float, w: Numbers) -> tuple[Numbers, bool]:
    """Give the coefficients, and whether they are the optimum for certain.

    statsmodels comes near by iterated least squares, a linear programme ends it. Weights multiply a row, which
    multiplies its loss.
    """
    import warnings

    import numpy as np

    ready("statsmodels.regression.quantile_regression")
    from statsmodels.regression.quantile_regression import QuantReg

    # statsmodels calls residuals below 1e-6 zero, whatever the unit: yuan and shares must look alike to it.
    size = float(np.abs(y).mean()) or 1.0
    scale = np.sqrt((x**2).mean(axis=0)) / size
    used = w > 0
    with hearing("quantile"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows, wanted = (x / (scale * size))[used] * w[used, None], y[used] / size * w[used]
        # statsmodels takes hundreds of rounds to the last digit; thirty say which rows lie near.
        rough = np.asarray(QuantReg(wanted, rows).fit(q=q, max_iter=30, p_tol=1e-6).params, float)
    beta = _programmed(wanted, rows, q, rough)
    return (rough / scale, False) if beta is None else (beta / scale, True)


def _programmed(y: Numbers, x: Numbers, q: float, rough: Numbers) -> Numbers | None:
    """Solve the dual linear programme on the rows near a rough answer; None where that fails.

    Rows far above and far below are taken to stay there, which is looked at afterwards: then the conditions of an
    optimum hold for all rows (Portnoy and Koenker 1997; Koenker 2005, theorem 2.1). Else more rows are let in.
    """
    import numpy as np

    linprog = ready("scipy.optimize").linprog

    rest = y - x @ rough
    many = max(1_000, int(2 * (len(rough) * len(y)) ** (2 / 3)))
    order = np.argsort(np.abs(rest), kind="stable")
    slack = 1e-9 * max(1.0, float(np.abs(y).max()))
    while True:
        near = np.zeros(len(y), bool)
        near[order[:many]] = True
        above = ~near & (rest > 0)
        target = (1 - q) * x.sum(0) - x[above].sum(0)
        solved = linprog(-y[near], A_eq=x[near].T, b_eq=target, bounds=(0, 1), method="highs-ipm")
        if solved.success:
            beta = -np.asarray(solved.eqlin.marginals, float)
            now = y - x @ beta
            if (now[above] >= -slack).all() and (now[~near & ~above] <= slack).all():
                return beta
        if many >= len(y):
            return None
        many *= 3


def _loss(rest: Numbers, q: float, w: Numbers | None) -> float:
    import numpy as np

    one = np.where(rest >= 0, q * rest, (q - 1) * rest)
    return float(one.sum() if w is None else w @ one)


def _variances(
    y: Numbers, x: Numbers, w: Numbers | None, found: Sequence[_One], sample: Sample, asked: _Asked
) -> tuple[list[Numbers], int]:
    """Give the variance at each quantile, and how many draws of a bootstrap were lost."""
    import numpy as np

    codes = sample.frame["cluster"].to_numpy() if asked.cluster else np.arange(len(y))
    codes = np.unique(codes, return_inverse=True)[1]
    if asked.cluster and codes.max() < 1:
        raise UsageError("one_cluster", "there is one cluster only; errors need many, so name another cluster")
    if asked.errors == "bootstrap":
        return _bootstrapped(y, x, w, codes, asked)
    if asked.errors == "iid":
        return [_same_density(y, x, one) for one in found], 0
    return [_sandwich(y, x, one, codes if asked.errors == "cluster" else None) for one in found], 0


def _sandwich(y: Numbers, x: Numbers, one: _One, codes: npt.NDArray[np.int64] | None) -> Numbers:
    """Give the sandwich with the density of each row from the quantiles beside this one.

    The density is 2 h / x'(b(q + h) - b(q - h)) with the bandwidth h of Hall and Sheather (Hendricks and Koenker 1992;
    "nid" in R's quantreg, which also has q (1 - q) X'X in the middle for rows that do not go together). With clusters
    the middle has sums of scores (Parente and Santos Silva 2016), enlarged by G/(G-1).
    """
    import numpy as np

    ready("statsmodels.regression.quantile_regression")
    from statsmodels.regression.quantile_regression import hall_sheather

    h = float(hall_sheather(len(y), one.q))
    while one.q - h < 0 or one.q + h > 1:
        h /= 2
    whole = np.ones(len(y))
    apart = x @ (_solved(y, x, one.q + h, whole)[0] - _solved(y, x, one.q - h, whole)[0])
    density = np.where(apart > 0, 2 * h / np.where(apart > 0, apart, 1.0), 0.0)
    if not (np.isfinite(density).all() and (density > 0).any()):
        raise _no_density()
    bread = np.linalg.pinv(x.T @ (density[:, None] * x), hermitian=True)
    if codes is None:
        return np.asarray(one.q * (1 - one.q) * bread @ (x.T @ x) @ bread, float)
    groups = int(codes.max()) + 1
    scores = (one.q - (y - x @ one.beta < 0))[:, None] * x
    sums = np.column_stack([np.bincount(codes, column, minlength=groups) for column in scores.T])
    return np.asarray(bread @ (sums.T @ sums) @ bread * groups / (groups - 1), float)


def _same_density(y: Numbers, x: Numbers, one: _One) -> Numbers:
    """Give the variance of statsmodels with one density in all rows."""
    import warnings

    import numpy as np

    ready("statsmodels.regression.quantile_regression")
    from statsmodels.regression.quantile_regression import QuantReg

    scale = np.sqrt((x**2).mean(axis=0))
    with hearing("quantile"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = QuantReg(y, x / scale).fit(q=one.q, vcov="iid", max_iter=2000, p_tol=1e-7)
        variance = np.asarray(fitted.cov_params(), float)
    if not np.isfinite(variance).all():
        raise _no_density()
    return np.asarray(variance / scale[:, None] / scale[None, :], float)


def _no_density() -> UsageError:
    return UsageError(
        "not_estimable",
        "too many rows share one value of the outcome, so that no density and no errors can be estimated; use errors "
        "'bootstrap', or an outcome that takes more values",
    )


def _bootstrapped(
    y: Numbers, x: Numbers, w: Numbers | None, codes: npt.NDArray[np.int64], asked: _Asked
) -> tuple[list[Numbers], int]:
    """Draw whole clusters with replacement; a row counts as often as its cluster was drawn."""
    import numpy as np

    rng = np.random.default_rng(asked.seed)
    groups = int(codes.max()) + 1
    drawn: list[list[Numbers]] = [[] for _ in asked.quantiles]
    lost = 0
    for _ in range(asked.draws):
        counts = np.bincount(rng.integers(0, groups, groups), minlength=groups)[codes].astype(float)
        weighted = counts if w is None else counts * w
        if np.linalg.matrix_rank(x[counts > 0]) < x.shape[1]:
            lost += 1
            continue
        for place, q in enumerate(asked.quantiles):
            drawn[place].append(_solved(y, x, q, weighted)[0])
    if asked.draws - lost < 10:
        raise UsageError("not_estimable", "hardly any bootstrap draw can be fitted; leave out rare categories")
    return [np.atleast_2d(np.cov(np.array(one), rowvar=False)) for one in drawn], lost


# Words


def _equation(sample: Sample, asked: _Asked, terms: Sequence[str], time: str | None, weight: str | None) -> Phrase:
    shown: list[object] = [term for term in terms if term != "constant" and not (time and term.startswith(f"{time}="))]
    shown += [Phrase.of("fit.effect_of", name=time)] if time else []
    text = Chain.of(" ~ ", sample.names["y"], Chain.of(" + ", *shown))
    weighted = Phrase.of("binary.weighted_rows", weight=weight) if weight else Phrase.of("binary.unweighted")
    quantiles = ", ".join(f"{q:g}" for q in asked.quantiles)
    return Phrase.of("quantile.equation", quantiles=quantiles, text=text, weighted=weighted)


def _errors_told(asked: _Asked, clusters: int | None) -> Phrase:
    if asked.errors == "bootstrap":
        key = "bootstrap" if asked.cluster else "bootstrap_rows"
        return Phrase.of(
            f"quantile.{key}", by=asked.cluster or "", clusters=f"{clusters or 0:,}", draws=f"{asked.draws:,}",
            seed=asked.seed,
        )  # fmt: skip
    return Phrase.of(f"quantile.{asked.errors}", by=asked.cluster or "", clusters=f"{clusters or 0:,}")


def _shows(rows: Sequence[dict[str, object]], level: float) -> tuple[Phrase, ...]:
    told: list[Phrase] = []
    for row in rows:
        size = float(row["estimate"])  # type: ignore[arg-type]
        told.append(
            Phrase.of(
                "quantile.shows", outcome=row["outcome"], term=row["term"], quantile=f"{row['at']:g}",
                size=number_text(abs(size)),
                direction=Phrase.of("fixed_effects.more" if size >= 0 else "fixed_effects.less"),
            )
        )  # fmt: skip
        told += interval_told(row, level)
    return tuple(told)


def _not_shown(asked: _Asked) -> tuple[Phrase, ...]:
    told = [Phrase.of("quantile.tau"), Phrase.of("quantile.unit"), Phrase.of("fixed_effects.enrolment")]
    return (*told, Phrase.of("quantile.rows_alone")) if asked.unit and not asked.cluster else tuple(told)


def _warnings(
    y: Numbers, x: Numbers, found: Sequence[_One], sample: Sample, asked: _Asked, clusters: int | None, lost: int
) -> tuple[Phrase, ...]:
    import numpy as np

    told = []
    if clusters is not None and clusters < FEW_CLUSTERS:
        told.append(Phrase.of("quantile.few_clusters", clusters=clusters, few=FEW_CLUSTERS))
    levels = np.column_stack([x @ one.beta for one in found])
    slack = 1e-9 * max(1.0, float(np.abs(levels).max()))
    crossed = float((np.diff(levels, axis=1) < -slack).any(axis=1).mean()) if len(found) > 1 else 0.0
    if crossed > _CROSSED:
        told.append(Phrase.of("quantile.crossing", share=f"{100 * crossed:.1f} %"))
    heap = float(np.unique(y, return_counts=True)[1].max() / len(y))
    if heap > _HEAPED:
        told.append(Phrase.of("quantile.heaped", share=f"{100 * heap:.1f} %", outcome=sample.names["y"]))
    told += [Phrase.of("quantile.not_converged", quantile=f"{one.q:g}") for one in found if not one.exact]
    if lost:
        told.append(Phrase.of("quantile.lost_draws", lost=lost, draws=asked.draws))
    return tuple(told)
