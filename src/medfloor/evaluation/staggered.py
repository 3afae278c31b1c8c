"""Estimate the effect of a policy that came to different places in different waves, by several estimators at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medfloor.errors import UsageError
from medfloor.evaluation.adoption import Adoption, adopt
from medfloor.evaluation.group_time import METHODS, Effect, GroupTime, group_time
from medfloor.evaluation.modern import Found, gardner, imputation, stacked, sun_abraham
from medfloor.evaluation.reading import effect_told
from medfloor.evaluation.result import Fit, estimates, inference, number_text
from medfloor.evaluation.winsor import Percentiles
from medfloor.evaluation.within import residuals, two_way_residuals
from medfloor.words import Phrase

Row: TypeAlias = dict[str, Any]
ESTIMATORS = ("twfe", "callaway_santanna", "sun_abraham", "imputation", "gardner", "stacked")
BY = ("event", "cohort", "wave", "cells")
"""How effects can be told apart beside the overall one: terms of rows, and the table of cells."""
USUAL = ("twfe", "callaway_santanna", "sun_abraham", "imputation")
MUCH_NEGATIVE = 0.05
"""From this sum of negative weights on a warning is given. A convention of ours."""

_SOURCES = {
    "twfe": "de Chaisemartin and D'Haultfoeuille (2020), American Economic Review 110, 2964-2996",
    "callaway_santanna": "Callaway and Sant'Anna (2021), Journal of Econometrics 225, 200-230; diff-diff 3.13",
    "sun_abraham": "Sun and Abraham (2021), Journal of Econometrics 225, 175-199; diff-diff 3.13",
    "imputation": "Borusyak, Jaravel and Spiess (2024), Review of Economic Studies 91, 3253-3285; diff-diff 3.13",
    "gardner": "Gardner (2022), arXiv 2207.05943; diff-diff 3.13",
    "stacked": "Wing, Freedman and Hollingsworth (2024), NBER working paper 32054; diff-diff 3.13",
}


def staggered(
    panel: pl.DataFrame,
    *,
    outcome: str,
    start: str,
    unit: str,
    time: str,
    cluster: str | None = None,
    covariates: Sequence[str] = (),
    weight: str | None = None,
    estimators: Sequence[str] = USUAL,
    control: Literal["never", "not_yet"] = "never",
    anticipation: int = 0,
    covariate_method: Literal["dr", "reg", "ipw"] = "dr",
    cohort_mean_errors: Literal["exact", "did"] = "exact",
    by: Sequence[str] = BY,
    winsorise: Percentiles | None = None,
    level: float = 0.95,
) -> Fit:
    """Estimate the effect on those under a policy, by two-way fixed effects and by estimators for staggered starts.

    `start` is the first wave under the policy, as `time` counts; empty, 0, infinite or after the last wave says never.
    Waves become 1, 2, ... whatever years lie between them. `cluster` should be where the policy is decided (city,
    province), and must not change within a unit; without it errors are by unit. `control`: who the others are, those
    never under the policy or also those not yet (for Callaway-Sant'Anna, Sun-Abraham and stacked). `anticipation`: so
    many waves before the start may already show effects. Two-way fixed effects are always among the rows, whatever
    `estimators` are asked for.

    Rows by `model` and `term`, in the unit of the outcome:

    - `att`: the effect on a treated unit-wave: every treated row counts the same (Callaway-Sant'Anna: "simple", cells
      by their units; stacked: the mean of event times 0 and 1; two-way fixed effects: a weighted mean whose weights may
      be negative);
    - `event`: by waves since the start (`at`: 0 is the first wave under the policy, -1 the one before it). Before the
      start Callaway-Sant'Anna compares each wave with the one before, Sun-Abraham with wave -1;
    - `event_mean`: their mean from 0 on ("dynamic"); `cohort`: by start (`group`); `cohort_mean`: over cohorts by their
      units ("group"); `wave`: by wave (`at`, as `time` counts); `wave_mean`: over waves ("calendar"). These are of
      Callaway-Sant'Anna, `cohort` also of imputation.

    `by` chooses among event, cohort and wave, and cells: `tables["cells"]` has ATT(g, t). `tables["compared"]` how far
    each estimator lies from two-way fixed effects. Errors of Callaway-Sant'Anna by cluster carry the factor G / (G -
    1), as diff-diff has it; p and intervals are from t with one less than the clusters. `cohort_mean_errors="did"`
    repeats what R's did 2.1.1 prints there (see `GroupTime.over_cohorts`).

    Raises UsageError: what `adopt` raises, unknown_estimator, no_never_treated, not_estimable, one_cluster, bad_number.

    >>> rows = [(i, t, (i % 3) + 2, 10 + i + t + (t - i % 3) * (i % 3 < 2 and t >= i % 3 + 2) + (i * t) % 5 / 10)
    ...         for i in range(30) for t in (1, 2, 3)]
    >>> panel = pl.DataFrame(rows, ["home", "wave", "start", "oop"], orient="row")
    >>> fit = staggered(panel, outcome="oop", start="start", unit="home", time="wave", estimators=["imputation"])
    >>> round(fit.value("att", model="imputation"), 2), round(fit.value("att", model="twfe"), 2)
    (2.33, 2.0)
    """
    chosen = _chosen(estimators, control, covariate_method, anticipation, cohort_mean_errors, by)
    adoption = adopt(
        panel, outcome=outcome, start=start, unit=unit, time=time, cluster=cluster, covariates=covariates,
        weight=weight, winsorise=winsorise,
    )  # fmt: skip
    told = _Told(adoption, level)
    weights = TwoWay.of(adoption)
    told.add("twfe", "att", (weights.estimate, weights.se))
    notes: list[Phrase] = [*adoption.notes]
    tables: dict[str, pl.DataFrame] = {}
    cells: GroupTime | None = None
    if "callaway_santanna" in chosen:
        cells = group_time(adoption, control=control, method=covariate_method, anticipation=anticipation)
        _add_cells(told, cells, cohort_mean_errors)
        if "cells" in by:
            tables["cells"] = cells.table(adoption, level)
        notes += cells.notes
    for name in chosen:
        if name in _OTHERS:
            found = _OTHERS[name](adoption, control, anticipation)
            _add_found(told, name, found)
            notes += found.notes
    tables["compared"], differing = _compared(told, cells, weights)
    rows = _in_order(told.rows, by)
    return Fit(
        method="staggered",
        rows=estimates(rows),
        equation=_equation(adoption, anticipation),
        errors=adoption.errors(),
        drops=adoption.sample.drops,
        facts=adoption.facts() | weights.facts(),
        tables=tables,
        shows=_shows(told, adoption, level),
        not_shown=not_shown(adoption, control),
        warnings=(*differing, *weights.warnings(), *adoption.few_clusters()),
        notes=tuple(dict.fromkeys(notes)),
        sources=tuple(_SOURCES[name] for name in chosen),
        level=level,
    )


def not_shown(adoption: Adoption, control: str) -> tuple[Phrase, ...]:
    """Say what no estimator of staggered adoption shows."""
    phrases = [Phrase.of(f"staggered.parallel_{control}"), Phrase.of("staggered.enrolment")]
    phrases += [] if adoption.asked_cluster else [Phrase.of("staggered.cluster_is_unit", unit=adoption.unit)]
    return (*phrases, Phrase.of("staggered.spillover"))


_OTHERS: dict[str, Callable[[Adoption, str, int], Found]] = {
    "sun_abraham": lambda a, control, early: sun_abraham(a, control=control, anticipation=early),
    "imputation": lambda a, _, early: imputation(a, anticipation=early),
    "gardner": lambda a, _, early: gardner(a, anticipation=early),
    "stacked": lambda a, control, early: stacked(a, control=control, anticipation=early),
}


def _chosen(
    estimators: Sequence[str], control: str, method: str, anticipation: int, errors: str, by: Sequence[str]
) -> tuple[str, ...]:
    for name in estimators:
        if name not in ESTIMATORS:
            raise UsageError("unknown_estimator", f"there is no estimator {name!r}; use {', '.join(ESTIMATORS)}")
    if control not in ("never", "not_yet"):
        raise UsageError("unknown_estimator", f"there is no control {control!r}; use never or not_yet")
    if method not in METHODS:
        raise UsageError("unknown_estimator", f"there is no covariate_method {method!r}; use {', '.join(METHODS)}")
    if errors not in ("exact", "did"):
        raise UsageError("bad_errors", f"there are no cohort_mean_errors {errors!r}; use exact or did")
    for name in by:
        if name not in BY:
            raise UsageError("unknown_estimator", f"effects are not told by {name!r}; use {', '.join(BY)}")
    if anticipation < 0:
        raise UsageError("bad_number", f"anticipation {anticipation}: give a number of waves from 0")
    return tuple(name for name in ESTIMATORS if name == "twfe" or name in estimators)


class _Told:
    """Collect the rows of a fit; each gets the same counts and the same rule for its interval."""

    def __init__(self, adoption: Adoption, level: float) -> None:
        self.adoption, self.level = adoption, level
        self.counts = adoption.counts()
        self.rows: list[Row] = []

    def add(self, model: str, term: str, pair: tuple[float, float], **labels: object) -> None:
        told = inference(*pair, df=self.counts["clusters"] - 1, level=self.level)
        outcome = self.adoption.sample.names["y"]
        self.rows.append({"model": model, "outcome": outcome, "term": term, **told, **self.counts, **labels})

    def overall(self) -> dict[str, Row]:
        return {row["model"]: row for row in self.rows if row["term"] == "att"}


def _add_cells(told: _Told, cells: GroupTime, errors: str) -> None:
    def add(term: str, effect: Effect, **labels: object) -> None:
        told.add("callaway_santanna", term, (effect.value, cells.se(effect)), **labels)

    add("att", cells.simple())
    for at, effect in cells.by_event_time().items():
        add("event", effect, at=float(at))
    add("event_mean", cells.over_event_times())
    for cohort, effect in cells.by_cohort().items():
        add("cohort", effect, group=told.adoption.wave_text(cohort))
    add("cohort_mean", cells.over_cohorts(errors))
    for wave, effect in cells.by_wave().items():
        add("wave", effect, at=told.adoption.wave(wave))
    add("wave_mean", cells.over_waves())


def _add_found(told: _Told, name: str, found: Found) -> None:
    told.add(name, "att", found.overall, rows=found.rows)
    for at, pair in sorted(found.by_event_time.items()):
        told.add(name, "event", pair, at=float(at), rows=found.rows)
    for cohort, pair in sorted(found.by_cohort.items()):
        told.add(name, "cohort", pair, group=told.adoption.wave_text(cohort), rows=found.rows)


def _in_order(rows: list[Row], by: Sequence[str]) -> list[Row]:
    """Put the overall effects of all estimators first, so that they stand beside each other."""
    chosen = [row for row in rows if row["term"].removesuffix("_mean") in by]
    return [row for row in rows if row["term"] == "att"] + chosen


@dataclass(frozen=True, slots=True, eq=False)
class TwoWay:
    """Be two-way fixed effects, with what they weigh each treated row and what each cluster adds to their error."""

    estimate: float
    se: float
    share: NDArray[np.float64]
    influence: NDArray[np.float64]

    @classmethod
    def of(cls, adoption: Adoption) -> TwoWay:
        """Estimate it from what unit and wave effects (and covariates) leave of policy and outcome.

        Estimate and error are those of pyfixest and fixest, to the last digits (a test sees to it), in a fraction of
        the time. A treated row weighs its residual as a share of the sum over treated rows: de Chaisemartin and
        D'Haultfoeuille (2020), theorem 1, with rows as cells.

        Raises UsageError not_estimable, one_cluster.
        """
        frame = adoption.frame
        if adoption.clusters < 2:
            raise UsageError("one_cluster", "there is one cluster only; errors need many, so name another --cluster")
        mass = frame["w"].to_numpy() if adoption.weighted else None
        columns = frame.select("treated", "y", *adoption.within).to_numpy()
        left = two_way_residuals(columns, frame["unit"].to_numpy(), frame["period"].to_numpy(), mass)
        spread = np.sqrt((columns**2).mean(axis=0))
        others = left[:, 2:][:, np.sqrt((left[:, 2:] ** 2).mean(axis=0)) > 1e-9 * spread[2:]]
        others = others / np.sqrt((others**2).mean(axis=0))
        left = residuals(left[:, :2], others, mass)
        policy, outcome = left[:, 0], left[:, 1]
        weighted = policy if mass is None else policy * mass
        square = float(weighted @ policy)
        if square < 1e-18 * frame.height:
            raise UsageError(
                "not_estimable",
                "the policy cannot be told apart from unit and wave effects: it begins everywhere in the same wave, "
                "and nobody is never under it",
            )
        estimate = float(weighted @ outcome) / square
        score = weighted * (outcome - estimate * policy) / square
        influence = np.bincount(frame["cluster"].to_numpy(), score)
        # Unit effects lie within clusters and are not counted (fixest's default).
        rank = int(np.linalg.matrix_rank(others)) if others.shape[1] else 0
        rows, clusters, used = frame.height, adoption.clusters, 1 + rank + frame["period"].n_unique()
        factor = clusters / (clusters - 1) * (rows - 1) / (rows - used)
        treated = frame["treated"].to_numpy() > 0
        share = weighted[treated] / weighted[treated].sum()
        return cls(estimate, float(np.sqrt(factor * (influence @ influence))), share, np.asarray(influence, np.float64))

    @property
    def negative(self) -> float:
        """Give the sum of the negative weights, as a number above zero."""
        return float(-self.share[self.share < 0].sum())

    def facts(self) -> dict[str, float | int | str]:
        """Give what a fit tells of the weights."""
        return {"negative_weight": self.negative, "negative_rows": float((self.share < 0).mean())}

    def warnings(self) -> tuple[Phrase, ...]:
        """Warn of much negative weight."""
        if self.negative < MUCH_NEGATIVE:
            return ()
        rows = f"{100 * float((self.share < 0).mean()):.3g}"
        return (Phrase.of("staggered.negative_weights", weight=f"{100 * self.negative:.3g}", rows=rows),)


def _compared(told: _Told, cells: GroupTime | None, weights: TwoWay) -> tuple[pl.DataFrame, tuple[Phrase, ...]]:
    """Hold each estimator against two-way fixed effects; warn where they differ in sign or by more than two errors."""
    overall = told.overall()
    base = overall.pop("twfe")
    rows: list[Row] = []
    warnings: list[Phrase] = []
    for name, row in overall.items():
        if row["estimate"] is None or not math.isfinite(row["estimate"]):
            continue
        difference = row["estimate"] - base["estimate"]
        if name == "callaway_santanna" and cells is not None:
            error, kind = _paired_error(cells, weights), "paired"
        else:
            known = [one["se"] for one in (row, base) if math.isfinite(one["se"])]
            error, kind = max(known, default=math.nan), "larger"
        rows.append({"model": name, "difference": difference, "se": error, "error_kind": kind})
        values = {"model": Phrase.of(f"model.{name}"), "estimate": number_text(row["estimate"]),
                  "twfe": number_text(base["estimate"])}  # fmt: skip
        if row["estimate"] * base["estimate"] < 0:
            warnings.append(Phrase.of("staggered.other_sign", **values))
        elif error > 0 and abs(difference) > 2 * error:
            errors = number_text(error)
            warnings.append(
                Phrase.of(f"staggered.far_{kind}", **values, se=errors, times=f"{abs(difference) / error:.3g}")
            )
    return pl.DataFrame(rows, infer_schema_length=None), tuple(warnings)


def _paired_error(cells: GroupTime, weights: TwoWay) -> float:
    """Give the error of the difference, cluster by cluster: both estimates come from the same units."""
    # Clusters that the cells do not know (units are sorted there) add nothing to them.
    own = cells.simple().influence
    codes = cells.unit_cluster if cells.unit_cluster is not None else cells.units
    size = max(len(weights.influence), int(codes.max()) + 1)
    difference = np.bincount(codes, own, size) - np.bincount(np.arange(len(weights.influence)), weights.influence, size)
    return float(np.sqrt(difference @ difference))


def _equation(adoption: Adoption, anticipation: int) -> Phrase:
    names = adoption.sample.names
    covariates = "".join(f" + {names[name]}" for name in adoption.sample.covariates)
    key = "staggered.equation_early" if anticipation else "staggered.equation"
    return Phrase.of(key, outcome=names["y"], unit=names["unit"], time=names["period"], start=names["start"],
                     covariates=covariates, early=anticipation)  # fmt: skip


def _shows(told: _Told, adoption: Adoption, level: float) -> tuple[Phrase, ...]:
    overall = told.overall()
    phrases: list[Phrase] = []
    first = next((name for name in ("callaway_santanna", "imputation", "sun_abraham") if name in overall), "twfe")
    phrases += effect_told(overall[first], adoption, level)
    signs = {row["estimate"] > 0 for row in overall.values() if math.isfinite(row["estimate"] or math.nan)}
    if len(overall) > 1 and len(signs) == 1:
        phrases.append(Phrase.of("staggered.same_sign", count=len(overall)))
    early = [row for row in told.rows if row["term"] == "event" and row["at"] < -1 and row["low"] is not None]
    if early:
        off = sum(row["low"] > 0 or row["high"] < 0 for row in early)
        phrases.append(Phrase.of("staggered.before", count=len(early), off=off))
    return tuple(phrases)
