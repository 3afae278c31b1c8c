"""Decompose a concentration index by what explains the variable, and its change between two groups or waves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor.errors import UsageError
from medfloor.measures.design import Design
from medfloor.measures.estimate import Bound, Estimator, Statistic, errors_of, evaluate
from medfloor.measures.indices import twice_covariance
from medfloor.measures.influence import Array, Base, Quantity, mean
from medfloor.measures.rank import Ranking
from medfloor.measures.ranked import By, in_words, ranked_once, take_ranked
from medfloor.measures.regression import Regressed, Regressors, check_rank, regressors
from medfloor.measures.replicate import Progress
from medfloor.measures.result import Result
from medfloor.measures.sample import Sample, Source, Table, Unit, frame_of
from medfloor.words import Phrase

Rows: TypeAlias = npt.NDArray[np.bool_]


def wagstaff_decomposition(
    table: Table,
    *,
    of: Source = "oop",
    rank: Source = "consumption",
    determinants: Regressors,
    rank_by: By | None = None,
    of_by: By = "household",
    size: Source = "size",
    unit: Unit = "household",
    by: str | Sequence[str] | None = None,
    against: str | None = None,
    design: Design | None = None,
    progress: Progress | None = None,
) -> Result:
    """Part a concentration index into what each determinant contributes (Wagstaff, van Doorslaer and Watanabe 2003).

    With least squares y = a + sum b_k x_k + e, weighted as everything is: C = sum (b_k xbar_k / mu) C_k + GC_e / mu.
    For each determinant: `coefficient` b_k, `elasticity` b_k xbar_k / mu, `determinant_index` C_k, their product
    `determinant_contribution`, and `percent_contribution` of C. Over all: `concentration_index` C, `explained`,
    `residual` GC_e / mu and `percent_residual`. All have linearised errors; that of a coefficient is robust and follows
    the design.

    A determinant of text, or written `i.region`, becomes zeros and ones for each of its values but the first. The model
    is linear also where y is zero or one. The contribution is there also where xbar_k is zero, though C_k is not.

    Raises UsageError: no_columns, no_such_group; InputError: collinear, one_value, what `take` raises.

    >>> homes = {"oop": [1.0, 2.0, 3.0, 6.0], "consumption": [1.0, 2.0, 3.0, 4.0], "age": [20.0, 50.0, 30.0, 60.0]}
    >>> found = wagstaff_decomposition(homes, determinants=["age"])
    >>> round(found.value("determinant_contribution", determinant="age"), 4), round(found.value("residual"), 4)
    (0.1875, 0.1458)
    """
    sample, named, words = _taken(table, of, rank, determinants, rank_by, of_by, size, unit=unit, by=by, design=design)
    ranked = ranked_once(sample)
    rows = evaluate(
        sample,
        _estimator(named, ranked),
        labels={"determinant": pl.String()},
        against=against,
        progress=progress,
    )
    variable = in_words(of, size if of_by == "person" else None)
    return Result(
        measure="decomposition",
        rows=rows,
        definition=Phrase.of("decomposition.wagstaff", variable=variable, rank=words),
        weight=sample.weighted_by,
        errors=errors_of(sample),
        level=sample.design.level,
        special=sample.special,
        notes=(Phrase("concentration.undefined"),) if rows["estimate"].null_count() else (),
    )


def oaxaca_change(
    table: Table,
    *,
    of: Source = "oop",
    rank: Source = "consumption",
    determinants: Regressors,
    by: str = "wave",
    before: str | None = None,
    after: str | None = None,
    indices_at: str = "before",
    rank_by: By | None = None,
    of_by: By = "household",
    size: Source = "size",
    unit: Unit = "household",
    design: Design | None = None,
    progress: Progress | None = None,
) -> Result:
    """Part the change of a concentration index between two waves (or groups) into inequality and elasticities.

    Each wave is decomposed as in `wagstaff_decomposition`, ranked within itself. With 1 before and 2 after: change =
    sum eta_2 (C_2 - C_1) + sum C_1 (eta_2 - eta_1) + change of GC_e / mu (Oaxaca's way; Wagstaff, van Doorslaer and
    Watanabe 2003); `indices_at` after takes eta_1 and C_2 instead. For each determinant `change_from_inequality`,
    `change_from_elasticity` and `change_of_contribution` (their sum); over all (determinant=None) the two sums,
    `change_of_residual` and `change` (of C). Positive means: later more with the rich.

    `by` names the column that tells the waves apart, `before` and `after` two of its values (without them it must have
    two, in their order). Errors come from the joint sample: clusters or households seen in both waves keep their
    covariance. Raises UsageError: no_such_group, two_groups, and what `wagstaff_decomposition` raises.

    >>> homes = {"oop": [1.0, 2.0, 4.0, 4.0, 2.0, 1.0], "consumption": [1, 2, 3, 1, 2, 3], "age": [2, 1, 4, 3, 1, 1],
    ...          "wave": [1, 1, 1, 2, 2, 2]}
    >>> round(oaxaca_change(homes, determinants=["age"]).value("change"), 4)
    -0.5714
    """
    if indices_at not in ("before", "after"):
        raise UsageError("bad_choice", f"indices_at {indices_at!r} is neither before nor after")
    sample, named, words = _taken(table, of, rank, determinants, rank_by, of_by, size, unit=unit, by=by, design=design)
    first, second, told = _two(sample, before, after)
    waves = np.where(first, 1.0, np.where(second, 2.0, 0.0))
    whole = replace(sample, groupings=()).also(wave=waves)
    rows = evaluate(
        whole,
        _change_estimator(named, ranked_once(sample), indices_at),
        labels={"determinant": pl.String()},
        progress=progress,
    )
    inside = (first | second) & (sample.weight > 0)
    rows = rows.with_columns(
        pl.lit(int(inside.sum()), pl.Int64).alias("n"),
        pl.lit(float(sample.weight[inside].sum())).alias("weighted_n"),
    )
    variable = in_words(of, size if of_by == "person" else None)
    return Result(
        measure="oaxaca_change",
        rows=rows,
        definition=Phrase.of(
            f"decomposition.change_{indices_at}", variable=variable, rank=words, before=told[0], after=told[1]
        ),
        weight=sample.weighted_by,
        errors=errors_of(sample),
        level=sample.design.level,
        special=sample.special,
        notes=(Phrase("concentration.undefined"),) if rows["estimate"].null_count() else (),
    )


def _taken(
    table: Table,
    of: Source,
    rank: Source,
    determinants: Regressors,
    rank_by: By | None,
    of_by: By,
    size: Source,
    *,
    unit: Unit,
    by: str | Sequence[str] | None,
    design: Design | None,
) -> tuple[Sample, dict[str, str], Phrase]:
    """Take the sample with its regressors; `named` says in which column of the sample each of them stands."""
    frame = frame_of(table)
    sources = regressors(frame, determinants)
    named = {name: f"x{place}" for place, name in enumerate(sources)}
    columns: dict[str, Source] = {"of": of} | {named[name]: source for name, source in sources.items()}
    divided = ["of"] if of_by == "person" else []
    sample, words = take_ranked(
        frame, columns, rank=rank, rank_by=rank_by, per_head=divided, size=size, unit=unit, by=by, design=design
    )
    check_rank(sample.weight, {name: sample[column] for name, column in named.items()})
    return sample, named, words


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Be a concentration index in its parts, each with its influence.

    `index` is C, `slopes` b_k, `elasticities` eta_k, `indices` C_k, `contributions` eta_k C_k, `residual` GC_e / mu.
    """

    index: Quantity
    slopes: dict[str, Quantity]
    elasticities: dict[str, Quantity]
    indices: dict[str, Quantity]
    contributions: dict[str, Quantity]
    residual: Quantity

    @property
    def explained(self) -> Quantity:
        """Add up the contributions."""
        return sum(self.contributions.values(), Quantity(0.0))


