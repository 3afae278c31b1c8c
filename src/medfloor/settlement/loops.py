"""Hold the compiled loops around the kernel: sorting by person, ties, statuses. Loaded only for many claims."""

from __future__ import annotations

import numpy as np

from medfloor.settlement.jit import compiled


@compiled("p1 r1", gives="bool")
def is_sorted(unit: np.ndarray, key: np.ndarray) -> bool:
    for i in range(1, unit.shape[0]):
        if unit[i] < unit[i - 1] or (unit[i] == unit[i - 1] and key[i] < key[i - 1]):
            return False
    return True


@compiled("p1 r1 n w1")
def bucket_sort(unit: np.ndarray, key: np.ndarray, units: int, order: np.ndarray) -> None:
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
