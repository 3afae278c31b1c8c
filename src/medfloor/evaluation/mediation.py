"""Ask how much of an effect goes through a mediator: health, catastrophic spending, use of services."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medfloor.errors import UsageError
from medfloor.evaluation.fixed_effects import FEW_CLUSTERS, interval_told, mean_of
from medfloor.evaluation.potential import EFFECTS, Setting, check_kind, quasi_bayes, resampled
from medfloor.evaluation.product import RHO, Columns, Line, Paths, bootstrap, line, paths
from medfloor.evaluation.result import Fit, estimates, inference, number_text
from medfloor.evaluation.sample import Sample, take
from medfloor.evaluation.within import residuals, unit_residuals
from medfloor.words import Chain, Phrase

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Approach = Literal["product", "quasi_bayes", "bootstrap"]
APPROACHES = ("product", "quasi_bayes", "bootstrap")
ERRORS = ("iid", "ml", "hc1", "hc3", "cluster")
_LOST = 0.05
"""Above this share of failed draws a fit warns."""


def mediate(
    table: pl.DataFrame,
    *,
    outcome: str,
    treatment: str,
    mediator: str,
    unit: str | None = None,
    time: str | None = None,
    covariates: Sequence[str] = (),
    cluster: str | None = None,
    weight: str | None = None,
    approach: Approach = "product",
    mediator_model: str = "linear",
    outcome_model: str = "linear",
    interaction: bool = False,
    contrast: tuple[float, float] = (0.0, 1.0),
    errors: str | None = None,
    draws: int = 1000,
    seed: int = 20201123,
    level: float = 0.95,
) -> Fit:
    """Part the effect of a treatment on an outcome into what goes through a mediator and what does not.

    `approach` "product": three linear regressions with effects of `unit` and `time` taken out (either may be None).
    `path_a`: treatment on mediator; `path_b` and `direct`: mediator and treatment together on outcome; `total`:
    treatment alone; `indirect` = a b = total - direct; `proportion` = indirect / total. Errors of the first four are
    those of the regressions ("iid", "ml", "hc1", "hc3", "cluster"; None: cluster by `cluster` or `unit`, else hc1),
    those of the last two come from `draws` samples of whole clusters (percentiles), or with draws=0 from the delta
    method. Sobel's error is among the facts. `curves["sensitivity"]` (rho, estimate, low, high) tells the indirect
    effect if the errors of mediator and outcome were correlated; the fact `rho_zero` is the correlation at which it
    vanishes.

    "quasi_bayes" and "bootstrap": potential outcomes simulated from a `mediator_model` and an `outcome_model` (linear,
    logit, probit), with `interaction` of treatment and mediator, as R's mediation: `acme` (through the mediator; under
    control, under treatment, their mean), `ade` (not through it), `total`, `proportion`, at the treatments of
    `contrast`. Waves may be held fixed, effects of units not. quasi_bayes draws coefficients with `errors`; bootstrap
    draws rows, or whole clusters.

    A binary mediator or outcome in a linear model is read as a share. Rows that lack a column are left out and counted.
    An effect through a mediator is causal only under sequential ignorability, which no data can prove.

    Raises UsageError: what `take` raises, same_column, bad_choice, bad_model, not_binary, bad_errors, bad_draws,
    bad_seed, one_cluster, units_between_clusters, no_variation, not_estimable, separated.

    Source: Baron and Kenny (1986); Imai, Keele and Yamamoto (2010, Statistical Science 25, 51-71); Imai, Keele and
    Tingley (2010, Psychological Methods 15, 309-334).

    >>> people = pl.DataFrame({"insured": [0, 0, 0, 1, 1, 1], "ill": [2.0, 3, 4, 1, 2, 1], "oop": [4.0, 6, 9, 2, 4, 1]})
    >>> fit = mediate(people, outcome="oop", treatment="insured", mediator="ill", draws=0)
    >>> round(fit.value("total"), 3), round(fit.value("indirect"), 3), round(fit.value("direct"), 3)
    (-4.0, -4.167, 0.167)
    """
    how = _How(
        approach, mediator_model, outcome_model, interaction, _errors(errors, approach, cluster, unit), draws, seed
    )
    inference(0.0, 1.0, level=level)  # refuses a level before any work is done
    names = {"y": outcome, "d": treatment, "m": mediator}
    if len(set(names.values())) < 3:
        raise UsageError(
            "same_column", "outcome, treatment and mediator must be three columns; two of them are the same"
        )
    labels = {"cluster": cluster} if cluster else {}
    sample = take(table, numbers=names, labels=labels, covariates=covariates, unit=unit, time=time, weight=weight)
    if unit and time:
        sample = _without_singletons(sample)
    _check(sample, how, unit, weight)
    columns = _columns(sample, clustered=how.errors == "cluster" or bool(cluster))
    told = _Told(sample, columns, how, cluster or (unit if how.errors == "cluster" else None), level)
    if approach == "product":
        return _product(told, unit, time)
    return _simulated(told, contrast)


@dataclass(frozen=True, slots=True)
class _How:
    """Be how a mediation is estimated."""

    approach: str
    mediator_model: str
    outcome_model: str
    interaction: bool
    errors: str
    draws: int
    seed: int

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if self.approach not in APPROACHES:
            raise UsageError("bad_choice", f"approach {self.approach!r} is none of {', '.join(APPROACHES)}")
        least = 0 if self.approach == "product" else 10
        if not (self.draws == 0 and least == 0) and not 10 <= self.draws <= 100_000:
            none = "0 for none, or " if least == 0 else ""
            raise UsageError("bad_draws", f"{self.draws} draws: ask for {none}10 to 100,000; 1,000 is usual")
        if self.seed < 0:
            raise UsageError("bad_seed", f"a seed of {self.seed}: give a whole number of zero or more")
        if self.approach == "product" and {self.mediator_model, self.outcome_model} != {"linear"}:
            raise UsageError(
                "bad_model", "the product of coefficients is for linear models; use approach quasi_bayes or bootstrap"
            )
        if self.approach == "product" and self.interaction:
            raise UsageError(
                "bad_model", "with an interaction a product of coefficients means nothing; use approach quasi_bayes"
            )


@dataclass(frozen=True, slots=True, eq=False)
class _Told:
    """Be all that the words about a mediation need."""

    sample: Sample
    columns: Columns
    how: _How
    by: str | None
    level: float

    def name(self, plain: str) -> str:
        return self.sample.names[plain]

    @property
    def clusters(self) -> int | None:
        return self.columns.groups if self.by else None

    def row(self, term: str, numbers: dict[str, float | None], model: str) -> dict[str, object]:
        frame = self.sample.frame
        return {
            "model": model, "outcome": self.name("m") if term == "path_a" else self.name("y"), "term": term, **numbers,
            "rows": frame.height, "units": frame["unit"].n_unique() if "unit" in frame.columns else None,
            "clusters": self.clusters,
        }  # fmt: skip


def _errors(errors: str | None, approach: str, cluster: str | None, unit: str | None) -> str:
    if errors is None:
        simple = "hc1" if approach == "product" else "iid"
        return "cluster" if cluster or (unit and approach == "product") else simple
    if errors not in ERRORS or (errors == "ml" and approach != "product"):
        raise UsageError("bad_errors", f"there are no errors {errors!r} here; use {', '.join(ERRORS)}")
    if errors == "cluster" and not (cluster or unit):
        raise UsageError("bad_errors", "errors 'cluster' need a cluster; name it, or the unit")
    return errors


def _without_singletons(sample: Sample) -> Sample:
    return sample.keep(pl.len().over("unit") > 1, "singleton")


def _check(sample: Sample, how: _How, unit: str | None, weight: str | None) -> None:
    frame = sample.frame
    for plain in ("d", "m", "y"):
        if frame[plain].n_unique() == 1:
            raise UsageError(
                "no_variation", f"{sample.names[plain]!r} is {frame[plain][0]:g} in all rows; nothing can be said of it"
            )
    if how.approach == "product":
        return
    if unit or weight:
        raise UsageError(
            "bad_choice",
            f"approach {how.approach!r} takes neither effects of units nor weights; leave out "
            f"{'the unit' if unit else 'the weight'} (and name a cluster), or use approach 'product'",
        )
    check_kind(how.mediator_model, frame["m"].to_numpy(), sample.names["m"])
    check_kind(how.outcome_model, frame["y"].to_numpy(), sample.names["y"])


def _columns(sample: Sample, *, clustered: bool) -> Columns:
    """Take effects of units out of all columns, and leave out of what is held fixed what others make up."""
    frame = sample.frame
    unit = frame["unit"].to_numpy() if "unit" in frame.columns else None
    weight = frame["w"].to_numpy() if "w" in frame.columns else np.ones(frame.height)
    weight = weight / weight.mean()
    held = [frame[name].to_numpy() for name in sample.covariates]
    if "period" in frame.columns:
        period = frame["period"].to_numpy()
        held += [(period == wave).astype(np.float64) for wave in np.unique(period)[1:]]
    table = np.column_stack([frame[name].to_numpy() for name in ("d", "m", "y")] + held)
    size = np.abs(table).max(axis=0)
    if unit is not None:
        unit = np.unique(unit, return_inverse=True)[1]
        table = unit_residuals(table, unit, weight)
    else:
        table = np.column_stack([table - np.average(table, axis=0, weights=weight), np.ones(frame.height)])
        size = np.append(size, 1.0)
    codes, nested = _clusters(frame, unit, clustered)
    kept = _independent(table[:, 3:], size[3:])
    for place, plain in ((0, "d"), (1, "m")):
        left = residuals(table[:, [place]], table[:, 3:][:, kept], weight)[:, 0]
        if np.abs(left).max() <= 1e-9 * max(float(size[place]), 1e-300):
            raise UsageError(
                "no_variation",
                f"{sample.names[plain]!r} never changes once effects and covariates are taken out: nothing can be said",
            )
    held_and_treatment = np.column_stack([table[:, 0], table[:, 3:][:, kept]])
    left = residuals(table[:, [1]], held_and_treatment, weight)[:, 0]
    if np.abs(left).max() <= 1e-9 * max(float(size[1]), 1e-300):
        raise UsageError(
            "no_variation",
            f"{sample.names['m']!r} never changes once {sample.names['d']!r}, effects and covariates are taken out: "
            "what goes through it cannot be told from what does not",
        )
    # What is left of the outcome is rounding: errors of it, and a share of it, would be noise told as findings.
    left = residuals(table[:, [2]], np.column_stack([table[:, 1], held_and_treatment]), weight)[:, 0]
    if np.abs(left).max() <= 1e-9 * max(float(size[2]), 1e-300):
        raise UsageError(
            "no_variation",
            f"{sample.names['y']!r} is told without fail by {sample.names['d']!r}, {sample.names['m']!r}, effects and "
            "covariates (perfect prediction): nothing is left to hold them against; the outcome may be made of the "
            "mediator or the treatment, so choose another",
        )
    absorbed = int(unit.max()) + 1 if unit is not None else 0
    return Columns(table[:, 0], table[:, 1], table[:, 2], table[:, 3:][:, kept], weight, codes, absorbed, nested)


def _clusters(frame: pl.DataFrame, unit: Ints | None, clustered: bool) -> tuple[Ints, bool]:
    """Give the cluster of each row: the one asked for, else the unit, else the row itself."""
    if "cluster" in frame.columns:
        codes = np.unique(frame["cluster"].to_numpy(), return_inverse=True)[1]
        if unit is not None:
            lowest, highest = (np.full(int(unit.max()) + 1, start) for start in (len(codes), -1))
            np.minimum.at(lowest, unit, codes)
            np.maximum.at(highest, unit, codes)
            if (lowest != highest).any():
                raise UsageError(
                    "units_between_clusters",
                    f"{int((lowest != highest).sum())} units move between clusters, so that whole clusters cannot be "
                    "drawn; name a cluster that holds its units, such as the place of the first wave",
                )
    elif unit is not None:
        codes = unit
    else:
        return np.arange(frame.height), False
    if clustered and codes.max() == 0:
        raise UsageError("one_cluster", "there is one cluster only; errors need many, so name another cluster")
    return codes, True


def _independent(table: Floats, size: Floats) -> list[int]:
    """List the columns that the ones before do not make up."""
    kept: list[int] = []
    basis = np.empty((len(table), 0))
    for place, column in enumerate(table.T):
        rest = column - basis @ (basis.T @ column)
        rest = rest - basis @ (basis.T @ rest)
        length = float(np.linalg.norm(rest))
        if length > 1e-9 * max(float(np.linalg.norm(column)), float(size[place]) * 1e-4, 1e-300):
            kept.append(place)
            basis = np.column_stack([basis, rest / length])
    return kept


# Product of coefficients


def _product(told: _Told, unit: str | None, time: str | None) -> Fit:
    columns, how, level = told.columns, told.how, told.level
    d, m, y = columns.treatment, columns.mediator, columns.outcome
    first, second = line(columns, m, [d], how.errors), line(columns, y, [d, m], how.errors)
    total = line(columns, y, [d], how.errors)
    point = paths(columns)
    drawn = bootstrap(columns, how.draws, how.seed) if how.draws else None
    parts = [("path_a", first, 0), ("path_b", second, 1), ("total", total, 0), ("direct", second, 0)]
    model = "mediation_product"
    rows = [told.row(term, _inference(told, one, at), model) for term, one, at in parts]
    delta = _delta(first, second, columns, how.errors)
    rows += [
        told.row(term, _interval(value, drawn_values, delta if term == "indirect" else None, level), model)
        for term, value, drawn_values in _derived(point, drawn)
    ]
    rows[-1]["se"] = None  # a ratio whose denominator may be zero has no standard deviation
    sobel = _sobel(first, second)
    z = float(point.indirect[0]) / sobel if sobel > 0 else float("nan")
    facts = _facts(told) | {"sobel_se": sobel, "sobel_z": z, "delta_se": delta}
    facts |= _vanishing(columns, point)
    facts["interaction_p"] = _interaction(told)
    lost = int(np.isnan(drawn.a).sum()) if drawn else 0
    ran = Phrase.of(
        "mediation.product", outcome=told.name("y"), mediator=told.name("m"), treatment=told.name("d"),
        held=_held(told, [one for one in (unit, time) if one]),
    )  # fmt: skip
    return Fit(
        method="mediate",
        rows=estimates(rows),
        equation=ran,
        errors=_errors_told(told),
        drops=told.sample.drops,
        facts=facts,
        curves={"sensitivity": _curve(point, drawn, level)},
        shows=_shows(told, {str(row["term"]): row for row in rows}),
        not_shown=_not_shown(told, facts),
        warnings=_warnings(told, facts, lost),
        notes=_notes(told, rows, lost),
        sources=("Baron and Kenny (1986)", "Sobel (1982)", "Imai, Keele and Yamamoto (2010), Statistical Science 25"),
        level=level,
    )


def _inference(told: _Told, found: Line, at: int) -> dict[str, float | None]:
    """Test a coefficient: t with the clusters less one, or with what rows leave; the normal for maximum likelihood."""
    columns, errors = told.columns, told.how.errors
    # Programs of structural equations hold estimates against the normal.
    df = {"cluster": float(columns.groups - 1), "ml": None}.get(errors, float(_free(columns, len(found.beta))))
    return inference(float(found.beta[at]), max(float(found.vcov[at, at]), 0.0) ** 0.5, df=df, level=told.level)


def _free(columns: Columns, own: int) -> int:
    return max(int(columns.rows - own - columns.held.shape[1] - columns.absorbed), 1)


def _derived(point: Paths, drawn: Paths | None) -> list[tuple[str, float, Floats | None]]:
    """Give what follows from the coefficients: the product, and its share of the total."""
    with np.errstate(divide="ignore", invalid="ignore"):
        share = float((point.indirect / point.total)[0])
        shares = drawn.indirect / drawn.total if drawn else None
    return [("indirect", float(point.indirect[0]), drawn.indirect if drawn else None), ("proportion", share, shares)]


def _interval(value: float, drawn: Floats | None, se: float | None, level: float) -> dict[str, float | None]:
    """Give the interval of a value: percentiles of draws, or the normal's with a delta error, or none."""
    if drawn is None:
        return inference(value, se if se is not None else float("nan"), level=level)
    there = drawn[np.isfinite(drawn)]
    if len(there) < 2:
        return inference(value, float("nan"), level=level)
    low, high = np.percentile(there, [50 * (1 - level), 50 * (1 + level)])
    # No draw beyond zero does not mean that none ever lies there: each tail counts one more.
    tail = (min(int((there <= 0).sum()), int((there >= 0).sum())) + 1) / (len(there) + 1)
    return {
        "estimate": value, "se": float(there.std(ddof=1)), "p": min(2 * tail, 1.0), "low": float(low),
        "high": float(high),
    }  # fmt: skip