def parts_of(ranking: Ranking, weight: Array, y: Array, columns: Mapping[str, Array], fitted: Regressed) -> Parts:
    """Decompose the concentration index of y; see `wagstaff_decomposition`."""
    mu = mean(weight, y)
    index = twice_covariance(ranking, weight, y) / mu
    slopes = dict(zip(columns, fitted.fit(weight, y), strict=True))
    means = {name: mean(weight, column) for name, column in columns.items()}
    twice = {name: twice_covariance(ranking, weight, column) for name, column in columns.items()}
    contributions = {name: slopes[name] * twice[name] / mu for name in columns}
    return Parts(
        index=index,
        slopes=slopes,
        elasticities={name: slopes[name] * means[name] / mu for name in columns},
        indices={name: twice[name] / means[name] for name in columns},
        contributions=contributions,
        residual=index - sum(contributions.values(), Quantity(0.0)),
    )


def _estimator(named: Mapping[str, str], ranked: Callable[[Mapping[str, Array]], Ranking]) -> Estimator:
    def bind(columns: Mapping[str, Array]) -> Bound:
        y, explaining = columns["of"], {name: columns[column] for name, column in named.items()}
        ranking, fitted = ranked(columns), Regressed.of(list(explaining.values()))

        def bound(weight: Array) -> Iterator[Statistic]:
            parts = parts_of(ranking, weight, y, explaining, fitted)
            yield Statistic("concentration_index", parts.index)
            yield Statistic("explained", parts.explained)
            yield Statistic("residual", parts.residual)
            yield Statistic("percent_residual", parts.residual / parts.index, "percent")
            for name in explaining:
                label = {"determinant": name}
                yield Statistic("coefficient", parts.slopes[name], "index", label, tested=True)
                yield Statistic("elasticity", parts.elasticities[name], "index", label)
                yield Statistic("determinant_index", parts.indices[name], "index", label)
                yield Statistic("determinant_contribution", parts.contributions[name], "index", label, tested=True)
                yield Statistic("percent_contribution", parts.contributions[name] / parts.index, "percent", label)

        return bound

    return bind


