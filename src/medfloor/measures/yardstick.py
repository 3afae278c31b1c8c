"""Hold estimates against published values: a constant with its source, and how far an estimate is from it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from medfloor.measures.estimate import interval, two_sided
from medfloor.measures.result import SCHEMA
from medfloor.words import Phrase


@dataclass(frozen=True, slots=True)
class Yardstick:
    """Be a published value: a number in the unit of the statistic (a share is 0.147), and where it was printed."""

    value: float
    source: Phrase

    def words(self, statistic: str) -> Phrase:
        """Say the value with its source, for the statistic that it is held against."""
        shown = f"{100 * self.value:g} %" if abs(self.value) <= 1 else f"{self.value:,g}"
        return Phrase.of("yardstick.note", statistic=Phrase(f"statistic.{statistic}"), value=shown, source=self.source)


def beside(
    rows: pl.DataFrame, yardsticks: Mapping[str, Yardstick], labels: Mapping[str, pl.DataType], level: float
) -> Iterator[pl.DataFrame]:
    """Give rows that hold estimates against published values.

    `yardstick` is the published value (without error: it is taken as a constant) and `less_yardstick` the estimate
    less it, for the whole and for each group, with the estimate's error and the p of no difference. `of` names the
    statistic.

    >>> beside(pl.DataFrame(), {}, {}, 0.95).__next__()
    Traceback (most recent call last):
    StopIteration
    """
    for name, yardstick in yardsticks.items():
        found = rows.filter((pl.col("statistic") == name) & pl.col("against").is_null())
        if found.is_empty():
            continue
        first = found.row(0, named=True)
        made = [{"statistic": "yardstick", "of": name, "kind": first["kind"], "estimate": yardstick.value}]
        made += [_less(row, yardstick.value, level) for row in found.iter_rows(named=True)]
        text = pl.String()
        schema = {"statistic": text, **labels, "by": text, "group": text, "against": text, **SCHEMA}
        full = [{column: row.get(column) for column in schema} for row in made]
        yield pl.DataFrame(full, schema=schema, orient="row")


def _less(row: Mapping[str, object], value: float, level: float) -> dict[str, object]:
    estimate, error, df = (
        math.nan if row[name] is None else float(str(row[name])) for name in ("estimate", "se", "df")
    )
    off = estimate - value
    kind = "percent" if row["kind"] == "proportion" else str(row["kind"])
    low, high = interval(off, error, df, level)
    p = two_sided(off / error, df) if error > 0 and df > 0 else math.nan
    figures = {"estimate": off, "se": error, "low": low, "high": high, "p": p}
    return {
        **row,
        "statistic": "less_yardstick",
        "of": row["statistic"],
        "kind": kind,
        "deff": None,
        **{name: None if math.isnan(one) else one for name, one in figures.items()},
    }
