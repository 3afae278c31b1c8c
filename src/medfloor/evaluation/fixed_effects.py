"""Compare the same households before and after: two-way fixed effects, linear and Poisson, and their wild bootstrap."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import polars as pl

from medfloor.errors import UsageError
from medfloor.evaluation.absorbed import SMALL_SAMPLE, Regression, regress
from medfloor.evaluation.result import Drop, Fit, estimates, inference, number_text
from medfloor.evaluation.sample import Sample, take
from medfloor.evaluation.winsor import Percentiles
from medfloor.sparing import ready
from medfloor.words import Chain, Phrase

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

FAMILIES = ("linear", "poisson")
ERROR_KINDS = ("cluster", "hc1", "iid", "cr2")
FEW_CLUSTERS = 40
"""Below this, errors that let clusters go together are too small (Cameron, Gelbach and Miller 2008)."""
ROUNDING = 1e-8
"""What is below this share of the outcome's standard deviation is rounding (effects are taken out to 1e-10)."""
_SOURCES = (
    "Bergé (2018), fixest; pyfixest 0.60",
    "Cameron, Gelbach and Miller (2011), Robust inference with multiway clustering",
)


def two_way_fixed_effects(
    panel: pl.DataFrame,
    *,
    outcome: str,
    treatment: str | Sequence[str],
    unit: str | None = None,
    time: str | None = None,
    covariates: Sequence[str] = (),
    cluster: str | Sequence[str] | None = None,
    weight: str | None = None,
    family: str = "linear",
    effects: Sequence[str] | None = None,
    errors: str | None = None,
    small_sample: str = "fixest",
    keep_singletons: bool = False,
    winsorise: Percentiles | None = None,
    level: float = 0.95,
) -> Fit:
    """Estimate what goes with a treatment within units, with what changed for all in a wave taken out.

    Linear: y = b d + x'g + a(unit) + l(time) + e. Poisson: E[y] = exp of the same, for counts and amounts from 0, so
    that b is the change of the logarithm of the mean. `treatment` may name several columns; rows of the fit are
    treatments, then covariates (`i.sex` becomes one column a category, against the first).

    `effects` names what is taken out; None means `unit` and `time`, () nothing (ordinary least squares), and
    `province^wave` a level for each pair. `cluster` names one column or several (multi-way); None means the unit.
    `errors`: "cluster", "hc1" (any variance of each row), "iid", or "cr2" (bias-reduced, with the degrees of freedom of
    Satterthwaite: for few clusters); None means cluster where there is something to cluster by, else hc1.
    `small_sample` says how they are enlarged: see `absorbed.SMALL_SAMPLE`. Rows that lack a column are left out and
    counted, and so are singletons (rows that are alone in a level of an effect), which say nothing; `keep_singletons`
    keeps them in, as old versions of fixest do.

    Raises UsageError: what `take` raises, no_variation, one_cluster, bad_errors, bad_model, negative_counts,
    not_estimable.

    Source: Bergé (2018) for the estimator, Pustejovsky and Tipton (2018) for cr2.

    >>> from medfloor.evaluation.fixed_effects import two_way_fixed_effects
    >>> panel = pl.DataFrame({
    ...     "home": [1, 1, 2, 2, 3, 3], "wave": [2012, 2018] * 3, "covered": [0, 1, 0, 0, 0, 1],
    ...     "oop": [5, 2, 4, 4, 6, 5],
    ... })
    >>> fit = two_way_fixed_effects(panel, outcome="oop", treatment="covered", unit="home", time="wave")
    >>> round(fit.value("covered"), 6)
    -2.0
    """
    treatments = (treatment,) if isinstance(treatment, str) else tuple(treatment)
    model = model_of(unit, time, effects, cluster, errors, small_sample, family)
    sample, notes = sample_of(panel, outcome, treatments, covariates, weight, model, winsorise)
    if family == "poisson" and (sample.frame["y"] < 0).any():
        raise UsageError(
            "negative_counts", f"{outcome!r} has values below zero, which Poisson cannot have; use the linear family"
        )
    sample = without_silent_rows(sample, model.columns, singletons=not keep_singletons, zeros=family == "poisson")
    treated = tuple(f"d{place}" for place in range(len(treatments)))
    found = _estimate(sample, model, treated)
    rows = [
        _row(found, name, sample, model, level)
        for name in (*treated, *sample.covariates, "Intercept")
        if name in found.names
    ]
    told = _Told(sample, model, found, treatments, level)
    return Fit(
        method="fixed-effects",
        rows=estimates(rows),
        equation=equation_of(sample, model, treated),
        errors=errors_told(model, found),
        drops=sample.drops,
        facts=_facts(told),
        shows=tuple(phrase for row in rows[: len(treatments)] for phrase in shows(told, row)),
        not_shown=limits_told(sample, model, treatments),
        warnings=_warnings(told, panel.height),
        notes=(*notes, *_notes(told)),
        sources=_SOURCES if model.errors == "cluster" else _SOURCES[:1],
        level=level,
    )


