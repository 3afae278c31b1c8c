"""Read households: size, income and consumption, of a survey or of a register."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from medfloor.intake.cells import make_cells
from medfloor.intake.files import Source, scan_table, survey
from medfloor.intake.layout import match_columns
from medfloor.intake.rows import sift
from medfloor.tables import HOUSEHOLDS

# A farm or a shop may end its year with a loss.
_SIGNED = frozenset({"income"})


@dataclass(frozen=True, eq=False, slots=True)
class Households:
    """Be the households of one input.

    `accepted` holds the columns of the contract (money Int64 fen a year, counts Int32; null where not stated), then the
    carried columns. `bad` lists the rows that cannot be read: household_id, reason, detail; `bad_rows` says which.
    """

    accepted: pl.DataFrame
    bad: pl.DataFrame
    columns_in: tuple[str, ...]
    carried: tuple[str, ...]
    rows_in: int
    bad_rows: pl.Series


def read_households(source: Source) -> Households:
    """Read households from a CSV or Parquet file, or from a frame. Raises InputError as `read_claims`.

    A household may have several rows (waves of a panel); which of them counts is for the caller to say.

    >>> frame = pl.DataFrame({"household_id": ["1", "2"], "size": ["3", "x"], "income": ["41000.50", "0"]})
    >>> households = read_households(frame)
    >>> households.accepted["income_fen"].to_list(), households.bad["detail"].to_list()
    ([4100050], ["size is 'x', which is not a whole number from 0 to 9999"])
    """
    scan = scan_table(source, "households")
    layout = match_columns(scan, HOUSEHOLDS, reserved=("row", *(column.inside for column in HOUSEHOLDS.columns)))
    scan, distinct = survey(scan, ())
    cells = make_cells(scan, layout, distinct, signed=_SIGNED)
    sifted = sift(scan, layout, cells)
    frame, faults = sifted.frame, sifted.faults
    bad = faults.join(frame.select("row", "household_id"), on="row", how="left", maintain_order="left")
    if faults.height:
        frame = frame.join(faults, on="row", how="anti", maintain_order="left")
    return Households(
        frame.drop("row"),
        bad.select("household_id", "reason", "detail"),
        scan.names,
        layout.carried,
        sifted.frame.height,
        bad["row"],
    )
