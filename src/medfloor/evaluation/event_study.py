"""Look wave by wave before and after the start of a policy: earlier trends, later effects, and how firm they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medfloor.errors import UsageError
from medfloor.evaluation.absorbed import regress
from medfloor.evaluation.adoption import NEVER, Adoption, adopt
from medfloor.evaluation.group_time import group_time
from medfloor.evaluation.honest import Sensitivity, sensitivity
from medfloor.evaluation.modern import sun_abraham_events
from medfloor.evaluation.reading import effect_told
from medfloor.evaluation.result import Fit, estimates, inference
from medfloor.evaluation.staggered import not_shown
from medfloor.evaluation.winsor import Percentiles
from medfloor.words import Phrase

Floats: TypeAlias = NDArray[np.float64]
ESTIMATORS = ("event_study", "sun_abraham", "callaway_santanna")

_SOURCES = {
    "event_study": "pyfixest 0.60; Freyaldenhoven, Hansen, Pérez and Shapiro (2021), NBER working paper 29170",
    "sun_abraham": "Sun and Abraham (2021), Journal of Econometrics 225, 175-199; diff-diff 3.13",
    "callaway_santanna": "Callaway and Sant'Anna (2021), Journal of Econometrics 225, 200-230; diff-diff 3.13",
}
_HONEST = "Rambachan and Roth (2023), Review of Economic Studies 90, 2555-2591; diff-diff 3.13"


def event_study(
    panel: pl.DataFrame,
    *,
    outcome: str,
    start: str,
    unit: str,
    time: str,
    cluster: str | None = None,
    covariates: Sequence[str] = (),
    weight: str | None = None,
    estimator: Literal["event_study", "sun_abraham", "callaway_santanna"] = "event_study",
    window: tuple[int, int] | None = None,
    control: Literal["never", "not_yet"] = "never",
    honest: bool = True,
    winsorise: Percentiles | None = None,
    level: float = 0.95,
) -> Fit:
    """Estimate the effect by waves since the start of a policy, against the wave before it, and test the waves before.

    Rows with term `event` and `at`: 0 is the first wave under the policy, -1 (left out) the wave before it; waves
    count, not years. `after_mean` is their mean from 0 on, each the same. Covariates that change within units have rows
    of their own. `window=(-3, 3)` puts everything further away into -3 and 3 (regression only). `estimator`:
    "event_study" is one regression with unit and wave effects; where starts differ and effects do too, its rows mix
    effects of other waves (Sun and Abraham 2021), and "sun_abraham" or "callaway_santanna" (one base wave) are safer.

    Facts: `pretrend_f`, `pretrend_df1`, `pretrend_df2`, `pretrend_p`: are all waves before -1 zero together? F with the
    degrees of freedom of fixest (rows less coefficients and effects); `pretrend_p_clusters` takes those of the
    clusters, which is more careful. Not rejecting proves nothing: with large errors any trend passes (Roth 2022).

    With `honest`, `tables["sensitivity"]` tells intervals of `after_mean` that allow trends to differ: `relative` by up
    to M times the largest step between two waves before the start, `smooth` by a trend that bends by up to M from wave
    to wave. The breakdown values are the M from which zero is within. Intervals of `relative` take the earlier steps as
    known, as diff-diff does; they are too narrow where those are estimated badly.

    Raises UsageError: what `adopt` raises, unknown_estimator, no_never_treated, bad_window, not_estimable, one_cluster.

    >>> rows = [(i, t, 3 if i % 2 else None, i + t + (2.0 if i % 2 and t >= 3 else 0.0) + (i * t) % 7 / 10)
    ...         for i in range(40) for t in (1, 2, 3, 4)]
    >>> panel = pl.DataFrame(rows, ["home", "wave", "start", "oop"], orient="row")
    >>> fit = event_study(panel, outcome="oop", start="start", unit="home", time="wave", honest=False)
    >>> [round(fit.value("event", at=at), 2) for at in (-2.0, 0.0, 1.0)], fit.facts["pretrend_df1"]
    ([0.0, 1.99, 2.02], 1)
    """
    if estimator not in ESTIMATORS:
        raise UsageError("unknown_estimator", f"there is no estimator {estimator!r}; use {', '.join(ESTIMATORS)}")
    if control not in ("never", "not_yet"):
        raise UsageError("unknown_estimator", f"there is no control {control!r}; use never or not_yet")
    _check_window(window, estimator)
    adoption = adopt(
        panel, outcome=outcome, start=start, unit=unit, time=time, cluster=cluster, covariates=covariates,
        weight=weight, winsorise=winsorise,
    )  # fmt: skip
    path = _paths(adoption, estimator, window, control)
    tested = _pretrend(path, adoption)
    doubted = sensitivity(*path.around(), level) if honest else None
    after = path.after_mean()
    rows = _rows(path, after, adoption, level)
    return Fit(
        method="event-study",
        rows=estimates(rows),
        equation=_equation(adoption, path),
        errors=adoption.errors(),
        drops=adoption.sample.drops,
        facts=adoption.facts() | tested | (doubted.facts() if doubted else {}),
        tables={"sensitivity": doubted.table} if doubted else {},
        shows=_shows(rows, tested, doubted, adoption, level),
        not_shown=(*_not_shown(path, adoption), *not_shown(adoption, control)),
        warnings=(*_warnings(tested), *adoption.few_clusters()),
        notes=(*adoption.notes, *path.notes, *_notes(honest, doubted, window)),
        sources=(_SOURCES[estimator], *([_HONEST] if doubted else [])),
        level=level,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Path:
    """Be the effects by event time with their covariance, and covariates beside them."""

    model: str
    at: tuple[int, ...]
    beta: Floats
    vcov: Floats
    others: tuple[tuple[str, float, float], ...] = ()
    pooled: tuple[int, ...] = ()
    df_rows: float | None = None
    notes: tuple[Phrase, ...] = ()

    def after_mean(self) -> tuple[float, float]:
        chosen = np.array([float(at >= 0) for at in self.at])
        if not chosen.any():
            raise UsageError(
                "not_estimable",
                "no wave under the policy is left among these rows; check the weights and the window, or name a start",
            )
        chosen /= chosen.sum()
        return float(chosen @ self.beta), float(np.sqrt(chosen @ self.vcov @ chosen))

    def around(self) -> tuple[tuple[int, ...], Floats, Floats]:
        """Keep the event times without a gap around -1; ends that pool several are not steps of one wave."""
        usable = [at for at in self.at if at not in self.pooled]
        early = [at for at in usable if all(step in usable for step in range(at, -1))]
        late = [at for at in usable if at >= 0 and all(step in usable for step in range(at))]
        chosen = [self.at.index(at) for at in sorted([one for one in early if one < -1] + late)]
        return tuple(self.at[place] for place in chosen), self.beta[chosen], self.vcov[np.ix_(chosen, chosen)]


def _check_window(window: tuple[int, int] | None, estimator: str) -> None:
    if window is None:
        return
    if estimator != "event_study":
        raise UsageError("bad_window", f"window goes with the estimator event_study, not with {estimator}")
    if not window[0] < -1 or not window[1] >= 0:
        raise UsageError("bad_window", f"window {window}: the first end lies before -1, the second at 0 or later")


def _paths(adoption: Adoption, estimator: str, window: tuple[int, int] | None, control: str) -> _Path:
    if estimator == "sun_abraham":
        at, beta, vcov, notes = sun_abraham_events(adoption, control=control)
        return _Path("sun_abraham", at, beta, vcov, notes=notes)
    if estimator == "callaway_santanna":
        cells = group_time(adoption, control=control, universal=True)
        found = cells.by_event_time()
        values = np.array([one.value for one in found.values()])
        covariance = cells.covariance(list(found.values()))
        return _Path("callaway_santanna", tuple(found), values, covariance, notes=cells.notes)
    return _regression(adoption, window)


def _regression(adoption: Adoption, window: tuple[int, int] | None) -> _Path:
    """Regress on one column of zeros and ones for each event time but -1."""
    frame = adoption.frame
    since = frame["period"].to_numpy() - frame["cohort"].to_numpy()
    under = frame["cohort"].to_numpy() != NEVER
    low, high = window if window else (int(since[under].min()), int(since[under].max()))
    pooled = tuple(
        end for end, beyond in ((low, since[under] < low), (high, since[under] > high)) if window and beyond.any()
    )
    since = np.clip(since, low, high)
    at = [one for one in sorted(set(since[under].tolist())) if one != -1]
    columns = {f"at{place}": (under & (since == one)).astype(float) for place, one in enumerate(at)}
    try:
        found = regress(
            frame.with_columns(pl.Series(name, values) for name, values in columns.items()),
            y="y", x=[*columns, *adoption.within], effects=("unit", "period"), errors="cluster", clusters=("cluster",),
            weight=adoption.weight,
        )  # fmt: skip
    except UsageError as error:
        if error.code == "not_estimable" and "collinear" in error.message:
            raise UsageError(
                "not_estimable",
                "the policy begins everywhere in the same wave, and nobody is never under it, so that its effects "
                "cannot be told apart from wave effects",
            ) from None
        raise
    lost = [at[place] for place, name in enumerate(columns) if name in found.left_out]
    if lost:
        raise UsageError(
            "not_estimable",
            f"the effect at {', '.join(f'{one:+d}' for one in lost)} waves cannot be told apart from wave effects, "
            "because nobody is never under the policy; pool the ends with window (--window -3,3), or use the estimator "
            "sun_abraham with control not_yet",
        )
    beta, vcov = found.block(list(columns))
    names = adoption.sample.names
    others = tuple(
        (names[name], float(found.beta[found.place(name)]), found.se(name))
        for name in adoption.within if name in found.names
    )  # fmt: skip
    used = frame["unit"].n_unique() + len(adoption.sample.waves) - 1 + len(found.names)
    return _Path("event_study", tuple(at), beta, vcov, others, pooled, float(frame.height - used))


def _pretrend(path: _Path, adoption: Adoption) -> dict[str, float | int | str]:
    """Test whether all waves before -1 are zero together (Wald)."""
    from scipy.special import fdtrc

    early = [place for place, at in enumerate(path.at) if at < -1]
    beta, vcov = path.beta[early], path.vcov[np.ix_(early, early)]
    rank = int(np.linalg.matrix_rank(vcov, hermitian=True)) if early and np.isfinite(vcov).all() else 0
    if not rank:  # No wave before -1, or none with an error: there is nothing to test.
        return {}
    statistic = float(beta @ np.linalg.pinv(vcov, hermitian=True) @ beta) / rank
    clusters = float(adoption.clusters - 1)
    below = path.df_rows if path.df_rows is not None else clusters
    return {
        "pretrend_f": statistic, "pretrend_df1": rank, "pretrend_df2": int(below),
        "pretrend_p": float(fdtrc(rank, below, max(statistic, 0.0))),
        "pretrend_p_clusters": float(fdtrc(rank, clusters, max(statistic, 0.0))),
    }  # fmt: skip


def _rows(path: _Path, after: tuple[float, float], adoption: Adoption, level: float) -> list[dict[str, Any]]:
    counts = adoption.counts()

    def row(term: str, pair: tuple[float, float], **labels: object) -> dict[str, Any]:
        told = inference(*pair, df=counts["clusters"] - 1, level=level)
        outcome = adoption.sample.names["y"]
        return {"model": path.model, "outcome": outcome, "term": term, **told, **counts, **labels}

    errors = np.sqrt(np.diag(path.vcov))
    rows = [
        row("event", (float(beta), float(se)), at=float(at))
        for at, beta, se in zip(path.at, path.beta, errors, strict=True)
    ]
    return [*rows, row("after_mean", after), *(row(name, (beta, se)) for name, beta, se in path.others)]


def _equation(adoption: Adoption, path: _Path) -> Phrase:
    names = adoption.sample.names
    covariates = "".join(f" + {names[name]}" for name in adoption.within)
    return Phrase.of(
        "event_study.equation", outcome=names["y"], unit=names["unit"], time=names["period"], start=names["start"],
        covariates=covariates,
    )  # fmt: skip


def _shows(
    rows: list[dict[str, Any]], tested: dict[str, Any], doubted: Sensitivity | None, adoption: Adoption, level: float
) -> tuple[Phrase, ...]:
    after = next(row for row in rows if row["term"] == "after_mean")
    phrases = [*effect_told(after, adoption, level)]
    if tested and tested["pretrend_p"] >= 0.05:
        phrases.append(Phrase.of("event_study.not_rejected", p=f"{tested['pretrend_p']:.3g}"))
    return (*phrases, *(doubted.phrases() if doubted else ()))


def _not_shown(path: _Path, adoption: Adoption) -> tuple[Phrase, ...]:
    phrases = [Phrase.of("event_study.no_proof")]
    if path.model == "event_study" and len(adoption.cohorts) > 1:
        phrases.append(Phrase.of("event_study.mixed", starts=len(adoption.cohorts)))
    return tuple(phrases)


def _warnings(tested: dict[str, Any]) -> tuple[Phrase, ...]:
    if not tested or tested["pretrend_p"] >= 0.05 or math.isnan(tested["pretrend_p"]):
        return ()
    return (Phrase.of("event_study.rejected", p=f"{tested['pretrend_p']:.3g}"),)


def _notes(honest: bool, doubted: Sensitivity | None, window: tuple[int, int] | None) -> tuple[Phrase, ...]:
    notes = []
    if window:
        notes.append(Phrase.of("event_study.pooled", low=window[0], high=window[1]))
    if honest and doubted is None:
        notes.append(Phrase.of("event_study.no_sensitivity"))
    elif doubted:
        notes.append(Phrase.of("event_study.relative_naive"))
    return tuple(notes)