@dataclass(frozen=True, slots=True)
class Model:
    """Be what is estimated: effects by the user's names and as columns, clusters, errors, family."""

    name: str
    unit: str | None
    time: str | None
    effects: tuple[str, ...]
    columns: tuple[str, ...]
    labels: tuple[tuple[str, str], ...]
    clusters: tuple[str, ...]
    cluster_columns: tuple[str, ...]
    errors: str
    small_sample: str
    family: str


@dataclass(frozen=True, slots=True, eq=False)
class _Told:
    """Be all that the words about a fit need."""

    sample: Sample
    model: Model
    found: Regression
    treatments: tuple[str, ...]
    level: float


def model_of(
    unit: str | None,
    time: str | None,
    effects: Sequence[str] | None,
    cluster: str | Sequence[str] | None,
    errors: str | None,
    small_sample: str,
    family: str,
) -> Model:
    """Decide once what is taken out, what is clustered by, and under which column each stands."""
    if family not in FAMILIES:
        raise UsageError("bad_model", f"there is no family {family!r}; use {' or '.join(FAMILIES)}")
    if small_sample not in SMALL_SAMPLE:
        raise UsageError("bad_errors", f"there is no small_sample {small_sample!r}; use {', '.join(SMALL_SAMPLE)}")
    names = tuple(one for one in (unit, time) if one) if effects is None else tuple(effects)
    clusters = (cluster,) if isinstance(cluster, str) else tuple(cluster or ())
    if errors is None:
        errors = "cluster" if clusters or unit else "hc1"
    if errors not in ERROR_KINDS:
        raise UsageError("bad_errors", f"there are no errors {errors!r}; use {', '.join(ERROR_KINDS)}")
    if errors in ("cluster", "cr2"):
        clusters = clusters or ((unit,) if unit else ())
        if not clusters:
            raise UsageError("bad_errors", f"errors {errors!r} need a cluster; name it, or the unit")
    else:
        clusters = ()
    labels: list[tuple[str, str]] = []
    columns: list[str] = []
    for name in names:
        if name in (unit, time):
            columns.append("unit" if name == unit else "period")
            continue
        columns.append(f"e{len(columns)}")
        labels += [(f"{columns[-1]}_{place}", part) for place, part in enumerate(name.split("^"))]
    # The cluster is a column of its own even where it is the unit (see `regress`).
    cluster_columns = tuple(f"c{place}" for place in range(len(clusters)))
    labels += list(zip(cluster_columns, clusters, strict=True))
    name = "poisson" if family == "poisson" else {(): "ols", ("unit", "period"): "twfe"}.get(tuple(columns), "effects")
    return Model(
        name, unit, time, names, tuple(columns), tuple(labels), clusters, cluster_columns, errors, small_sample, family
    )


def sample_of(
    panel: pl.DataFrame,
    outcome: str,
    treatments: Sequence[str],
    covariates: Sequence[str],
    weight: str | None,
    model: Model,
    winsorise: Percentiles | None,
    more: Mapping[str, str] | None = None,
) -> tuple[Sample, tuple[Phrase, ...]]:
    """Take the complete rows, `more` numbers (instruments) with them, and give crossed effects one code a pair."""
    numbers = {"y": outcome} | {f"d{place}": name for place, name in enumerate(treatments)} | dict(more or {})
    sample = take(
        panel, numbers=numbers, labels=dict(model.labels), covariates=covariates, unit=model.unit, time=model.time,
        weight=weight,
    )  # fmt: skip
    sample, notes = sample.winsorised("y", winsorise)
    crossed = []
    for column in model.columns:
        parts = [name for name, _ in model.labels if name.startswith(f"{column}_")]
        if len(parts) > 1:
            crossed.append((pl.struct(parts).rank("dense") - 1).cast(pl.Int64).alias(column))
        elif parts:
            crossed.append(pl.col(parts[0]).alias(column))
    return replace(sample, frame=sample.frame.with_columns(crossed)) if crossed else sample, notes


