"""Estimate an effect group by group, test whether groups differ, and correct for looking many times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from medfloor.errors import UsageError
from medfloor.evaluation.absorbed import Regression, regress
from medfloor.evaluation.result import Drop, Fit, estimates, inference
from medfloor.evaluation.sample import Sample, take
from medfloor.evaluation.winsor import Percentiles
from medfloor.sparing import ready
from medfloor.words import Phrase

CORRECTIONS = {"bonferroni": "bonferroni", "holm": "holm", "benjamini_hochberg": "fdr_bh"}
FEW_IN_A_GROUP = 10


def by_group(
    panel: pl.DataFrame,
    *,
    outcome: str,
    treatment: str,
    by: Sequence[str],
    unit: str,
    time: str,
    covariates: Sequence[str] = (),
    cluster: str | None = None,
    weight: str | None = None,
    winsorise: Percentiles | None = None,
    level: float = 0.95,
) -> Fit:
    """Estimate the effect of a treatment in each group of each column of `by`, by two-way fixed effects.

    Rows by `term` and `group` ("region=east"): `separate`, a regression of that group's rows alone (wave effects and
    covariates of its own); `interacted`, one regression with an effect for each group, where wave effects and
    covariates are common. Two tests of equal effects for each column stand in `tables["equality"]` (`interacted`, and
    `separate` with everything interacted, so that clusters that span groups are heeded), and `tables["corrected"]` has
    the p of each separate estimate corrected over all groups looked at: Bonferroni and Holm (the chance of one false
    finding), Benjamini and Hochberg (the share of false findings).

    A group should not be a consequence of the treatment: take it from the wave before. Where it changes within units,
    its own effect is among the covariates, and a warning tells it. Rows that lack a column are left out and counted;
    so is a group whose treatment does not vary.

    Raises UsageError: what `take` raises, one_level, no_variation, not_estimable, one_cluster. Source: Benjamini and
    Hochberg (1995), Journal of the Royal Statistical Society B 57, 289-300; Holm (1979), Scandinavian Journal of
    Statistics 6, 65-70.

    >>> rows = [(i, t, i % 2, int(t == 2 and i % 4 > 1), i + t + (2 + i % 2) * (t == 2 and i % 4 > 1) + i * t % 5 / 10)
    ...         for i in range(80) for t in (1, 2)]
    >>> panel = pl.DataFrame(rows, ["home", "wave", "urban", "covered", "oop"], orient="row")
    >>> fit = by_group(panel, outcome="oop", treatment="covered", by=["urban"], unit="home", time="wave")
    >>> [round(fit.value("separate", group=group), 1) for group in ("urban=0", "urban=1")]
    [2.0, 3.0]
    """
    if not by:
        raise UsageError("no_columns", "name at least one column of groups")
    sample = take(
        panel, numbers={"y": outcome, "d": treatment}, covariates=covariates, unit=unit, time=time, weight=weight,
        labels={f"g{place}": name for place, name in enumerate(by)} | {"c": cluster or unit},
    )  # fmt: skip
    sample, notes = sample.winsorised("y", winsorise)
    sample = _without_singletons(sample)
    if sample.frame["y"].min() == sample.frame["y"].max():
        raise UsageError(
            "no_variation", f"{outcome!r} never changes, so nothing can be said of it; name another outcome"
        )
    told = _Told(sample, outcome, level)
    equality: list[dict[str, Any]] = []
    warnings: list[Phrase] = []
    drops = [*sample.drops]
    for place, name in enumerate(by):
        one, usable, left = _usable(sample, f"g{place}", name)
        drops += left
        if len(usable) < 2:
            raise UsageError(
                "one_level", f"{name!r} has fewer than two groups whose {treatment!r} varies; nothing can be compared"
            )
        equality += _estimate(told, one, f"g{place}", name, usable)
        warnings += _moving(one, f"g{place}", name)
    names = sample.names
    return Fit(
        method="groups",
        rows=estimates(told.rows),
        equation=Phrase.of("groups.equation", outcome=outcome, treatment=treatment, unit=names["unit"],
                           time=names["period"], by=", ".join(by)),
        errors=Phrase.of("groups.errors", of=cluster or unit, clusters=f"{sample.frame['c'].n_unique():,}"),
        drops=tuple(drops),
        facts={"rows": sample.frame.height, "units": sample.frame["unit"].n_unique(),
               "clusters": sample.frame["c"].n_unique(), "waves": len(sample.waves),
               "mean_outcome": float(sample.frame["y"].mean())},  # type: ignore[arg-type]
        tables={"equality": pl.DataFrame(equality), "corrected": _corrected(told.rows)},
        shows=_shows(equality, told.rows, level),
        not_shown=(Phrase.of("groups.not_caused"), Phrase.of("groups.one_significant")),
        warnings=(*warnings, *told.warnings()),
        notes=notes,
        sources=("pyfixest 0.60; statsmodels (multipletests)",
                 "Benjamini and Hochberg (1995), Journal of the Royal Statistical Society B 57, 289-300"),
        level=level,
    )  # fmt: skip


@dataclass(slots=True)
class _Told:
    """Collect rows with the counts of what each stands on."""

    sample: Sample
    outcome: str
    level: float
    rows: list[dict[str, Any]]

    def __init__(self, sample: Sample, outcome: str, level: float) -> None:
        self.sample, self.outcome, self.level, self.rows = sample, outcome, level, []

    def add(self, term: str, group: str, found: Regression, name: str, frame: pl.DataFrame) -> None:
        clusters = frame["c"].n_unique()
        told = inference(
            float(found.beta[found.place(name)]), found.se(name), df=float(found.clusters[0] - 1), level=self.level
        )
        self.rows.append({
            "model": "twfe", "outcome": self.outcome, "term": term, "group": group, **told, "rows": frame.height,
            "units": frame["unit"].n_unique(), "clusters": clusters,
        })  # fmt: skip

    def warnings(self) -> tuple[Phrase, ...]:
        few = [row for row in self.rows if row["term"] == "separate" and row["clusters"] < FEW_IN_A_GROUP]
        return tuple(Phrase.of("groups.few_clusters", group=row["group"], clusters=row["clusters"]) for row in few)


def _without_singletons(sample: Sample) -> Sample:
    return sample.keep(pl.len().over("unit") > 1, "singleton")


def _usable(sample: Sample, code: str, name: str) -> tuple[pl.DataFrame, list[int], list[Drop]]:
    """Keep groups in which the treatment varies within units beside the waves."""
    usable, drops = [], []
    for level in sample.frame[code].unique().sort():
        part = sample.frame.filter(pl.col(code) == level)
        if _varies(part, "unit", "d") and _varies(part, "period", "d") and part["c"].n_unique() > 1:
            usable.append(int(level))
        else:
            drops.append(Drop("group_without_variation", part.height, None, f"{name}={sample.level(code, int(level))}"))
    return sample.frame.filter(pl.col(code).is_in(usable)), usable, drops


def _varies(frame: pl.DataFrame, within: str, column: str) -> bool:
    return bool((frame.group_by(within).agg(pl.col(column).n_unique())[column] > 1).any())


def _estimate(told: _Told, frame: pl.DataFrame, code: str, name: str, levels: list[int]) -> list[dict[str, Any]]:
    sample = told.sample
    weight = "w" if "w" in frame.columns else None
    common: dict[str, Any] = {"y": "y", "errors": "cluster", "clusters": ("c",), "weight": weight}
    columns = {f"d{level}": ((pl.col(code) == level) * pl.col("d")).alias(f"d{level}") for level in levels}
    own = {f"o{level}": (pl.col(code) == level).cast(pl.Float64).alias(f"o{level}") for level in levels[1:]}
    own = own if _varies(frame, "unit", code) else {}
    joint = regress(
        frame.with_columns(*columns.values(), *own.values()), x=[*columns, *own, *sample.covariates],
        effects=("unit", "period"), **common,
    )  # fmt: skip
    for level in levels:
        group = f"{name}={sample.level(code, level)}"
        part = frame.filter(pl.col(code) == level)
        part = part.filter(pl.len().over("unit") > 1)
        if part.is_empty():
            continue
        alone = regress(part, x=["d", *sample.covariates], effects=("unit", "period"), **common)
        if "d" in alone.names:
            told.add("separate", group, alone, "d", part)
    for level in levels:
        if f"d{level}" in joint.names:
            part = frame.filter(pl.col(code) == level)
            told.add("interacted", f"{name}={sample.level(code, level)}", joint, f"d{level}", part)
    whole = _all_interacted(frame, code, levels, sample.covariates, columns, common)
    return [
        {"by": name, "term": term, **_equal(found, list(columns))}
        for term, found in (("separate", whole), ("interacted", joint))
    ]


def _all_interacted(
    frame: pl.DataFrame,
    code: str,
    levels: list[int],
    covariates: Sequence[str],
    columns: dict[str, pl.Expr],
    common: dict[str, Any],
) -> Regression:
    """Regress with everything apart by group: the estimates are those of the separate regressions."""
    apart = [((pl.col(code) == level) * pl.col(one)).alias(f"{one}_{level}") for one in covariates for level in levels]
    crossed = frame.with_columns(
        *columns.values(), *apart,
        (pl.struct("unit", code).rank("dense") - 1).cast(pl.Int64).alias("unit_group"),
        (pl.struct("period", code).rank("dense") - 1).cast(pl.Int64).alias("period_group"),
    )  # fmt: skip
    crossed = crossed.filter(pl.len().over("unit_group") > 1)
    names = [*columns, *(f"{one}_{level}" for one in covariates for level in levels)]
    return regress(crossed, x=names, effects=("unit_group", "period_group"), **common)


def _equal(found: Regression, names: list[str]) -> dict[str, Any]:
    """Test that all effects are the same (Wald, F with the degrees of freedom of the clusters)."""
    from scipy.special import fdtrc

    known = [name for name in names if name in found.names]
    if len(known) < 2:
        return {"f": None, "df1": None, "df2": None, "p": None}
    beta, vcov = found.block(known)
    contrast = np.column_stack([-np.ones(len(known) - 1), np.eye(len(known) - 1)])
    middle = contrast @ vcov @ contrast.T
    rank = int(np.linalg.matrix_rank(middle, hermitian=True))
    gap = contrast @ beta
    statistic = float(gap @ np.linalg.pinv(middle, hermitian=True) @ gap) / max(rank, 1)
    below = found.clusters[0] - 1
    return {"f": statistic, "df1": rank, "df2": below, "p": float(fdtrc(rank, below, max(statistic, 0.0)))}


def _corrected(rows: list[dict[str, Any]]) -> pl.DataFrame:
    multipletests = ready("statsmodels.stats.multitest").multipletests

    known = [row for row in rows if row["term"] == "separate" and row["p"] is not None]
    raw = [row["p"] for row in known]
    columns: dict[str, Any] = {"group": [row["group"] for row in known], "p": raw}
    for name, method in CORRECTIONS.items():
        columns[name] = multipletests(raw, method=method)[1] if raw else []
    return pl.DataFrame(columns)


def _moving(frame: pl.DataFrame, code: str, name: str) -> list[Phrase]:
    changing = int((frame.group_by("unit").agg(pl.col(code).n_unique())[code] > 1).sum())
    return [Phrase.of("groups.moving", by=name, units=f"{changing:,}")] if changing else []


def _shows(equality: list[dict[str, Any]], rows: list[dict[str, Any]], level: float) -> tuple[Phrase, ...]:
    phrases = [
        Phrase.of("groups.equal" if one["p"] >= 1 - level else "groups.differ", by=one["by"], p=f"{one['p']:.3g}")
        for one in equality
        if one["term"] == "separate" and one["p"] is not None
    ]
    corrected = _corrected(rows)
    found = corrected.filter(pl.col("holm") < 1 - level)["group"].to_list()
    key = "groups.found" if found else "groups.none_found"
    return (*phrases, Phrase.of(key, groups=", ".join(found), count=corrected.height))
