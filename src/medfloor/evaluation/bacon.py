"""Take two-way fixed effects apart: which starts are held against which, with what weight (Goodman-Bacon)."""

from __future__ import annotations

from typing import Any

import polars as pl

from medfloor.errors import UsageError
from medfloor.evaluation.adoption import Adoption, adopt
from medfloor.evaluation.group_time import as_pandas, survey_design
from medfloor.evaluation.heard import hearing
from medfloor.evaluation.result import Fit, estimates, inference, number_text
from medfloor.evaluation.staggered import TwoWay
from medfloor.evaluation.winsor import Percentiles
from medfloor.sparing import ready
from medfloor.words import Phrase

MUCH_FORBIDDEN = 0.1
"""From this weight of forbidden comparisons on a warning is given. A convention of ours."""

_KINDS = {
    "treated_vs_never": "treated_never",
    "earlier_vs_later": "earlier_later",
    "later_vs_earlier": "later_earlier",
}


def bacon(
    panel: pl.DataFrame,
    *,
    outcome: str,
    start: str,
    unit: str,
    time: str,
    cluster: str | None = None,
    weight: str | None = None,
    winsorise: Percentiles | None = None,
    level: float = 0.95,
) -> Fit:
    """Show two-way fixed effects as the weighted mean of all comparisons of two starts, by diff-diff.

    `tables["comparisons"]` has one row a comparison: `kind` (treated_never: against those never under the policy;
    earlier_later: against those not yet under it; later_earlier: against those already under it, which is forbidden
    where effects grow), the two starts (null: never), weight and estimate. `tables["kinds"]` sums them up. The fact
    `forbidden_share` is the weight of later_earlier; a warning is given from 10 % on. The row is the estimate of
    two-way fixed effects that the weighted sum equals (`decomposition_gap` tells how exactly).

    The identity holds in balanced panels without covariates: units that miss a wave are left out and counted.

    Raises UsageError: what `adopt` raises, no_rows_left, not_estimable, one_cluster. Source: Goodman-Bacon (2021),
    Journal of Econometrics 225, 254-277, theorem 1.

    >>> rows = [(i, t, (i % 3) + 2, 10 + i + t + (t - i % 3 - 1 if i % 3 < 2 and t >= i % 3 + 2 else 0))
    ...         for i in range(30) for t in (1, 2, 3)]
    >>> panel = pl.DataFrame(rows, ["home", "wave", "start", "oop"], orient="row")
    >>> fit = bacon(panel, outcome="oop", start="start", unit="home", time="wave")
    >>> fit.tables["comparisons"]["kind"].to_list(), round(fit.facts["forbidden_share"], 3)
    (['treated_never', 'treated_never', 'earlier_later', 'later_earlier'], 0.167)
    """
    adoption = adopt(
        panel, outcome=outcome, start=start, unit=unit, time=time, cluster=cluster, weight=weight, winsorise=winsorise
    )
    waves = len(adoption.sample.waves)
    adoption = adoption.keep(pl.len().over("unit") == waves, "not_in_all_waves", str(waves))
    whole = TwoWay.of(adoption)
    comparisons = _comparisons(adoption)
    kinds = (
        comparisons.group_by("kind", maintain_order=True)
        .agg(pl.col("weight").sum(), pl.col("contribution").sum())
        .with_columns(estimate=pl.col("contribution") / pl.col("weight"))
    )
    forbidden = float(comparisons.filter(pl.col("kind") == "later_earlier")["weight"].sum())
    estimate = whole.estimate
    row = {
        "model": "twfe", "outcome": outcome, "term": "att",
        **inference(estimate, whole.se, df=adoption.clusters - 1, level=level), **adoption.counts(),
    }  # fmt: skip
    gap = estimate - float(comparisons["contribution"].sum())
    names = adoption.sample.names
    return Fit(
        method="bacon",
        rows=estimates([row]),
        equation=Phrase.of("bacon.equation", outcome=names["y"], unit=names["unit"], time=names["period"]),
        errors=adoption.errors(),
        drops=adoption.sample.drops,
        facts=adoption.facts() | {"forbidden_share": forbidden, "decomposition_gap": gap},
        tables={"kinds": kinds, "comparisons": comparisons},
        shows=_shows(kinds, estimate),
        not_shown=(Phrase.of("bacon.no_effect"),),
        warnings=_warnings(forbidden, kinds),
        notes=adoption.notes,
        sources=("Goodman-Bacon (2021), Journal of Econometrics 225, 254-277; diff-diff 3.13",),
        level=level,
    )


def _comparisons(adoption: Adoption) -> pl.DataFrame:
    ready("diff_diff.bacon")
    from diff_diff.bacon import BaconDecomposition

    columns = ["y", "unit", "period", "cohort", "cluster", *(["w"] if adoption.weighted else [])]
    with hearing("twfe"):
        found = BaconDecomposition(weights="exact").fit(
            as_pandas(adoption.frame, columns), "y", "unit", "period", "cohort", survey_design=survey_design(adoption)
        )
    rows: list[dict[str, Any]] = [
        {
            "kind": _KINDS[one.comparison_type],
            "treated_start": adoption.wave_text(int(one.treated_group)),
            "control_start": _start(adoption, one.control_group),
            "weight": float(one.weight), "estimate": float(one.estimate),
            "contribution": float(one.weight * one.estimate),
        }
        for one in found.comparisons
    ]  # fmt: skip
    if not rows:
        raise UsageError("not_estimable", "there is nothing to compare: one start only, and nobody is never treated")
    order = {kind: place for place, kind in enumerate(_KINDS.values())}
    rows.sort(key=lambda row: (order[row["kind"]], row["treated_start"], row["control_start"] or ""))
    return pl.DataFrame(rows, schema_overrides={"control_start": pl.String})


def _start(adoption: Adoption, group: Any) -> str | None:
    return None if group == "never_treated" else adoption.wave_text(int(group))


def _shows(kinds: pl.DataFrame, estimate: float) -> tuple[Phrase, ...]:
    parts = [
        Phrase.of(
            "bacon.part", kind=Phrase.of(f"comparison.{row['kind']}"), weight=f"{100 * row['weight']:.3g}",
            estimate=number_text(row["estimate"]),
        )
        for row in kinds.iter_rows(named=True)
    ]  # fmt: skip
    return (Phrase.of("bacon.whole", estimate=number_text(estimate)), *parts)


def _warnings(forbidden: float, kinds: pl.DataFrame) -> tuple[Phrase, ...]:
    if forbidden < MUCH_FORBIDDEN:
        return ()
    estimate = kinds.filter(pl.col("kind") == "later_earlier")["estimate"][0]
    return (Phrase.of("bacon.forbidden", weight=f"{100 * forbidden:.3g}", estimate=number_text(float(estimate))),)