def _sobel(first: Line, second: Line) -> float:
    a, b = float(first.beta[0]), float(second.beta[1])
    return float(max(a**2 * second.vcov[1, 1] + b**2 * first.vcov[0, 0], 0.0) ** 0.5)


def _delta(first: Line, second: Line, columns: Columns, errors: str) -> float:
    """Give the error of the product by the delta method; robust errors let both equations go together."""
    variance = _sobel(first, second) ** 2
    if errors in ("hc1", "hc3", "cluster"):
        pairs = first.influence[:, 0], second.influence[:, 1]
        if errors == "cluster":
            pairs = tuple(np.bincount(columns.cluster, one, columns.groups) for one in pairs)  # type: ignore[assignment]
        between = float(pairs[0] @ pairs[1]) * (first.factor * second.factor) ** 0.5
        variance += 2 * float(first.beta[0] * second.beta[1]) * between
    return float(max(variance, 0.0) ** 0.5)


def _vanishing(columns: Columns, point: Paths) -> dict[str, float | int | str]:
    """Say how strong a confounder would have to be for the indirect effect to vanish, in three units."""
    rho = float(point.rho[0])
    w, d, m, y = columns.weight, columns.treatment, columns.mediator, columns.outcome
    left = [1 - _r2(w, m, [d], columns.held), 1 - _r2(w, y, [d, m], columns.held)]
    return {"rho_zero": rho, "r2_residual_zero": rho**2, "r2_total_zero": rho**2 * left[0] * left[1]}


