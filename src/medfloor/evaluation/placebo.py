"""Permute where a policy began when, and see how often chance alone would do as much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medfloor.errors import UsageError
from medfloor.evaluation.adoption import Adoption, adopt
from medfloor.evaluation.result import Fit, estimates, inference, number_text
from medfloor.evaluation.staggered import TwoWay
from medfloor.evaluation.winsor import Percentiles
from medfloor.evaluation.within import residuals, unit_residuals
from medfloor.words import Phrase

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
_AT_ONCE = 4_000_000
"""So many numbers are held at once while permutations are added up."""


def placebo(
    panel: pl.DataFrame,
    *,
    outcome: str,
    start: str,
    unit: str,
    time: str,
    cluster: str | None = None,
    covariates: Sequence[str] = (),
    weight: str | None = None,
    within: str | None = None,
    permutations: int = 1000,
    seed: int = 0,
    winsorise: Percentiles | None = None,
    level: float = 0.95,
) -> Fit:
    """Estimate two-way fixed effects under permuted timing: each cluster gets the start of another one.

    `cluster` is where the policy is decided: all its units share one start, and starts are permuted over clusters (over
    units without it). `within` permutes only among clusters of the same region. Facts: `permutation_p` is the share of
    permutations whose estimate is at least as far from zero, with the real one counted among them: (1 + k) / (1 + n).
    It needs no distribution, and is exact if starts were drawn at random; it tests that the policy changed nothing for
    anybody, not that the mean effect is zero. `curves["placebo"]` has the estimates. The row's error and p are those of
    the regression, for comparison.

    Every permutation is estimated exactly (Frisch-Waugh-Lovell): what a cluster adds to the sums is worked out once for
    each start, so that 1,000 permutations cost as much as one regression.

    Raises UsageError: what `adopt` raises, start_differs, bad_seed, bad_number, not_estimable, one_cluster. Source:
    Fisher (1935), The Design of Experiments; Chetty, Looney and Kroft (2009), American Economic Review 99, 1145-1177.

    >>> rows = [(i, t, 3 if i % 2 else None, i + t + (2.0 if i % 2 and t >= 3 else 0.0) + (i * t) % 7 / 10)
    ...         for i in range(40) for t in (1, 2, 3, 4)]
    >>> panel = pl.DataFrame(rows, ["home", "wave", "start", "oop"], orient="row")
    >>> fit = placebo(panel, outcome="oop", start="start", unit="home", time="wave", permutations=99, seed=1)
    >>> round(fit.estimate, 2), fit.facts["permutation_p"]
    (2.01, 0.01)
    """
    if seed < 0:
        raise UsageError("bad_seed", f"seed {seed}: give a whole number from 0")
    if not 1 <= permutations <= 1_000_000:
        raise UsageError("bad_number", f"permutations {permutations}: give a number from 1 to 1,000,000")
    adoption = adopt(
        panel, outcome=outcome, start=start, unit=unit, time=time, cluster=cluster, covariates=covariates,
        weight=weight, winsorise=winsorise, labels=[within] if within else [],
    )  # fmt: skip
    sums, starts, strata = _sums(adoption, cluster or unit, within)
    real = float(sums.estimates(starts[None, :])[0])
    drawn = sums.estimates(_permuted(starts, strata, permutations, np.random.default_rng(seed)))
    # Permutations that leave every start in its place are as far from zero as the real one, up to rounding.
    as_far = int((np.abs(drawn) >= abs(real) * (1 - 1e-9)).sum())
    p = (1 + as_far) / (1 + permutations)
    whole = TwoWay.of(adoption)
    row: dict[str, Any] = {
        "model": "twfe", "outcome": outcome, "term": "att",
        **inference(real, whole.se, df=adoption.clusters - 1, level=level), **adoption.counts(),
    }  # fmt: skip
    names = adoption.sample.names
    facts = {"permutations": permutations, "seed": seed, "permutation_p": p, "placebo_sd": float(drawn.std())}
    key = "placebo.equation_within" if within else "placebo.equation"
    return Fit(
        method="placebo",
        rows=estimates([row]),
        equation=Phrase.of(key, outcome=names["y"], unit=names["unit"], time=names["period"], of=cluster or unit,
                           within=within or ""),
        errors=adoption.errors(),
        drops=adoption.sample.drops,
        facts=adoption.facts() | facts,
        curves={"placebo": pl.DataFrame({"permutation": range(1, permutations + 1), "estimate": drawn})},
        shows=_shows(real, drawn, as_far, p),
        not_shown=(Phrase.of("placebo.sharp"), Phrase.of("placebo.same_regression")),
        warnings=_warnings(row["p"], p),
        notes=adoption.notes,
        sources=("Fisher (1935), The Design of Experiments",
                 "Chetty, Looney and Kroft (2009), American Economic Review 99, 1145-1177"),
        level=level,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """Be what each cluster adds for each start: to the policy's square, to its products with others and the outcome.

    With Z the wave effects and covariates without unit means, b = N / (A - V' (Z'Z)^-1 V), where A, V and N are sums of
    clusters, because units lie within clusters.
    """

    square: Floats
    product: Floats
    outcome: Floats
    inverse: Floats

    def estimates(self, starts: Ints) -> Floats:
        """Give the estimate for each row of `starts` (places of starts, one column a cluster)."""
        clusters = np.arange(starts.shape[1])
        step = max(1, _AT_ONCE // max(1, starts.shape[1] * self.product.shape[2]))
        found = []
        for first in range(0, len(starts), step):
            some = starts[first : first + step]
            product = self.product[clusters, some].sum(axis=1)
            left = self.square[clusters, some].sum(axis=1) - np.einsum("pi,ij,pj->p", product, self.inverse, product)
            found.append(self.outcome[clusters, some].sum(axis=1) / left)
        return np.concatenate(found)


def _sums(adoption: Adoption, of: str, within: str | None) -> tuple[_Sums, Ints, Ints]:
    frame = adoption.frame
    unit, period = frame["unit"].to_numpy(), frame["period"].to_numpy()
    mass = frame["w"].to_numpy() if adoption.weighted else np.ones(frame.height)
    cluster = np.unique(frame["cluster"].to_numpy(), return_inverse=True)[1]
    count = int(cluster.max()) + 1
    cohorts, place = np.unique(frame["cohort"].to_numpy(), return_inverse=True)
    starts = _one_each(cluster, place, count, "start", of)
    strata = np.zeros(count, np.int64)
    if within:
        strata = _one_each(cluster, frame["l0"].to_numpy(), count, within, of)
    dummies = (period[:, None] == np.unique(period)[1:]).astype(float)
    others = [dummies, frame.select(adoption.within).to_numpy()] if adoption.within else [dummies]
    fixed = unit_residuals(np.column_stack(others), unit, mass)
    outcome = unit_residuals(frame.select("y").to_numpy(), unit, mass)
    outcome = residuals(outcome, fixed, mass)[:, 0]
    square, product, crossed = (np.zeros((count, len(cohorts), *more)) for more in ((), (fixed.shape[1],), ()))
    for which, cohort in enumerate(cohorts):
        if cohort == 0:
            continue
        policy = unit_residuals((period >= cohort).astype(float)[:, None], unit, mass)[:, 0]
        weighted = policy * mass
        square[:, which] = np.bincount(cluster, weighted * policy, count)
        crossed[:, which] = np.bincount(cluster, weighted * outcome, count)
        for column in range(fixed.shape[1]):
            product[:, which, column] = np.bincount(cluster, weighted * fixed[:, column], count)
    inverse = np.linalg.pinv((fixed * mass[:, None]).T @ fixed, rcond=1e-12, hermitian=True)
    return _Sums(square, product, crossed, np.asarray(inverse, np.float64)), starts, strata


def _one_each(cluster: Ints, values: Ints, count: int, column: str, of: str) -> Ints:
    """Give the one value of each cluster. Raises UsageError start_differs where there are several."""
    found = np.zeros(count, np.int64)
    found[cluster] = values
    differing = len(np.unique(cluster[values != found[cluster]]))
    if differing:
        raise UsageError(
            "start_differs",
            f"{column!r} differs within {differing:,} clusters of {of!r}; permute over what shares one value: name "
            "another cluster, or none to permute over units",
        )
    return found


def _permuted(starts: Ints, strata: Ints, permutations: int, rng: np.random.Generator) -> Ints:
    drawn = np.empty((permutations, len(starts)), np.int64)
    for stratum in np.unique(strata):
        places = np.flatnonzero(strata == stratum)
        drawn[:, places] = rng.permuted(np.tile(starts[places], (permutations, 1)), axis=1)
    return drawn


def _shows(real: float, drawn: Floats, as_far: int, p: float) -> tuple[Phrase, ...]:
    return (
        Phrase.of("placebo.found", estimate=number_text(real), as_far=f"{as_far:,}", of=f"{len(drawn):,}",
                  p=f"{p:.3g}"),
        Phrase.of("placebo.spread", low=number_text(float(np.percentile(drawn, 2.5))),
                  high=number_text(float(np.percentile(drawn, 97.5))), mean=number_text(float(drawn.mean()))),
    )  # fmt: skip


def _warnings(analytic: float | None, p: float) -> tuple[Phrase, ...]:
    if analytic is not None and analytic < 0.05 <= p:
        return (Phrase.of("placebo.chance", p=f"{p:.3g}", analytic=f"{analytic:.2g}"),)
    return ()
