"""Hold relative poverty under a line that moves with incomes against lines that the policy cannot move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from medfloor.evaluation.adoption import Adoption, adopt
from medfloor.evaluation.modern import imputation
from medfloor.evaluation.poverty_lines import LINES, PovertyLines, draw_lines
from medfloor.evaluation.result import Fit, estimates, inference, number_text
from medfloor.evaluation.staggered import TwoWay, not_shown
from medfloor.words import Phrase


def fixed_line(
    panel: pl.DataFrame,
    *,
    income: str,
    start: str,
    unit: str,
    time: str,
    share: float = 0.5,
    base: float | None = None,
    by: str | None = None,
    line_weight: str | None = None,
    cluster: str | None = None,
    covariates: Sequence[str] = (),
    weight: str | None = None,
    level: float = 0.95,
) -> Fit:
    """Estimate the effect on relative poverty under three lines, each by two-way fixed effects and by imputation.

    `income` is per head, in prices of one year. Lines are `share` of the median, weighted by `line_weight` (persons
    that a row stands for), apart for each value of `by` (such as residence). `moving`, of all in each wave, is what
    papers use; a policy that raises incomes raises it. `base`, of all in the wave `base` (without it the first), stands
    still. `untreated` is that of the base wave carried forward with the median of those never under the policy: it
    moves with the times, but not with the policy. A row is poor where its income lies below the line.

    Rows by `model` and `outcome` (poor_moving, poor_base, poor_untreated):

    - `att`: the effect on the share of poor. Those under the policy and the others stand under one line, so that its
      rise makes both poorer and mostly cancels here;
    - `line_effect`: the effect on poor_moving less that on poor_base or poor_untreated, estimated in one piece, so that
      its error knows that both are of the same rows;
    - `line_adds` (model `mean`): among rows under the policy, the share of poor under the moving line less that under
      another: what the line gives back of the fall in poverty, which the two rows above do not show. Against `base` it
      holds all growth since then, against `untreated` what others did not have as well.

    `tables["lines"]` lists the lines and the share of all below them. The errors of
    `line_adds` are of a bootstrap over clusters, in which lines are drawn anew (200 draws, fixed seed); those of the
    others take lines as known.

    Raises UsageError: what `adopt` raises, bad_share, no_such_wave, no_never_treated, not_estimable, one_cluster.

    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> rows = [(i, t, 2 if i < 150 else None, float(np.exp(rng.normal(9, 0.5)) * (1.5 if i < 150 and t == 2 else 1)))
    ...         for i in range(300) for t in (1, 2)]
    >>> panel = pl.DataFrame(rows, ["home", "wave", "start", "income"], orient="row")
    >>> fit = fixed_line(panel, income="income", start="start", unit="home", time="wave", share=0.6)
    >>> fit.pick("att", model="twfe").rows["outcome"].to_list()
    ['poor_moving', 'poor_base', 'poor_untreated']
    >>> fit.value("line_adds", outcome="poor_moving - poor_untreated") > 0
    True
    """
    # Lines are of everybody, so that they are drawn before any row is left out for the estimates.
    drawn = draw_lines(
        panel, income=income, start=start, unit=unit, time=time, share=share, base=base, by=by, weight=line_weight,
        cluster=cluster,
    )  # fmt: skip
    lines = drawn.table()
    adoption = adopt(
        panel, outcome=income, start=start, unit=unit, time=time, cluster=cluster, covariates=covariates,
        weight=weight, labels=[by] if by else [],
    )  # fmt: skip
    adoption = _with_poor(adoption, lines)
    rows = [*_rows(adoption, level), *_added(adoption, drawn, level)]
    names = adoption.sample.names
    return Fit(
        method="fixed-line",
        rows=estimates(rows),
        equation=Phrase.of("fixed_line.equation", income=income, share=f"{100 * share:g}", unit=names["unit"],
                           time=names["period"], base=f"{drawn.base:g}"),
        errors=adoption.errors(),
        drops=adoption.sample.drops,
        facts={name: value for name, value in adoption.facts().items() if name != "mean_outcome"},
        tables={"lines": lines.with_columns(pl.col("wave").map_elements(lambda one: f"{one:g}", pl.String))},
        shows=_shows(rows),
        not_shown=(Phrase.of("fixed_line.lines_known"), *not_shown(adoption, "not_yet")),
        warnings=(*_warnings(rows), *adoption.few_clusters()),
        notes=(Phrase.of("fixed_line.same_prices", income=income), *adoption.notes),
        sources=("Borusyak, Jaravel and Spiess (2024), Review of Economic Studies 91, 3253-3285; diff-diff 3.13",),
        level=level,
    )  # fmt: skip


def _with_poor(adoption: Adoption, lines: pl.DataFrame) -> Adoption:
    """Add a column of zeros and ones for each line."""
    waves = pl.DataFrame({"period": range(1, len(adoption.sample.waves) + 1), "wave": adoption.sample.waves})
    frame = adoption.frame.join(waves, on="period", how="left", maintain_order="left")
    on = ["wave"]
    if "group" in lines.columns:
        levels = adoption.sample.levels["l0"]
        groups = pl.DataFrame({"l0": range(len(levels)), "group": levels}, schema_overrides={"l0": pl.Int64})
        frame = frame.join(groups, on="l0", how="left", maintain_order="left")
        on = ["wave", "group"]
    for name in LINES:
        line = lines.filter(pl.col("line") == name).select(*on, pl.col("line_value").alias("_line"))
        frame = frame.join(line, on=on, how="left", maintain_order="left")
        frame = frame.with_columns((pl.col("y") < pl.col("_line")).cast(pl.Float64).alias(f"poor_{name}")).drop("_line")
    return replace(adoption, sample=replace(adoption.sample, frame=frame))


def _rows(adoption: Adoption, level: float) -> list[dict[str, Any]]:
    counts = adoption.counts()
    rows: list[dict[str, Any]] = []
    outcomes = [(f"poor_{name}", "att", pl.col(f"poor_{name}")) for name in LINES]
    outcomes += [
        (f"poor_moving - poor_{name}", "line_effect", pl.col("poor_moving") - pl.col(f"poor_{name}"))
        for name in LINES[1:]
    ]
    for outcome, term, values in outcomes:
        one = adoption.with_outcome(values, outcome)
        if one.frame["y"].n_unique() == 1:
            found = {"twfe": (0.0, float("nan")), "imputation": (0.0, float("nan"))}
        else:
            whole = TwoWay.of(one)
            found = {"twfe": (whole.estimate, whole.se)}
            found["imputation"] = imputation(one, parts=False).overall
        for model, pair in found.items():
            told = inference(*pair, df=counts["clusters"] - 1, level=level)
            rows.append({"model": model, "outcome": outcome, "term": term, **told, **counts})
    return rows


def _added(adoption: Adoption, lines: PovertyLines, level: float) -> list[dict[str, Any]]:
    """Tell what the moving line adds, for rows under the policy; its error knows that lines are estimated."""
    rows = []
    for name, pair in lines.adds().items():
        told = inference(*pair, df=adoption.clusters - 1, level=level)
        outcome = f"poor_moving - poor_{name}"
        rows.append({"model": "mean", "outcome": outcome, "term": "line_adds", **told})
    return rows


def _shows(rows: list[dict[str, Any]]) -> tuple[Phrase, ...]:
    found = {(row["model"], row["outcome"]): row for row in rows}
    phrases = []
    for name in LINES:
        effect = found["imputation", f"poor_{name}"]
        values = {"line": Phrase.of(f"line.{name}"), "effect": number_text(100 * effect["estimate"])}
        phrases.append(Phrase.of("fixed_line.found", **values))
    adds = found["mean", "poor_moving - poor_untreated"]
    phrases.append(Phrase.of("fixed_line.adds", adds=number_text(100 * adds["estimate"])))
    return tuple(phrases)


def _warnings(rows: list[dict[str, Any]]) -> tuple[Phrase, ...]:
    """Warn where the policy moves the line that it is measured by: rows under it are poor by the line's rise."""
    adds = next(row for row in rows if row["term"] == "line_adds" and row["outcome"].endswith("untreated"))
    effect = next(row for row in rows if row["model"] == "imputation" and row["outcome"] == "poor_moving")
    if adds["low"] is None or adds["low"] <= 0 or effect["estimate"] >= 0:
        return ()
    share = number_text(100 * adds["estimate"] / abs(effect["estimate"]))
    return (Phrase.of("fixed_line.line_moves", adds=number_text(100 * adds["estimate"]), share=share),)