def _r2(w: Floats, y: Floats, x: list[Floats], held: Floats) -> float:
    rest = residuals(y[:, None], np.column_stack([*x, held]), w)[:, 0]
    spread = float(w @ (y - np.average(y, weights=w)) ** 2)
    return 1 - float(w @ rest**2) / spread if spread > 0 else 0.0


def _interaction(told: _Told) -> float:
    """Test whether the mediator works differently under the treatment, which the product takes to be alike."""
    columns, frame = told.columns, told.sample.frame
    product = frame["d"].to_numpy() * (frame["m"].to_numpy() - frame["m"].to_numpy().mean())
    if "unit" in frame.columns:
        unit = np.unique(frame["unit"].to_numpy(), return_inverse=True)[1]
        product = unit_residuals(product[:, None], unit, columns.weight)[:, 0]
    others = np.column_stack([columns.treatment, columns.mediator, columns.held])
    rest = residuals(product[:, None], others, columns.weight)[:, 0]
    if np.abs(rest).max() <= 1e-9 * max(float(np.abs(product).max()), 1e-300) or _free(columns, 3) <= 1:
        return float("nan")
    found = line(columns, columns.outcome, [rest, columns.treatment, columns.mediator], told.how.errors)
    p = _inference(told, found, 0)["p"]
    return float("nan") if p is None else p


