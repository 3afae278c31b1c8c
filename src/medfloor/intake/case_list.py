"""Read a list of cases of monitored households that another system wrote."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from medfloor.intake.cells import coded_columns, make_cells
from medfloor.intake.files import Source, scan_table, survey
from medfloor.intake.layout import match_columns
from medfloor.intake.rows import sift
from medfloor.tables import Column, Table

STATES = ("found", "verified", "published", "recognised", "helped", "risk_stable", "removed", "refused")
CATEGORIES = ("unstable", "edge", "sudden")

CASES = Table(
    "cases",
    (
        Column("case_id", None, "text", required=True),
        Column("household_id", None, "text", required=True),
        Column("place", None, "text"),
        Column("round", None, "integer"),
        Column("state", None, "code", required=True, codes=STATES),
        Column("category", None, "code", codes=CATEGORIES),
        Column("found_on", None, "date"),
        Column("verified_on", None, "date"),
        Column("published_on", None, "date"),
        Column("recognised_on", None, "date"),
        Column("refused_on", None, "date"),
        Column("measures", None, "integer", meaning="how many measures of help were given"),
        Column("first_measure_on", None, "date"),
        Column("stable_since", None, "date"),
        Column("removed_on", None, "date"),
        Column("labour_capacity", None, "flag", meaning="1 = somebody of the household can work"),
        Column("income_head", None, "money", meaning="yuan a head and year"),
        Column("line_head", None, "money", meaning="yuan a head and year"),
    ),
)
"""The columns of a list of cases: those of `watch.quality.CASE_COLUMNS`, with money in yuan."""

INCOMES = Table(
    "households",
    (
        Column("household_id", None, "text", required=True),
        Column("income_head", None, "money", required=True, meaning="yuan a head and year"),
        Column("line_head", None, "money", required=True, meaning="yuan a head and year"),
    ),
)
"""The columns of what is known of incomes now, to be held against the line."""

_SIGNED = frozenset({"income_head"})


@dataclass(frozen=True, eq=False, slots=True)
class CaseList:
    """Be the rows of one list.

    `accepted` has the columns of the contract as they are called inside (money Int64 fen, codes as words, null where
    not stated), then those that were carried. `bad` lists the rows that cannot be read: their id (of the case, or of
    the household), reason, detail.
    """

    accepted: pl.DataFrame
    bad: pl.DataFrame
    rows_in: int


def read_case_list(source: Source) -> CaseList:
    """Read cases from a CSV or Parquet file, or from a frame; a case that stands twice is refused the second time.

    Raises InputError as `read_claims`.

    >>> frame = pl.DataFrame({"case_id": ["1", "2"], "household_id": ["h1", "h2"], "state": ["found", "lost"]})
    >>> cases = read_case_list(frame)
    >>> cases.accepted["state"].to_list(), cases.bad["reason"].to_list()
    (['found'], ['unknown_code'])
    """
    read = _read(source, CASES, "case_id")
    words = {"state": STATES, "category": CATEGORIES}
    named = [
        pl.col(name).replace_strict(dict(enumerate(codes)), default=None, return_dtype=pl.String)
        for name, codes in words.items()
    ]
    return CaseList(read.accepted.with_columns(named), read.bad, read.rows_in)


def read_incomes(source: Source) -> CaseList:
    """Read incomes and lines a head by household; a household that stands twice is refused the second time.

    Raises InputError as `read_claims`.

    >>> frame = pl.DataFrame({"household_id": ["h1"], "income_head": ["7000.50"], "line_head": ["7300"]})
    >>> read_incomes(frame).accepted.row(0)
    ('h1', 700050, 730000)
    """
    return _read(source, INCOMES, "household_id")


def _read(source: Source, table: Table, key: str) -> CaseList:
    scan = scan_table(source, table.name)
    layout = match_columns(scan, table, reserved=("row", *(column.inside for column in table.columns)))
    scan, distinct = survey(scan, coded_columns(scan, layout))
    sifted = sift(scan, layout, make_cells(scan, layout, distinct, signed=_SIGNED))
    frame, faults = sifted.frame, sifted.faults
    again = (
        frame.filter(pl.col(key).is_not_null() & ~pl.col(key).is_first_distinct())
        .join(faults, on="row", how="anti")
        .select("row", pl.lit("repeated_row").alias("reason"), pl.lit(f"{key} stands twice").alias("detail"))
    )
    faults = pl.concat([faults, again.cast(dict(faults.schema.items()))])
    bad = faults.join(frame.select("row", key), on="row", how="left", maintain_order="left")
    good = frame.join(faults, on="row", how="anti", maintain_order="left")
    return CaseList(good.drop("row"), bad.select(key, "reason", "detail"), frame.height)
