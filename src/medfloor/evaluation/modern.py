"""Estimate staggered adoption without comparing with units that are already under the policy: four estimators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medfloor.evaluation.adoption import NEVER, Adoption, refuse_no_never
from medfloor.evaluation.group_time import CONTROLS, as_pandas, survey_design
from medfloor.evaluation.heard import hearing
from medfloor.sparing import ready
from medfloor.words import Phrase


@dataclass(frozen=True, slots=True)
class Found:
    """Be what an estimator found: pairs of estimate and error, over all, by event time and by cohort."""

    overall: tuple[float, float]
    by_event_time: dict[int, tuple[float, float]] = field(default_factory=dict)
    by_cohort: dict[int, tuple[float, float]] = field(default_factory=dict)
    rows: int = 0
    notes: tuple[Phrase, ...] = ()


def sun_abraham(adoption: Adoption, *, control: str = "never", anticipation: int = 0) -> Found:
    """Interact cohorts with event times in one regression with unit and wave effects, and average by shares.

    The overall effect weighs every treated row the same. The error takes the shares as given, as fixest's sunab does.
    Source: Sun and Abraham (2021), Journal of Econometrics 225, 175-199, section 4.
    """
    if control == "never":
        refuse_no_never(adoption)
    ready("diff_diff.sun_abraham")
    from diff_diff.sun_abraham import SunAbraham

    model = SunAbraham(
        control_group=CONTROLS[control], anticipation=anticipation, rank_deficient_action="silent",
        cluster="cluster" if adoption.asked_cluster else None,
    )  # fmt: skip
    fit, notes = _fit(model, "sun_abraham", adoption, adoption.frame)
    events = {int(at): (float(one["effect"]), float(one["se"])) for at, one in fit.event_study_effects.items()}
    return Found((float(fit.overall_att), float(fit.overall_se)), events, {}, adoption.frame.height, notes)


def sun_abraham_events(
    adoption: Adoption, *, control: str = "never"
) -> tuple[tuple[int, ...], NDArray[np.float64], NDArray[np.float64], tuple[Phrase, ...]]:
    """Give Sun and Abraham's effects by event time with their covariance."""
    if control == "never":
        refuse_no_never(adoption)
    ready("diff_diff.sun_abraham")
    from diff_diff.sun_abraham import SunAbraham

    model = SunAbraham(
        control_group=CONTROLS[control], rank_deficient_action="silent",
        cluster="cluster" if adoption.asked_cluster else None,
    )  # fmt: skip
    fit, notes = _fit(model, "sun_abraham", adoption, adoption.frame)
    at = tuple(int(one) for one in fit.event_study_vcov_index)
    beta = np.array([float(fit.event_study_effects[one]["effect"]) for one in at])
    return at, beta, np.asarray(fit.event_study_vcov, np.float64), notes


def imputation(adoption: Adoption, *, anticipation: int = 0, parts: bool = True) -> Found:
    """Fit unit and wave effects to rows without the policy, impute the others, and average the differences.

    Every treated row counts the same. Errors are the conservative ones of the paper (residual effects averaged within
    cohort and event time). Rows of units that are never seen without the policy cannot be imputed and are left out.
    Without `parts` only the mean is worked out, and no events or cohorts: their errors take most of the time.
    Source: Borusyak, Jaravel and Spiess (2024), Review of Economic Studies 91, 3253-3285, theorems 2 and 3.
    """
    ready("diff_diff.imputation")
    from diff_diff.imputation import ImputationDiD

    return _two_steps(ImputationDiD, "imputation", adoption, anticipation, parts)


def gardner(adoption: Adoption, *, anticipation: int = 0) -> Found:
    """Do as `imputation` does, with the errors of a two-stage regression. Takes seconds for 50,000 rows.

    Source: Gardner (2022), Two-stage differences in differences, arXiv 2207.05943.
    """
    ready("diff_diff.two_stage")
    from diff_diff.two_stage import TwoStageDiD

    return _two_steps(TwoStageDiD, "gardner", adoption, anticipation)


def stacked(adoption: Adoption, *, control: str = "never", anticipation: int = 0) -> Found:
    """Set cohorts beside their clean controls, one experiment a cohort, and regress over the stack.

    One wave before and one wave after the start; the overall effect is the mean over event times 0 and 1. diff-diff
    clusters these errors by unit only, so that they do not know of shocks to places, and covariates are left out.
    Source: Wing, Freedman and Hollingsworth (2024), Stacked difference-in-differences, NBER working paper 32054.
    """
    ready("diff_diff.stacked_did")
    from diff_diff.stacked_did import StackedDiD

    model = StackedDiD(
        kappa_pre=1, kappa_post=1, anticipation=anticipation, rank_deficient_action="silent",
        control_group="never_treated" if control == "never" else "not_yet_treated",
    )  # fmt: skip
    fit, notes = _fit(model, "stacked", replace(adoption, within=()), adoption.frame)
    if adoption.within or adoption.asked_cluster:
        notes = (*notes, Phrase.of("staggered.stacked_alone"))
    with hearing("stacked") as more:
        events = _events(fit.aggregate("event_study"))
    return Found((float(fit.overall_att), float(fit.overall_se)), events, {}, adoption.frame.height, (*notes, *more))


def _two_steps(cls: Callable[..., Any], name: str, adoption: Adoption, anticipation: int, parts: bool = True) -> Found:
    model = cls(
        anticipation=anticipation, rank_deficient_action="silent",
        cluster="cluster" if adoption.asked_cluster else None,
    )  # fmt: skip
    frame, left_out = _imputable(adoption.frame, anticipation)
    fit, notes = _fit(model, name, adoption, frame)
    overall = (float(fit.overall_att), float(fit.overall_se))
    if left_out:
        notes = (*notes, Phrase.of("staggered.not_imputed", rows=f"{left_out:,}", model=Phrase.of(f"model.{name}")))
    if not parts:
        return Found(overall, {}, {}, frame.height, notes)
    with hearing(name) as more:
        events = _events(fit.aggregate("event_study"))
        groups = fit.aggregate("group").to_dataframe()
    cohorts = {int(row.label): (float(row.att), float(row.se)) for row in groups.itertuples()}
    return Found(overall, events, cohorts, frame.height, (*notes, *more))


def _imputable(frame: pl.DataFrame, anticipation: int) -> tuple[pl.DataFrame, int]:
    """Keep units with a row before the policy (and its anticipation): without one their effect is unknown."""
    unit, period, cohort = (frame[name].to_numpy() for name in ("unit", "period", "cohort"))
    free = (cohort == NEVER) | (period < cohort - anticipation)
    known = np.zeros(int(unit.max()) + 1, bool)
    known[unit[free]] = True
    kept = known[unit]
    return (frame, 0) if kept.all() else (frame.filter(pl.Series(kept)), int((~kept).sum()))


def _fit(model: Any, name: str, adoption: Adoption, frame: pl.DataFrame) -> tuple[Any, tuple[Phrase, ...]]:
    # What never changes within a unit is already in its effect.
    covariates = list(adoption.within)
    columns = ["y", "unit", "period", "cohort", "cluster", *covariates, *(["w"] if adoption.weighted else [])]
    with hearing(name) as notes:
        fit = model.fit(
            as_pandas(frame, columns), "y", "unit", "period", "cohort", covariates=covariates or None,
            survey_design=survey_design(adoption),
        )  # fmt: skip
    return fit, tuple(notes)


def _events(table: Any) -> dict[int, tuple[float, float]]:
    rows = table.to_dataframe()
    return {int(row.event_time): (float(row.att), float(row.se)) for row in rows.itertuples() if not row.is_reference}