def _curve(point: Paths, drawn: Paths | None, level: float) -> pl.DataFrame:
    """Tell the indirect effect under each correlation of the errors, with percentiles of the draws."""
    rows = []
    for rho in RHO:
        there = drawn.under(rho) if drawn else np.empty(0)
        there = there[np.isfinite(there)]
        low, high = np.percentile(there, [50 * (1 - level), 50 * (1 + level)]) if len(there) > 1 else (None, None)
        rows.append({"rho": rho, "estimate": float(point.under(rho)[0]), "low": low, "high": high})
    return pl.DataFrame(rows, schema=dict.fromkeys(("rho", "estimate", "low", "high"), pl.Float64()))


# Simulated potential outcomes


def _simulated(told: _Told, contrast: tuple[float, float]) -> Fit:
    columns, how, level, frame = told.columns, told.how, told.level, told.sample.frame
    setting = Setting(
        frame["d"].to_numpy(), frame["m"].to_numpy(), frame["y"].to_numpy(), columns.held, how.mediator_model,
        how.outcome_model, how.interaction, float(contrast[0]), float(contrast[1]),
        (told.name("m"), told.name("y")),
    )  # fmt: skip
    codes = columns.cluster if told.by else None
    if how.approach == "quasi_bayes":
        drawn = quasi_bayes(setting, how.errors, codes, how.draws, how.seed)
        # Means of the draws; of a ratio the median, because its mean may not exist (as R's mediation).
        shares = [one.startswith("proportion") for one in EFFECTS]
        point = np.where(shares, np.median(drawn, axis=0), drawn.mean(axis=0))
    else:
        point, drawn = resampled(setting, codes, how.draws, how.seed)
    model = f"mediation_{how.approach}"
    rows = [
        told.row(term, _interval(float(point[at]), drawn[:, at], None, level), model) for at, term in enumerate(EFFECTS)
    ]
    rows = [row | {"se": None} if str(row["term"]).startswith("proportion") else row for row in rows]
    facts = _facts(told)
    curves = {}
    linear = how.mediator_model == how.outcome_model == "linear" and not how.interaction
    if linear:
        curves["sensitivity"] = _curve(paths(columns), bootstrap(columns, how.draws, how.seed), level)
        facts |= _vanishing(columns, paths(columns))
    lost = int(np.isnan(drawn[:, 0]).sum())
    mediated = Phrase.of("mediation.with_interaction" if how.interaction else "mediation.without_interaction")
    return Fit(
        method="mediate",
        rows=estimates(rows),
        equation=Phrase.of(
            "mediation.simulated", outcome=told.name("y"), mediator=told.name("m"), treatment=told.name("d"),
            mediator_model=Phrase.of(f"mediation.{how.mediator_model}"), interaction=mediated,
            outcome_model=Phrase.of(f"mediation.{how.outcome_model}"), held=_held(told, []),
            low=f"{contrast[0]:g}", high=f"{contrast[1]:g}",
        ),
        errors=_errors_told(told),
        drops=told.sample.drops,
        facts=facts,
        curves=curves,
        shows=_shows(told, {_SAME.get(str(row["term"]), str(row["term"])): row for row in rows}),
        not_shown=_not_shown(told, facts),
        warnings=_warnings(told, facts, lost),
        notes=(*_notes(told, rows, lost), *(() if linear else (Phrase.of("mediation.no_sensitivity"),))),
        sources=("Imai, Keele and Tingley (2010), Psychological Methods 15", "algorithm of R's mediation 4.5"),
        level=level,
    )  # fmt: skip


