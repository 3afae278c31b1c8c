"""Put together what several populations and draws say: estimates with errors that hold all of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from medfloor.measures.estimate import interval, two_sided
from medfloor.measures.influence import Array
from medfloor.measures.result import SCHEMA, Result

_MANY = 1e6
"""Degrees of freedom where a result tells none: the normal distribution, as good as."""

TESTED = ("reform_change", "mean_change", "bill_change", "extra", "transfer")


def together(runs: Sequence[Sequence[Result]]) -> tuple[Result, pl.DataFrame]:
    """Join the results of populations (outer) and draws (inner; the first is that of the stated values) in one.

    An estimate is the mean over populations of the undrawn values, so that draws add to errors and not to estimates.
    The squared standard error is S + D + B: S the mean of the sampling variances (that of one population), D the mean
    over populations of the variance between draws, B the variance between populations. With several populations S is
    already in B, because each is drawn anew, and the larger of both counts. Degrees of freedom are those of the part
    that is known worst. The table beside the result has the roots of the three: se_sampling, se_draws, se_populations.

    The result of one population without draws comes back as it is.
    """
    first = runs[0][0]
    keys = [name for name in first.rows.columns if name not in SCHEMA or name == "kind"]
    tables = [[_keyed(one, keys) for one in draws] for draws in runs]
    order = tables[0][0].select(keys)
    sampling = _stacked([draws[0] for draws in tables], order, keys, "se")
    values = _stacked([draws[0] for draws in tables], order, keys, "estimate")
    spread = np.stack([_spread(draws, order, keys) for draws in tables])
    within = np.square(sampling).mean(axis=0)
    # Draws vary numbers, not people, so those of the populations that have draws speak for all.
    of_drawn = [row for row, draws in zip(spread, tables, strict=True) if len(draws) > 1]
    drawn = np.square(of_drawn).mean(axis=0) if of_drawn else np.zeros(order.height)
    many = len(runs) > 1
    between = values.var(axis=0, ddof=1) if many else np.zeros(values.shape[1])
    variance = drawn + (np.where(np.nan_to_num(within) > between, within, between) if many else within)
    parts = {"se_sampling": within, "se_draws": drawn, "se_populations": between}
    errors = order.with_columns(
        *(pl.Series(name, [_known(math.sqrt(x)) for x in part], dtype=pl.Float64) for name, part in parts.items())
    )
    if not many and len(runs[0]) == 1:
        return first, errors
    estimate = values.mean(axis=0)
    found = []
    for place, row in enumerate(first.rows.iter_rows(named=True)):
        value, error = float(estimate[place]), math.sqrt(variance[place])
        df = _degrees(row["df"], len(runs), len(runs[0]), within[place], between[place], drawn[place])
        low, high = interval(value, error, df, first.level, row["kind"])
        p = two_sided(value / error, df) if row["statistic"] in TESTED and error > 0 and df > 0 else math.nan
        found.append({"estimate": value, "se": error, "low": low, "high": high, "p": p, "df": df})
    figures = {name: [_known(one[name]) for one in found] for name in found[0]}
    rows = first.rows.with_columns(*(pl.Series(name, column, dtype=pl.Float64) for name, column in figures.items()))
    return replace(first, rows=rows.with_columns(pl.lit(None, pl.Float64).alias("deff"))), errors


def _keyed(result: Result, keys: list[str]) -> pl.DataFrame:
    return result.rows.select(*keys, "estimate", "se")


def _stacked(tables: Sequence[pl.DataFrame], order: pl.DataFrame, keys: list[str], name: str) -> Array:
    """Line the rows of several results up; one that a result lacks is not known."""
    names = [one for one in keys if one != "kind"]
    return np.stack(
        [
            order.join(one, on=names, how="left", nulls_equal=True, maintain_order="left")[name]
            .cast(pl.Float64)
            .fill_null(math.nan)
            .to_numpy()
            for one in tables
        ]
    )


def _spread(draws: Sequence[pl.DataFrame], order: pl.DataFrame, keys: list[str]) -> Array:
    """Give the spread between draws, the first of which is no draw; zero where there are fewer than two."""
    if len(draws) < 3:
        return np.zeros(order.height)
    return np.asarray(_stacked(draws[1:], order, keys, "estimate").std(axis=0, ddof=1), np.float64)


def _degrees(
    sampling: float | None, populations: int, draws: int, within: float, between: float, drawn: float
) -> float:
    if populations > 1 and not (np.nan_to_num(within) > between):
        return float(populations - 1)
    if draws > 2 and drawn > within:
        return float(draws - 2)
    return _MANY if sampling is None else float(sampling)


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
