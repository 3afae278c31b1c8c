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

from medfloor.settlement.jit import compiled

Ints = npt.NDArray[np.int64]


def order_of(
    unit: npt.NDArray[Any], year: npt.NDArray[Any], settled: npt.NDArray[Any], start: npt.NDArray[Any], claim_id: pl.Series
) -> Ints:
    """Give the row order: by unit, benefit year, settled date, start date, claim_id.

    `unit` counts from 0; dates are days since 1970-01-01. Returns int64 positions, n.
    """
    n = len(unit)
    if n == 0:
        return np.zeros(0, np.int64)
    key = _day_key(year, settled, start)
    if _is_sorted(unit, key):
        order = np.arange(n, dtype=np.int64)
    else:
        order = np.empty(n, np.int64)
        _bucket_sort(unit.astype(np.int32, copy=False), key, int(unit.max()) + 1, order)
    return _ties_by_id(order, unit, key, claim_id)


def _day_key(year: npt.NDArray[Any], settled: npt.NDArray[Any], start: npt.NDArray[Any]) -> Ints:
    """Pack year, settled and start into one number that sorts like the three."""
    spans = [(values, int(values.min()), int(values.max())) for values in (year, settled, start)]
    key = np.zeros(len(year), np.int64)
    for values, low, high in spans:
        key *= high - low + 1
        key += values
        key -= low
    return key


@compiled
def _is_sorted(unit: np.ndarray, key: np.ndarray) -> bool:
    for i in range(1, unit.shape[0]):
        if unit[i] < unit[i - 1] or (unit[i] == unit[i - 1] and key[i] < key[i - 1]):
            return False
    return True


@compiled
def _bucket_sort(unit: np.ndarray, key: np.ndarray, units: int, order: np.ndarray) -> None:
    """Count, scatter by unit, and sort each unit's few claims by insertion (stable)."""
    fill = np.zeros(units + 1, np.int64)
    for i in range(unit.shape[0]):
        fill[unit[i] + 1] += 1
    for u in range(units):
        fill[u + 1] += fill[u]
    begin = fill[:units].copy()
    for i in range(unit.shape[0]):
        order[begin[unit[i]]] = i
        begin[unit[i]] += 1
    for u in range(units):
        low, high = fill[u], fill[u + 1]
        if high - low > 64:
            part = order[low:high].copy()
            places = np.argsort(key[part], kind="mergesort")
            for i in range(high - low):
                order[low + i] = part[places[i]]
            continue
        for i in range(low + 1, high):
            row = order[i]
            value = key[row]
            j = i
            while j > low and key[order[j - 1]] > value:
                order[j] = order[j - 1]
                j -= 1
            order[j] = row


@compiled
def _mark_ties(order: np.ndarray, unit: np.ndarray, key: np.ndarray, run: np.ndarray) -> int:
    """Number the runs of claims that unit and dates leave tied; 0 = not tied. Gives how many runs there are."""
    runs = 0
    for i in range(1, order.shape[0]):
        a, b = order[i - 1], order[i]
        if unit[a] == unit[b] and key[a] == key[b]:
            if run[i - 1] == 0:
                runs += 1
                run[i - 1] = runs
            run[i] = runs
    return runs


def _ties_by_id(order: Ints, unit: npt.NDArray[Any], key: Ints, claim_id: pl.Series) -> Ints:
    run = np.zeros(len(order), np.int32)
    if _mark_ties(order, unit, key, run) == 0:
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