_SAME = {"acme": "indirect", "ade": "direct"}


# Words


def _facts(told: _Told) -> dict[str, float | int | str]:
    frame = told.sample.frame
    facts: dict[str, float | int | str] = {"rows": frame.height}
    if "unit" in frame.columns:
        facts["units"] = frame["unit"].n_unique()
    if "period" in frame.columns:
        facts["waves"] = frame["period"].n_unique()
    if told.clusters:
        facts["clusters"] = told.clusters
    facts["mean_outcome"] = mean_of(frame, "y")
    facts["mean_mediator"] = mean_of(frame, "m")
    if told.how.draws:
        facts |= {"draws": told.how.draws, "seed": str(told.how.seed)}
    return facts


def _held(told: _Told, effects: Sequence[str]) -> Phrase:
    names = [told.sample.names[name] for name in told.sample.covariates]
    if not effects and "period" in told.sample.names:
        effects = [told.sample.names["period"]]
    # An empty part stands first, so that whatever is held fixed has a plus before it.
    return Chain.of(" + ", "", *names, *(Phrase.of("fit.effect_of", name=one) for one in effects))


def _errors_told(told: _Told) -> Phrase:
    how = told.how
    kind = Phrase.of("mediation.errors_cluster", by=told.by, clusters=f"{told.columns.groups:,}")
    if how.errors != "cluster":
        kind = Phrase.of(f"mediation.errors_{how.errors}")
    unit = Phrase.of("mediation.clusters" if told.by else "mediation.rows")
    asked = {"kind": kind, "draws": f"{how.draws:,}", "seed": how.seed, "unit": unit}
    if how.approach == "product":
        return Phrase.of("mediation.errors_product" if how.draws else "mediation.errors_delta", **asked)
    return Phrase.of(f"mediation.errors_{how.approach}", **asked)


