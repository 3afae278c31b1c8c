"""Hold the compiled loops around the kernel: sorting by person, ties, statuses. Loaded only for many claims."""

from __future__ import annotations

import numpy as np

from medfloor.jit import compiled

ROW_BITS = 32
ROW_MASK = (1 << ROW_BITS) - 1
MOST_ROWS = 1 << ROW_BITS
MOST_KEY = 1 << (63 - ROW_BITS)
LONG = 5_000
"""Units with more claims than this are not sorted by insertion."""


@compiled("p1 r1", gives="bool")
def is_sorted(unit: np.ndarray, key: np.ndarray) -> bool:
    """Say whether the rows are sorted by unit, then key."""
    for i in range(1, unit.shape[0]):
        if unit[i] < unit[i - 1] or (unit[i] == unit[i - 1] and key[i] < key[i - 1]):
            return False
    return True


@compiled("p1 r1 n w1 w1 v1", gives="n", counted=False)
def bucket_sort(
    unit: np.ndarray, key: np.ndarray, units: int, fill: np.ndarray, order: np.ndarray, run: np.ndarray
) -> int:
    """Count, scatter by unit, and sort each unit's few claims by insertion; number the runs of ties on the way.

    `fill` is scratch, units + 1 zeros; `run` is zeros and gets the number of each place's run, 0 = not tied.
    Key and row travel in one number, so that sorting touches one stretch of memory. Gives how many runs there are.
    """
    n = unit.shape[0]
    for i in range(n):
        fill[unit[i]] += 1
    total = 0
    for u in range(units + 1):
        count = fill[u]
        fill[u] = total
        total += count
    for i in range(n):
        u = unit[i]
        order[fill[u]] = (key[i] << ROW_BITS) | i
        fill[u] += 1
    low = 0
    runs = 0
    for u in range(units):
        high = fill[u]
        for i in range(low + 1, high):
            value = order[i]
            j = i
            while j > low and order[j - 1] > value:
                order[j] = order[j - 1]
                j -= 1
            order[j] = value
        for i in range(low, high):
            if i > low and order[i] >> ROW_BITS == order[i - 1] >> ROW_BITS:
                if run[i - 1] == 0:
                    runs += 1
                    run[i - 1] = runs
                run[i] = runs
        low = high
    for i in range(n):
        order[i] &= ROW_MASK
    return runs


@compiled("r1 p1 r1 v1", gives="n")
def mark_ties(order: np.ndarray, unit: np.ndarray, key: np.ndarray, run: np.ndarray) -> int:
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


@compiled("r1 p1 p1 r1 r1 r1 r1 w1")
def mark_held(
    person: np.ndarray,
    first: np.ndarray,
    last: np.ndarray,
    spell_first: np.ndarray,
    since: np.ndarray,
    until: np.ndarray,
    bit: np.ndarray,
    held: np.ndarray,
) -> None:
    """Set the bits of the statuses that each claim's person held on any day from first to last."""
    for i in range(person.shape[0]):
        mask = np.int64(0)
        for s in range(spell_first[person[i]], spell_first[person[i] + 1]):
            if since[s] <= last[i] and first[i] < until[s]:
                mask |= bit[s]
        held[i] = mask


@compiled("p1 p1 p1 n n n n n w1")
def day_key(
    year: np.ndarray,
    settled: np.ndarray,
    start: np.ndarray,
    year_low: int,
    settled_low: int,
    settled_span: int,
    start_low: int,
    start_span: int,
    key: np.ndarray,
) -> None:
    """Pack year, settled and start into one number that sorts like the three."""
    for i in range(key.shape[0]):
        days = (year[i] - year_low) * settled_span + (settled[i] - settled_low)
        key[i] = days * start_span + (start[i] - start_low)
