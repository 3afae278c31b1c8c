"""Explain outcomes that are yes or no, or that are ordered: logit and probit, conditional, pooled, with unit means."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import polars as pl

from medfloor.errors import UsageError
from medfloor.evaluation.fixed_effects import FEW_CLUSTERS, interval_told, mean_of, two_way_fixed_effects
from medfloor.evaluation.likelihood import (
    Likelihood,
    binomial,
    column_that_tells,
    conditional_logit,
    independent,
    ordered,
    sandwich,
)
from medfloor.evaluation.margins import average_marginal_effects, ordered_marginal_effects
from medfloor.evaluation.result import Fit, estimates, inference, number_text
from medfloor.evaluation.sample import Sample, take
from medfloor.words import Chain, Phrase

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Numbers = npt.NDArray[np.float64]

MODELS = (
    "lpm", "conditional_logit", "logit", "probit", "cre_logit", "cre_probit", "ordered_logit", "ordered_probit",
)  # fmt: skip
"""The models of `binary`."""

ERRORS = ("cluster", "robust", "iid")
_MOST_LEVELS = 20
_SOURCES = {
    "lpm": (),
    "conditional_logit": ("Chamberlain (1980), Analysis of covariance with qualitative data",),
    "logit": ("White (1982), Maximum likelihood estimation of misspecified models",),
    "cre_logit": ("Mundlak (1978)", "Wooldridge (2019), Correlated random effects models with unbalanced panels"),
    "ordered_logit": ("McKelvey and Zavoina (1975)",),
}


def binary(
    panel: pl.DataFrame,
    *,
    outcome: str,
    treatment: str,
    model: str = "logit",
    unit: str | None = None,
    time: str | None = None,
    covariates: Sequence[str] = (),
    cluster: str | None = None,
    weight: str | None = None,
    waves: bool = True,
    marginal: bool = False,
    errors: str | None = None,
    level: float = 0.95,
) -> Fit:
    """Estimate what goes with a treatment where the outcome is 0 or 1 (`ordered_*`: a few ordered numbers).

    `model`: "lpm", least squares with effects of unit and time (`two_way_fixed_effects`); "conditional_logit", exact
    within units, of the units whose outcome changes; "logit" and "probit", pooled; "cre_logit" and "cre_probit", with
    the unit means of all that changes within units beside it (correlated random effects, Mundlak 1978); "ordered_logit"
    and "ordered_probit". With `time` all have a column for each wave but the first (`waves=False`: none); a covariate
    `i.sex` is a category.

    Coefficients are changes of the log odds (logit) or of the index (probit) where a column is one higher, and have
    group null. With `marginal` rows of group "ame" follow: average marginal effects, the mean change of the chance of 1
    (from 0 to 1 for a column of zeros and ones, slopes for others), for ordered outcomes at each value (`at`). A
    conditional logit has none, because it does not estimate what lasts in a unit.

    `errors`: "cluster" (rows of one `cluster`, without one of one `unit`, may go together), "robust" (each row alone)
    or "iid" (the inverse information); None takes the first that there is. The first two are enlarged by G/(G-1).
    Rows that lack a column are left out and counted; so are units that never change (conditional logit) and rows whose
    covariate of zeros and ones tells the outcome without fail, with a warning.

    Raises UsageError: what `take` and `two_way_fixed_effects` raise, bad_model, bad_errors, not_binary, not_ordered,
    no_unit, no_weights, no_marginal_effects, no_variation, separated, one_cluster, units_between_clusters.

    Source: Wooldridge (2010), Econometric Analysis of Cross Section and Panel Data, chapters 15 and 16.

    >>> table = pl.DataFrame({"ill": [0, 1, 1, 0, 1, 0, 0, 1], "old": [0, 1, 1, 0, 0, 0, 1, 1]})
    >>> fit = binary(table, outcome="ill", treatment="old", model="logit")
    >>> round(fit.value("old"), 4)  # log odds: ln((3/1) / (1/3))
    2.1972
    """
    asked = _asked(model, unit, time, cluster, weight, waves, marginal, errors)
    if model == "lpm":
        return _linear(panel, asked, outcome, treatment, covariates, level)
    sample = take(
        panel,
        numbers={"y": outcome, "d": treatment},
        labels={"cluster": asked.cluster} if asked.cluster else {},
        covariates=covariates,
        unit=unit,
        time=time,
        weight=weight,
    )
    sample, values = _with_outcome(sample, asked)
    if model == "conditional_logit":
        sample = _switchers(sample)
    sample, design = _estimable(sample, asked)
    found = _fitted(sample, design, asked)
    return _fit(sample, design, found, asked, values, level)


@dataclass(frozen=True, slots=True)
class _Asked:
    """Be what is to be estimated; `link` is logit or probit."""

    model: str
    unit: str | None
    time: str | None
    cluster: str | None
    weight: str | None
    waves: bool
    marginal: bool
    errors: str

    @property
    def link(self) -> str:
        return "probit" if self.model.endswith("probit") else "logit"

    @property
    def is_ordered(self) -> bool:
        return self.model.startswith("ordered")

    @property
    def is_cre(self) -> bool:
        return self.model.startswith("cre")


@dataclass(frozen=True, slots=True, eq=False)
class _Design:
    """Be the columns of a regression: values, the term of each, and which kind each is.

    Kinds: constant, treatment, covariate, wave, mean (of a unit). `siblings` are the other levels of a category.
    `left_out` names columns that others already say, `tells` those that tell the outcome.
    """

    x: Numbers
    terms: tuple[str, ...]
    kinds: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    tells: tuple[str, ...] = ()

    def only(self, places: Sequence[int]) -> _Design:
        """Keep some columns."""
        terms = tuple(self.terms[place] for place in places)
        return replace(self, x=self.x[:, list(places)], terms=terms, kinds=tuple(self.kinds[one] for one in places))

    def siblings(self) -> dict[int, list[int]]:
        """Give the other levels of each category."""
        stems = [term.partition("=")[0] if "=" in term and kind == "covariate" else None
                 for term, kind in zip(self.terms, self.kinds, strict=True)]  # fmt: skip
        return {
            place: [other for other, one in enumerate(stems) if one == stem and other != place]
            for place, stem in enumerate(stems)
            if stem is not None
        }


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """Be a fitted model: the likelihood, the variance of its coefficients, how many clusters that stands on."""

    likelihood: Likelihood
    vcov: Numbers
    clusters: int | None


def _asked(
    model: str, unit: str | None, time: str | None, cluster: str | None, weight: str | None, waves: bool,
    marginal: bool, errors: str | None,
) -> _Asked:  # fmt: skip
    """Decide once what is estimated, and refuse what cannot be meant."""
    if model not in MODELS:
        raise UsageError("bad_model", f"there is no model {model!r}; use one of {', '.join(MODELS)}")
    if unit is None and (model == "conditional_logit" or model.startswith("cre")):
        raise UsageError("no_unit", f"{model} follows units over time; name the column of units, such as household_id")
    if weight is not None and model == "conditional_logit":
        raise UsageError("no_weights", "a conditional logit has no weights; leave them out, or use cre_logit")
    if marginal and model == "conditional_logit":
        raise UsageError(
            "no_marginal_effects",
            "a conditional logit does not estimate what lasts in a unit, and so no chances; use cre_logit, or lpm",
        )
    errors = errors or ("cluster" if cluster or unit else "robust")
    if errors not in ERRORS:
        raise UsageError("bad_errors", f"there are no errors {errors!r}; use {', '.join(ERRORS)}")
    if errors == "cluster" and not (cluster or unit):
        raise UsageError("bad_errors", "errors 'cluster' need a cluster or a unit; name one, or use 'robust'")
    if errors == "iid" and weight is not None:
        raise UsageError("bad_errors", "sampling weights leave no meaning to errors 'iid'; use 'robust' or 'cluster'")
    return _Asked(
        model, unit, time, (cluster or unit) if errors == "cluster" else None, weight, waves and time is not None,
        marginal, errors,
    )  # fmt: skip


def _linear(
    panel: pl.DataFrame, asked: _Asked, outcome: str, treatment: str, covariates: Sequence[str], level: float
) -> Fit:
    """Let the room of fixed effects do it."""
    fit = two_way_fixed_effects(
        panel, outcome=outcome, treatment=treatment, unit=asked.unit, time=asked.time if asked.waves else None,
        covariates=covariates, cluster=asked.cluster, weight=asked.weight,
        errors={"robust": "hc1"}.get(asked.errors, asked.errors), level=level,
    )  # fmt: skip
    held = panel.get_column(outcome).drop_nulls().unique().cast(pl.Float64).to_list()
    if not set(held) <= {0.0, 1.0}:
        raise _not_binary(outcome, held)
    return replace(fit, method="binary", rows=fit.rows.with_columns(pl.lit("lpm").alias("model")))


def _not_binary(column: str, held: Sequence[float]) -> UsageError:
    seen = ", ".join(f"{one:g}" for one in sorted(held)[:6]) + (", ..." if len(held) > 6 else "")
    return UsageError(
        "not_binary",
        f"{column!r} holds {seen}, where an outcome of 0 and 1 is needed; make one, or use an ordered model",
    )


def _with_outcome(sample: Sample, asked: _Asked) -> tuple[Sample, tuple[float, ...]]:
    """Check the outcome; an ordered one becomes codes 0, 1, ... in the order of its values."""
    held = sorted(sample.frame["y"].unique().to_list())
    column = sample.names["y"]
    if len(held) < 2:
        raise UsageError("no_variation", f"{column!r} is {held[0]:g} in all rows, so nothing can explain it")
    if asked.is_ordered:
        if len(held) > _MOST_LEVELS:
            raise UsageError(
                "not_ordered", f"{column!r} has {len(held)} values; an ordered model takes {_MOST_LEVELS} at most"
            )
        codes = (pl.col("y").rank("dense") - 1).cast(pl.Float64)
        return replace(sample, frame=sample.frame.with_columns(codes)), tuple(held)
    if set(held) != {0.0, 1.0}:
        raise _not_binary(column, held)
    return sample, tuple(held)


def _switchers(sample: Sample) -> Sample:
    """Keep the units whose outcome changes, sorted by unit; the others say nothing to a conditional likelihood."""
    changes = pl.col("y").min().over("unit") < pl.col("y").max().over("unit")
    if not sample.frame.select(changes.any()).item():
        raise UsageError(
            "no_variation",
            f"{sample.names['y']!r} never changes within a {sample.names['unit']}; use cre_logit or logit",
        )
    kept = sample.keep(changes, "never_switches", sample.names["unit"])
    return replace(kept, frame=kept.frame.sort("unit", maintain_order=True))


def _design(sample: Sample, asked: _Asked, without: Sequence[str]) -> _Design:
    """Set the columns side by side: constant, treatment, covariates, waves, unit means; some terms are left out."""
    import numpy as np

    frame, columns = sample.frame, []
    if asked.model not in ("conditional_logit", "ordered_logit", "ordered_probit"):
        columns.append(("constant", "constant", np.ones(frame.height)))
    columns.append((sample.names["d"], "treatment", frame["d"].to_numpy()))
    columns += [(sample.names[name], "covariate", frame[name].to_numpy()) for name in sample.covariates]
    if asked.waves:
        columns += [
            (f"{asked.time}={sample.waves[wave - 1]:g}", "wave", (frame["period"] == wave).to_numpy().astype(float))
            for wave in sorted(frame["period"].unique().to_list())[1:]
        ]
    columns = [one for one in columns if one[0] not in without]
    if asked.is_cre:
        unit = np.unique(frame["unit"].to_numpy(), return_inverse=True)[1]
        size = np.bincount(unit)
        columns += [
            (f"mean({term})", "mean", (np.bincount(unit, values) / size)[unit])
            for term, kind, values in columns
            if kind != "constant"
        ]
    return _Design(
        np.column_stack([values for _, _, values in columns]),
        tuple(term for term, _, _ in columns),
        tuple(kind for _, kind, _ in columns),
    )


def _estimable(sample: Sample, asked: _Asked) -> tuple[Sample, _Design]:
    """Make a design without columns that others say, and without rows and columns that tell the outcome.

    Raises UsageError no_variation and separated where such a column is the treatment.
    """
    tells: list[str] = []
    design = _design(sample, asked, without=())
    while not asked.is_ordered:
        candidates = [place for place, kind in enumerate(design.kinds) if kind in ("treatment", "covariate", "wave")]
        found = column_that_tells(sample.frame["y"].to_numpy(), design.x, candidates)
        if found is None:
            break
        place, rows = found
        if asked.model == "conditional_logit" or design.kinds[place] == "treatment" or rows.all():
            raise _tells(sample, design.terms[place], rows)
        tells.append(design.terms[place])
        sample = sample.keep(pl.lit(pl.Series(~rows)), "tells_outcome", tells[-1])
        design = _design(sample, asked, without=tells)
    if sample.frame["y"].n_unique() < 2:
        raise UsageError(
            "separated", f"{', '.join(tells)} tell {sample.names['y']!r} without fail; leave them out, or use lpm"
        )
    kept = _places_kept(sample, design, asked)
    left_out = [place for place in range(len(design.terms)) if place not in kept]
    if any(design.kinds[place] == "treatment" for place in left_out):
        where = " within the units that say anything" if asked.model == "conditional_logit" else ""
        raise UsageError(
            "no_variation",
            f"{sample.names['d']!r} never changes{where}, so nothing can be said of it; check the column",
        )
    # Means of what is constant, or of what is the same within units, say nothing new: no one needs to be told.
    named = tuple(design.terms[place] for place in left_out if design.kinds[place] != "mean")
    return sample, replace(design.only(kept), left_out=named, tells=tuple(tells))


def _tells(sample: Sample, term: str, rows: Any) -> UsageError:
    value = sample.frame["y"].to_numpy()[rows][0]
    return UsageError(
        "separated",
        f"{term!r} tells {sample.names['y']!r} without fail in {int(rows.sum()):,} rows (all have {value:g}), so that "
        "its coefficient would be infinite; use lpm, or leave it out",
    )


def _places_kept(sample: Sample, design: _Design, asked: _Asked) -> list[int]:
    """List the columns that are not made of those before them: within units, or beside the constant."""
    import numpy as np

    if asked.is_ordered:
        kept = independent(np.column_stack([np.ones(len(design.x)), design.x]))
        return [place - 1 for place in kept if place]
    if asked.model != "conditional_logit":
        return independent(design.x)
    unit = np.unique(sample.frame["unit"].to_numpy(), return_inverse=True)[1]
    size = np.bincount(unit)
    within = design.x - np.column_stack([(np.bincount(unit, column) / size)[unit] for column in design.x.T])
    # What is left of a column that is constant within units is rounding; it must not look like a column.
    largest = np.abs(design.x).max(axis=0)
    return independent(np.where(np.abs(within) > 1e-12 * largest, within, 0.0))


def _fitted(sample: Sample, design: _Design, asked: _Asked) -> _Found:
    """Fit the model and give the variance that was asked for."""
    import numpy as np

    frame = sample.frame
    y, weight = frame["y"].to_numpy(), frame["w"].to_numpy() if asked.weight else None
    if asked.model == "conditional_logit":
        unit = np.unique(frame["unit"].to_numpy(), return_inverse=True)[1]
        found = conditional_logit(y, design.x, unit)
        cluster = _cluster_of_units(frame, sample, asked)
    else:
        if asked.is_ordered:
            found = ordered(y.astype(int), design.x, link=asked.link, weight=weight)
        else:
            found = binomial(y, design.x, link=asked.link, weight=weight)
        cluster = frame["cluster"].to_numpy() if asked.cluster else np.arange(frame.height)
    if asked.errors == "iid":
        return _Found(found, found.bread, None)
    many = len(np.unique(cluster)) if asked.cluster else None
    return _Found(found, sandwich(found, cluster), many)


def _cluster_of_units(frame: pl.DataFrame, sample: Sample, asked: _Asked) -> Any:
    """Give the cluster of each unit, in the order of units; a unit must lie in one."""
    import numpy as np

    if not asked.cluster:
        return np.arange(frame["unit"].n_unique())
    held = frame.group_by("unit", maintain_order=True).agg(pl.col("cluster").first(), many=pl.col("cluster").n_unique())
    moved = int((held["many"] > 1).sum())
    if moved:
        raise UsageError(
            "units_between_clusters",
            f"{moved:,} units of {asked.unit} lie in more than one {asked.cluster}, whose likelihood cannot be parted; "
            f"cluster by {asked.unit}, or by where each unit was first",
        )
    return held["cluster"].to_numpy()


# The result


def _fit(sample: Sample, design: _Design, found: _Found, asked: _Asked, values: tuple[float, ...], level: float) -> Fit:
    frame, theta = sample.frame, found.likelihood.beta
    common = {
        "model": asked.model, "outcome": sample.names["y"], "rows": frame.height,
        "units": frame["unit"].n_unique() if asked.unit else None, "clusters": found.clusters,
    }  # fmt: skip
    terms = [*design.terms]
    if asked.is_ordered:
        terms += [f"cut({low:g}|{high:g})" for low, high in itertools.pairwise(values)]
    rows = [
        {**common, "term": term, **inference(float(theta[place]), _root(found.vcov[place, place]), level=level)}
        for place, term in enumerate(terms)
    ]
    first = next(place for place, kind in enumerate(design.kinds) if kind == "treatment")
    # The treatment leads, the constant stands last.
    order = [first, *(place for place, term in enumerate(terms) if place != first and term != "constant")]
    rows = [rows[place] for place in order] + [row for row in rows if row["term"] == "constant"]
    effects = _marginal(sample, design, found, asked, values, common, level) if asked.marginal else []
    return Fit(
        method="binary",
        rows=estimates([*rows, *effects]),
        equation=_equation(sample, design, asked),
        errors=_errors_told(asked, found),
        drops=sample.drops,
        facts=_facts(sample, design, found, asked),
        tables={"shares": _shares(frame, values)} if asked.is_ordered else {},
        shows=_shows(sample, asked, rows[0], effects, level),
        not_shown=_not_shown(sample, asked),
        warnings=_warnings(sample, design, asked, found),
        notes=tuple(Phrase.of("binary.left_out", column=one) for one in design.left_out)
        + (() if asked.marginal or asked.model == "conditional_logit" else (Phrase.of("binary.ask_marginal"),)),
        sources=(*_sources(asked.model), "statsmodels"),
        level=level,
    )


def _root(variance: float) -> float:
    return math.sqrt(variance) if variance >= 0 else math.nan


def _marginal(
    sample: Sample, design: _Design, found: _Found, asked: _Asked, values: tuple[float, ...], common: dict[str, object],
    level: float,
) -> list[dict[str, object]]:  # fmt: skip
    """Give rows of average marginal effects for the treatment and covariates, with errors by the delta method."""
    import numpy as np

    weight = sample.frame["w"].to_numpy() if asked.weight else None
    columns = [place for place, kind in enumerate(design.kinds) if kind in ("treatment", "covariate")]
    given: dict[str, Any] = {
        "link": asked.link, "columns": columns, "siblings": design.siblings(), "weight": weight,
    }  # fmt: skip
    theta = found.likelihood.beta
    at: Sequence[float | None]
    if asked.is_ordered:
        effects, slopes = ordered_marginal_effects(design.x, theta, levels=len(values), **given)
        at, of = [*values] * len(columns), np.repeat(columns, len(values))
    else:
        effects, slopes = average_marginal_effects(design.x, theta, **given)
        at, of = [None] * len(columns), np.asarray(columns)
    variance = np.einsum("ij,jk,ik->i", slopes, found.vcov, slopes)
    return [
        {**common, "term": design.terms[column], "at": value, "group": "ame",
         **inference(float(effect), _root(float(one)), level=level)}
        for column, value, effect, one in zip(of, at, effects, variance, strict=True)
    ]  # fmt: skip


def _equation(sample: Sample, design: _Design, asked: _Asked) -> Phrase:
    named = zip(design.terms, design.kinds, strict=True)
    shown: list[object] = [term for term, kind in named if kind in ("treatment", "covariate")]
    if asked.waves:
        shown.append(Phrase.of("fit.effect_of", name=asked.time))
    if asked.model == "conditional_logit":
        shown.append(Phrase.of("fit.effect_of", name=asked.unit))
    if asked.is_cre:
        shown.append(Phrase.of("fit.means_of", name=asked.unit))
    weighted = Phrase.of("binary.weighted", weight=asked.weight) if asked.weight else Phrase.of("binary.unweighted")
    return Phrase.of(
        f"binary.equation_{asked.model}",
        text=Chain.of(" ~ ", sample.names["y"], Chain.of(" + ", *shown)),
        weighted=weighted,
    )


def _errors_told(asked: _Asked, found: _Found) -> Phrase:
    if asked.errors == "cluster":
        return Phrase.of("binary.cluster", by=asked.cluster, clusters=f"{found.clusters or 0:,}")
    return Phrase.of(f"binary.{asked.errors}")


def _facts(sample: Sample, design: _Design, found: _Found, asked: _Asked) -> dict[str, float | int | str]:
    import numpy as np
    from scipy.special import chdtrc

    frame, likelihood = sample.frame, found.likelihood
    facts: dict[str, float | int | str] = {"rows": frame.height}
    if asked.unit:
        facts["units"] = frame["unit"].n_unique()
    if asked.time:
        facts["waves"] = frame["period"].n_unique()
    if found.clusters:
        facts["clusters"] = found.clusters
    if not asked.is_ordered:
        facts["mean_outcome"] = mean_of(frame, "y")
    facts |= {"loglik": likelihood.loglik, "pseudo_r2": 1 - likelihood.loglik / likelihood.loglik_null}
    means = [place for place, kind in enumerate(design.kinds) if kind == "mean"]
    if means:
        part, block = likelihood.beta[means], found.vcov[np.ix_(means, means)]
        facts["means_p"] = float(chdtrc(len(means), max(float(part @ np.linalg.pinv(block) @ part), 0.0)))
    return facts


def _shares(frame: pl.DataFrame, values: tuple[float, ...]) -> pl.DataFrame:
    """Count the rows of each value of an ordered outcome."""
    counted = frame.group_by("y").agg(rows=pl.len()).sort("y")
    return pl.DataFrame({"value": values, "rows": counted["rows"], "share": counted["rows"] / frame.height})


def _shows(
    sample: Sample, asked: _Asked, row: dict[str, object], effects: list[dict[str, object]], level: float
) -> tuple[Phrase, ...]:
    """Say what the treatment's estimate says: odds, sign, percentage points, and whether the interval holds zero."""
    estimate = float(row["estimate"])  # type: ignore[arg-type]
    outcome, term = row["outcome"], row["term"]
    direction = Phrase.of("fixed_effects.more" if estimate >= 0 else "fixed_effects.less")
    key = "ordered" if asked.is_ordered else "odds" if asked.link == "logit" else "index"
    if asked.is_ordered and asked.link == "probit":
        key = "ordered_index"
    within = (
        Phrase.of("fixed_effects.within", unit=asked.unit)
        if asked.model == "conditional_logit"
        else Phrase.of("fixed_effects.among")
    )
    ratio = number_text(math.exp(estimate)) if abs(estimate) < 100 else "-"
    told = [
        Phrase.of(f"binary.shows_{key}", outcome=outcome, term=term, ratio=ratio, direction=direction, within=within)
    ]
    told += interval_told(row, level)
    for effect in effects:
        if effect["term"] != term:
            continue
        size = float(effect["estimate"])  # type: ignore[arg-type]
        value = effect["at"]
        told.append(
            Phrase.of(
                "binary.shows_points" if value is None else "binary.shows_points_at", outcome=outcome, term=term,
                size=f"{100 * abs(size):.2f}", value=f"{value:g}" if isinstance(value, float) else "",
                direction=Phrase.of("fixed_effects.more" if size >= 0 else "fixed_effects.less"),
                mean="" if asked.is_ordered else f"{100 * mean_of(sample.frame, 'y'):.2f}",
            )
        )  # fmt: skip
    return tuple(told)