def _shows(told: _Told, rows: dict[str, dict[str, object]]) -> tuple[Phrase, ...]:
    """Tell total, indirect and direct effect by size, and whether each can be told from none."""
    phrases: list[Phrase] = []
    mean = mean_of(told.sample.frame, "y")
    binary = bool(told.sample.frame["y"].is_in([0.0, 1.0]).all())
    for term in ("total", "indirect", "direct"):
        estimate = float(rows[term]["estimate"])  # type: ignore[arg-type]
        size = abs(estimate)
        phrases.append(
            Phrase.of(
                f"mediation.shows_{term}",
                outcome=told.name("y"),
                mediator=told.name("m"),
                treatment=told.name("d"),
                size=Phrase.of("mediation.points", size=number_text(100 * size)) if binary else number_text(size),
                direction=Phrase.of("mediation.more" if estimate >= 0 else "mediation.less"),
                share=f"{100 * size / abs(mean):.1f} %" if mean else "-",
                mean=number_text(mean),
            )
        )
        phrases += interval_told({**rows[term], "term": Phrase.of(f"term.{term}")}, told.level)
    share = float(rows["proportion"]["estimate"])  # type: ignore[arg-type]
    if 0 < share <= 1 and not _may_be_none(rows["total"]):
        phrases.append(Phrase.of("mediation.share", share=f"{100 * share:.1f} %"))
    return tuple(phrases)


