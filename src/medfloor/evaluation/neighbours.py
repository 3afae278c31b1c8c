"""Find the nearest rows of the other side: with and without replacement, ties by a stated rule, errors of reuse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from medfloor.errors import UsageError

Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]
Ints: TypeAlias = NDArray[np.int64]
Ties = Literal["all", "order"]
Order = Literal["largest", "smallest", "data"]

TIE = 1e-5
"""Squared standardised distances that differ by less are ties (R's Matching, `distance.tolerance`)."""

MOST_PAIRS = 20_000_000
"""More pairs than this would not fit into memory; they come from ties of a score with few values."""


@dataclass(frozen=True, slots=True, eq=False)
class Space:
    """Be where rows lie: `points` whose squared distance counts, and a `ruler` on which the caliper is measured.

    `on_a_line` says that points lie as the ruler has them, which makes searching quick. `width` is the caliper on the
    ruler, None for none. `standing` is the place of each row when rows are sorted by the ruler, those of the same value
    in the order of the table.
    """

    points: Floats
    ruler: Floats
    width: float | None
    standing: Ints
    on_a_line: bool

    @classmethod
    def of(cls, points: Floats | None, ruler: Floats, caliper: float | None) -> Space:
        """Make a space of points, or (None) of the ruler itself over its standard deviation.

        `caliper` counts standard deviations of the ruler over all rows (R's MatchIt).
        """
        order = np.argsort(ruler, kind="stable")
        standing = np.empty(len(ruler), np.int64)
        standing[order] = np.arange(len(ruler))
        spread = float(ruler.std(ddof=1))
        width = None if caliper is None else caliper * spread
        if points is None:
            return cls((ruler / (spread or 1.0))[:, None], ruler, width, standing, True)
        return cls(points, ruler, width, standing, False)

    def squared(self, row: int, others: Ints) -> Floats:
        """Give squared distances of a row to others."""
        off = self.points[others] - self.points[row]
        return np.asarray(np.einsum("ij,ij->i", off, off), np.float64)

    def nearest_first(self, row: int, others: Ints, distances: Floats) -> Ints:
        """Sort others by distance; of those at the same distance the one that stands next to the row comes first.

        On a line that is next in the order of the score, the lower one before the higher; elsewhere the earlier row.
        """
        rough = np.round(distances, 12)
        if not self.on_a_line:
            return others[np.lexsort((others, rough))]
        step = self.standing[others] - self.standing[row]
        return others[np.lexsort((np.abs(step), step > 0, rough))]


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Be who was matched with whom: `row`, its `match`, and the `weight` of the match, which sum to one for each row.

    `alone` are rows for which nobody was near enough, or left.
    """

    row: Ints
    match: Ints
    weight: Floats
    alone: Ints

    @property
    def rows(self) -> Ints:
        """List the matched rows, each once."""
        return np.unique(self.row)

    def reuse(self, size: int) -> Floats:
        """Give how often each row serves as a match, counting its weight: K of Abadie and Imbens."""
        return np.asarray(np.bincount(self.match, self.weight, size), np.float64)

    def squared_reuse(self, size: int) -> Floats:
        """Give the sum of squared weights with which each row serves as a match."""
        return np.asarray(np.bincount(self.match, self.weight**2, size), np.float64)


def with_replacement(space: Space, rows: Ints, pool: Ints, *, number: int, ties: Ties) -> Pairs:
    """Match each row with its `number` nearest of the pool, which may serve again and again.

    With ties "all", everyone no farther than the number-th nearest (squared distances plus 1e-5 of standardised points)
    counts, with equal weights: the rule of R's Matching. With "order" exactly `number` are taken: see
    `Space.nearest_first`; with one neighbour on a line that is the choice of R's MatchIt.

    Raises UsageError too_few_controls, too_many_ties.
    """
    if len(pool) < number:
        raise UsageError(
            "too_few_controls",
            f"there are {len(pool)} rows to match with, fewer than {number} neighbours; ask for fewer",
        )
    near = _finder(space, rows, pool, number, TIE if ties == "all" else 1e-12)
    matched: list[Ints] = []
    alone: list[int] = []
    kept: list[int] = []
    pairs = 0
    for row in rows.tolist():
        found = near(row)
        if ties == "order" and len(found):
            found = space.nearest_first(row, found, space.squared(row, found))[:number]
        if not len(found):
            alone.append(row)
            continue
        pairs += len(found)
        if pairs > MOST_PAIRS:
            raise UsageError(
                "too_many_ties",
                f"more than {MOST_PAIRS:,} pairs, because many rows share one score; match with ties 'order', or add "
                "covariates that tell rows apart",
            )
        kept.append(row)
        matched.append(found)
    sizes = np.array([len(one) for one in matched], np.int64)
    return Pairs(
        np.repeat(np.array(kept, np.int64), sizes),
        np.concatenate(matched) if matched else np.empty(0, np.int64),
        np.repeat(1 / np.maximum(sizes, 1), sizes),
        np.array(alone, np.int64),
    )


def _finder(space: Space, rows: Ints, pool: Ints, number: int, slack: float) -> Callable[[int], Ints]:
    """Give a function: row -> all of the pool within the number-th smallest squared distance plus slack."""
    by_ruler = pool[np.argsort(space.standing[pool])]
    values = space.ruler[by_ruler]

    def within_caliper(row: int) -> Ints:
        if space.width is None:
            return by_ruler
        at = space.ruler[row]
        low = np.searchsorted(values, at - space.width, "left")
        return by_ruler[low : np.searchsorted(values, at + space.width, "right")]

    def among(row: int, others: Ints) -> Ints:
        if len(others) <= number:
            return others
        squared = space.squared(row, others)
        return np.asarray(others[squared <= np.partition(squared, number - 1)[number - 1] + slack], np.int64)

    if space.on_a_line:
        points = space.points[by_ruler, 0]

        def on_line(row: int) -> Ints:
            # Nobody beyond the number-th to the left and to the right can be nearer than those in between.
            at = float(space.points[row, 0])
            place = int(np.searchsorted(points, at))
            first, last = max(place - number, 0), min(place + number, len(points))
            reach = np.sort((points[first:last] - at) ** 2)[number - 1] + slack
            low = int(np.searchsorted(points, at - reach**0.5 - 1e-9, "left"))
            high = int(np.searchsorted(points, at + reach**0.5 + 1e-9, "right"))
            others = by_ruler[low:high]
            if space.width is not None:
                others = others[np.abs(space.ruler[others] - space.ruler[row]) <= space.width]
            return among(row, others)

        return on_line
    if space.width is not None:
        return lambda row: among(row, within_caliper(row))
    from sklearn.neighbors import KDTree

    tree = KDTree(space.points[pool])

    # All rows at once: a tree answers many questions much faster than one by one.
    reach = tree.query(space.points[rows], k=number)[0][:, -1] ** 2 + slack
    around = dict(zip(rows.tolist(), tree.query_radius(space.points[rows], np.sqrt(reach) + 1e-9), strict=True))
    return lambda row: among(row, pool[np.sort(around[row])])


def without_replacement(space: Space, rows: Ints, pool: Ints, *, number: int, order: Order) -> Pairs:
    """Match each row with `number` of the pool, each of whom serves once: greedily, the nearest who is left.

    Rows choose in the order of the ruler ("largest" first, "smallest" first) or of the table ("data"); each gets its
    first match before anyone gets a second. Rows for whom nobody is left, or near enough, stay alone (R's MatchIt).
    """
    turn = {"largest": -space.ruler[rows], "smallest": space.ruler[rows], "data": np.zeros(len(rows))}[order]
    queue = rows[np.argsort(turn, kind="stable")].tolist()
    next_free = _line(space, pool) if space.on_a_line else _scan(space, pool)
    chosen: dict[int, list[int]] = {row: [] for row in queue}
    for _ in range(number):
        for row in queue:
            match = next_free(row)
            if match is not None:
                chosen[row].append(match)
    pairs = [(row, match, 1 / len(found)) for row, found in chosen.items() for match in found]
    table = np.array(pairs, np.float64).reshape(-1, 3)
    alone = np.array(sorted(row for row, found in chosen.items() if not found), np.int64)
    return Pairs(table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2], alone)


def _line(space: Space, pool: Ints) -> Callable[[int], int | None]:
    """Give a function: row -> the nearest of the pool on a line who is free, and take them."""
    size = len(space.standing)
    at_place = np.empty(size, np.int64)
    at_place[space.standing] = np.arange(size)
    free = np.zeros(size, bool)
    free[space.standing[pool]] = True
    # Links to the next place that may be free; places taken are jumped over, and links shortened on the way.
    left = np.where(free, np.arange(size), np.arange(size) - 1).tolist()
    right = np.where(free, np.arange(size), np.arange(size) + 1).tolist()

    def follow(links: list[int], place: int) -> int:
        end = place
        while 0 <= end < size and links[end] != end:
            end = links[end]
        while 0 <= place < size and links[place] != place:
            links[place], place = end, links[place]
        return end

    def take(row: int) -> int | None:
        place = int(space.standing[row])
        ends = [one for one in (follow(left, place), follow(right, place)) if 0 <= one < size]
        found = [int(at_place[one]) for one in ends]
        found = [one for one in found if space.width is None or abs(space.ruler[one] - space.ruler[row]) <= space.width]
        if not found:
            return None
        others = np.array(found, np.int64)
        match = int(space.nearest_first(row, others, space.squared(row, others))[0])
        gone = int(space.standing[match])
        left[gone], right[gone] = gone - 1, gone + 1
        return match

    return take


def _scan(space: Space, pool: Ints) -> Callable[[int], int | None]:
    """Give a function: row -> the nearest of the pool in space who is free, and take them."""
    free = np.ones(len(pool), bool)

    def take(row: int) -> int | None:
        there = pool[free]
        if space.width is not None:
            there = there[np.abs(space.ruler[there] - space.ruler[row]) <= space.width]
        if not len(there):
            return None
        squared = space.squared(row, there)
        close = squared <= squared.min() + 1e-12
        match = int(space.nearest_first(row, there[close], squared[close])[0])
        free[np.searchsorted(pool, match)] = False
        return match

    return take


def mean_difference(pairs: Pairs, outcome: Floats, sign: Floats) -> tuple[float, Floats, Floats]:
    """Give the mean over matched rows of own outcome less the matches', times the sign; each row's; each pair's."""
    each = sign[pairs.row] * (outcome[pairs.row] - outcome[pairs.match])
    rows, place = np.unique(pairs.row, return_inverse=True)
    by_row = np.asarray(np.bincount(place, each * pairs.weight, len(rows)), np.float64)
    return float(by_row.mean()), by_row, each


def abadie_imbens(pairs: Pairs, by_row: Floats, each: Floats, estimate: float, size: int, *, both_sides: bool) -> float:
    """Give the standard error of Abadie and Imbens for matching with replacement, one variance for all rows.

    V = [sum over matched rows of (t_i - t)^2 + s^2 sum of (K^2 - K')] / N^2 for the effect on the treated; matching
    both sides adds 2 K s^2. K is how often a row serves, K' the sum of squared weights with which it does, s^2 half the
    mean squared deviation of pairs. The score counts as known. Source: Abadie and Imbens (2006, Econometrica 74,
    235-267); Abadie, Drukker, Herr and Imbens (2004, Stata Journal 4, 290-311); as `Match` of R's Matching.
    """
    count = len(by_row)
    spread = 0.5 * float((pairs.weight * (each - estimate) ** 2).sum() / pairs.weight.sum())
    reuse, squared = pairs.reuse(size), pairs.squared_reuse(size)
    served = float((reuse**2 - squared + (2 * reuse if both_sides else 0)).sum())
    return float((((by_row - estimate) ** 2).sum() + spread * served) ** 0.5 / count)