def without_silent_rows(
    sample: Sample, effects: Sequence[str], *, singletons: bool = True, zeros: bool = False
) -> Sample:
    """Leave out rows that say nothing beside effects, again and again until there are none; count them by effect.

    `singletons` are rows that are alone in a level of an effect. `zeros`, for Poisson, are rows of a level whose
    outcome is always zero: its effect is minus infinity.

    Raises UsageError no_rows_left where nothing else is there.
    """
    import numpy as np

    kept = np.ones(sample.frame.height, bool)
    lost: dict[tuple[str, str], int] = {}
    outcome = sample.frame["y"].to_numpy()
    columns = {name: sample.frame[name].to_numpy() for name in effects}
    changed = True
    while changed:
        changed = False
        for name, codes in columns.items():
            size = int(codes.max()) + 1
            silent = []
            if singletons:
                silent.append(("singleton", np.bincount(codes[kept], minlength=size) == 1))
            if zeros:
                silent.append(("zeros", np.bincount(codes[kept], outcome[kept], minlength=size) == 0))
            for reason, levels in silent:
                gone = kept & levels[codes]
                if gone.any():
                    lost[reason, name] = lost.get((reason, name), 0) + int(gone.sum())
                    kept &= ~gone
                    changed = True
    if kept.all():
        return sample
    if not kept.any():
        raise UsageError("no_rows_left", "no row says anything beside the effects; a panel needs units seen twice")
    drops = [_silent(sample, reason, name, rows) for (reason, name), rows in lost.items()]
    return replace(sample, frame=sample.frame.filter(kept), drops=(*sample.drops, *drops))


def _silent(sample: Sample, reason: str, effect: str, rows: int) -> Drop:
    if reason == "singleton" and effect == "unit":
        return Drop("singleton", rows, rows)
    key = "singleton_level" if reason == "singleton" else "always_zero"
    return Drop(key, rows, None, sample.names.get(effect, effect))


def _estimate(sample: Sample, model: Model, treated: tuple[str, ...]) -> Regression:
    """Run the regression, and refuse a treatment that the effects explain wholly."""
    refuse_constant(sample, treated, model)
    arguments = {
        "y": "y", "x": (*treated, *sample.covariates), "effects": model.columns,
        "weight": "w" if "w" in sample.frame.columns else None,
    }  # fmt: skip
    found: Regression
    if model.errors == "cr2":
        found = _bias_reduced(sample, model, arguments["x"])  # type: ignore[arg-type]
    else:
        try:
            found = regress(
                sample.frame, errors=model.errors, clusters=model.cluster_columns, family=model.family,
                small_sample=model.small_sample, **arguments,  # type: ignore[arg-type]
            )  # fmt: skip
        except UsageError as error:
            if error.code == "not_estimable" and "collinear" in error.message:
                raise _no_variation(sample, treated[0], model) from None
            raise
    refuse_constant(sample, treated, model, found)
    return found


def refuse_constant(sample: Sample, treated: Sequence[str], model: Model, found: Regression | None = None) -> None:
    """Refuse a treatment that is one number, or that a regression left out, and an outcome that never changes.

    Of an outcome that the effects explain wholly estimates and errors would be rounding. Raises UsageError
    no_variation.
    """
    for name in treated:
        values = sample.frame[name]
        if values.min() == values.max() or (found is not None and name in found.left_out):
            raise _no_variation(sample, name, model)
    outcome = sample.frame["y"]
    if outcome.min() == outcome.max() or (found is not None and is_exact(sample, found) and _is_zero(sample, found)):
        beside = " and ".join(repr(one) for one in model.effects)
        raise UsageError(
            "no_variation",
            f"{sample.names['y']!r} never changes" + (f" once {beside} are taken out" if beside else "")
            + ", so nothing can be said of it; name another outcome",
        )  # fmt: skip


def is_exact(sample: Sample, found: Regression) -> bool:
    """Say whether a linear regression leaves nothing of the outcome but rounding."""
    if found.df is None:
        return False
    left, spread = found.residuals.std(), sample.frame["y"].std(ddof=0)
    return bool(left <= ROUNDING * spread)  # type: ignore[operator]


