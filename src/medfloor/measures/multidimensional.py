"""Measure multidimensional poverty: who is deprived in how many ways at once (Alkire and Foster)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor.errors import InputError, UsageError
from medfloor.measures.design import Design
from medfloor.measures.estimate import Bound, Estimator, Statistic, errors_of, evaluate
from medfloor.measures.influence import Array, Quantity, count, total
from medfloor.measures.replicate import Progress
from medfloor.measures.result import Result
from medfloor.measures.sample import Source, Table, Unit, take
from medfloor.words import Phrase

CutoffSign = Literal["<", "<=", ">", ">="]

ROUNDING = 1e-9
"""Weights such as 1/3 do not add up to a cut-off exactly; a score this close has reached it."""


@dataclass(frozen=True, slots=True)
class Deprivation:
    """Be one way of being deprived: a column (name or expression) held against a cut-off.

    Without a cut-off the column says it itself: true or 1 is deprived, false or 0 is not. `sign` is the side of the
    cut-off that is deprived.

    >>> Deprivation("schooling", 6).sign
    '<'
    """

    column: Source
    cutoff: float | None = None
    sign: CutoffSign = "<"

    def __post_init__(self) -> None:
        """Refuse a cut-off that parts nobody."""
        if self.sign not in get_args(CutoffSign):
            raise UsageError("bad_sign", f"the sign of a cut-off is one of < <= > >=, not {self.sign!r}")
        if self.cutoff is not None and not math.isfinite(self.cutoff):
            raise UsageError(
                "bad_cutoff", f"a cut-off of {self.cutoff} is no number; give the value that parts who is deprived"
            )

    @property
    def cardinal(self) -> bool:
        """Say whether it has a gap: an amount below a cut-off above zero."""
        return self.cutoff is not None and self.cutoff > 0 and self.sign in ("<", "<=")


Dimension: TypeAlias = Source | Deprivation | tuple[Source, float] | tuple[Source, float, CutoffSign]


def alkire_foster(
    table: Table,
    *,
    dimensions: Mapping[str, Dimension],
    k: float | Sequence[float],
    weights: Mapping[str, float] | None = None,
    size: Source = "size",
    unit: Unit = "person",
    by: str | Sequence[str] | None = None,
    against: str | None = None,
    design: Design | None = None,
    progress: Progress | None = None,
) -> Result:
    """Count who is deprived in several ways at once, and how many ways the poor are deprived in.

    `dimensions` names each dimension and says who is deprived in it: a column or expression of 0 and 1 (or true and
    false), a `Deprivation`, or a tuple (column, cut-off) or (column, cut-off, sign). `weights` are the dimensions'
    (equal without them; they are scaled to add up to one). With g_ij 1 for a deprivation, c_i = sum of w_j g_ij is a
    row's score, and who scores `k` or more (0 < k <= 1; several at once are possible, label `cutoff`) is poor:

    - `headcount` H, the share of the poor; `intensity` A, the mean score of the poor; `adjusted_headcount` M0 = H A;
    - by `dimension`: `deprived` (the share of the deprived), `deprived_poor` (the share of those who are deprived and
      poor, the censored headcount h_j), `contribution_m0` w_j h_j / M0;
    - where every dimension has a cut-off above zero with sign < or <=: `adjusted_gap` M1 and `adjusted_severity` M2,
      with ((z - x) / z)^1 and ^2 in place of 1 (values below zero count with their whole gap).

    Rows with a missing value in any dimension are left out and counted. With nobody poor, H and M0 are zero and the
    rest null. Source: Alkire and Foster (2011), Journal of Public Economics 95, 476-487.

    Raises UsageError: no_dimension, bad_cutoff, bad_sign, bad_weights, bad_k, no_such_group; InputError: what `take`
    raises, not_zero_or_one.

    >>> people = {"ill": [1, 0, 1, 0], "school": [3, 3, 9, 9], "size": [1, 1, 1, 1]}
    >>> found = alkire_foster(people, dimensions={"health": "ill", "school": ("school", 6)}, k=1.0)
    >>> found.value("headcount"), found.value("deprived", dimension="school")
    (0.25, 0.5)
    """
    ways = _ways(dimensions)
    shares = _shares(tuple(ways), weights)
    cutoffs = _cutoffs(k)
    needs = {f"x{place}": way.column for place, way in enumerate(ways.values())}
    sample = take(table, needs, unit=unit, size=size, by=by, design=design)
    for place, (name, way) in enumerate(ways.items()):
        if way.cutoff is None:
            _check_flag(sample[f"x{place}"], name)
    rows = evaluate(
        sample,
        _estimator(ways, shares, cutoffs),
        labels={"cutoff": pl.Float64(), "dimension": pl.String()},
        against=against,
        progress=progress,
    )
    notes = [] if all(way.cardinal for way in ways.values()) else [Phrase("multidimensional.no_gaps")]
    if rows.filter(pl.col("estimate").is_null()).height:
        notes.append(Phrase("multidimensional.no_poor"))
    return Result(
        measure="multidimensional",
        rows=rows,
        definition=_definition(ways, shares, cutoffs),
        weight=sample.weighted_by,
        errors=errors_of(sample),
        sign=">=",
        level=sample.design.level,
        special=sample.special,
        notes=tuple(notes),
    )


def _ways(dimensions: Mapping[str, Dimension]) -> dict[str, Deprivation]:
    if not dimensions:
        raise UsageError("no_dimension", "no dimension was given; name each with the column that says who is deprived")
    made = {}
    for name, given in dimensions.items():
        if isinstance(given, Deprivation):
            made[name] = given
        elif isinstance(given, tuple):
            if len(given) not in (2, 3):
                raise UsageError("bad_cutoff", f"dimension {name!r} is (column, cut-off) or (column, cut-off, sign)")
            made[name] = Deprivation(*given)
        else:
            made[name] = Deprivation(given)
    return made


def _shares(names: tuple[str, ...], weights: Mapping[str, float] | None) -> tuple[float, ...]:
    if weights is None:
        return (1 / len(names),) * len(names)
    if set(weights) != set(names):
        raise UsageError("bad_weights", f"weights are for {', '.join(weights)}, the dimensions are {', '.join(names)}")
    given = [float(weights[name]) for name in names]
    for name, weight in zip(names, given, strict=True):
        if not 0 < weight < math.inf:
            raise UsageError(
                "bad_weights",
                f"the weight {weight:g} of dimension {name!r} is not above zero; leave the dimension out, or weigh it",
            )
    whole = sum(given)
    return tuple(weight / whole for weight in given)


def _cutoffs(k: float | Sequence[float]) -> tuple[float, ...]:
    given = [float(k)] if isinstance(k, (int, float)) else [float(one) for one in k]
    for one in given:
        if not 0 < one <= 1:
            raise UsageError(
                "bad_k",
                f"k = {one:g} is not above 0 and at most 1; it is the share of all weights at which a row is poor "
                "(2 of 5 equal dimensions: 0.4)",
            )
    if not given:
        raise UsageError("bad_k", "no k was given: the share of all weights at which a row is poor")
    return tuple(dict.fromkeys(given))


def _check_flag(values: Array, name: str) -> None:
    bad = (values != 0) & (values != 1)
    if bad.any():
        raise InputError(
            "not_zero_or_one",
            f"dimension {name!r} has {values[bad][0]:g} in {int(bad.sum())} rows, where 1 is deprived and 0 is not; "
            "give a cut-off with the column, such as (column, cut-off, '<')",
        )


def _deprived(values: Array, way: Deprivation) -> npt.NDArray[np.bool_]:
    if way.cutoff is None:
        return np.asarray(values == 1)
    return np.asarray(
        {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}[way.sign](values, way.cutoff)
    )


def _estimator(ways: Mapping[str, Deprivation], shares: tuple[float, ...], cutoffs: tuple[float, ...]) -> Estimator:
    """Bind deprivations and scores; which rows are poor does not depend on weights."""

    def bind(columns: Mapping[str, Array]) -> Bound:
        deprived = [_deprived(columns[f"x{place}"], way) for place, way in enumerate(ways.values())]
        score = np.zeros(len(deprived[0]))
        for share, flags in zip(shares, deprived, strict=True):
            score += share * flags
        poor = {k: score >= k - ROUNDING for k in cutoffs}
        gaps = _gaps(columns, ways, shares, deprived)

        def bound(weight: Array) -> Iterator[Statistic]:
            people = count(weight)
            for name, flags in zip(ways, deprived, strict=True):
                yield Statistic("deprived", total(weight, flags) / people, "proportion", {"dimension": name})
            for k, those in poor.items():
                at = {"cutoff": k}
                number, scored = total(weight, those), total(weight, score * those)
                yield Statistic("headcount", number / people, "proportion", at)
                yield Statistic("intensity", scored / number, "percent", at)
                yield Statistic("adjusted_headcount", scored / people, "percent", at)
                for power, name in ((1, "adjusted_gap"), (2, "adjusted_severity")):
                    if gaps is not None:
                        yield Statistic(name, total(weight, gaps[power - 1] * those) / people, "percent", at)
                for share, name, flags in zip(shares, ways, deprived, strict=True):
                    both = total(weight, flags & those)
                    yield from _by_dimension(share, both, people, scored, {**at, "dimension": name})

        return bound

    return bind


def _gaps(
    columns: Mapping[str, Array],
    ways: Mapping[str, Deprivation],
    shares: tuple[float, ...],
    deprived: list[npt.NDArray[np.bool_]],
) -> tuple[Array, Array] | None:
    """Sum up weighted gaps and squared gaps by row; None where a dimension has no gap."""
    if not all(way.cardinal for way in ways.values()):
        return None
    once, twice = np.zeros(len(deprived[0])), np.zeros(len(deprived[0]))
    for place, (share, way, flags) in enumerate(zip(shares, ways.values(), deprived, strict=True)):
        assert way.cutoff is not None
        gap = np.where(flags, 1 - columns[f"x{place}"] / way.cutoff, 0.0)
        once += share * gap
        twice += share * gap**2
    return once, twice


def _by_dimension(
    share: float, both: Quantity, people: Quantity, scored: Quantity, labels: Mapping[str, object]
) -> Iterator[Statistic]:
    yield Statistic("deprived_poor", both / people, "proportion", labels)
    yield Statistic("contribution_m0", share * both / scored, "percent", labels)


def _definition(ways: Mapping[str, Deprivation], shares: tuple[float, ...], cutoffs: tuple[float, ...]) -> Phrase:
    said: Phrase | None = None
    for (name, way), share in zip(ways.items(), shares, strict=True):
        rule = Phrase("multidimensional.told")
        if way.cutoff is not None:
            column = way.column if isinstance(way.column, str) else name
            rule = Phrase.of("multidimensional.cutoff", column=column, sign=way.sign, cutoff=f"{way.cutoff:g}")
        one = Phrase.of("multidimensional.dimension", name=name, weight=f"{share:.4g}", rule=rule)
        said = one if said is None else Phrase.of("inequality.and", first=said, second=one)
    assert said is not None
    at = ", ".join(f"{one:g}" for one in cutoffs)
    return Phrase.of("multidimensional.definition", cutoffs=at, dimensions=said)
