"""Ask how far trends would have to differ before an effect can no longer be told from none."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medfloor.evaluation.heard import hearing
from medfloor.evaluation.result import number_text
from medfloor.sparing import ready, sparing
from medfloor.words import Phrase

Floats: TypeAlias = NDArray[np.float64]
RELATIVE = (0.0, 0.5, 1.0, 1.5, 2.0)
SMOOTH = (0.0, 0.25, 0.5, 1.0)
MOST = 10.0
"""Breakdown values are sought up to here (smoothness: in standard errors of the mean effect)."""


@dataclass(frozen=True, slots=True, eq=False)
class Sensitivity:
    """Be what allowing for other trends does to the mean effect after the start.

    `table` has one row for each restriction (relative, smooth) and M: the interval, and the bounds without sampling
    error (null where the earlier waves already contradict the restriction). `relative` and `smooth` are the breakdown
    values: the least M whose interval holds zero; 0 where that of no difference does; None above `MOST`.
    """

    table: pl.DataFrame
    relative: float | None
    smooth: float | None
    scale: float

    def facts(self) -> dict[str, float | int | str]:
        """Give the breakdown values as facts of a fit."""
        return {
            "breakdown_relative": f"> {MOST:g}" if self.relative is None else self.relative,
            "breakdown_smooth": f"> {number_text(MOST * self.scale)}" if self.smooth is None else self.smooth,
        }

    def phrases(self) -> tuple[Phrase, ...]:
        """Tell the breakdown value of relative magnitudes in words."""
        if self.relative is None:
            return (Phrase.of("honest.never", most=f"{MOST:g}"),)
        if self.relative == 0:
            return (Phrase.of("honest.at_once"),)
        return (Phrase.of("honest.from", m=f"{self.relative:.2g}"),)


def sensitivity(at: Sequence[int], beta: Floats, vcov: Floats, level: float) -> Sensitivity | None:
    """Bound the mean effect from event time 0 on, when trends may differ, by diff-diff's HonestDiD.

    `at` are event times without a gap around the omitted -1. None where no wave lies before -1 or none after. Source:
    Rambachan and Roth (2023), Review of Economic Studies 90, 2555-2591: relative magnitudes (section 2.4.1) and
    smoothness (2.4.2). The interval under smoothness is their fixed-length one, as optimal as theirs. The one under
    relative magnitudes adds the error of the later waves to the bounds; it takes the earlier ones as known.
    """
    if not any(one < -1 for one in at) or not any(one >= 0 for one in at):
        return None
    ready("diff_diff.honest_did")
    from diff_diff.honest_did import HonestDiD

    after = np.array([float(one >= 0) for one in at])
    after /= after.sum()
    # In units of its error, so that what is sought and how finely does not depend on units of measurement.
    scale = float(np.sqrt(after @ vcov @ after))
    if not (math.isfinite(scale) and scale > 0):
        return None
    with hearing("event_study"), sparing():
        results = _results(at, beta / scale, vcov / scale**2)
        rows: list[dict[str, Any]] = []
        broken: dict[str, float | None] = {}
        for kind, method, grid in (
            ("relative", "relative_magnitude", RELATIVE), ("smooth", "smoothness", SMOOTH),
        ):  # fmt: skip
            honest = HonestDiD(method=method, alpha=1 - level)
            unit = scale if kind == "smooth" else 1.0
            found = {m: honest.fit(results, M=m) for m in grid}
            for m, one in found.items():
                rows.append({
                    "restriction": kind, "m": m * unit, "low": one.ci_lb * scale, "high": one.ci_ub * scale,
                    "bound_low": one.lb * scale, "bound_high": one.ub * scale,
                })  # fmt: skip
            known = {m: _holds_zero(one) for m, one in found.items()}
            broken[kind] = _breakdown(known, functools.partial(_at, honest, results))
    table = pl.DataFrame(rows).with_columns(pl.col(pl.Float64).fill_nan(None))
    smooth = None if broken["smooth"] is None else broken["smooth"] * scale
    return Sensitivity(table, broken["relative"], smooth, scale)


def _at(honest: Any, results: Any, m: float) -> bool:
    return _holds_zero(honest.fit(results, M=m))


def _holds_zero(found: Any) -> bool:
    # An interval that is not defined excludes nothing.
    return not (found.ci_lb > 0 or found.ci_ub < 0)


def _breakdown(known: dict[float, bool], holds: Callable[[float], bool]) -> float | None:
    """Seek the least M whose interval holds zero, to 2 %, from what is known at some M; None above MOST."""
    below = max((m for m, zero in known.items() if not zero), default=None)
    if below is None:
        return 0.0
    above = min((m for m, zero in known.items() if zero and m > below), default=None)
    if above is None:
        if not holds(MOST):
            return None
        above = MOST
    while above - below > 0.02 * above:
        middle = (below + above) / 2
        if holds(middle):
            above = middle
        else:
            below = middle
    return (below + above) / 2


def _results(at: Sequence[int], beta: Floats, vcov: Floats) -> Any:
    """Dress estimates as a result of diff-diff's own, whose sensitivity analysis takes nothing else."""
    ready("diff_diff.results")
    from diff_diff.results import MultiPeriodDiDResults, PeriodEffect

    nan = math.nan
    effects = {
        one: PeriodEffect(
            period=one, effect=float(beta[place]), se=float(np.sqrt(vcov[place, place])), t_stat=nan, p_value=nan,
            conf_int=(nan, nan),
        )
        for place, one in enumerate(at)
    }  # fmt: skip
    return MultiPeriodDiDResults(
        period_effects=effects, avg_att=nan, avg_se=nan, avg_t_stat=nan, avg_p_value=nan, avg_conf_int=(nan, nan),
        n_obs=0, n_treated=0, n_control=0, pre_periods=[one for one in at if one < -1],
        post_periods=[one for one in at if one >= 0], vcov=vcov, reference_period=-1,
        interaction_indices={one: place for place, one in enumerate(at)},
    )  # fmt: skip
