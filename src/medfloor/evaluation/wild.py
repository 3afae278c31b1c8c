"""Test with few clusters: the wild cluster bootstrap, on data from which unit means were taken out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from medfloor.errors import UsageError
from medfloor.evaluation.absorbed import regress
from medfloor.evaluation.fixed_effects import (
    Model,
    demeaned,
    equation_of,
    interval_told,
    is_exact,
    left_out_told,
    limits_told,
    mean_of,
    model_of,
    refuse_constant,
    sample_of,
    without_silent_rows,
)
from medfloor.evaluation.result import Fit, estimates, inference
from medfloor.evaluation.sample import Sample
from medfloor.evaluation.winsor import Percentiles
from medfloor.words import Phrase

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

WEIGHTS = ("auto", "rademacher", "webb", "mammen")
FEWEST_CLUSTERS = 5
"""Below this even weights of six points give few different samples, and tests are unreliable (Webb 2023)."""
MOST_CLUSTERS = 2_000
"""More clusters than this need no bootstrap; the bootstrap is for few."""


def wild_bootstrap(
    panel: pl.DataFrame,
    *,
    outcome: str,
    treatment: str,
    unit: str | None = None,
    time: str | None = None,
    covariates: Sequence[str] = (),
    cluster: str | None = None,
    weight: str | None = None,
    effects: Sequence[str] | None = None,
    draws: int = 999,
    seed: int = 1,
    weights: str = "auto",
    winsorise: Percentiles | None = None,
    level: float = 0.95,
) -> Fit:
    """Give p and interval of a treatment by the wild cluster bootstrap, for few clusters.

    Residuals of the model without the treatment are multiplied, cluster by cluster, by random weights, and the t of the
    treatment is taken anew (null imposed, "WCR11"); p is the share of draws whose t is larger in size. The interval
    holds every value that the same draws do not reject. `weights`: Rademacher's signs, Webb's six points (chosen by
    "auto" below 12 clusters), or Mammen's two. Where the signs have fewer patterns than `draws`, all patterns are used.
    Unit means are taken out first and other effects stay as columns, so that memory is that of the data.

    Raises UsageError: what `two_way_fixed_effects` raises, bad_draws, bad_model, too_many_clusters, too_many_levels.

    Source: Cameron, Gelbach and Miller (2008, Review of Economics and Statistics 90, 414-427); Roodman, MacKinnon,
    Nielsen and Webb (2019, Stata Journal 19, 4-60); weights of six points: Webb (2023); wildboottest.

    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> panel = pl.DataFrame({"city": np.repeat(np.arange(8), 4), "wave": np.tile([1, 2, 3, 4], 8)})
    >>> panel = panel.with_columns(covered=(pl.col("city") < 4) & (pl.col("wave") > 2), poor=rng.normal(size=32))
    >>> fit = wild_bootstrap(panel, outcome="poor", treatment="covered", unit="city", time="wave", draws=99)
    >>> fit.facts["clusters"], 0 <= fit.p <= 1
    (8, True)
    """
    if not 99 <= draws <= 99_999:
        raise UsageError("bad_draws", f"{draws} draws; between 99 and 99999, and 999 as a rule")
    if weights not in WEIGHTS:
        raise UsageError("bad_model", f"there are no weights {weights!r}; use {', '.join(WEIGHTS)}")
    model = model_of(unit, time, effects, cluster, "cluster", "fixest", "linear")
    sample, notes = sample_of(panel, outcome, (treatment,), covariates, weight, model, winsorise)
    sample = without_silent_rows(sample, model.columns)
    refuse_constant(sample, ("d0",), model)
    found = regress(
        sample.frame, y="y", x=("d0", *sample.covariates), effects=model.columns, errors="cluster",
        clusters=model.cluster_columns, weight="w" if weight else None,
    )  # fmt: skip
    refuse_constant(sample, ("d0",), model, found)
    clusters = found.clusters[0]
    if clusters > MOST_CLUSTERS:
        raise UsageError(
            "too_many_clusters",
            f"{clusters:,} clusters need no bootstrap, which is for few; clustered errors are right with so many",
        )
    chosen = ("webb" if clusters < 12 else "rademacher") if weights == "auto" else weights
    design, y, codes = demeaned(sample, model, [name for name in found.names if name != "Intercept"])
    boot = _bootstrap(design, y, codes, draws, seed, chosen)
    place = found.place("d0")
    estimate, se = float(found.beta[place]), found.se("d0")
    if is_exact(sample, found):
        raise UsageError(
            "not_estimable", f"{outcome!r} is explained to the last digit: there are no residuals to draw from"
        )
    analytic = inference(estimate, se, df=found.df, level=level)
    low, high = boot.interval(level)
    row = {
        "model": "wild_bootstrap", "outcome": outcome, "term": treatment, **analytic, "df": None, "p": boot.p(0.0),
        "low": low, "high": high, "rows": found.rows, "clusters": clusters,
        "units": sample.frame["unit"].n_unique() if unit else None,
    }  # fmt: skip
    facts: dict[str, float | int | str] = {"rows": found.rows, "clusters": clusters, "draws": boot.draws, "seed": seed}
    facts["mean_outcome"] = mean_of(sample.frame, "y")
    if isinstance(analytic["p"], float):
        facts["p_analytic"] = analytic["p"]
    return Fit(
        method="fixed-effects",
        rows=estimates([row]),
        equation=equation_of(sample, model, ("d0",)),
        errors=Phrase.of(
            "fixed_effects.wild", by=model.clusters[0], clusters=f"{clusters:,}", draws=f"{boot.draws:,}",
            weights=chosen, seed=seed,
        ),
        drops=sample.drops,
        facts=facts,
        shows=interval_told(row, level),
        not_shown=limits_told(sample, model, (treatment,)),
        warnings=_warnings(clusters),
        notes=(*notes, *left_out_told(sample, found), *_notes(sample, model, boot, chosen, clusters, row)),
        sources=(
            "Cameron, Gelbach and Miller (2008), Bootstrap-based improvements for inference with clustered errors",
            "Roodman, MacKinnon, Nielsen and Webb (2019), Fast and wild; wildboottest",
        ),
        level=level,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class _Bootstrap:
    """Be a bootstrap that can be asked for any null: its scores and t are linear in the value that is tested.

    With outcome y - r d, the numerator of each draw is `above[0] - r * above[1]`, the deviations of clusters
    `spread[0] - r * spread[1]`, and the t of the data is `(estimate - r) / se`.
    """

    estimate: float
    se: float
    above: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]
    squares: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]
    draws: int
    enumerated: bool

    def p(self, null: float) -> float:
        """Give the share of draws whose t is larger in size than that of the data."""
        import numpy as np

        numerator = self.above[0] - null * self.above[1]
        variance = self.squares[0] - 2 * null * self.squares[1] + null**2 * self.squares[2]
        t = numerator / np.sqrt(np.maximum(variance, 1e-300))
        return float(np.mean(abs(self.estimate - null) / self.se < np.abs(t)))

    def interval(self, level: float) -> tuple[float, float]:
        """Find the ends of the set of values that are not rejected; an infinite end is NaN."""
        return self._end(-1.0, 1 - level), self._end(1.0, 1 - level)

    def _end(self, side: float, alpha: float) -> float:
        step = 2.0 * self.se
        inside, outside = 0.0, step
        while self.p(self.estimate + side * outside) > alpha:
            inside, outside = outside, 2 * outside
            if outside > 1e4 * step:
                return float("nan")
        for _ in range(50):
            middle = (inside + outside) / 2
            if self.p(self.estimate + side * middle) > alpha:
                inside = middle
            else:
                outside = middle
        return self.estimate + side * inside


def _bootstrap(
    design: npt.NDArray[np.float64],
    y: npt.NDArray[np.float64],
    cluster: npt.NDArray[np.int64],
    draws: int,
    seed: int,
    weights: str,
) -> _Bootstrap:
    """Draw once, for the outcome and for the treatment as outcome; the treatment is the first column of the design.

    Scores, weights, covariance and t are wildboottest's. The squares of its denominator are multiplied out here,
    because its loop is compiled anew on every call and grows with the square of the number of clusters.
    """
    import numpy as np
    from wildboottest.wildboottest import WildboottestCL

    design = _independent(design)

    boots: list[Any] = []
    for outcome in (y, design[:, 0]):
        chosen = np.zeros(design.shape[1])
        chosen[0] = 1.0
        boot = WildboottestCL(X=design, Y=outcome, cluster=cluster, R=chosen, B=draws, seed=seed, parallel=False)
        boot.get_scores(bootstrap_type="11", impose_null=True)
        _, drawn, enumerated = boot.get_weights(weights_type=weights)
        boot.get_numer()
        boots.append(boot)
    first, second = boots
    first.get_vcov()
    se = float(np.sqrt(first.ssc * first.vcov[0, 0]))
    left, right = _deviations(first), _deviations(second)
    return _Bootstrap(
        estimate=float(first.beta_hat[0]),
        se=se,
        above=(first.numer, second.numer),
        squares=tuple(
            first.ssc * np.einsum("gb,gb->b", one, two) for one, two in ((left, left), (left, right), (right, right))
        ),
        draws=int(drawn),
        enumerated=bool(enumerated),
    )


def _deviations(boot: Any) -> npt.NDArray[np.float64]:
    """Give, for each cluster and draw, the score of the drawn residuals less what the drawn coefficients explain."""
    import numpy as np

    own = boot.Cg[:, None] * boot.v
    drawn = boot.tXXinv @ (boot.scores_mat @ boot.v)
    shares = np.array([boot.RtXXinv @ inner for inner in boot.tXgXg_list])
    deviations: npt.NDArray[np.float64] = own - shares @ drawn
    return deviations


def _independent(design: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Leave out columns after the first that earlier ones explain (waves that a cluster's absence makes empty)."""
    import numpy as np

    norms = np.sqrt((design**2).sum(axis=0))
    scaled = design[:, norms > 0] / norms[norms > 0]
    kept: list[int] = []
    basis = np.zeros((len(scaled), 0))
    for place, column in enumerate(scaled.T):
        rest = column - basis @ (basis.T @ column)
        rest = rest - basis @ (basis.T @ rest)
        size = float(np.sqrt(rest @ rest))
        if size > 1e-7:
            kept.append(place)
            basis = np.column_stack([basis, rest / size])
    return design[:, norms > 0][:, kept]