def _is_zero(sample: Sample, found: Regression) -> bool:
    """Say whether all coefficients but a constant are zero, up to rounding."""
    import numpy as np

    names = found.names_without_constant
    moved = [abs(found.beta[found.place(name)]) * np.std(sample.frame[name].to_numpy()) for name in names]
    return max(moved, default=0.0) <= ROUNDING * float(np.std(sample.frame["y"].to_numpy()))


def _no_variation(sample: Sample, name: str, model: Model) -> UsageError:
    effects = " and ".join(repr(one) for one in model.effects)
    return UsageError(
        "no_variation",
        f"{sample.names[name]!r} never changes once {effects or 'the other columns'} are taken out, so nothing can be "
        "said of it; check that it is 0 before the policy and 1 under it, in some places earlier than in others",
    )


def _bias_reduced(sample: Sample, model: Model, x: Sequence[str]) -> Regression:
    """Give bias-reduced errors (CR2) with Satterthwaite's degrees of freedom, by diff-diff on data without unit means.

    Means of units that lie within clusters may be taken out before, other effects may not (Pustejovsky and Tipton 2018,
    theorem 2): they stay as columns.
    """
    import numpy as np

    ready("diff_diff.linalg")
    from diff_diff.linalg import compute_robust_vcov

    if model.family != "linear" or "w" in sample.frame.columns or len(model.cluster_columns) > 1:
        raise UsageError(
            "bad_errors", "errors 'cr2' are for the linear family without weights and clusters of one kind"
        )
    if sample.frame[model.cluster_columns[0]].n_unique() < 2:
        raise UsageError("one_cluster", "there is one cluster only; errors need many, so name another cluster")
    found = regress(sample.frame, y="y", x=x, effects=model.columns, errors="iid")
    design, outcome, cluster = demeaned(sample, model, found.names)
    names = [*found.names]
    beta = np.linalg.lstsq(design, outcome, rcond=None)[0]
    vcov, dof = compute_robust_vcov(
        design, outcome - design @ beta, cluster_ids=cluster, vcov_type="hc2_bm", return_dof=True
    )
    # One number serves a regression elsewhere; here each coefficient has its own degrees of freedom.
    return replace(
        found, vcov=vcov[: len(names), : len(names)], df=None, clusters=(len(np.unique(cluster)),),
        dofs=tuple(float(one) for one in dof[: len(names)]),
    )  # fmt: skip


