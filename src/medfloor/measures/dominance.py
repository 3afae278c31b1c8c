"""Test whether one curve lies above another: concentration curve, equality, Lorenz curve, groups."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import polars as pl

from medfloor.errors import UsageError
from medfloor.measures.concentration import drawn
from medfloor.measures.curve import curve
from medfloor.measures.design import Design
from medfloor.measures.estimate import Bound, Estimator, Statistic, errors_of, evaluate
from medfloor.measures.influence import Array
from medfloor.measures.ranked import By, in_words, ranked_once, take_ranked
from medfloor.measures.replicate import Progress
from medfloor.measures.result import SCHEMA, Result
from medfloor.measures.sample import Source, Table, Unit
from medfloor.words import Phrase

Over = Literal["equality", "lorenz"]
RULES = ("multiple_comparison", "intersection_union")

ROUNDING = 1e-12
"""Gaps of curves, which lie between 0 and 1, and their errors are no smaller than this but by rounding."""


def dominance(
    table: Table,
    *,
    of: Source = "oop",
    rank: Source = "consumption",
    over: Over | Source = "equality",
    points: int = 19,
    degrees: float | None = None,
    rank_by: By | None = None,
    of_by: By = "household",
    size: Source = "size",
    unit: Unit = "household",
    by: str | Sequence[str] | None = None,
    against: str | None = None,
    design: Design | None = None,
    progress: Progress | None = None,
) -> Result:
    """Test whether the concentration curve of `of` dominates (lies above) another curve, at evenly spaced points.

    `over` is the other curve: `equality` the diagonal, `lorenz` the Lorenz curve of the ranking variable, or a column,
    whose concentration curve over the same ranks it is. With `against` the curve of each group of `by` is compared with
    that of one group. Both curves come from one sample, and their covariance is in the errors.

    Rows: `curve`, the ordinate at p; `curve_gap`, it less that of the other curve, with p-value; and for each rule one
    `dominance`: 1 (dominates), -1 (is dominated) or 0, with the label `verdict` (none: not to be told apart; crosses)
    and `largest_t` and `smallest_t` beside them. Rules: `multiple_comparison` asks for at least one gap above the
    critical value of the studentised maximum modulus (Sidak's for as many independent tests as there are points: 3.0004
    for 19 at 95 % and many degrees of freedom) and none below its negative (Bishop, Formby and Smith 1992; O'Donnell et
    al. 2008, chapter 7); `intersection_union` asks that all gaps are significant one by one (Kaur, Prakasa Rao and
    Singh 1994; Howes 1996). Degrees of freedom are the design's (clusters less strata), or as given in `degrees`
    (math.inf: the normal distribution). Points without an error (a curve that no sample could change) are left out.

    Raises UsageError: bad_points, no_such_group; InputError: what `take` raises.

    >>> homes = {"oop": [4.0, 3.0, 3.0, 2.0, 2.5, 1.0, 1.5, 1.0], "consumption": list(range(1, 9))}
    >>> dominance(homes, points=3).pick("dominance", rule="intersection_union").rows["verdict"][0]
    'dominates'
    """
    if not 1 <= points <= 99:
        raise UsageError("bad_points", f"{points} points; ask for 1 to 99, 19 are usual")
    columns: dict[str, Source] = {"of": of}
    if not isinstance(over, str) or over not in ("equality", "lorenz"):
        columns["other"] = over
    divided = [*columns] if of_by == "person" else []
    sample, words = take_ranked(
        table, columns, rank=rank, rank_by=rank_by, per_head=divided, size=size, unit=unit, by=by, design=design
    )
    ranked = ranked_once(sample)
    shares = [step / (points + 1) for step in range(1, points + 1)]
    named = "rank" if over == "lorenz" else "other" if "other" in columns else None
    found = evaluate(
        sample,
        _estimator(ranked, shares, named),
        labels={"population": pl.Float64()},
        against=against,
        progress=progress,
    )
    rows = _with_verdicts(found, sample.design.level, degrees)
    said: dict[str, object] = {"variable": in_words(of, size if of_by == "person" else None), "rank": words}
    if named == "other":
        said["other"] = in_words(over, size if of_by == "person" else None)
    return Result(
        measure="dominance",
        rows=rows,
        definition=Phrase.of(
            f"dominance.{over if named != 'other' else 'other'}",
            **said,
            points=points,
            level=f"{100 * sample.design.level:g}",
        ),
        weight=sample.weighted_by,
        errors=errors_of(sample),
        level=sample.design.level,
        special=sample.special,
        curves={"concentration": drawn(sample, ranked)},
    )


def critical_value(points: int, level: float, degrees: float) -> float:
    """Give the critical value of the studentised maximum modulus over a number of points, by Sidak's inequality.

    >>> round(critical_value(19, 0.95, math.inf), 4), round(critical_value(1, 0.95, math.inf), 4)
    (3.0004, 1.96)
    """
    from scipy.special import ndtri, stdtrit

    tail = (1 - level ** (1 / points)) / 2
    return float(-ndtri(tail) if math.isinf(degrees) else -stdtrit(degrees, tail))


def _estimator(ranked: Any, shares: list[float], over: str | None) -> Estimator:
    def bind(columns: Mapping[str, Array]) -> Bound:
        ranking, values = ranked(columns), columns["of"]

        def bound(weight: Array) -> Iterator[Statistic]:
            own = curve(ranking, weight, values, shares)
            other = None
            if over is not None:
                other = curve(ranking, weight, columns[over], shares, of_rank=over == "rank")
            for place, (p, one) in enumerate(zip(shares, own, strict=True)):
                yield Statistic("curve", one, "percent", {"population": p})
                gap = one - (p if other is None else other[place])
                yield Statistic("curve_gap", gap, "percent", {"population": p}, tested=True)

        return bound

    return bind


def _with_verdicts(found: pl.DataFrame, level: float, degrees: float | None) -> pl.DataFrame:
    """Add to the rows of each comparison what the rules say of its gaps; between groups the curves are compared."""
    between = pl.col("against").is_not_null()
    rows = found.filter(~(between & (pl.col("statistic") == "curve_gap")))
    rows = rows.with_columns(
        pl.when(between).then(pl.lit("curve_gap")).otherwise("statistic").alias("statistic"),
        rule=pl.lit(None, pl.String),
        verdict=pl.lit(None, pl.String),
    )
    head = ["statistic", "population", "rule", "verdict", "by", "group", "against", *SCHEMA]
    parts = []
    for part in rows.partition_by(["by", "group", "against"], maintain_order=True):
        parts += [part, _verdicts(part.filter(statistic="curve_gap"), level, degrees, rows.schema)]
    return pl.concat(parts).select(head)


def _verdicts(gaps: pl.DataFrame, level: float, degrees: float | None, schema: pl.Schema) -> pl.DataFrame:
    known = gaps.filter(pl.col("se") > ROUNDING)
    same = bool((gaps["estimate"].abs() <= ROUNDING).all()) and gaps["estimate"].null_count() == 0
    first = gaps.row(0, named=True)
    blank = dict.fromkeys(schema) | {name: first[name] for name in ("by", "group", "against", "df", "n")}
    blank["weighted_n"] = first["weighted_n"]
    t = (known["estimate"] / known["se"]).to_numpy() if known.height else np.array([math.nan])
    free = degrees if degrees is not None else (first["df"] or math.nan)
    rows: list[dict[str, object]] = [
        {**blank, "statistic": "largest_t", "kind": "index", "estimate": _known(t.max())},
        {**blank, "statistic": "smallest_t", "kind": "index", "estimate": _known(t.min())},
    ]
    for rule in RULES:
        limit = critical_value(len(t) if rule == "multiple_comparison" else 1, level, free)
        verdict = "none" if same else _verdict(t, limit, rule)
        sign = {"dominates": 1.0, "dominated": -1.0, "undefined": None}.get(verdict, 0.0)
        rows.append(
            {**blank, "statistic": "dominance", "rule": rule, "verdict": verdict, "kind": "count", "estimate": sign}
        )
    return pl.DataFrame(rows, schema=schema, orient="row")


def _verdict(t: Array, limit: float, rule: str) -> str:
    if not (np.isfinite(t).all() and math.isfinite(limit)):
        return "undefined"
    above, below = t > limit, t < -limit
    if rule == "intersection_union":
        return "dominates" if above.all() else "dominated" if below.all() else "none"
    if above.any() and below.any():
        return "crosses"
    return "dominates" if above.any() else "dominated" if below.any() else "none"


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
