"""Sift the rows of a small table (people, spells, households): keep the readable, list the others with a reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from medfloor.intake.cells import Cell, trimmed
from medfloor.intake.files import Scan, collect
from medfloor.intake.layout import Layout
from medfloor.intake.rejects import POSITION, Fault, cell_faults, fetch_rows, first_fault
from medfloor.tables import Column


@dataclass(frozen=True, eq=False, slots=True)
class Sifted:
    """Be the rows of a table in their inside form, and the faults of those that cannot be read.

    `frame` has every row and every column of the contract, the carried columns, and `row`; `faults` has row, reason and
    detail of the unreadable ones.
    """

    frame: pl.DataFrame
    faults: pl.DataFrame


def sift(scan: Scan, layout: Layout, cells: dict[str, Cell], more: Sequence[Fault] = ()) -> Sifted:
    """Read all rows in one pass, and once more only those that have a fault."""
    faults = [*cell_faults(cells.values()), *more]
    reason, detail = first_fault(faults)
    values = [cell.value.alias(cell.column.inside) for cell in cells.values()]
    carried = [pl.col(name) for name in layout.carried]
    numbered = trimmed(scan.frame, scan, layout).with_row_index(POSITION)
    frame = collect(scan, numbered.select(*values, *carried, pl.col(POSITION).alias("row"), reason.alias(POSITION)))
    wrong = frame.drop_in_place(POSITION).is_not_null()
    told = pl.DataFrame(schema={"row": pl.UInt32, "reason": pl.String, "detail": pl.String})
    if wrong.any():
        raw = trimmed(fetch_rows(scan, frame["row"].filter(wrong)).lazy(), scan, layout)
        told = raw.select(pl.col(POSITION).alias("row"), reason, detail).collect()
    absent = [empty_column(column) for column in layout.table.columns if not layout.has(column.name)]
    inside = [column.inside for column in layout.table.columns]
    return Sifted(frame.with_columns(absent).select(*inside, *layout.carried, "row"), told)


def empty_column(column: Column) -> pl.Expr:
    """Make the column of nulls that stands for one that the file lacks."""
    kinds: dict[str, pl.DataType] = {
        "text": pl.String(),
        "date": pl.Date(),
        "money": pl.Int64(),
        "integer": pl.Int32(),
        "code": pl.UInt8(),
        "flag": pl.Boolean(),
    }
    return pl.lit(None, kinds[column.kind]).alias(column.inside)


def order_fault(cells: dict[str, Cell], first: str, last: str, reason: str) -> list[Fault]:
    """Make the fault of a span whose last day lies before its first; none where a column is absent."""
    if first not in cells or last not in cells:
        return []
    one, other = cells[first], cells[last]
    words = pl.format(
        f"{other.label} is {{}}, before {one.label} {{}}",
        other.value.dt.to_string("iso"),
        one.value.dt.to_string("iso"),
    )
    return [Fault.of(other.value < one.value, reason, words)]