def _change_estimator(
    named: Mapping[str, str], ranked: Callable[[Mapping[str, Array]], Ranking], indices_at: str
) -> Estimator:
    def bind(columns: Mapping[str, Array]) -> Bound:
        y, explaining = columns["of"], {name: columns[column] for name, column in named.items()}
        ranking, fitted = ranked(columns), Regressed.of(list(explaining.values()))
        waves = [(columns["wave"] == wave).astype(np.float64) for wave in (1.0, 2.0)]

        def bound(weight: Array) -> Iterator[Statistic]:
            one, two = (parts_of(ranking, weight * inside, y, explaining, fitted) for inside in waves)
            into = [_Within(inside) for inside in waves]
            change = into[1](two.index) - into[0](one.index)
            yield Statistic("change", change, tested=True)
            moved: dict[str, list[Quantity]] = {"change_from_inequality": [], "change_from_elasticity": []}
            for name in explaining:
                c = into[0](one.indices[name]), into[1](two.indices[name])
                eta = into[0](one.elasticities[name]), into[1](two.elasticities[name])
                held = (eta[1], c[0]) if indices_at == "before" else (eta[0], c[1])
                moved["change_from_inequality"].append(held[0] * (c[1] - c[0]))
                moved["change_from_elasticity"].append(held[1] * (eta[1] - eta[0]))
            for statistic, found in moved.items():
                yield Statistic(statistic, sum(found, Quantity(0.0)), tested=True)
            yield Statistic("change_of_residual", into[1](two.residual) - into[0](one.residual), tested=True)
            for place, name in enumerate(explaining):
                label = {"determinant": name}
                both = Quantity(0.0)
                for statistic, found in moved.items():
                    yield Statistic(statistic, found[place], "index", label, tested=True)
                    both = both + found[place]
                yield Statistic("change_of_contribution", both, "index", label, tested=True)

        return bound

    return bind


class _Within:
    """Turn a quantity under the weights of one wave into one under the weights of all: other rows have no influence."""

    def __init__(self, inside: Array) -> None:
        self._inside = inside
        self._known: dict[int, tuple[Base, Base]] = {}

    def __call__(self, quantity: Quantity) -> Quantity:
        return Quantity(quantity.value, tuple((scale, self._base(base)) for scale, base in quantity.terms))

    def _base(self, base: Base) -> Base:
        # The old base is kept beside the new one, so that its id cannot be given to another.
        if id(base) not in self._known:
            inside = self._inside
            self._known[id(base)] = (base, Base(lambda: base.make() * inside))
        return self._known[id(base)][1]


def _two(sample: Sample, before: str | None, after: str | None) -> tuple[Rows, Rows, tuple[str, str]]:
    grouping = sample.groupings[0]
    there = ", ".join(grouping.labels)
    if before is None or after is None:
        if len(grouping.labels) != 2 or before is not None or after is not None:
            raise UsageError("two_groups", f"{grouping.name} has {there}; say which is before= and which after=")
        before, after = grouping.labels
    for one in (before, after):
        if str(one) not in grouping.labels:
            raise UsageError("no_such_group", f"{grouping.name} has no {one!r}; it has {there}")
    if str(before) == str(after):
        raise UsageError("two_groups", f"before and after are both {before!r}; name two groups of {grouping.name}")
    told = str(before), str(after)
    first, second = (grouping.code == grouping.labels.index(one) for one in told)
    return first, second, told