def _not_shown(sample: Sample, asked: _Asked) -> tuple[Phrase, ...]:
    if asked.model == "conditional_logit":
        lost = sum(drop.units or 0 for drop in sample.drops if drop.reason == "never_switches")
        told = [Phrase.of("binary.switchers_only", units=f"{lost:,}", unit=asked.unit), Phrase.of("binary.odds_only")]
        if asked.waves:
            told.append(Phrase.of("binary.parallel_index"))
    elif asked.is_cre:
        told = [Phrase.of("binary.mundlak", unit=asked.unit), Phrase.of("binary.parallel_index")]
    else:
        told = [Phrase.of("fixed_effects.no_unit_effects")]
    if asked.is_ordered:
        told.append(Phrase.of("binary.proportional"))
    return (*told, Phrase.of("fixed_effects.enrolment"))


def _warnings(sample: Sample, design: _Design, asked: _Asked, found: _Found) -> tuple[Phrase, ...]:
    told = []
    if asked.errors == "cluster" and (found.clusters or 0) < FEW_CLUSTERS:
        told.append(Phrase.of("binary.few_clusters", clusters=found.clusters, few=FEW_CLUSTERS))
    lost = sum(drop.rows for drop in sample.drops if drop.reason == "never_switches")
    if lost > sample.frame.height:
        told.append(
            Phrase.of("binary.mostly_unchanging", lost=f"{lost:,}", rows=f"{lost + sample.frame.height:,}",
                      unit=asked.unit)
        )  # fmt: skip
    told += [Phrase.of("binary.tells_outcome", column=one, outcome=sample.names["y"]) for one in design.tells]
    return tuple(told)


def _sources(model: str) -> tuple[str, ...]:
    return _SOURCES.get(model, _SOURCES.get(model.replace("probit", "logit"), ()))
