"""Bring a panel with staggered adoption into one shape: waves 1..k, cohorts by the first wave under the policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl

from medfloor.errors import UsageError
from medfloor.evaluation.result import Drop
from medfloor.evaluation.sample import Sample, take
from medfloor.evaluation.winsor import Percentiles
from medfloor.evaluation.within import two_way_residuals
from medfloor.words import Phrase

NEVER = 0
"""The cohort of units that are not under the policy in any wave of the panel."""

FEW_CLUSTERS = 40
"""Below this many clusters errors and tests are too optimistic (Cameron, Gelbach and Miller 2008: from 5 to 30; with
unequal clusters more)."""


@dataclass(frozen=True, eq=False)
class Adoption:
    """Be a panel whose units come under a policy at different waves and stay under it.

    `sample.frame` has y, x0.., unit, period (1..k), cohort (the index of the first wave under the policy; 0 never
    within the panel), treated (0.0 or 1.0), cluster (codes; the unit's where none was asked for), and w if there is a
    weight (one a unit). `asked_cluster` is the user's column, None for the unit. `within` are the covariates that
    change within some unit.
    """

    sample: Sample
    unit: str
    asked_cluster: str | None
    weighted: bool
    within: tuple[str, ...]
    notes: tuple[Phrase, ...]

    @property
    def frame(self) -> pl.DataFrame:
        """Give the rows."""
        return self.sample.frame

    @property
    def weight(self) -> str | None:
        """Give the plain name of the weight, if there is one."""
        return "w" if self.weighted else None

    @cached_property
    def cohorts(self) -> list[int]:
        """List the cohorts under the policy within the panel."""
        return sorted(set(self.frame["cohort"].to_list()) - {NEVER})

    @cached_property
    def clusters(self) -> int:
        """Count the clusters."""
        return self.frame["cluster"].n_unique()

    def wave(self, index: int) -> float:
        """Give the wave, as the user counts it, of an index 1..k."""
        return self.sample.waves[index - 1]

    def wave_text(self, index: int) -> str:
        """Give the wave of an index as text."""
        return f"{self.wave(index):g}"

    def keep(self, rows: pl.Expr, reason: str, of: str = "") -> Adoption:
        """Keep some rows and count the others as dropped. Raises UsageError no_rows_left, nobody_treated."""
        kept = replace(self, sample=self.sample.keep(rows, reason, of))
        if not kept.cohorts:
            raise UsageError(
                "nobody_treated", f"after dropping rows ({reason.replace('_', ' ')}) nobody is under the policy"
            )
        return kept

    def with_outcome(self, values: pl.Expr, name: str) -> Adoption:
        """Give the same rows with another outcome."""
        sample = self.sample
        changed = replace(sample, frame=sample.frame.with_columns(y=values), names={**sample.names, "y": name})
        return replace(self, sample=changed)

    def counts(self) -> dict[str, int]:
        """Count rows, units and clusters, as the columns of a fit have them."""
        return {"rows": self.frame.height, "units": self.units, "clusters": self.clusters}

    @cached_property
    def units(self) -> int:
        """Count the units."""
        return self.frame["unit"].n_unique()

    def facts(self) -> dict[str, float | int | str]:
        """Give the counts that every method on such a panel tells."""
        treated = self.frame["treated"].to_numpy()
        under = self.frame.filter(pl.col("cohort") != NEVER)["unit"].n_unique()
        return {
            **self.counts(),
            "waves": len(self.sample.waves),
            "cohorts": len(self.cohorts),
            "units_treated": under,
            "units_never": self.units - under,
            "rows_treated": int(treated.sum()),
            "mean_outcome": self.mean_outcome,
        }

    @cached_property
    def mean_outcome(self) -> float:
        """Give the (weighted) mean of the outcome."""
        weights = self.frame["w"].to_numpy() if self.weighted else None
        return float(np.average(self.frame["y"].to_numpy(), weights=weights))

    def few_clusters(self) -> tuple[Phrase, ...]:
        """Warn of few clusters, of all or of those under the policy."""
        by_cluster = self.frame.group_by("cluster").agg(pl.col("treated").max())
        treated = int(by_cluster["treated"].sum())
        least = min(treated, by_cluster.height - treated) if by_cluster.height > treated else treated
        if by_cluster.height < FEW_CLUSTERS:
            return (Phrase.of("adoption.few_clusters", clusters=by_cluster.height, least=FEW_CLUSTERS),)
        if least < FEW_CLUSTERS // 4:
            return (Phrase.of("adoption.few_on_one_side", clusters=least),)
        return ()

    def errors(self) -> Phrase:
        """Say in words at which level errors are clustered."""
        name = self.asked_cluster or self.unit
        key = "adoption.errors_cluster" if self.asked_cluster else "adoption.errors_unit"
        return Phrase.of(key, of=name, clusters=f"{self.clusters:,}")


def adopt(
    table: pl.DataFrame,
    *,
    outcome: str,
    start: str,
    unit: str,
    time: str,
    cluster: str | None = None,
    covariates: Sequence[str] = (),
    weight: str | None = None,
    winsorise: Percentiles | None = None,
    labels: Sequence[str] = (),
) -> Adoption:
    """Take the complete rows of a panel, and find each unit's cohort: the first wave on or after its `start`.

    `start` counts as `time` does; empty, 0 or infinite says never, and so does a start after the last wave. Waves
    become 1, 2, ... in their order, however many years lie between them. Left out and counted: rows that lack
    something, units that are under the policy from the first wave (nothing is known of them without it), units with
    one wave. A weight that changes within a unit is taken from its first wave. `labels` are further columns of labels,
    kept under the names l0, l1, ....

    Raises UsageError unknown_column, not_numbers, no_rows_left, repeated_rows, one_wave, ambiguous_never,
    start_changes, cluster_changes, nobody_treated, nobody_untreated, one_cluster, no_variation, extreme_numbers.
    """
    named = {"cluster": cluster} if cluster else {}
    named |= {f"l{place}": name for place, name in enumerate(labels)}
    sample = take(
        table, numbers={"y": outcome, "start": start}, labels=named, covariates=covariates, unit=unit, time=time,
        weight=weight, where_missing_keep=("start",),
    )  # fmt: skip
    if len(sample.waves) < 2:
        raise UsageError("one_wave", f"{time!r} has one wave only; effects over time need at least two")
    sample, notes = _with_cohorts(sample, start, unit, time)
    sample, winsor_notes = sample.winsorised("y", winsorise)
    frame = sample.frame
    if cluster is None:
        frame = frame.with_columns(cluster=pl.col("unit"))
    else:
        moved = _units_with_changing(frame, "cluster")
        if moved:
            raise UsageError("cluster_changes", _moved(moved, cluster, unit))
    if weight:
        frame, changing = _weight_of_first_wave(frame)
        if changing:
            notes = (*notes, Phrase.of("adoption.weight_of_first_wave", of=weight, units=f"{changing:,}"))
    sample = replace(sample, frame=frame.with_columns(treated=_treated()).drop("start"))
    sample = sample.keep(pl.col("cohort") != 1, "always_treated", f"{sample.waves[0]:g}")
    sample = _without_singletons(sample)
    if not (sample.frame["cohort"] != NEVER).any():
        raise UsageError(
            "nobody_treated",
            f"no unit comes under the policy after the first wave of {time!r} ({sample.waves[0]:g}) and by the last "
            f"({sample.waves[-1]:g}); check that {start!r} counts as {time!r} does",
        )
    if not (sample.frame["treated"] == 0).any():
        raise UsageError("nobody_untreated", "every row is under the policy; there is nothing to compare with")
    if sample.frame["cluster"].n_unique() < 2:
        raise UsageError("one_cluster", "there is one cluster only; errors need many, so name another --cluster")
    _refuse_still(sample)
    return Adoption(sample, unit, cluster, weight is not None, _changing(sample), (*notes, *winsor_notes))


def _refuse_still(sample: Sample) -> None:
    """Refuse an outcome of which unit and wave effects leave nothing: estimates and errors would be rounding."""
    frame = sample.frame
    values = frame["y"].to_numpy()
    left = two_way_residuals(values[:, None], frame["unit"].to_numpy(), frame["period"].to_numpy())
    if np.sqrt((left**2).mean()) <= 1e-12 * np.sqrt((values**2).mean()):
        raise UsageError(
            "no_variation",
            f"{sample.names['y']!r} never changes beside what lasts in each unit and what is common to each wave, so "
            "nothing can be said of it; name another outcome",
        )


def refuse_no_never(adoption: Adoption) -> None:
    """Refuse a comparison with those never under the policy if there are none. Raises UsageError no_never_treated."""
    if not (adoption.frame["cohort"] == NEVER).any():
        raise UsageError(
            "no_never_treated",
            "every unit comes under the policy within the panel, so that nobody is never treated; use "
            "control='not_yet' (--control not_yet)",
        )


def _with_cohorts(sample: Sample, start: str, unit: str, time: str) -> tuple[Sample, tuple[Phrase, ...]]:
    begins = sample.frame["start"]
    waves = np.array(sample.waves)
    zero = (begins == 0).fill_null(False)
    if zero.any() and 0 in sample.waves:
        raise UsageError(
            "ambiguous_never",
            f"{start!r} is 0 in some rows, and 0 is a wave of {time!r}: write never as an empty cell, or count waves "
            "from 1",
        )
    known = begins.fill_null(np.inf).to_numpy()
    known = np.where(zero.to_numpy(), np.inf, known)
    cohort = np.searchsorted(waves, known, side="left") + 1
    later = int(((cohort > len(waves)) & np.isfinite(known)).sum())
    cohort = np.where(cohort > len(waves), NEVER, cohort)
    frame = sample.frame.with_columns(cohort=pl.Series(cohort, dtype=pl.Int64))
    moved = _units_with_changing(frame, "cohort")
    if moved:
        raise UsageError("start_changes", _moved(moved, start, unit))
    notes = (Phrase.of("adoption.starts_later", rows=f"{later:,}", last=f"{waves[-1]:g}"),) if later else ()
    return replace(sample, frame=frame), notes


def _moved(units: int, column: str, unit: str) -> str:
    return (
        f"{column!r} changes within {units:,} units of {unit!r} (they moved, or the column is wrong); give each unit "
        "one value, such as that of its first wave, or leave these units out"
    )


def _units_with_changing(frame: pl.DataFrame, name: str) -> int:
    # Far quicker than counting distinct values of each group: a unit changes where some row differs from its first.
    units = frame["unit"].to_numpy()
    values = frame[name].to_numpy()
    first = np.empty(int(units.max()) + 1, values.dtype)
    first[units[::-1]] = values[::-1]
    return len(np.unique(units[values != first[units]]))


def _weight_of_first_wave(frame: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    changing = _units_with_changing(frame, "w")
    if not changing:
        return frame, 0
    return frame.with_columns(w=pl.col("w").sort_by("period").first().over("unit")), changing


def _treated() -> pl.Expr:
    return ((pl.col("cohort") != NEVER) & (pl.col("period") >= pl.col("cohort"))).cast(pl.Float64)


def _without_singletons(sample: Sample) -> Sample:
    units = sample.frame["unit"].to_numpy()
    alone = np.bincount(units)[units] == 1
    if not alone.any():
        return sample
    kept = sample.frame.filter(pl.Series(~alone))
    if kept.is_empty():
        raise UsageError("no_rows_left", "no unit has two waves; effects over time need at least two rows a unit")
    step = Drop("singleton", int(alone.sum()), int(alone.sum()))
    return replace(sample, frame=kept, drops=(*sample.drops, step))


def _changing(sample: Sample) -> tuple[str, ...]:
    return tuple(name for name in sample.covariates if _units_with_changing(sample.frame, name))
