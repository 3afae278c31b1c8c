"""Put claims into the order in which they are settled, and follow stays and reversals through it.

Three clocks: service dates, the settled date (the order), the benefit year. Ties in the settled date are broken by the
start date, then by claim_id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

Ints = npt.NDArray[np.int64]


def order_of(
    unit: npt.NDArray[Any],
    year: npt.NDArray[Any],
    settled: npt.NDArray[Any],
    start: npt.NDArray[Any],
    claim_id: pl.Series,
) -> Ints:
    """Give the row order: by unit, benefit year, settled date, start date, claim_id.

    `unit` counts from 0; dates are days since 1970-01-01. Returns int64 positions, n.
    """
    n = len(unit)
    if n == 0:
        return np.zeros(0, np.int64)
    key = _day_key(year, settled, start)
    if n <= FEW:
        order = np.lexsort((key, unit)).astype(np.int64)
        tied = (np.diff(unit[order]) == 0) & (np.diff(key[order]) == 0)
        run = np.zeros(n, np.int32)
        run[1:][tied] = run[:-1][tied] = 1
        run *= np.cumsum(np.append(True, ~tied), dtype=np.int32)
        return _ties_by_id(order, run, claim_id)
    from medfloor.settlement import loops

    unit32 = np.ascontiguousarray(unit, np.int32)
    run = np.zeros(n, np.int32)
    if loops.is_sorted(unit32, key):
        order = np.arange(n, dtype=np.int64)
        loops.mark_ties(order, unit32, key, run)
    else:
        order = _sorted(unit32, key, run)
    return _ties_by_id(order, run, claim_id)


def _sorted(unit: npt.NDArray[np.int32], key: Ints, run: npt.NDArray[np.int32]) -> Ints:
    """Sort by unit, then key: in buckets, which suits many people with few claims each; else as numpy does.

    `run` gets the numbers of the runs that are tied.
    """
    from medfloor.settlement import loops

    units = int(unit.max()) + 1
    longest = int(np.bincount(unit, minlength=1).max())
    if int(key.max()) >= loops.MOST_KEY or len(unit) >= loops.MOST_ROWS or longest > loops.LONG:
        order = np.lexsort((key, unit)).astype(np.int64)
        loops.mark_ties(order, unit, key, run)
        return order
    order = np.empty(len(unit), np.int64)
    loops.bucket_sort(unit, key, units, np.zeros(units + 1, np.int64), order, run)
    return order


FEW = 20_000
"""Up to how many claims the plain way is sooner done than compiled code is loaded."""


def _day_key(year: npt.NDArray[Any], settled: npt.NDArray[Any], start: npt.NDArray[Any]) -> Ints:
    """Pack year, settled and start into one number that sorts like the three."""
    year, settled, start = (np.ascontiguousarray(values, np.int32) for values in (year, settled, start))
    lows = [int(values.min()) for values in (year, settled, start)]
    spans = [int(values.max()) - low + 1 for values, low in zip((year, settled, start), lows, strict=True)]
    if len(year) > FEW:
        from medfloor.settlement import loops

        key = np.empty(len(year), np.int64)
        loops.day_key(year, settled, start, lows[0], lows[1], spans[1], lows[2], spans[2], key)
        return key
    days = (year.astype(np.int64) - lows[0]) * spans[1] + (settled - lows[1])
    made: Ints = days * spans[2] + (start - lows[2])
    return made


def _ties_by_id(order: Ints, run: npt.NDArray[np.int32], claim_id: pl.Series) -> Ints:
    """Order by claim_id within each run of claims that unit and dates leave tied (0 = not tied)."""
    if not run.any():
        return order
    places = np.flatnonzero(run)
    tied = pl.DataFrame({"run": run[places], "id": claim_id.gather(order[places]), "row": order[places]})
    order[places] = tied.sort("run", "id")["row"].to_numpy()
    return order


@dataclass(frozen=True)
class Segments:
    """Be the unit-years of sorted claims: segment i has the claims from start[i] to start[i + 1]."""

    start: Ints
    unit: Ints
    year: Ints


def segments_of(unit: npt.NDArray[Any], year: npt.NDArray[Any]) -> Segments:
    """Cut sorted claims into unit-years."""
    n = len(unit)
    if n == 0:
        return Segments(np.zeros(1, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64))
    change = np.flatnonzero((unit[1:] != unit[:-1]) | (year[1:] != year[:-1])) + 1
    begin = np.concatenate([np.zeros(1, np.int64), change])
    return Segments(np.append(begin, n), unit[begin].astype(np.int64), year[begin].astype(np.int64))


def first_of_stays(claim_ids: Sequence[str], continues: Sequence[str | None]) -> dict[str, str]:
    """Lead from every claim that continues a stay to the first claim of that stay.

    Claims must come in the order of settlement. A chain A <- B <- C leads B and C to A.

    >>> first_of_stays(["a", "b", "c"], [None, "a", "b"])
    {'b': 'a', 'c': 'a'}
    """
    first: dict[str, str] = {}
    for claim_id, before in zip(claim_ids, continues, strict=True):
        if before is not None:
            first[claim_id] = first.get(before, before)
    return first
