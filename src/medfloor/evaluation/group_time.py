"""Estimate the effect on each cohort in each wave (Callaway and Sant'Anna), and put cohorts and waves together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medfloor.errors import UsageError
from medfloor.evaluation.adoption import Adoption, refuse_no_never
from medfloor.evaluation.heard import hearing
from medfloor.sparing import ready
from medfloor.words import Phrase

Floats: TypeAlias = NDArray[np.float64]

CONTROLS = {"never": "never_treated", "not_yet": "not_yet_treated"}
METHODS = ("dr", "reg", "ipw")


@dataclass(frozen=True, slots=True, eq=False)
class Effect:
    """Be one estimate with its influence: what each unit adds to it (the error is the root of the sum of squares)."""

    value: float
    influence: Floats


@dataclass(frozen=True)
class GroupTime:
    """Be the effects on cohorts in waves: ATT(g, t) with influence, and how many units each stands on.

    `cells` lists (cohort, wave index); `members` the places of the units of the cohort that were seen in that wave and
    in the base wave. `units` are the codes of all units, in the order of every influence; `unit_cohort`, `unit_mass`
    and `unit_cluster` are of all units (`unit_cluster` None for errors by unit).
    """

    cells: tuple[tuple[int, int], ...]
    effects: tuple[Effect, ...]
    members: tuple[NDArray[np.int64], ...]
    units: NDArray[np.int64]
    unit_cohort: NDArray[np.int64]
    unit_mass: Floats
    unit_cluster: NDArray[np.int64] | None
    anticipation: int
    notes: tuple[Phrase, ...]

    @cached_property
    def after(self) -> tuple[int, ...]:
        """List the places of the cells under the policy (or within the waves of anticipation)."""
        return tuple(place for place, (g, t) in enumerate(self.cells) if t >= g - self.anticipation)

    def simple(self) -> Effect:
        """Average all cells under the policy, each by its units: the effect on a treated unit-wave."""
        return self._average(self.after)

    def by_event_time(self) -> dict[int, Effect]:
        """Average cells at the same distance from the start of the policy, also before it."""
        return self._by(range(len(self.cells)), lambda g, t: t - g)

    def by_cohort(self) -> dict[int, Effect]:
        """Average the waves of each cohort under the policy, each wave the same."""
        found: dict[int, Effect] = {}
        for cohort in sorted({self.cells[place][0] for place in self.after}):
            places = [place for place in self.after if self.cells[place][0] == cohort]
            found[cohort] = _mean([self.effects[place] for place in places])
        return found

    def by_wave(self) -> dict[int, Effect]:
        """Average the cohorts under the policy in each wave."""
        return self._by(self.after, lambda _, t: t)

    def over_event_times(self) -> Effect:
        """Average over event times from the start on, each event time the same."""
        return _mean([effect for at, effect in self.by_event_time().items() if at >= -self.anticipation])

    def over_cohorts(self, errors: str = "exact") -> Effect:
        """Average over cohorts, each by its units: the effect on a unit that comes under the policy.

        `exact` knows that the shares of cohorts are estimated. `did` repeats the error that R's did 2.1.1 prints: its
        function `wif` is handed the cohorts of the first cells where those of the cohorts belong, so that every share
        is taken for the first cohort's; on its own example that is 0.2 to 0.4 % of the error.
        """
        cohorts = self.by_cohort()
        members = [np.flatnonzero(self.unit_cohort == cohort) for cohort in cohorts]
        exact = self._weighted(list(cohorts.values()), members)
        if errors == "exact":
            return exact
        masses = np.array([self.unit_mass[one].sum() for one in members])
        influence = exact.influence.copy()
        slipped = [np.flatnonzero(self.unit_cohort == g) for (g, _), _ in zip(self.cells, cohorts, strict=False)]
        for one, right, wrong in zip(cohorts.values(), members, slipped, strict=True):
            influence[right] -= self.unit_mass[right] * (one.value - exact.value) / masses.sum()
            influence[wrong] += self.unit_mass[wrong] * (one.value - exact.value) / masses.sum()
        return Effect(exact.value, influence)

    def over_waves(self) -> Effect:
        """Average over waves, each the same."""
        return _mean(list(self.by_wave().values()))

    def se(self, effect: Effect) -> float:
        """Give the standard error; by clusters with the factor G / (G - 1), as diff-diff has it."""
        return float(np.sqrt(self.covariance([effect])[0, 0]))

    def covariance(self, effects: Sequence[Effect]) -> Floats:
        """Give the covariance of several effects, by the same rule as `se`."""
        influence = np.column_stack([one.influence for one in effects])
        if self.unit_cluster is None:
            return np.asarray(influence.T @ influence)
        sums = np.column_stack([np.bincount(self.unit_cluster, column) for column in influence.T])
        sums = sums[np.bincount(self.unit_cluster) > 0]
        sums = sums - sums.mean(axis=0)
        return np.asarray(len(sums) / (len(sums) - 1) * (sums.T @ sums))

    def _by(self, places: Sequence[int], key: Callable[[int, int], int]) -> dict[int, Effect]:
        keys = sorted({key(*self.cells[place]) for place in places})
        return {one: self._average([place for place in places if key(*self.cells[place]) == one]) for one in keys}

    def _average(self, places: Sequence[int]) -> Effect:
        return self._weighted([self.effects[place] for place in places], [self.members[place] for place in places])

    def _weighted(self, effects: Sequence[Effect], members: Sequence[NDArray[np.int64]]) -> Effect:
        """Weigh effects by the mass of their members; the influence knows that the masses are estimated too."""
        masses = np.array([self.unit_mass[one].sum() for one in members])
        shares = masses / masses.sum()
        value = float(shares @ [one.value for one in effects])
        influence = sum(share * one.influence for share, one in zip(shares, effects, strict=True))
        influence = np.array(influence)
        for one, who in zip(effects, members, strict=True):
            influence[who] += self.unit_mass[who] * (one.value - value) / masses.sum()
        return Effect(value, influence)

    def table(self, adoption: Adoption, level: float) -> pl.DataFrame:
        """List the cells: cohort and wave as the user counts them, effect, error, units."""
        from medfloor.evaluation.result import inference

        rows = []
        for (g, t), effect, who in zip(self.cells, self.effects, self.members, strict=True):
            told = inference(effect.value, self.se(effect), df=adoption.clusters - 1, level=level)
            rows.append({
                "cohort": adoption.wave_text(g), "wave": adoption.wave_text(t), "at": t - g, "units": len(who),
                **{name: told[name] for name in ("estimate", "se", "low", "high", "p")},
            })  # fmt: skip
        return pl.DataFrame(rows, infer_schema_length=None)


def group_time(
    adoption: Adoption,
    *,
    control: str = "never",
    method: str = "dr",
    anticipation: int = 0,
    universal: bool = False,
) -> GroupTime:
    """Estimate ATT(g, t) by diff-diff: cohort g against those never (or not yet) treated, wave t against a base.

    The base is the last wave before the start (less `anticipation`); before the start it is the wave before, or with
    `universal` the same. In an unbalanced panel each cell stands on the units seen in both waves. Covariates count at
    the base wave; `method` says how: doubly robust, regression, or weighting by the propensity score. Source: Callaway
    and Sant'Anna (2021), Journal of Econometrics 225, 200-230, equations 2.5 to 2.10 and section 3.

    Raises UsageError no_never_treated, not_estimable.
    """
    frame = adoption.frame
    if control == "never":
        refuse_no_never(adoption)
    ready("diff_diff.staggered")
    from diff_diff.staggered import CallawaySantAnna
    from diff_diff.survey import SurveyDesign

    model = CallawaySantAnna(
        control_group=CONTROLS[control], anticipation=anticipation, estimation_method=method,
        base_period="universal" if universal else "varying", rank_deficient_action="silent",
    )  # fmt: skip
    # Errors are worked out here from the influences, by cluster or not: the library need not do it cell by cell.
    design = SurveyDesign(weights="w") if adoption.weighted else None
    columns = ["y", "unit", "period", "cohort", *adoption.sample.covariates, *(["w"] if adoption.weighted else [])]
    with hearing("callaway_santanna") as notes:
        fit = model.fit(
            as_pandas(frame, columns), "y", "unit", "period", "cohort",
            covariates=list(adoption.sample.covariates) or None, survey_design=design,
        )  # fmt: skip
    return _read(fit, adoption, anticipation, tuple(notes))


def survey_design(adoption: Adoption) -> Any:
    """Give the weight to diff-diff, with the cluster; None where there is no weight."""
    if not adoption.weighted:
        return None
    ready("diff_diff.survey")
    from diff_diff.survey import SurveyDesign

    return SurveyDesign(weights="w", psu="cluster" if adoption.asked_cluster else None)


def as_pandas(frame: pl.DataFrame, columns: Sequence[str]) -> Any:
    """Give columns to a library that wants pandas."""
    import pandas as pd

    return pd.DataFrame({name: frame[name].to_numpy().copy() for name in columns})


def _read(fit: Any, adoption: Adoption, anticipation: int, notes: tuple[Phrase, ...]) -> GroupTime:
    kit = fit._aggregation_kit
    units = np.asarray(kit.bookkeeping["all_units"], np.int64)
    count = len(units)
    mass = np.ones(count)
    if adoption.weighted:
        mass = np.asarray(kit.bookkeeping["survey_weights"], np.float64)
    cells, effects, members = [], [], []
    for (g, t), found in sorted(fit.group_time_effects.items()):
        told = kit.influence.get((g, t))
        # With one base wave that wave stands among the cells as zero, and stands on nobody.
        if told is None or not np.isfinite(found["effect"]) or not len(told["treated_idx"]):
            continue
        influence = np.zeros(count)
        influence[told["treated_idx"]] += told["treated_inf"]
        influence[told["control_idx"]] += told["control_inf"]
        cells.append((int(g), int(t)))
        effects.append(Effect(float(found["effect"]), influence))
        members.append(np.asarray(told["treated_idx"], np.int64))
    if not any(t >= g - anticipation for g, t in cells):
        raise UsageError(
            "not_estimable",
            "no cohort can be compared in any wave under the policy: no units are seen both before and after its "
            "start, or nobody is left to compare them with; name another control or fewer covariates",
        )
    cluster = None
    if adoption.asked_cluster:
        codes = adoption.frame["unit"].to_numpy()
        of_unit = np.zeros(int(codes.max()) + 1, np.int64)
        of_unit[codes] = adoption.frame["cluster"].to_numpy()
        cluster = of_unit[units]
    return GroupTime(
        tuple(cells), tuple(effects), tuple(members), units, np.asarray(kit.bookkeeping["unit_cohorts"], np.int64),
        mass, cluster, anticipation, notes, )  # fmt: skip


def _mean(effects: Sequence[Effect]) -> Effect:
    value = float(np.mean([one.value for one in effects]))
    return Effect(value, np.mean([one.influence for one in effects], axis=0))
