"""Carry what a person-year has used: accumulators, as files, as matrices and as accounts.

One row a person-year: person_id, benefit_year, then one column a counter of the policy's layout. Money is yuan in
files; counts of admissions are whole numbers; `last_stay` names the last stay, which a later file may continue, with
what it has borne (`<tier>_stay_*`). Settling a year in two halves, the second opened with what the first closed,
equals settling it at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor.errors import InputError
from medfloor.money import MAX_FEN
from medfloor.policy.compile import CLAIMS, Layout
from medfloor.settlement.columns import STAY_COLUMNS

Ints = npt.NDArray[np.int64]

STAY_FIELDS = STAY_COLUMNS[1:]
STAY_MONEY = ("deductible", "borne")


@dataclass(frozen=True)
class Accumulators:
    """Be accumulators in inside form: person_id, benefit_year, counters in fen (Int64), last_stay, stay columns."""

    frame: pl.DataFrame

    @property
    def height(self) -> int:
        """Count the person-years."""
        return self.frame.height


def counter_columns(layout: Layout) -> list[tuple[str, bool]]:
    """List the accumulator columns of a layout, and whether each is money."""
    counters = [(name, not _is_count(name)) for name in layout.names]
    stays = [(f"{tier}_stay_{field}", field in STAY_MONEY) for tier in layout.stay_tiers for field in STAY_FIELDS]
    return counters + stays


def _is_count(name: str) -> bool:
    return name == CLAIMS or name.endswith("_admissions") or "_admissions_" in name


def empty_accumulators(layout: Layout) -> pl.DataFrame:
    """Make accumulators without a row."""
    schema: dict[str, Any] = {"person_id": pl.String, "benefit_year": pl.Int64}
    schema |= dict.fromkeys(layout.names, pl.Int64)
    schema["last_stay"] = pl.String
    schema |= {f"{tier}_stay_{field}": pl.Int64 for tier in layout.stay_tiers for field in STAY_FIELDS}
    return pl.DataFrame(schema=schema)


def with_claims_counted(closing: pl.DataFrame, claims: pl.DataFrame) -> pl.DataFrame:
    """Count the claims that stand (person_id, benefit_year) on top of what the opening brought."""
    counts = claims.group_by("person_id", "benefit_year").agg(pl.len().cast(pl.Int64).alias("_more"))
    counts = counts.with_columns(pl.col("benefit_year").cast(pl.Int64))
    joined = closing.join(counts, on=["person_id", "benefit_year"], how="left", maintain_order="left")
    return joined.with_columns(pl.col(CLAIMS) + pl.col("_more").fill_null(0)).drop("_more")


def numbered_on(fen: pl.DataFrame, opening: pl.DataFrame) -> pl.DataFrame:
    """Let `sequence` go on from the claims that the opening counted."""
    before = opening.select(
        "person_id", pl.col("benefit_year").cast(fen.schema["benefit_year"]), pl.col(CLAIMS).alias("_before")
    )
    joined = fen.join(before, on=["person_id", "benefit_year"], how="left", maintain_order="left")
    order = (pl.col("sequence") + pl.col("_before").fill_null(0)).cast(fen.schema["sequence"])
    return joined.with_columns(order.alias("sequence")).drop("_before")


def to_file_form(frame: pl.DataFrame, layout: Layout) -> tuple[pl.DataFrame, list[str]]:
    """Name the money columns *_fen, as writers expect, and turn "not set" into empty. Gives them and their names."""
    money = [name for name, is_money in counter_columns(layout) if is_money]
    unset = [name for name, start in zip(layout.names, layout.initial, strict=True) if start < 0]
    frame = frame.with_columns(pl.when(pl.col(name) >= 0).then(pl.col(name)).alias(name) for name in unset)
    return frame.rename({name: f"{name}_fen" for name in money}), money


def from_table(table: pl.DataFrame, layout: Layout, place: str) -> pl.DataFrame:
    """Read accumulators from a table in file form (yuan), for this layout.

    Columns that the policy does not know are ignored, missing ones count as not used. Raises InputError where
    person_id or benefit_year is missing or repeated, or a value cannot be read.
    """
    for name in ("person_id", "benefit_year"):
        if name not in table.columns:
            raise InputError("missing_column", f"{place} has no column {name}; it is made by `settle --closing`")
    columns: dict[str, pl.Expr] = {
        "person_id": pl.col("person_id").cast(pl.String),
        "benefit_year": pl.col("benefit_year").cast(pl.Int64, strict=False),
    }
    start = dict(zip(layout.names, layout.initial, strict=True))
    for name, money in counter_columns(layout):
        if name not in table.columns:
            columns[name] = pl.lit(start.get(name, 0), dtype=pl.Int64)
            continue
        columns[name] = pl.lit(_whole(table[name], 100 if money else 1, f"{place}: {name}")).fill_null(
            start.get(name, 0)
        )
    known = "last_stay" in table.columns
    stay = pl.col("last_stay").cast(pl.String) if known else pl.lit(None, dtype=pl.String)
    columns["last_stay"] = pl.when(stay == "").then(None).otherwise(stay)
    frame = table.select(**columns)
    if frame["benefit_year"].null_count():
        raise InputError("bad_number", f"{place}: benefit_year must be a year such as 2025 in every row")
    if frame.select("person_id", "benefit_year").is_duplicated().any():
        raise InputError("duplicate_person", f"{place} has two rows for the same person and benefit year; keep one")
    return frame


def _whole(values: pl.Series, scale: int, place: str) -> pl.Series:
    """Read numbers with at most two decimals (scale 100) or none (scale 1) as Int64; empty cells stay empty.

    Raises InputError for a cell that holds anything else, or an amount below zero or beyond 9 trillion yuan.
    """
    text = values.cast(pl.String).str.strip_chars()
    text = text.set(text == "", None) if values.dtype == pl.String else text
    exact = values * scale if values.dtype.is_float() else text.cast(pl.Decimal(38, 6), strict=False) * scale
    whole = exact.round().cast(pl.Int64, strict=False)
    # The double nearest to an amount differs from it by less than a thousandth of a fen up to the largest amount.
    near = (exact - whole).abs() <= 1e-3 if values.dtype.is_float() else exact == whole
    good = near & whole.is_between(0, MAX_FEN)
    bad = text.filter(text.is_not_null() & ~good.fill_null(False))
    if bad.len():
        raise InputError("bad_amount", f"{place} holds {bad[0]!r}; it must be a number as `settle --closing` writes it")
    return whole


def read_accumulators(path: str | Path, layout: Layout) -> pl.DataFrame:
    """Read an accumulators file (CSV or Parquet) for a layout; see `from_table`."""
    from medfloor.intake.files import read_table

    return from_table(read_table(path), layout, str(path))
