"""Measure how unevenly a variable lies between poor and rich: concentration indices and curves."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
import polars as pl

from medfloor.errors import InputError, UsageError
from medfloor.measures.curve import curve, points
from medfloor.measures.design import Design, Structure
from medfloor.measures.estimate import Bound, Estimator, Shortcut, Statistic, errors_of, evaluate
from medfloor.measures.indices import (
    BOUNDED,
    INDICES,
    Bounds,
    Index,
    bounded_index,
    extended_index,
    symmetric_index,
    twice_covariance,
)
from medfloor.measures.influence import Array, Quantity, count, total
from medfloor.measures.rank import Ranking
from medfloor.measures.ranked import By, in_words, ranked_once, take_ranked, tied
from medfloor.measures.regression_errors import ERROR_RULES, ErrorRule, regression_error
from medfloor.measures.replicate import Progress
from medfloor.measures.result import Result
from medfloor.measures.sample import Sample, Source, Table, Unit
from medfloor.words import Phrase

MOST_CURVES = 5
"""No more groups than this have a curve of their own among the points to draw."""


def concentration(
    table: Table,
    *,
    of: Source = "oop",
    rank: Source = "consumption",
    index: Index | Sequence[Index] = "standard",
    bounds: Bounds | None = None,
    nu: float | Sequence[float] = 2.0,
    beta: float | Sequence[float] = 2.0,
    achievement: bool = False,
    shortfall: bool = False,
    finite_sample: bool = False,
    ordinates: int | Sequence[float] = 0,
    errors: ErrorRule = "influence",
    rank_by: By | None = None,
    of_by: By = "household",
    size: Source = "size",
    unit: Unit = "household",
    by: str | Sequence[str] | None = None,
    against: str | None = None,
    design: Design | None = None,
    progress: Progress | None = None,
) -> Result:
    """Measure whether a variable lies with the poor (below zero) or with the rich (above zero).

    `of` is the variable and `rank` what orders households from poor to rich; `rank_by` person divides it by size (see
    `take_ranked` for what holds without it), and `of_by` person divides `of`. Ranks are weighted mid-ranks, so ties in
    any order give the same. With `of` and `rank` the same column, it is the Gini index.

    Indices (`index`, one or several): `standard`; `generalised`; `modified`, `wagstaff` and `erreygers` for a variable
    with `bounds` (for one of zeros and ones they are 0 and 1; `modified` needs only the first, give (0, inf));
    `extended` with aversion `nu`; `symmetric` with `beta`. Formulas and sources are at `bounded_index`,
    `extended_index` and `symmetric_index`. `achievement` adds mean (1 - C(v)) (Wagstaff 2002). `shortfall` measures
    what is missing to the upper bound instead; the standard index of a shortfall is not the mirror of the index, those
    of Wagstaff and Erreygers are. `finite_sample` multiplies by n / (n - 1). `ordinates` asks for points on the
    concentration and the Lorenz curve with their errors: a number (10: deciles) or shares of the population.

    `errors` other than influence are what older programs print (see `regression_error`); only those that end in _design
    see the design. They compare no groups and exist for some indices only. The curves of the result have up to 201
    points to draw: curve (concentration, lorenz), group (null: all; up to five groups), p and share.

    An index whose mean or range is zero is undefined and null. Negative values are allowed and counted: then an index
    can lie outside -1 and 1. Raises UsageError: bad_choice, no_bounds, bad_nu, no_such_group; InputError: what `take`
    raises, out_of_bounds.

    >>> homes = {"oop": [1.0, 2.0, 3.0, 4.0], "consumption": [10.0, 30.0, 20.0, 40.0]}
    >>> concentration(homes, index="standard").estimate
    0.2
    """
    sample, words = take_ranked(
        table,
        {"of": of},
        rank=rank,
        rank_by=rank_by,
        per_head=["of"] if of_by == "person" else [],
        size=size,
        unit=unit,
        by=by,
        design=design,
    )
    asked = _asked(sample, index, bounds, nu, beta, achievement, finite_sample, errors, against)
    if shortfall:
        sample, asked = _short(sample, asked)
    ranked = ranked_once(sample)
    at = _shares(ordinates)
    rows = evaluate(
        sample,
        _estimator(asked, at, ranked),
        labels=_labels(asked, at),
        against=against,
        progress=progress,
        shortcut=_by_regression(asked, ranked) if errors != "influence" else None,
    )
    ranking = ranked(sample.columns)
    sample = sample.noting(**_special(sample, ranking))
    variable = in_words(of, size if of_by == "person" else None)
    return Result(
        measure="concentration",
        rows=rows,
        definition=_defined(asked, variable, words, shortfall),
        weight=sample.weighted_by,
        errors=errors_of(sample) if errors == "influence" else Phrase(f"concentration.{errors}"),
        level=sample.design.level,
        special=sample.special,
        notes=_notes(sample, asked, rows),
        curves={"concentration": drawn(sample, ranked)},
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """Be which indices were asked for, checked against each other and against the sample."""

    indices: tuple[str, ...]
    bounds: Bounds | None
    nus: tuple[float, ...]
    betas: tuple[float, ...]
    achievement: bool
    finite_sample: bool
    errors: str
    guessed: bool


def _asked(
    sample: Sample,
    index: Index | Sequence[Index],
    bounds: Bounds | None,
    nu: float | Sequence[float],
    beta: float | Sequence[float],
    achievement: bool,
    finite_sample: bool,
    errors: str,
    against: str | None,
) -> _Asked:
    indices = tuple(dict.fromkeys([index] if isinstance(index, str) else index))
    for one in indices:
        if one not in INDICES:
            raise UsageError("bad_choice", f"there is no index {one!r}; use {', '.join(INDICES)}")
    if not indices:
        raise UsageError("bad_choice", f"no index was asked for; use {', '.join(INDICES)}")
    nus, betas = _numbers(nu, "nu", 1.0), _numbers(beta, "beta", 1.0)
    guessed = False
    if bounds is None and (set(indices) & set(BOUNDED) or len(np.unique(sample["of"][:1000])) <= 2):
        zero_one = bool(((sample["of"] == 0) | (sample["of"] == 1)).all())
        bounds, guessed = ((0.0, 1.0), True) if zero_one else (None, False)
    needing = [one for one in indices if one in BOUNDED]
    if needing and bounds is None:
        raise UsageError("no_bounds", f"{needing[0]} needs bounds=(least, greatest) that the variable can take")
    if bounds is not None:
        _check_bounds(sample["of"], bounds, needing)
    _check_errors(sample, errors, indices, achievement, finite_sample, against)
    return _Asked(indices, bounds, nus, betas, achievement, finite_sample, errors, guessed)


def _numbers(given: float | Sequence[float], name: str, least: float) -> tuple[float, ...]:
    several = (given,) if isinstance(given, (int, float)) else tuple(given)
    for one in several:
        if not least <= one < math.inf or (name == "beta" and one == least):
            raise UsageError("bad_nu", f"{name} {one:g} is not above {least:g}; 2 gives the standard index")
    return tuple(dict.fromkeys(float(one) for one in several))


def _check_bounds(values: Array, bounds: Bounds, needing: Sequence[str]) -> None:
    low, high = bounds
    if not (math.isfinite(low) and low < high):
        raise UsageError("no_bounds", f"bounds ({low:g}, {high:g}) do not rise from a finite number")
    if math.isinf(high) and set(needing) - {"modified"}:
        raise UsageError("no_bounds", f"{needing[-1]} needs a greatest value; it is infinite here")
    outside = (values < low) | (values > high)
    if outside.any():
        worst = values[int(np.argmax(outside))]
        raise InputError(
            "out_of_bounds",
            f"{int(outside.sum())} rows lie outside the bounds {low:g} and {high:g} (the first is {worst:g}); "
            "widen the bounds, or correct the rows",
        )


def _check_errors(
    sample: Sample,
    errors: str,
    indices: Sequence[str],
    achievement: bool,
    finite_sample: bool,
    against: str | None,
) -> None:
    if errors not in ERROR_RULES:
        raise UsageError("bad_choice", f"there are no errors {errors!r}; use {', '.join(ERROR_RULES)}")
    if errors == "influence":
        return
    able = ("standard", "generalised", *BOUNDED) if errors.startswith("convenient") else ("standard",)
    unable = [one for one in indices if one not in able]
    if unable or achievement or finite_sample:
        what = unable[0] if unable else "this choice"
        raise UsageError("bad_choice", f"errors={errors!r} do not exist for {what}; use errors='influence'")
    if against is not None or sample.design.method not in ("linearised", "none"):
        raise UsageError("bad_choice", f"errors={errors!r} know no covariance and no replicates; use 'influence'")


def _short(sample: Sample, asked: _Asked) -> tuple[Sample, _Asked]:
    if asked.bounds is None or math.isinf(asked.bounds[1]):
        raise UsageError("no_bounds", "a shortfall needs bounds=(least, greatest) that the variable can take")
    low, high = asked.bounds
    return sample.also(of=high - sample["of"]), replace(asked, bounds=(0.0, high - low))


def _shares(ordinates: int | Sequence[float]) -> tuple[float, ...]:
    if isinstance(ordinates, int):
        if not 0 <= ordinates <= 1000:
            raise UsageError("bad_quantiles", f"{ordinates} ordinates; ask for up to 1000, 10 for deciles")
        return tuple(step / ordinates for step in range(1, ordinates))
    for one in ordinates:
        if not 0 < one < 1:
            raise UsageError(
                "bad_share", f"the share {one} of the population is not between 0 and 1; write 0.2 for 20 %"
            )
    return tuple(float(one) for one in ordinates)


def _labels(asked: _Asked, at: Sequence[float]) -> dict[str, pl.DataType]:
    labels: dict[str, pl.DataType] = {}
    if "extended" in asked.indices or asked.achievement:
        labels["nu"] = pl.Float64()
    if "symmetric" in asked.indices:
        labels["beta"] = pl.Float64()
    return labels | ({"population": pl.Float64()} if at else {})


def _estimator(asked: _Asked, at: tuple[float, ...], ranked: Callable[[Mapping[str, Array]], Ranking]) -> Estimator:
    def bind(columns: Mapping[str, Array]) -> Bound:
        values, ranking = columns["of"], ranked(columns)

        def bound(weight: Array) -> Iterator[Statistic]:
            yield from _indices(asked, ranking, weight, values)
            for p, one in zip(at, curve(ranking, weight, values, at), strict=True):
                yield Statistic("concentration_ordinate", one, "percent", {"population": p})
            own = columns["rank"]
            for p, one in zip(at, curve(ranking, weight, own, at, of_rank=True), strict=True):
                yield Statistic("lorenz_ordinate", one, "percent", {"population": p})

        return bound

    return bind


def _indices(asked: _Asked, ranking: Ranking, weight: Array, values: Array) -> Iterator[Statistic]:
    mu = total(weight, values) / count(weight)
    n = int(np.count_nonzero(weight))
    small = (n / (n - 1) if n > 1 else math.nan) if asked.finite_sample else 1.0
    plain = [one for one in asked.indices if one not in ("extended", "symmetric")]
    twice = twice_covariance(ranking, weight, values) if plain else Quantity(math.nan)
    for name in plain:
        found = bounded_index(name, twice, mu, asked.bounds)
        named = "concentration_index" if name == "standard" else f"{name}_index"
        yield Statistic(named, found * small if asked.finite_sample else found)
    if "extended" in asked.indices or asked.achievement:
        for nu in asked.nus:
            found = extended_index(ranking, weight, values, nu)
            found = found * small if asked.finite_sample else found
            if "extended" in asked.indices:
                yield Statistic("extended_index", found, labels={"nu": nu})
            if asked.achievement:
                yield Statistic("achievement", mu * (1.0 - found), "amount", {"nu": nu})
    if "symmetric" in asked.indices:
        for beta in asked.betas:
            found = symmetric_index(ranking, weight, values, beta)
            yield Statistic("symmetric_index", found * small if asked.finite_sample else found, labels={"beta": beta})


def _by_regression(asked: _Asked, ranked: Callable[[Mapping[str, Array]], Ranking]) -> Shortcut:
    def shortcut(
        columns: Mapping[str, Array], weight: Array, structure: Structure
    ) -> list[tuple[Statistic, float, float]]:
        ranking, values = ranked(columns), columns["of"]
        error = regression_error(asked.errors, ranking, weight, values, structure)
        found = list(_indices(asked, ranking, weight, values))
        index = twice_covariance(ranking, weight, values) / (total(weight, values) / count(weight))
        # The regression takes the mean for known, so another index has the error of the standard one, scaled.
        return [
            (one, error * abs(one.quantity.value / index.value) if index.value else math.nan, math.nan) for one in found
        ]

    return shortcut


def _special(sample: Sample, ranking: Ranking) -> dict[str, int]:
    values = sample["of"]
    counts = {
        "zero_value": int((values == 0).sum()),
        "negative_value": int((values < 0).sum()),
        "tied_rank": tied(ranking),
        "rank_not_positive": int((sample["rank"] <= 0).sum()),
    }
    return {name: number for name, number in counts.items() if number or name in ("zero_value", "tied_rank")}


def _defined(asked: _Asked, variable: Phrase, rank: Phrase, shortfall: bool) -> Phrase:
    indices = [Phrase(f"concentration.{one}") for one in asked.indices]
    if asked.achievement:
        indices.append(Phrase("concentration.achievement"))
    if asked.finite_sample:
        indices.append(Phrase("concentration.finite_sample"))
    together = reduce(lambda one, two: Phrase.of("concentration.and", one=one, two=two), indices)
    low, high = asked.bounds or (0.0, 0.0)
    said = Phrase.of("concentration.shortfall", variable=variable, high=f"{high:g}") if shortfall else variable
    values: dict[str, object] = {"indices": together, "variable": said, "rank": rank}
    if asked.bounds is None or not set(asked.indices) & set(BOUNDED):
        return Phrase.of("concentration.defined", **values)
    return Phrase.of("concentration.defined_bounded", **values, low=f"{low:g}", high=f"{high:g}")


def _notes(sample: Sample, asked: _Asked, rows: pl.DataFrame) -> tuple[Phrase, ...]:
    notes = []
    if rows["estimate"].null_count():
        notes.append(Phrase("concentration.undefined"))
    if sample.special.get("negative_value"):
        notes.append(Phrase("concentration.negative"))
    if asked.guessed and set(asked.indices) & {"standard", "generalised"}:
        notes.append(Phrase("concentration.binary"))
    return tuple(notes)


def drawn(sample: Sample, ranked: Callable[[Mapping[str, Array]], Ranking]) -> pl.DataFrame:
    """Give the points of the concentration and the Lorenz curve, of all and of the groups of the first grouping."""
    ranking = ranked(sample.columns)
    made = [
        points(ranking, sample.weight, sample["of"], "concentration"),
        points(ranking, sample.weight, sample["rank"], "lorenz"),
    ]
    for grouping in sample.groupings[:1]:
        for code, label in enumerate(grouping.labels if len(grouping.labels) <= MOST_CURVES else ()):
            rows = grouping.code == code
            own = Ranking.of(sample["rank"][rows])
            made.append(points(own, sample.weight[rows], sample["of"][rows], "concentration", label))
    return pl.concat(made)
