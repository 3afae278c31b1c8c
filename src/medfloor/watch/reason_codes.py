"""Say of each household why a model scores it as it does, in yuan and words, and with what spending it would not alert.

A model adds up contributions. Those of features that say nearly the same (own payments in all, inside the scope, of the
last months) are told as one reason, because a model shares them out among such features as it likes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor.errors import InputError, UsageError
from medfloor.money import group_yuan
from medfloor.watch.features import derive
from medfloor.watch.risk import Model
from medfloor.words import say

THEMES: dict[str, tuple[str, ...]] = {
    "spending": ("own_in_scope", "own_total", "own_late", "own_top", "own_share"),
    "change": ("own_previous", "own_rise"),
    "income": ("income_head", "line_ratio", "left_ratio", "room_head", "below_now"),
    "members": ("size", "children", "elders", "oldest"),
    "labour": ("labour",),
    "residence": ("rural",),
    "illness": ("chronic", "stays", "visits"),
    "absent_care": ("months_since_care",),
    "status": ("status_poor", "status_monitored"),
    "not_enrolled": ("not_enrolled",),
}
"""Reason -> the features that it stands for; every feature is in one."""

COUNTERFACTUAL = {
    "household_id": pl.String, "found": pl.String, "allowed_fen": pl.Int64, "down_to_fen": pl.Int64,
    "own_fen": pl.Int64,
}  # fmt: skip
"""Columns of `counterfactuals`: who, what was found (below, between, never, not_alerted), the largest yearly own
payments (fen) with which it would not be alerted, the least of that same stretch, and what they are now."""

Alerted = Callable[[pl.DataFrame], npt.NDArray[np.bool_]]
"""Says of each row of features whether it would be alerted."""

_PARTS = ("own_in_scope_fen", "own_top_fen", "own_late_fen")
_FIXED = ("own_previous_fen", "income_fen", "line_fen", "allowed_fen", "size")
_ROWS = 200_000
_EVEN, _RISING = 40, 24
_LEAST = math.log(1.05)
"""What raises the odds by less than a twentieth is told as a factor of 1.0, and is no reason."""


def reason_codes(model: Model, features: pl.DataFrame, *, most: int = 3) -> pl.DataFrame:
    """Give the largest contributions that raise a household's score, at most `most` of them, the largest first.

    `features` are those of `medfloor.watch.features.features`. One row a household and reason: household_id, rank (from
    1), reason (of THEMES), contribution (log odds from the mean of the training's households on), odds (the factor by
    which it multiplies the odds). A household has fewer rows where fewer contributions raise its odds by a twentieth,
    and none where none does. What lowers the score is not a reason to visit, and is not listed.

    Raises UsageError bad_count, InputError missing_column.
    """
    if most < 1:
        raise UsageError("bad_count", f"{most} reasons say nothing; ask for one or more")
    named, parts = _by_theme(model, features)
    # A stable sort keeps the order of THEMES among equals, so that the same household has the same reasons twice.
    order = np.argsort(-parts, axis=1, kind="stable")[:, :most]
    largest = np.take_along_axis(parts, order, axis=1)
    rows = np.repeat(np.arange(features.height), order.shape[1])
    frame = pl.DataFrame({
        "row": rows, "rank": np.tile(np.arange(1, order.shape[1] + 1), features.height),
        "reason": pl.Series(np.asarray(named, dtype=object)[order.reshape(-1)].tolist(), dtype=pl.String),
        "contribution": largest.reshape(-1),
    })  # fmt: skip
    kept = frame.filter(pl.col("contribution") >= _LEAST)
    return kept.select(
        features["household_id"].gather(kept["row"]).alias("household_id"),
        pl.col("rank").cast(pl.Int64),
        "reason",
        "contribution",
        pl.col("contribution").exp().alias("odds"),
    )


def reasons(model: Model, features: pl.DataFrame, lang: str, *, most: int = 3) -> pl.DataFrame:
    """Put the largest contributions into words: household_id, reason_1, reason_2, ..., in the order of `features`.

    A reason that there is not is null. Raises what `reason_codes` raises, UsageError unknown_language.
    """
    codes = reason_codes(model, features, most=most)
    rows = features.join(
        codes.pivot("rank", index="household_id", values=["reason", "odds"]), on="household_id", how="left",
        maintain_order="left",
    )  # fmt: skip
    told: dict[str, list[str | None]] = {f"reason_{rank}": [] for rank in range(1, most + 1)}
    for row in rows.iter_rows(named=True):
        for rank in range(1, most + 1):
            reason = row.get(f"reason_{rank}")
            odds = row.get(f"odds_{rank}")
            told[f"reason_{rank}"].append(None if reason is None or odds is None else _told(reason, odds, row, lang))
    return pl.DataFrame({"household_id": rows["household_id"]} | {
        name: pl.Series(values, dtype=pl.String) for name, values in told.items()
    })  # fmt: skip


def line_at(scores: npt.ArrayLike, capacity: int) -> float:
    """Give the score at which one more household would not be visited: that of the first below the capacity.

    A household that scores less than this is not visited; where all can be visited it is minus infinity.

    >>> line_at([0.9, 0.2, 0.5], 1), line_at([0.9, 0.2], 2)
    (0.5, -inf)
    """
    if capacity < 1:
        raise UsageError("bad_count", f"a capacity of {capacity} visits nobody; give one or more")
    ordered = np.sort(np.asarray(scores, float))[::-1]
    return float(ordered[capacity]) if capacity < len(ordered) else -math.inf


def by_model(model: Model, line: float) -> Alerted:
    """Alert who scores at or above a line."""
    return lambda features: np.asarray(model.score(features) >= line, bool)


def by_rule(features: pl.DataFrame) -> npt.NDArray[np.bool_]:
    """Alert by the official rule: the member who bore most bore more than the line allows.

    >>> by_rule(pl.DataFrame({"rule_score": [1.0, 1.01, None]})).tolist()
    [False, True, False]
    """
    return (features["rule_score"] > 1).fill_null(value=False).to_numpy()


def counterfactuals(alerted: Alerted, features: pl.DataFrame) -> pl.DataFrame:
    """Find with what yearly own payments each household would not be alerted, everything else as it is.

    Less spending means less of each part: what is inside the scope, of the last months and of the member who bore most
    fall in proportion, to whole fen; income, illness, stays and last year's payments stay. `allowed_fen` is exact: at
    it the household is not alerted, and at one fen more it is; both were asked of the model. The search looks from what
    is paid now downwards at 64 amounts, close together near zero, and halves what lies between. Where the alert is
    monotone in spending, as the official rule's is, there is one such amount and no other; a model need not be (a rise
    over last year may count either way), and a stretch between two of the amounts can be missed there. `found` is below
    (with `allowed_fen` or anything less it would not be alerted), between (with less than `down_to_fen` it would be
    alerted again), never (no lower amount that was asked helps) or not_alerted.

    Raises InputError missing_column.
    """
    needed = (
        "household_id",
        "own_total_fen",
        *_PARTS,
        "own_previous_fen",
        "income_fen",
        "line_fen",
        "allowed_fen",
        "size",
    )
    lacking = [name for name in needed if name not in features.columns]
    if lacking:
        raise InputError("missing_column", f"features has no column {lacking[0]}; give those of watch.features")
    now = alerted(features)
    made = [_searched(alerted, part) for part in _slices(features.filter(pl.Series(now)))]
    quiet = features.filter(pl.Series(~now)).select(
        "household_id", pl.lit("not_alerted").alias("found"), pl.lit(None, pl.Int64).alias("allowed_fen"),
        pl.lit(None, pl.Int64).alias("down_to_fen"), pl.col("own_total_fen").alias("own_fen"),
    )  # fmt: skip
    found = pl.concat([pl.DataFrame(schema=COUNTERFACTUAL), *made, quiet.cast(COUNTERFACTUAL)])  # type: ignore[arg-type]
    return features.select("household_id").join(found, on="household_id", maintain_order="left")


def unless_of(row: Mapping[str, Any], lang: str) -> str:
    """Put a row of `counterfactuals` into words.

    >>> unless_of({"found": "below", "allowed_fen": 2065700, "down_to_fen": 0}, "en")
    'It would not be alerted if own payments of the year were 20,657.00 yuan or less.'
    """
    amounts = {name: group_yuan(row[f"{name}_fen"] or 0) for name in ("allowed", "down_to")}
    return say(f"watch_counterfactual.{row['found']}", lang, **amounts)


def unless(model: Model, features: pl.DataFrame, line: float, lang: str) -> pl.DataFrame:
    """Put into words with what own payments each household would not be alerted, by a model and by the official rule.

    Columns household_id, unless (of the model), rule_unless (of the official rule), in the order of `features`. Raises
    what `counterfactuals` raises, UsageError unknown_language.
    """
    said = {"household_id": features["household_id"]}
    for name, alerted in (("unless", by_model(model, line)), ("rule_unless", by_rule)):
        rows = counterfactuals(alerted, features).iter_rows(named=True)
        said[name] = pl.Series([unless_of(row, lang) for row in rows], dtype=pl.String)
    return pl.DataFrame(said)


def with_spending(features: pl.DataFrame, own_fen: pl.Series) -> pl.DataFrame:
    """Give households as they would look with other yearly own payments (fen), the parts in proportion."""
    total = pl.col("own_total_fen")
    # Two amounts of fen, multiplied, can go beyond 64 bits.
    parts = [
        pl.when(total > 0).then(pl.col(name).cast(pl.Int128) * pl.col("_own") // total).otherwise(pl.col(name))
        .cast(pl.Int64).alias(name)
        for name in _PARTS
    ]  # fmt: skip
    moved = features.with_columns(own_fen.cast(pl.Int64).alias("_own")).with_columns(parts)
    return derive(moved.with_columns(pl.col("_own").alias("own_total_fen")).drop("_own"))


def _by_theme(model: Model, features: pl.DataFrame) -> tuple[list[str], npt.NDArray[np.float64]]:
    parts = model.parts(features)
    of = {name: place for place, name in enumerate(model.features)}
    named = [theme for theme, names in THEMES.items() if any(name in of for name in names)]
    sums = [parts[:, [of[name] for name in THEMES[theme] if name in of]].sum(axis=1) for theme in named]
    return named, np.column_stack(sums) if sums else np.empty((features.height, 0))


def _told(reason: str, odds: float, row: Mapping[str, Any], lang: str) -> str:
    asked = {
        "spending": "own_total", "change": "own_previous", "income": "income_head", "members": "oldest",
        "labour": "labour", "residence": "rural", "illness": "chronic", "absent_care": "months_since_care",
        "status": "status_poor", "not_enrolled": "not_enrolled",
    }[reason]  # fmt: skip
    kind = reason
    if row.get(asked) is None:
        kind = f"{reason}_unknown"
    elif reason == "residence":
        kind = "residence_rural" if row["rural"] else "residence_urban"
    elif reason == "status":
        kind = "status_poor" if row["status_poor"] else "status_monitored" if row["status_monitored"] else "status_none"
    elif reason == "change":
        more = (row["own_total_fen"] or 0) - (row["own_previous_fen"] or 0)
        kind = "change_more" if more > 0 else "change_less" if more < 0 else "change_same"
    return say("watch_reason.with_odds", lang, reason=say(f"watch_reason.{kind}", lang, **_values(row)),
               odds=f"{odds:.1f}" if odds < 100 else f"{odds:,.0f}")  # fmt: skip


def _values(row: Mapping[str, Any]) -> dict[str, str]:
    """Give what sentences may name; each takes what it needs."""
    own, previous, income = (row[f"{one}_fen"] or 0 for one in ("own_total", "own_previous", "income"))
    size = max(1, int(row["size"] or 1))
    amounts = {
        "own": own, "own_in_scope": row["own_in_scope_fen"] or 0, "previous": previous, "more": abs(own - previous),
        "income_head": income // size, "left_head": (income - own) // size, "line": row["line_fen"] or 0,
    }  # fmt: skip
    counts = ("size", "children", "elders", "oldest", "labour", "chronic", "stays", "visits", "not_enrolled")
    numbers = {name: f"{row.get(name) or 0:.0f}" for name in counts}
    return {name: group_yuan(value) for name, value in amounts.items()} | numbers | {
        "months": f"{row.get('months_since_care') or 0:.0f}"
    }  # fmt: skip


def _slices(features: pl.DataFrame) -> list[pl.DataFrame]:
    return list(features.iter_slices(max(1, _ROWS // (_EVEN + _RISING)))) if features.height else []


def _searched(alerted: Alerted, features: pl.DataFrame) -> pl.DataFrame:
    """Search some households at once; all of them are alerted now."""
    own = features["own_total_fen"].fill_null(0).to_numpy().astype(np.int64)
    grid = _grid(own)
    many, wide = grid.shape
    spread = features[np.repeat(np.arange(many), wide)]
    safe = ~alerted(with_spending(spread, pl.Series(grid.reshape(-1)))).reshape(many, wide)
    # The last column is what is paid now, which alerts; at or beyond a dip there is always an alert to its right.
    safe[:, -1] = False
    any_safe = np.asarray(safe.any(axis=1), bool)
    at = wide - 1 - np.argmax(safe[:, ::-1], axis=1)
    rows = np.arange(many)
    high = _halved(alerted, features, grid[rows, at], grid[rows, np.minimum(at + 1, wide - 1)], any_safe)
    before = np.where(~safe & (np.arange(wide) < at[:, None]), np.arange(wide), -1).max(axis=1)
    dips = np.logical_and(any_safe, before >= 0)
    low = _halved(alerted, features, grid[rows, np.maximum(before, 0) + 1], grid[rows, np.maximum(before, 0)], dips)
    low = np.where(dips, low, 0)
    found = np.where(~any_safe, "never", np.where(dips, "between", "below"))
    return pl.DataFrame({
        "household_id": features["household_id"], "found": pl.Series(found.tolist(), dtype=pl.String),
        "allowed_fen": pl.Series(high), "down_to_fen": pl.Series(low), "own_fen": pl.Series(own),
    }).with_columns(
        pl.when(pl.col("found") != "never").then(pl.col("allowed_fen", "down_to_fen"))
    ).cast(COUNTERFACTUAL)  # type: ignore[arg-type]  # fmt: skip


def _grid(own: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Give amounts from 0 to what is paid now: evenly apart, and close together near zero, where logs change fast."""
    even = own[:, None] * np.arange(_EVEN + 1) // _EVEN
    rising = np.power(np.maximum(own, 1)[:, None].astype(float), np.arange(1, _RISING) / _RISING).astype(np.int64)
    return np.sort(np.concatenate([even, np.minimum(rising, own[:, None])], axis=1), axis=1)


def _halved(
    alerted: Alerted,
    features: pl.DataFrame,
    safe: npt.NDArray[np.int64],
    unsafe: npt.NDArray[np.int64],
    wanted: npt.NDArray[np.bool_],
) -> npt.NDArray[np.int64]:
    """Halve what lies between a safe and an alerted amount until they are one fen apart, and give the safe one."""
    safe, unsafe = safe.copy(), unsafe.copy()
    while True:
        apart = np.flatnonzero(wanted & (np.abs(unsafe - safe) > 1))
        if not len(apart):
            return safe
        middle = (safe[apart] + unsafe[apart]) // 2
        fires = alerted(with_spending(features[apart], pl.Series(middle)))
        unsafe[apart] = np.where(fires, middle, unsafe[apart])
        safe[apart] = np.where(fires, safe[apart], middle)