def _not_shown(told: _Told, facts: dict[str, float | int | str]) -> tuple[Phrase, ...]:
    names = {"mediator": told.name("m"), "treatment": told.name("d"), "outcome": told.name("y")}
    phrases = [Phrase.of("mediation.ignorability", **names), Phrase.of("mediation.after_treatment", **names)]
    if "rho_zero" in facts:
        phrases.append(Phrase.of("mediation.rho", rho=f"{facts['rho_zero']:.3f}", **names))
    if "unit" in told.sample.frame.columns:
        phrases.append(Phrase.of("mediation.trends", **names))
    return tuple(phrases)


def _warnings(told: _Told, facts: dict[str, float | int | str], lost: int) -> tuple[Phrase, ...]:
    phrases = []
    if told.clusters is not None and told.clusters < FEW_CLUSTERS:
        phrases.append(Phrase.of("mediation.few_clusters", clusters=told.clusters, few=FEW_CLUSTERS))
    p = facts.get("interaction_p")
    if isinstance(p, float) and p < 0.05:
        phrases.append(Phrase.of("mediation.interaction", p=f"{p:.4f}", mediator=told.name("m")))
    if lost > _LOST * max(told.how.draws, 1):
        phrases.append(Phrase.of("mediation.many_lost", lost=f"{lost:,}", draws=f"{told.how.draws:,}"))
    return tuple(phrases)


def _notes(told: _Told, rows: Sequence[dict[str, object]], lost: int) -> tuple[Phrase, ...]:
    value = {str(row["term"]): float(row["estimate"]) for row in rows if row["estimate"] is not None}  # type: ignore[arg-type]
    direct, indirect = value.get("direct", value.get("ade", 0.0)), value.get("indirect", value.get("acme", 0.0))
    phrases = []
    if direct * indirect < 0:
        phrases.append(Phrase.of("mediation.opposite"))
    if _may_be_none(next(row for row in rows if row["term"] == "total")):
        phrases.append(Phrase.of("mediation.unstable_share"))
    if 0 < lost <= _LOST * told.how.draws:
        phrases.append(Phrase.of("mediation.some_lost", lost=f"{lost:,}", draws=f"{told.how.draws:,}"))
    return tuple(phrases)


def _may_be_none(row: dict[str, object]) -> bool:
    """Say whether the interval of an effect holds zero."""
    low, high = row.get("low"), row.get("high")
    return isinstance(low, float) and isinstance(high, float) and low <= 0 <= high
