"""Read settlements as cases: under the national platform's names too, and without what was taken back."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from medfloor.measures.sample import Table, frame_of
from medfloor.tables import NATIONAL_SETTLEMENTS, SMALL_FUNDS


@dataclass(frozen=True, slots=True, eq=False)
class Cases:
    """Be settlements as cases, under our names and without what was taken back, and how many were `taken_back`.

    Where they were read elsewhere (`medfloor.measures.cluster`), it is known there only.
    """

    accepted: pl.DataFrame
    taken_back: int


def cases_of(table: Table | Cases, used: Collection[object] = ()) -> tuple[pl.DataFrame, int]:
    """Give a table under our names, and how many settlements were taken back and stand in it no more."""
    if isinstance(table, Cases):
        return table.accepted, table.taken_back
    return in_our_names(frame_of(table), used), 0


def in_our_names(frame: pl.DataFrame, used: Collection[object] = ()) -> pl.DataFrame:
    """Put settlements of the national platform (setlinfo, `settle --columns national`) under our names.

    A frame with our column total, or without the platform's medfee_sumamt, comes back as it is, but for funds that
    most places do not have (`SMALL_FUNDS`), which are left out where they paid nothing. Payments stand in the order of
    `NATIONAL_SETTLEMENTS`, which is that of payment. Columns in `used` were asked for as they stand, and stay.

    >>> given = pl.DataFrame({"maf_pay": [1.0], "hifp_pay": [5.0], "hifob_pay": [0.0], "medfee_sumamt": [9.0]})
    >>> in_our_names(given).columns
    ['total', 'pay_basic', 'pay_assistance']
    """
    plain = {name.strip().lower(): name for name in frame.columns}
    if "medfee_sumamt" in plain and "total" not in plain:
        found = {ours: plain[theirs] for theirs, ours in NATIONAL_SETTLEMENTS.items() if theirs in plain}
        found = {ours: theirs for ours, theirs in found.items() if ours not in plain and theirs not in used}
        rest = [name for name in frame.columns if name not in found.values()]
        frame = frame.select(*(pl.col(theirs).alias(ours) for ours, theirs in found.items()), *rest)
    there = small_funds(frame.columns, used)
    return frame.drop(name for name in there if _pays_nothing(frame[name]))


def small_funds(columns: Collection[str], used: Collection[object] = ()) -> list[str]:
    """List the columns of funds that are left out where they paid nothing in the whole table."""
    return [name for name in SMALL_FUNDS if name in columns and name not in used]


def without_taken_back(frame: pl.DataFrame, *, total: str, paid: Sequence[str]) -> tuple[pl.DataFrame, int]:
    """Leave out settlements that were taken back, with the rows that take them back; say how many there were.

    A row that takes a settlement back has the same amounts with the other sign, and is of the same person: what
    `medfloor settle` writes for a reversal. Neither is a case, as nobody bears either. Where the table has the
    columns claim_id and reverses, these say it. Of several equal settlements the last counts as taken back. A negative
    row without such a partner stays (the measures count it and leave it out).

    >>> rows = {"person_id": ["p", "q", "p"], "total": [9.0, 9.0, -9.0], "pay_basic": [5.0, 5.0, -5.0]}
    >>> kept, pairs = without_taken_back(pl.DataFrame(rows), total="total", paid=["pay_basic"])
    >>> kept["person_id"].to_list(), pairs
    (['q'], 1)
    """
    if {"claim_id", "reverses"} <= set(frame.columns):
        return _named(frame)
    names = [total, *paid]
    if "person_id" not in frame.columns or not all(frame.schema[name].is_numeric() for name in names):
        return frame, 0
    negative = frame[total].cast(pl.Float64).to_numpy() < 0
    if not negative.any():
        return frame, 0
    keys = ["person_id", *(f"_{place}" for place in range(len(names)))]
    fen = [(pl.col(name).cast(pl.Float64) * 100).round().alias(key) for name, key in zip(names, keys[1:], strict=True)]
    known = frame.select("person_id", *fen).with_row_index("_at")
    back = known.filter(pl.Series(negative)).with_columns(-pl.col(key) + 0.0 for key in keys[1:])
    forth = known.filter(pl.Series(~negative)).join(back.select(keys).unique(), on=keys, how="semi").reverse()
    nth = pl.int_range(pl.len()).over(keys).alias("_nth")
    pairs = back.with_columns(nth).join(forth.with_columns(nth), on=[*keys, "_nth"], how="inner", suffix="_forth")
    gone = np.zeros(frame.height, np.bool_)
    gone[pairs["_at"].to_numpy()] = gone[pairs["_at_forth"].to_numpy()] = True
    return frame.filter(pl.Series(~gone)), pairs.height


def _named(frame: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """Leave out what the column reverses names, and the rows that name it."""
    claims, reverses = frame["claim_id"].cast(pl.String), frame["reverses"].cast(pl.String)
    takes = reverses.is_not_null() & (reverses.str.strip_chars() != "")
    taken = claims.is_in(reverses.filter(takes).implode()).fill_null(False)
    return frame.filter(~takes & ~taken), int(taken.sum())


def _pays_nothing(paid: pl.Series) -> bool:
    return paid.dtype.is_numeric() and bool((paid.fill_null(0) == 0).all())