def demeaned(
    sample: Sample, model: Model, x: Sequence[str]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Give design, outcome and clusters with unit means taken out, other effects kept as columns of the design.

    Weighted rows are multiplied by the root of their weight, after weighted means are taken out. Without unit effects
    nothing is taken out and a constant is the first of the further columns.

    Raises UsageError too_many_levels where an effect that must stay as columns has more than 300 levels.
    """
    import numpy as np

    frame = sample.frame
    columns = [np.ones(frame.height) if name == "Intercept" else frame[name].to_numpy() for name in x]
    inside = "unit" in model.columns
    for name in model.columns:
        if name == "unit":
            continue
        levels = frame[name].unique().sort().to_list()
        if len(levels) > 300:
            raise UsageError(
                "too_many_levels",
                f"the effect {sample.names.get(name, name)!r} has {len(levels)} levels beside those of the unit; "
                "this needs 300 at most",
            )
        # Beside unit effects the first level is the reference; the first effect alone keeps all its levels.
        skip = 1 if inside else 0
        columns += [(frame[name] == level).to_numpy().astype(float) for level in levels[skip:]]
        inside = True
    design = np.column_stack(columns)
    outcome = frame["y"].to_numpy().astype(float)
    weights = frame["w"].to_numpy() if "w" in frame.columns else np.ones(frame.height)
    if "unit" in model.columns:
        unit = np.unique(frame["unit"].to_numpy(), return_inverse=True)[1]
        stacked = np.column_stack([design, outcome])
        total = np.bincount(unit, weights)
        sums = np.column_stack([np.bincount(unit, weights * column) for column in stacked.T])
        stacked = stacked - (sums / total[:, None])[unit]
        design, outcome = stacked[:, :-1], stacked[:, -1]
    root = np.sqrt(weights)
    cluster = np.unique(frame[model.cluster_columns[0]].to_numpy(), return_inverse=True)[1]
    return design * root[:, None], outcome * root, cluster


def _row(found: Regression, name: str, sample: Sample, model: Model, level: float) -> dict[str, object]:
    place = found.place(name)
    df = found.dofs[place] if found.dofs else found.df
    return {
        "model": model.name,
        "outcome": sample.names["y"],
        "term": sample.names.get(name, "intercept"),
        **inference(float(found.beta[place]), found.se(name), df=df, level=level),
        "rows": found.rows,
        "units": sample.frame["unit"].n_unique() if "unit" in sample.frame.columns else None,
        "clusters": min(found.clusters) if found.clusters else None,
    }


def equation_of(sample: Sample, model: Model, treated: tuple[str, ...]) -> Phrase:
    """Write what is estimated under the user's names."""
    terms: list[object] = [sample.names[name] for name in (*treated, *sample.covariates)]
    terms += [Phrase.of("fit.effect_of", name=one) for one in model.effects] or ["1"]
    text = Chain.of(" ~ ", sample.names["y"], Chain.of(" + ", *terms))
    kind = "weighted_" if "w" in sample.frame.columns else ""
    return Phrase.of(f"fixed_effects.{kind}{model.family}", text=text, weight=sample.names.get("w", ""))


def errors_told(model: Model, found: Regression) -> Phrase:
    """Say where the errors come from."""
    small = Phrase.of(f"small_sample.{model.small_sample}")
    if model.errors == "cluster":
        counts = " × ".join(f"{one:,}" for one in found.clusters)
        return Phrase.of("fixed_effects.cluster", by=" + ".join(model.clusters), clusters=counts, small=small)
    if model.errors == "cr2":
        return Phrase.of("fixed_effects.cr2", by=model.clusters[0], clusters=f"{found.clusters[0]:,}")
    return Phrase.of(f"fixed_effects.{model.errors}", small=small)


def _facts(told: _Told) -> dict[str, float | int | str]:
    frame, found = told.sample.frame, told.found
    facts: dict[str, float | int | str] = {"rows": found.rows}
    if "unit" in frame.columns:
        facts["units"] = frame["unit"].n_unique()
    if "period" in frame.columns:
        facts["waves"] = frame["period"].n_unique()
    if found.clusters:
        facts["clusters"] = min(found.clusters)
    facts["mean_outcome"] = mean_of(frame, "y")
    if found.r2 is not None:
        facts["r2"] = found.r2
    if found.r2_within is not None:
        facts["r2_within"] = found.r2_within
    if len(told.treatments) > 1:
        facts["joint_p"] = joint_p(found, [f"d{place}" for place in range(len(told.treatments))])
    return facts


def mean_of(frame: pl.DataFrame, name: str) -> float:
    """Give the mean of a column, weighted where there are weights."""
    import numpy as np

    weights = frame["w"].to_numpy() if "w" in frame.columns else None
    return float(np.average(frame[name].to_numpy(), weights=weights))


def is_binary(values: pl.Series) -> bool:
    """Say whether all values are 0 or 1."""
    numbers = values.to_numpy()
    return bool(((numbers == 0) | (numbers == 1)).all())


def joint_p(found: Regression, names: Sequence[str]) -> float:
    """Give p of the test that several coefficients are all zero: F with the degrees of freedom of t, or chi-square."""
    import numpy as np
    from scipy.special import chdtrc, fdtrc

    beta, vcov = found.block(names)
    wald = float(beta @ np.linalg.pinv(vcov) @ beta)
    if found.df is None:
        return float(chdtrc(len(names), max(wald, 0.0)))
    return float(fdtrc(len(names), found.df, max(wald / len(names), 0.0)))


def shows(told: _Told, row: Mapping[str, object]) -> tuple[Phrase, ...]:
    """Say what an estimate says: its size beside the mean of the outcome, and whether the interval holds zero."""
    estimate = float(row["estimate"])  # type: ignore[arg-type]
    frame, model = told.sample.frame, told.model
    mean = mean_of(frame, "y")
    direction = Phrase.of("fixed_effects.more" if estimate >= 0 else "fixed_effects.less")
    within = (
        Phrase.of("fixed_effects.within", unit=model.unit)
        if model.unit in model.effects
        else Phrase.of("fixed_effects.among")
    )
    if model.family == "poisson":
        size = f"{100 * abs(math.expm1(estimate)):.1f} %" if abs(estimate) < 20 else number_text(math.expm1(estimate))
        first = Phrase.of(
            "fixed_effects.shows_poisson", outcome=row["outcome"], term=row["term"], size=size, direction=direction,
            within=within,
        )  # fmt: skip
    else:
        binary = is_binary(frame["y"])
        size = f"{100 * abs(estimate):.2f}" if binary else number_text(abs(estimate))
        share = f"{100 * abs(estimate / mean):.1f} %" if mean else "-"
        first = Phrase.of(
            "fixed_effects.shows_share" if binary else "fixed_effects.shows_linear",
            outcome=row["outcome"], term=row["term"], size=size, direction=direction, share=share,
            mean=number_text(mean), within=within,
        )  # fmt: skip
    return (first, *interval_told(row, told.level))


def interval_told(row: Mapping[str, object], level: float) -> tuple[Phrase, ...]:
    """Say whether the interval of an estimate holds zero; nothing where there is none."""
    low, high = row["low"], row["high"]
    if not isinstance(low, float) or not isinstance(high, float):
        return ()
    key = "excludes_zero" if low > 0 or high < 0 else "holds_zero"
    return (
        Phrase.of(
            f"fixed_effects.{key}",
            level=f"{100 * level:g} %",
            low="-∞" if math.isnan(low) else _signed(low),
            high="∞" if math.isnan(high) else _signed(high),
            term=row["term"],
        ),
    )


def _signed(value: float) -> str:
    return f"-{number_text(-value)}" if value < 0 else number_text(value)


def limits_told(sample: Sample, model: Model, treatments: Sequence[str]) -> tuple[Phrase, ...]:
    """Say what a regression with fixed effects does not show."""
    phrases = []
    if model.unit in model.effects and model.time in model.effects:
        phrases.append(Phrase.of("fixed_effects.parallel_trends"))
        starts = _start_waves(sample) if len(treatments) == 1 else 0
        if starts > 1:
            phrases.append(Phrase.of("fixed_effects.staggered", starts=starts))
    elif model.unit not in model.effects:
        phrases.append(Phrase.of("fixed_effects.no_unit_effects"))
    phrases.append(Phrase.of("fixed_effects.enrolment"))
    if model.clusters == (model.unit,):
        phrases.append(Phrase.of("fixed_effects.cluster_is_unit", unit=model.unit))
    return tuple(phrases)


def _start_waves(sample: Sample) -> int:
    """Count the waves in which units came under a treatment of zeros and ones; 0 for other treatments."""
    import numpy as np

    frame = sample.frame
    treated = frame["d0"].to_numpy()
    if not ((treated == 0) | (treated == 1)).all():
        return 0
    unit, period = frame["unit"].to_numpy(), frame["period"].to_numpy()
    never = np.iinfo(np.int64).max
    first, seen = np.full((2, int(unit.max()) + 1), never)
    on = treated == 1
    np.minimum.at(first, unit[on], period[on])
    np.minimum.at(seen, unit, period)
    # A unit that is treated when it is first seen began no one knows when.
    return len(np.unique(first[(first > seen) & (first < never)]))


def _warnings(told: _Told, rows_in: int) -> tuple[Phrase, ...]:
    found, model = told.found, told.model
    phrases = []
    if model.errors == "cluster" and min(found.clusters) < FEW_CLUSTERS:
        key = "few_clusters"
        if model.family != "linear" or len(model.clusters) > 1:
            key = "few_clusters_alone"
        elif "w" in told.sample.frame.columns:  # cr2 knows no weights
            key = "few_clusters_wild"
        phrases.append(Phrase.of(f"fixed_effects.{key}", clusters=min(found.clusters), few=FEW_CLUSTERS))
    if is_exact(told.sample, found):
        phrases.append(Phrase.of("fixed_effects.exact", outcome=told.sample.names["y"]))
    elif any(math.isnan(found.se(name)) for name in found.names):
        phrases.append(Phrase.of("fixed_effects.negative_variance"))
    lost = sum(
        drop.rows for drop in told.sample.drops if drop.reason in ("singleton", "singleton_level", "always_zero")
    )
    if lost > 0.5 * (lost + found.rows):
        phrases.append(Phrase.of("fixed_effects.sample_halved", lost=f"{lost:,}", rows=f"{lost + found.rows:,}"))
    return tuple(phrases)


def _notes(told: _Told) -> tuple[Phrase, ...]:
    notes = left_out_told(told.sample, told.found)
    if told.model.name == "twfe" and is_binary(told.sample.frame["y"]):
        notes += (Phrase.of("fixed_effects.linear_probability"),)
    return notes


def left_out_told(sample: Sample, found: Regression) -> tuple[Phrase, ...]:
    """Say which covariates others or the effects explain wholly."""
    return tuple(Phrase.of("fixed_effects.left_out", column=sample.names.get(name, name)) for name in found.left_out)
