"""Cross two classifications of a survey, with errors of the cells and the test of Rao and Scott."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor.errors import InputError, UsageError
from medfloor.measures.association import Test, independence, rows_of
from medfloor.measures.design import Design
from medfloor.measures.estimate import Bound, Statistic, errors_of, evaluate
from medfloor.measures.influence import Array, mean, total
from medfloor.measures.replicate import Progress
from medfloor.measures.result import Result
from medfloor.measures.sample import Sample, Source, Table, Unit, column, frame_of, take
from medfloor.words import Phrase

Share = Literal["all", "row", "column"]

_MOST_CLASSES = 50


def crosstab(
    table: Table,
    *,
    rows: Source,
    columns: Source,
    share: Share = "all",
    design: Design | None = None,
    unit: Unit = "household",
    size: Source = "size",
    progress: Progress | None = None,
) -> Result:
    """Estimate the shares of a two-way table, and test whether rows and columns have to do with each other.

    One proportion a cell, with logit interval: `share_of_all`, or `share_of_row`, `share_of_column` as `share` says
    (labels `row` and `column`). Then the tests of `rao_scott`. A row of the table that misses either class is left out
    and counted; it stays part of the design. Without `design` the contract's columns are used where the table has them.

    Raises InputError: what `medfloor.measures.sample.take` raises; UsageError: many_categories, bad_share.

    >>> found = crosstab({"low": [1, 1, 0, 0, 1], "safe": ["y", "n", "n", "n", "y"]}, rows="low", columns="safe")
    >>> found.value("share_of_all", row="1", column="y")
    0.4
    """
    if share not in ("all", "row", "column"):
        raise UsageError("bad_choice", f"there is no share of {share!r}; use all, row or column")
    sample, row_classes, column_classes = _crossed(table, rows, columns, design, unit, size)

    def bind(values: Mapping[str, Array]) -> Bound:
        def bound(weight: Array) -> Iterator[Statistic]:
            for r, row in enumerate(row_classes):
                for c, name in enumerate(column_classes):
                    in_row, in_column = values["rows"] == r, values["columns"] == c
                    cell = in_row & in_column
                    within = in_row if share == "row" else in_column
                    part = mean(weight, cell) if share == "all" else total(weight, cell) / total(weight, within)
                    yield Statistic(f"share_of_{share}", part, "proportion", {"row": row, "column": name})

        return bound

    labels = {"row": pl.String(), "column": pl.String(), "denominator_df": pl.Float64()}
    cells = evaluate(sample, bind, labels={"row": pl.String(), "column": pl.String()}, progress=progress)
    cells = cells.with_columns(pl.lit(None, pl.Float64).alias("denominator_df"))
    tests = rows_of([(None, test) for test in _tests(sample)], labels)
    return _result(sample, pl.concat([cells.select(tests.columns), tests]), rows, columns)


def rao_scott(
    table: Table,
    *,
    rows: Source,
    columns: Source,
    design: Design | None = None,
    unit: Unit = "household",
    size: Source = "size",
) -> Result:
    """Test that two classifications are independent, under the survey's design (Rao and Scott 1984).

    `rao_scott_f` is Pearson's chi-squared of the weighted table, with the correction of the second order, referred to
    an F distribution (R survey's svychisq): `df` above, label `denominator_df` below. `pearson_chi2` comes with it
    where every row counts once and was drawn on its own. Arguments and errors as in `crosstab`.

    >>> sick = {"sick": [1] * 120 + [0] * 576 + [1] * 107 + [0] * 310, "registered": [1] * 696 + [0] * 417}
    >>> found = rao_scott(sick, rows="sick", columns="registered")
    >>> round(found.value("pearson_chi2"), 2), round(found.pick("rao_scott_f").rows["p"].item(), 4)
    (11.38, 0.0008)
    """
    sample, _, _ = _crossed(table, rows, columns, design, unit, size)
    tests = rows_of([(None, test) for test in _tests(sample)], {"denominator_df": pl.Float64()})
    return _result(sample, tests, rows, columns)


def _crossed(
    table: Table, rows: Source, columns: Source, design: Design | None, unit: Unit, size: Source
) -> tuple[Sample, list[str], list[str]]:
    frame = frame_of(table)
    row_codes, row_classes = _classes(column(frame, rows, "rows"), "rows")
    column_codes, column_classes = _classes(column(frame, columns, "columns"), "columns")
    coded = frame.with_columns(row_codes.alias("_rows"), column_codes.alias("_columns"))
    sample = take(coded, {"rows": pl.col("_rows"), "columns": pl.col("_columns")}, unit=unit, size=size, design=design)
    return sample, row_classes, column_classes


def _classes(series: pl.Series, name: str) -> tuple[pl.Series, list[str]]:
    """Number the classes of a column in the order of their values; a missing one stays missing."""
    if series.dtype.is_float():
        series = series.fill_nan(None)
    found = series.unique().drop_nulls().sort()
    if not len(found):
        raise InputError("no_rows", f"the classes of {name} are missing in every row; check the column")
    if len(found) > _MOST_CLASSES:
        raise UsageError("many_categories", f"{name} has {len(found):,} classes; a table takes up to {_MOST_CLASSES}")
    codes = series.replace_strict(found, pl.Series(range(len(found)), dtype=pl.Int64), return_dtype=pl.Int64)
    return codes, [str(one) for one in found.to_list()]


def _tests(sample: Sample) -> list[Test]:
    def codes(name: str) -> npt.NDArray[np.int64]:
        return sample[name].astype(np.int64)

    return independence(sample, codes("rows"), codes("columns"))


def _result(sample: Sample, found: pl.DataFrame, rows: Source, columns: Source) -> Result:
    def told(source: Source) -> str:
        return source if isinstance(source, str) else source.meta.output_name(raise_if_undetermined=False) or "..."

    return Result(
        measure="crosstab",
        rows=found,
        definition=Phrase.of("survey.crosstab", rows=told(rows), columns=told(columns)),
        weight=sample.weighted_by,
        errors=errors_of(sample),
        level=sample.design.level,
        special=sample.special,
    )