def _warnings(clusters: int) -> tuple[Phrase, ...]:
    if clusters >= FEWEST_CLUSTERS:
        return ()
    return (Phrase.of("fixed_effects.wild_too_few", clusters=clusters, least=FEWEST_CLUSTERS),)


def _notes(
    sample: Sample, model: Model, boot: _Bootstrap, weights: str, clusters: int, row: Mapping[str, object]
) -> tuple[Phrase, ...]:
    notes = []
    if weights == "webb" and clusters < 12:
        notes.append(Phrase.of("fixed_effects.webb", patterns=f"{2**clusters:,}"))
    if boot.enumerated:
        notes.append(Phrase.of("fixed_effects.enumerated", patterns=f"{boot.draws:,}"))
    if row["p"] == 0.0:
        notes.append(Phrase.of("fixed_effects.smallest_p", draws=f"{boot.draws:,}"))
    if row["low"] != row["low"] or row["high"] != row["high"]:
        notes.append(Phrase.of("fixed_effects.no_end"))
    if "unit" in model.columns:
        seen = sample.frame.select("unit", model.cluster_columns[0]).unique()
        units = sample.frame["unit"].n_unique()
        crossing = units - seen.group_by("unit").len().filter(pl.col("len") == 1).height
        if crossing:
            notes.append(Phrase.of("fixed_effects.crossing", crossing=f"{crossing:,}", units=f"{units:,}"))
    return tuple(notes)
