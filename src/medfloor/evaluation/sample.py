"""Take the rows that an estimator can use, under plain names, and count every row left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import polars as pl

from medfloor.errors import UsageError
from medfloor.evaluation.result import Drop
from medfloor.evaluation.winsor import Percentiles, winsorise
from medfloor.words import Phrase

if TYPE_CHECKING:
    import pandas as pd


LARGEST = 1e70
"""A column whose largest number is above this, or below its inverse, is refused."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Be the complete rows of a table under plain names, so that any column name of the user's is safe in a formula.

    `frame` has the asked names; numbers are Float64, labels Int64 codes 0, 1, ... in the sorted order of their values
    (`levels` keeps the values), covariates x0, x1, ... (a category becomes one column of zeros and ones for each level
    but the first), `unit` Int64 codes, `period` the waves as 1..k in their order (`waves` keeps what they were).
    `names` says what each plain name is called by the user. Rows keep the order of the table.
    """

    frame: pl.DataFrame
    names: Mapping[str, str]
    levels: Mapping[str, tuple[str, ...]]
    waves: tuple[float, ...]
    drops: tuple[Drop, ...]
    covariates: tuple[str, ...]

    def pandas(self) -> pd.DataFrame:
        """Give the rows to a library that wants pandas; the index is the place of the row."""
        import pandas as pd

        return pd.DataFrame({name: self.frame[name].to_numpy().copy() for name in self.frame.columns})

    def keep(self, rows: pl.Expr, reason: str, of: str = "") -> Sample:
        """Keep some rows and count the others as dropped for this reason (a name of the catalogue's section `drop`)."""
        kept = self.frame.filter(rows)
        if kept.height == self.frame.height:
            return self
        lost = None
        if "unit" in self.frame.columns:
            lost = self.frame["unit"].n_unique() - kept["unit"].n_unique()
        step = Drop(reason, self.frame.height - kept.height, lost, of)
        if kept.is_empty():
            raise UsageError(
                "no_rows_left", f"no row is left after dropping those with {reason.replace('_', ' ')} {of}"
            )
        return replace(self, frame=kept, drops=(*self.drops, step))

    def winsorised(self, name: str, percentiles: Percentiles | None) -> tuple[Sample, tuple[Phrase, ...]]:
        """Draw a column in to two percentiles of its values; give the sample, and a note that tells it.

        With None nothing is done: `sample, notes = sample.winsorised("y", winsorise)` serves every estimator.

        Raises UsageError bad_number.
        """
        if percentiles is None:
            return self, ()
        drawn = winsorise(self.frame[name].to_numpy(), percentiles)
        frame = self.frame.with_columns(pl.Series(name, drawn.values))
        return replace(self, frame=frame), (drawn.note(self.names[name], percentiles),)

    def level(self, name: str, code: int) -> str:
        """Give the value that a code of a label stands for."""
        return self.levels[name][code]


def take(
    table: pl.DataFrame,
    *,
    numbers: Mapping[str, str],
    labels: Mapping[str, str] | None = None,
    covariates: Sequence[str] = (),
    unit: str | None = None,
    time: str | None = None,
    weight: str | None = None,
    where_missing_keep: Sequence[str] = (),
) -> Sample:
    """Take complete rows: `numbers` and `labels` map plain names to columns; a covariate `i.sex` is a category.

    Left out, in this order and each counted: rows that lack a number, a label, a covariate, unit or time (by column),
    and rows whose weight is missing or not above zero. Names in `where_missing_keep` may be null. Infinite numbers
    count as missing. A unit may have one row a wave only.

    Raises UsageError unknown_column, not_numbers, no_rows_left, extreme_numbers, repeated_rows, one_level.

    >>> table = pl.DataFrame({"poor": [1, 0, None], "id": ["a", "a", "b"], "year": [2012, 2018, 2012]})
    >>> sample = take(table, numbers={"y": "poor"}, unit="id", time="year")
    >>> sample.frame.rows(), sample.waves, sample.drops[0].rows
    ([(1.0, 0, 1), (0.0, 0, 2)], (2012.0, 2018.0), 1)
    """
    labels = dict(labels or {})
    wanted = [*numbers.values(), *labels.values(), *(_plain(one) for one in covariates)]
    wanted += [one for one in (unit, time, weight) if one]
    check_columns(table, wanted)
    sources: dict[str, pl.Expr] = {}
    names: dict[str, str] = {}
    for name, column in numbers.items():
        sources[name], names[name] = _number(table, column), column
    for place, one in enumerate(covariates):
        column = _plain(one)
        sources[f"_x{place}"] = _label(column) if one.startswith("i.") else _number(table, column)
        names[f"_x{place}"] = column
    for name, column in labels.items():
        sources[name], names[name] = _label(column), column
    if unit:
        sources["unit"], names["unit"] = _label(unit), unit
    if time:
        sources["period"], names["period"] = _number(table, time), time
    if weight:
        sources["w"], names["w"] = _number(table, weight), weight
    frame = table.select(expression.alias(name) for name, expression in sources.items())
    frame, drops = _complete(frame, names, where_missing_keep)
    _refuse_extreme(frame, names)
    frame, drops = _weighted(frame, drops, weight)
    levels: dict[str, tuple[str, ...]] = {}
    for name in (*labels, *(["unit"] if unit else [])):
        frame, levels[name] = _coded(frame, name)
    waves: tuple[float, ...] = ()
    if time:
        frame, waves = _indexed(frame)
    if unit and time and _repeated(frame, len(waves)):
        raise UsageError(
            "repeated_rows",
            f"some units of {unit} have two rows in one wave of {time}; keep one row each, or name another unit",
        )
    frame, kept, names = _expanded(frame, covariates, names)
    order = [
        *numbers,
        *kept,
        *labels,
        *(["unit"] if unit else []),
        *(["period"] if time else []),
        *(["w"] if weight else []),
    ]
    return Sample(frame.select(order), names, levels, waves, tuple(drops), tuple(kept))


def _plain(covariate: str) -> str:
    return covariate.removeprefix("i.")


def check_columns(table: pl.DataFrame, wanted: Sequence[str]) -> None:
    """Refuse columns that a table does not have, and name the nearest. Raises UsageError unknown_column."""
    for column in wanted:
        if column not in table.columns:
            import difflib

            near = difflib.get_close_matches(column, table.columns, 1, 0.6)
            there = ", ".join(table.columns[:20]) + (", ..." if len(table.columns) > 20 else "")
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise UsageError("unknown_column", f"the table has no column {column!r}; {hint}it has {there}")


def _number(table: pl.DataFrame, column: str) -> pl.Expr:
    dtype = table.schema[column]
    if not (dtype.is_numeric() or dtype == pl.Boolean or dtype == pl.Null):
        raise UsageError(
            "not_numbers",
            f"{column!r} holds {dtype}, not numbers; name another column, or write i.{column} for a category",
        )
    value = pl.col(column).cast(pl.Float64)
    return pl.when(value.is_finite()).then(value)


def _label(column: str) -> pl.Expr:
    return pl.col(column)


def _complete(
    frame: pl.DataFrame, names: Mapping[str, str], may_lack: Sequence[str]
) -> tuple[pl.DataFrame, list[Drop]]:
    drops: list[Drop] = []
    for name in frame.columns:
        if name in may_lack or name == "w" or not frame[name].null_count():
            continue
        kept = frame.filter(pl.col(name).is_not_null())
        lost = (
            frame["unit"].drop_nulls().n_unique() - kept["unit"].drop_nulls().n_unique()
            if "unit" in frame.columns
            else None
        )
        drops.append(Drop("missing", frame.height - kept.height, lost, names[name]))
        frame = kept
    if frame.is_empty():
        last = drops[-1].of if drops else "the table is empty"
        raise UsageError("no_rows_left", f"no row has all columns; the last to be lacking was {last!r}")
    return frame, drops


def _refuse_extreme(frame: pl.DataFrame, names: Mapping[str, str]) -> None:
    """Refuse numbers whose fourth powers a double cannot hold: variances of variances would be infinite or zero."""
    for name in frame.columns:
        if frame.schema[name] != pl.Float64:
            continue
        most = frame[name].abs().max()
        if isinstance(most, float) and most > 0 and not 1 / LARGEST < most < LARGEST:
            raise UsageError(
                "extreme_numbers",
                f"{names[name]!r} holds numbers of the size of {most:.0e}, with which no variance can be reckoned; "
                "give it in another unit, or mend the column",
            )


def _weighted(frame: pl.DataFrame, drops: list[Drop], weight: str | None) -> tuple[pl.DataFrame, list[Drop]]:
    if weight is None:
        return frame, drops
    kept = frame.filter(pl.col("w").fill_null(0) > 0)
    if kept.height < frame.height:
        lost = frame["unit"].n_unique() - kept["unit"].n_unique() if "unit" in frame.columns else None
        drops = [*drops, Drop("no_weight", frame.height - kept.height, lost, weight)]
    if kept.is_empty():
        raise UsageError("no_rows_left", f"no row has a weight above zero in {weight!r}")
    return kept, drops


def _indexed(frame: pl.DataFrame) -> tuple[pl.DataFrame, tuple[float, ...]]:
    """Count waves as 1, 2, ... in their order, and give what they were."""
    import numpy as np

    waves = frame["period"].unique().drop_nulls().sort()
    if frame["period"].null_count():
        index = pl.col("period").rank("dense").cast(pl.Int64)
        return frame.with_columns(index), tuple(waves.to_list())
    place = np.searchsorted(waves.to_numpy(), frame["period"].to_numpy()) + 1
    return frame.with_columns(pl.Series("period", place, dtype=pl.Int64)), tuple(waves.to_list())


def _repeated(frame: pl.DataFrame, waves: int) -> bool:
    """Say whether a unit has two rows in one wave."""
    import numpy as np

    if frame["unit"].null_count() or frame["period"].null_count():
        return bool(frame.select("unit", "period").is_duplicated().any())
    cells = frame["unit"].to_numpy() * waves + frame["period"].to_numpy() - 1
    return frame.height > 0 and int(np.bincount(cells).max()) > 1


def _coded(frame: pl.DataFrame, name: str) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Replace values by codes 0, 1, ... in their sorted order, and give the values as text."""
    column = frame[name]
    values = column.unique().drop_nulls().sort()
    codes = _codes(column, values)
    told = values.cast(pl.String) if column.dtype.is_integer() or column.dtype == pl.String else None
    texts = told.to_list() if told is not None else [_told(one) for one in values.to_list()]
    return frame.with_columns(codes.alias(name)), tuple(texts)


def _codes(column: pl.Series, values: pl.Series) -> pl.Series:
    """Give the place of each value among the sorted `values`; null stays null."""
    import numpy as np

    if column.dtype.is_integer() and not column.null_count() and values.len():
        low, high = int(values[0]), int(values[-1])
        if high - low < 4 * column.len() + 1000:
            # Numbers that lie close together are looked up in a table, which is many times quicker than a join.
            place = np.zeros(high - low + 1, np.int64)
            place[values.cast(pl.Int64).to_numpy() - low] = np.arange(values.len())
            return pl.Series(place[column.cast(pl.Int64).to_numpy() - low])
    codes = pl.DataFrame({"value": values, "_code": range(values.len())}, schema_overrides={"_code": pl.Int64})
    return column.alias("value").to_frame().join(codes, on="value", how="left", maintain_order="left")["_code"]


def _told(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _expanded(
    frame: pl.DataFrame, covariates: Sequence[str], names: dict[str, str]
) -> tuple[pl.DataFrame, list[str], dict[str, str]]:
    """Turn each category into one column for each level but the first."""
    made: list[pl.Series] = []
    named = {name: column for name, column in names.items() if not name.startswith("_x")}
    for place, one in enumerate(covariates):
        values = frame[f"_x{place}"]
        if not one.startswith("i."):
            made.append(values.alias(f"x{len(made)}"))
            named[made[-1].name] = one
            continue
        levels = values.unique().sort().to_list()
        if len(levels) == 1:
            raise UsageError("one_level", f"the category {one!r} has one value only ({_told(levels[0])}); leave it out")
        for level in levels[1:]:
            made.append((values == level).cast(pl.Float64).alias(f"x{len(made)}"))
            named[made[-1].name] = f"{_plain(one)}={_told(level)}"
    return frame.with_columns(made), [series.name for series in made], named
