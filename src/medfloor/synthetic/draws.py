"""Draw at random so that totals are exact: counts, choices and allotments that meet a margin to the last person."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Flags: TypeAlias = npt.NDArray[np.bool_]


def stream(seed: int, name: str) -> np.random.Generator:
    """Give the random numbers of one subject, which do not depend on what other subjects draw.

    >>> bool(stream(1, "homes").random() == stream(1, "homes").random())
    True
    >>> bool(stream(1, "homes").random() == stream(1, "care").random())
    False
    """
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def counts_of(shares: Sequence[float] | Array, total: int) -> Ints:
    """Split a total into whole counts in proportion to shares (largest remainders, the earlier one first).

    >>> counts_of([1, 1, 1], 10).tolist()
    [4, 3, 3]
    """
    exact = np.asarray(shares, np.float64) / np.sum(shares) * total
    counts = np.floor(exact).astype(np.int64)
    counts[np.argsort(counts - exact, kind="stable")[: total - int(counts.sum())]] += 1
    return np.asarray(counts, np.int64)


def labels_of(shares: Sequence[float] | Array, total: int, rng: np.random.Generator) -> Ints:
    """Give `total` labels 0, 1, ... with exact counts in proportion to shares, shuffled.

    >>> np.bincount(labels_of([3, 1], 8, stream(1, "x"))).tolist()
    [6, 2]
    """
    labels = np.repeat(np.arange(len(shares)), counts_of(shares, total))
    rng.shuffle(labels)
    return labels


def chosen(weights: Array, count: int, rng: np.random.Generator) -> Flags:
    """Choose exactly `count` of the rows, with a chance in proportion to weights (systematic, in random order).

    A row whose chance comes to one or more is chosen for certain. Rows of weight zero never are; where fewer than
    `count` have a weight, all of them are chosen.

    >>> int(chosen(np.array([1.0, 2.0, 0.0, 3.0]), 2, stream(1, "x")).sum())
    2
    """
    picked = np.zeros(len(weights), np.bool_)
    weights = np.asarray(weights, np.float64).copy()
    count = min(count, int(np.count_nonzero(weights)))
    while count > 0:
        chance = weights / weights.sum() * count
        certain = chance >= 1
        if not certain.any():
            break
        picked |= certain
        count -= int(certain.sum())
        weights[certain] = 0.0
    if count <= 0:
        return picked
    order = rng.permutation(len(weights))
    reached = np.cumsum(weights[order])
    steps = (np.arange(count) + rng.random()) * (reached[-1] / count)
    picked[order[np.searchsorted(reached, steps, side="right").clip(0, len(order) - 1)]] = True
    return picked


def with_logit(logit: Array, share: float, rng: np.random.Generator) -> Flags:
    """Choose exactly a share of the rows, with chances that are logistic in `logit` plus an intercept found here.

    >>> int(with_logit(np.linspace(-1, 1, 100), 0.3, stream(1, "x")).sum())
    30
    """
    count = round(share * len(logit))
    if count <= 0 or count >= len(logit):
        return np.full(len(logit), count > 0)
    intercept = root(lambda a: float(np.mean(1 / (1 + np.exp(-(a + logit)))) - share), -40, 40, 40)
    return chosen(1 / (1 + np.exp(-(intercept + logit))), count, rng)


def allotted(weights: Array, total: int, rng: np.random.Generator) -> Ints:
    """Hand `total` events to rows with chances in proportion to weights; give the row of each event, in rising order.

    Given their sum, independent Poisson counts are multinomial, so this draws Poisson counts whose sum is met exactly.

    >>> rows = allotted(np.array([1.0, 0.0, 3.0]), 1000, stream(1, "x"))
    >>> len(rows), bool((np.diff(rows) >= 0).all()), bool((rows == 1).any())
    (1000, True, False)
    """
    reached = np.cumsum(weights)
    # Sums of exponential gaps are uniform numbers that come in order, so that nothing has to be sorted.
    gaps = np.cumsum(rng.standard_exponential(total + 1))
    rows = np.searchsorted(reached, gaps[:-1] * (reached[-1] / gaps[-1]), side="right")
    return np.asarray(rows.clip(0, len(weights) - 1), np.int64)


def spread_out(count: int, rng: np.random.Generator) -> Array:
    """Give the middles of `count` equal parts of 0 to 1, shuffled: uniform numbers that cover the range evenly.

    Quantiles at these points have a distribution whose tail is the same in every run, where plain random numbers let a
    few extreme values decide.

    >>> sorted(spread_out(4, stream(1, "x")).tolist())
    [0.125, 0.375, 0.625, 0.875]
    """
    return np.asarray((rng.permutation(count) + 0.5) / max(1, count), np.float64)


def root(of: Callable[[float], float], low: float, high: float, rounds: int = 60) -> float:
    """Find where a rising function is zero between two bounds, or the bound that is nearer to it.

    >>> round(root(lambda x: x * x - 2, 0, 2), 6)
    1.414214
    """
    for _ in range(rounds):
        middle = (low + high) / 2
        if of(middle) < 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def place_in_run(rows: Ints) -> tuple[Ints, Ints]:
    """For rising rows, say of each event which one of its row's it is (0, 1, ...), and how many its row has.

    >>> place, size = place_in_run(np.array([2, 2, 5]))
    >>> place.tolist(), size.tolist()
    ([0, 1, 0], [2, 2, 1])
    """
    if not len(rows):
        return rows, rows
    new = np.flatnonzero(np.diff(rows, prepend=-1))
    sizes = np.diff(np.append(new, len(rows)))
    return np.arange(len(rows)) - np.repeat(new, sizes), np.repeat(sizes, sizes)
