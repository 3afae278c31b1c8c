"""Give an office's visits of a week to those whom they help most, each township its share, and nobody for ever last.

Expected harm is probability x depth in yuan x the part of it that a visit can prevent. Who would be late by the rule's
day for visits comes before who would not; of the two, the greater harm. A part of the visits is kept for townships in
proportion to their households; what a township cannot use flows back. Beside it stands first come, first served.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor.errors import InputError, UsageError
from medfloor.watch.calendar import Calendar, shipped_calendar
from medfloor.watch.deadlines import CaseRules, load_case_rules, visit_due

Method = Literal["harm", "first_come"]
Overdue = Literal["first", "by_harm"]
Ints: TypeAlias = npt.NDArray[np.int64]
Flags: TypeAlias = npt.NDArray[np.bool_]

METHODS: tuple[Method, ...] = ("harm", "first_come")
REASONS = ("overdue", "harm", "share", "first_come")
"""Why a household has its place: it would be late, its expected harm, its township's share, its turn."""
VISITS = {
    "week": pl.Int64, "from_date": pl.Date, "rank": pl.Int64, "household_id": pl.String, "township": pl.String,
    "expected_harm": pl.Float64, "reason": pl.String, "found_on": pl.Date, "due": pl.Date, "late": pl.Boolean,
    "probability": pl.Float64, "depth": pl.Float64, "preventable": pl.Float64, "signals": pl.String,
}  # fmt: skip
"""Columns of a plan: week (1 is the week that begins on the day), its first day, the place within it; harm and depth in
yuan; `late` says that the week begins after the day on which the visit was due."""
_FILE = Path(__file__).parent / "capacity.toml"
_NOWHERE = ""
_TAKEN = {
    "household_id": pl.String, "township": pl.String, "signal": pl.String, "kind": pl.String, "unit": pl.String,
    "urgency": pl.String, "spent_fen": pl.Int64, "base_fen": pl.Int64, "allowed_fen": pl.Int64,
    "probability": pl.Float64, "depth": pl.Float64, "preventable": pl.Float64,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Assumption:
    """Be one number that the office chose: value, unit, trust and what it stands for."""

    name: str
    value: float
    unit: str
    trust: str
    note: str


def queue(
    open_alerts: pl.DataFrame,
    *,
    as_of: date,
    rules: CaseRules | None = None,
    calendar: Calendar | None = None,
    numbers: Mapping[str, float] | None = None,
) -> pl.DataFrame:
    """List who waits for a visit, one row a household, the greatest expected harm first.

    `open_alerts` are alerts of a screening (`screening.ALERTS`), of which a household may have several, or any table
    with household_id; `township`, `found_on` (else as_of; the earliest counts), `probability` (of falling: a model's
    score), `depth` (yuan) and `preventable` are taken where they stand, else worked out: the probability from urgency,
    the depth from how far the amounts are beyond their line, both by `capacity.toml` with `numbers` laid over it.
    Of a household's alerts the one with the greatest harm counts. `due` is the last day for the visit by the rule.

    Raises InputError missing_column, bad_alerts.

    >>> alerts = pl.DataFrame({"household_id": ["h1", "h2"], "probability": [0.5, 0.1], "depth": [4000.0, 30000.0],
    ...     "preventable": [1.0, 1.0], "found_on": [date(2026, 3, 2), date(2026, 2, 2)]})
    >>> queue(alerts, as_of=date(2026, 3, 9)).select("household_id", "expected_harm", "waited_days").rows()
    [('h2', 3000.0, 35), ('h1', 2000.0, 7)]
    """
    rows = weighed(open_alerts, as_of=as_of, numbers=numbers)
    best = rows.sort("expected_harm", "signal", "depth", "probability", descending=[True, False, True, True])
    one = best.group_by("household_id", maintain_order=True).agg(
        pl.col("township").drop_nulls().min().fill_null(_NOWHERE),
        pl.col("found_on").min(),
        pl.col("expected_harm", "probability", "depth", "preventable").first(),
        pl.col("signal").drop_nulls().unique().sort().str.join(";").alias("signals"),
    )
    rules = load_case_rules("cn", on=as_of) if rules is None else rules
    calendar = shipped_calendar() if calendar is None else calendar
    due = {day: visit_due(day, rules, calendar).day for day in one["found_on"].unique().to_list()}
    return one.with_columns(
        pl.col("found_on").replace_strict(due, return_dtype=pl.Date).alias("due"),
        (pl.lit(as_of) - pl.col("found_on")).dt.total_days().alias("waited_days"),
    ).sort("expected_harm", "found_on", "household_id", descending=[True, False, False])


def weighed(alerts: pl.DataFrame, *, as_of: date, numbers: Mapping[str, float] | None = None) -> pl.DataFrame:
    """Put probability, depth, the preventable part and the expected harm (yuan) to each alert; other columns stay.

    Raises InputError missing_column, bad_alerts (a number that cannot be, a column that is not of its kind).

    >>> alerts = pl.DataFrame({"household_id": ["h"], "urgency": ["soon"], "kind": ["burden"], "unit": ["yuan"],
    ...     "spent_fen": [900_000], "allowed_fen": [500_000]})
    >>> weighed(alerts, as_of=date(2026, 3, 2)).select("probability", "depth", "preventable", "expected_harm").row(0)
    (0.5, 4000.0, 0.7, 1400.0)
    """
    if "household_id" not in alerts.columns:
        raise InputError("missing_column", "the alerts have no column household_id; give those of `watch screen`")
    told = assumptions() | dict(numbers or {})
    found = "found_on" if "found_on" in alerts.columns else "as_of"
    try:
        rows = alerts.with_columns(
            _column(alerts, name, kind).alias(name) for name, kind in {found: pl.Date, **_TAKEN}.items()
        )
    except pl.exceptions.PolarsError:
        raise InputError("bad_alerts", "a column of the alerts is not of its kind: days, numbers, texts") from None
    urgency = {name: told[f"probability_{name}"] for name in ("routine", "soon", "urgent")}
    part = {name.removeprefix("preventable_"): value for name, value in told.items() if "preventable_" in name}
    spent = pl.col("spent_fen") - pl.col("allowed_fen")
    beyond = (
        pl.when(pl.col("spent_fen").is_not_null()).then(spent).otherwise(pl.col("allowed_fen") - pl.col("base_fen"))
    )
    amount = pl.when(pl.col("unit") == "yuan").then(beyond.clip(lower_bound=0) / 100)
    rows = rows.with_columns(
        pl.col(found).fill_null(as_of).alias("found_on"),
        pl.col("probability").fill_null(
            pl.col("urgency").replace_strict(urgency, default=urgency["routine"], return_dtype=pl.Float64)
        ),
        pl.col("depth").fill_null(amount).fill_null(told["depth_without_amount"]),
        pl.col("preventable").fill_null(pl.col("kind").replace_strict(part, default=1.0, return_dtype=pl.Float64)),
    )
    odd = ~pl.col("probability").is_between(0, 1) | ~pl.col("preventable").is_between(0, 1) | ~(pl.col("depth") >= 0)
    unusable = pl.col("household_id").is_null() | odd | pl.col("depth").is_infinite() | pl.col("depth").is_nan()
    bad = rows.filter(unusable).height
    if bad:
        raise InputError(
            "bad_alerts",
            f"{bad} alerts have no household_id, or a probability or preventable part that is not from 0 to 1, or a "
            "depth that is no amount; correct them",
        )
    harm = (pl.col("probability") * pl.col("depth") * pl.col("preventable")).round(2)
    return rows.with_columns(harm.alias("expected_harm"))


def plan_visits(
    open_alerts: pl.DataFrame,
    *,
    capacity: int,
    as_of: date,
    share: float | None = None,
    method: Method = "harm",
    weeks: int | None = None,
    overdue: Overdue = "first",
    households: Mapping[str, int] | None = None,
    rules: CaseRules | None = None,
    calendar: Calendar | None = None,
    numbers: Mapping[str, float] | None = None,
) -> pl.DataFrame:
    """Plan visits week by week from a day on, `capacity` a week, until all have one or `weeks` are over (`VISITS`).

    `share` (0 to 1, by default that of `capacity.toml`) is the part of the visits kept for townships in proportion to
    `households` (counts by township; by default those that wait). After every week, a township has had at least its
    credits (`credits`) or has nobody left. `method` first_come takes the earliest found first and keeps the shares.
    `overdue` by_harm lets harm alone decide, whatever is late. The order of rows changes nothing.

    Raises UsageError bad_capacity, and what `queue` raises.

    >>> alerts = pl.DataFrame({"household_id": ["h1", "h2", "h3"], "township": ["east", "east", "west"],
    ...     "probability": [0.9, 0.8, 0.1], "depth": [5000.0, 5000.0, 1000.0], "preventable": [1.0, 1.0, 1.0],
    ...     "found_on": [date(2026, 3, 2)] * 3})
    >>> plan = plan_visits(alerts, capacity=2, as_of=date(2026, 3, 2), share=0.5, households={"east": 1, "west": 1})
    >>> plan.select("week", "household_id", "reason").rows()
    [(1, 'h1', 'overdue'), (1, 'h2', 'overdue'), (2, 'h3', 'overdue')]
    """
    waiting = queue(open_alerts, as_of=as_of, rules=rules, calendar=calendar, numbers=numbers)
    return plan_queue(
        waiting, capacity=capacity, as_of=as_of, share=share, method=method, weeks=weeks, overdue=overdue,
        households=households,
    )  # fmt: skip


def plan_queue(
    waiting: pl.DataFrame,
    *,
    capacity: int,
    as_of: date,
    share: float | None = None,
    method: Method = "harm",
    weeks: int | None = None,
    overdue: Overdue = "first",
    households: Mapping[str, int] | None = None,
) -> pl.DataFrame:
    """Do what `plan_visits` does with a queue that is made already, so that two orders of it can be held side by side.

    Raises UsageError bad_capacity.
    """
    share = assumptions()["fair_share"] if share is None else share
    _check(capacity, share, method, weeks, overdue)
    names = sorted(set(waiting["township"].to_list()) | set(households or {}))
    place = {name: n for n, name in enumerate(names)}
    township = np.array([place[name] for name in waiting["township"]], np.int64)
    counts = np.bincount(township, minlength=len(names)) if households is None else _counted(households, names)
    order = order_of(waiting, method)
    due = _day_numbers(waiting["due"])
    left = np.ones(waiting.height, np.bool_)
    rows: list[tuple[int, int, int, str]] = []
    visited = np.zeros(len(names), np.int64)
    week = 0
    while left.any() and capacity and (weeks is None or week < weeks):
        last = (as_of + timedelta(days=7 * week + 6)).toordinal()
        pressing = (due <= last) if (method, overdue) == ("harm", "first") else np.zeros(len(due), np.bool_)
        owed = credits(tuple(counts.tolist()), capacity, str(share), week + 1) - visited
        chosen, reasons = give_week(order, pressing, township, left, capacity=capacity, owed=owed)
        week += 1
        for rank, (row, why) in enumerate(zip(chosen.tolist(), reasons, strict=True), 1):
            rows.append((week, rank, row, "first_come" if method == "first_come" and why != "share" else why))
        left[chosen] = False
        visited += np.bincount(township[chosen], minlength=len(names))
    return _planned(waiting, rows, as_of)


def give_week(
    order: Ints, pressing: Flags, township: Ints, left: Flags, *, capacity: int, owed: Ints
) -> tuple[Ints, list[str]]:
    """Choose whom to visit in one week: rows in the order of visits, and why each.

    `order` lists all rows, the first first; `pressing` says who comes before others, `left` who still waits, `owed` how
    many visits each township is behind its credits (by the number in `township`). What is owed is given first, to the
    one that is most behind; the rest goes by the order alone. Nobody is visited who is not `left`.

    >>> order, nobody = np.array([0, 1, 2]), np.zeros(3, np.bool_)
    >>> chosen, why = give_week(order, nobody, np.array([0, 0, 1]), ~nobody, capacity=2, owed=np.array([0, 1]))
    >>> chosen.tolist(), why
    ([0, 2], ['harm', 'share'])
    """
    line = order[left[order]]
    line = np.concatenate([line[pressing[line]], line[~pressing[line]]])
    plain = {int(row) for row in line[:capacity]}
    taken: set[int] = set()
    behind = np.array(owed, np.int64)
    waiting = {town: iter(line[township[line] == town].tolist()) for town in np.flatnonzero(behind > 0).tolist()}
    while waiting and len(taken) < capacity:
        town = max(waiting, key=lambda one: (behind[one], -one))
        row = next(waiting[town], None)
        if row is not None:
            taken.add(row)
            behind[town] -= 1
        if row is None or behind[town] <= 0:
            del waiting[town]
    for row in line[: capacity + len(taken)].tolist():
        if len(taken) >= capacity:
            break
        taken.add(row)
    chosen = line[np.isin(line, list(taken))].astype(np.int64)
    return chosen, ["share" if row not in plain else "overdue" if pressing[row] else "harm" for row in chosen.tolist()]


@functools.lru_cache(maxsize=4096)
def _credited(households: tuple[int, ...], capacity: int, share: str, week: int) -> tuple[int, ...]:
    """Hand out the credits of all weeks up to one, each to the township that is furthest behind its exact part."""
    if week <= 0 or not sum(households):
        return (0,) * len(households)
    before = _credited(households, capacity, share, week - 1)
    part = Fraction(share)
    total = sum(households) * part.denominator
    exact = [part.numerator * capacity * week * count for count in households]
    given = list(before)
    for _ in range(int(part * capacity * week) - int(part * capacity * (week - 1))):
        town = max(range(len(given)), key=lambda one: (exact[one] - given[one] * total, -one))
        given[town] += 1
    return tuple(given)


def credits(households: tuple[int, ...], capacity: int, share: str, week: int) -> Ints:
    """Say how many of the visits up to the end of a week are each township's own, given how many households it has.

    All together they are the whole part of share x capacity x weeks; small townships have theirs in some weeks only.

    >>> [credits((60, 30, 10), 2, "0.5", week).tolist() for week in (1, 2, 3, 10)]
    [[1, 0, 0], [1, 1, 0], [2, 1, 0], [6, 3, 1]]
    """
    # Earlier weeks first, so that no week calls far down.
    for earlier in range(50, week, 50):
        _credited(households, capacity, share, earlier)
    return np.array(_credited(households, capacity, share, week), np.int64)


def order_of(waiting: pl.DataFrame, method: Method) -> Ints:
    """Order rows of a queue: by harm (then the earliest found, then the id), or by the day found (then the id)."""
    by = (["found_on", "household_id"], False) if method == "first_come" else (
        ["expected_harm", "found_on", "household_id"], [True, False, False])  # fmt: skip
    rows = waiting.with_row_index("_row").sort(by[0], descending=by[1])["_row"]
    return rows.cast(pl.Int64).to_numpy()


def assumptions() -> dict[str, float]:
    """Give the numbers of `capacity.toml` by name.

    >>> assumptions()["fair_share"]
    0.3
    """
    return {one.name: one.value for one in all_assumptions()}


@functools.cache
def all_assumptions() -> tuple[Assumption, ...]:
    """Give the numbers of `capacity.toml` with unit, trust and note."""
    given = tomllib.loads(_FILE.read_text(encoding="utf-8"))["numbers"]
    return tuple(Assumption(name, float(one.pop("value")), **one) for name, one in given.items())


def _check(capacity: int, share: float, method: str, weeks: int | None, overdue: str) -> None:
    if capacity < 0 or (weeks is not None and weeks < 1):
        raise UsageError("bad_capacity", f"{capacity} visits in {weeks} weeks: give whole numbers, 0 visits or more")
    if not 0 <= share <= 1:
        raise UsageError("bad_capacity", f"a share of {share:g}: give a number from 0 (none is kept) to 1 (all are)")
    if method not in METHODS or overdue not in ("first", "by_harm"):
        raise UsageError(
            "bad_capacity", f"{method}, {overdue}: the method is harm or first_come, overdue first or by_harm"
        )


def _column(alerts: pl.DataFrame, name: str, kind: type[pl.DataType]) -> pl.Expr:
    if name not in alerts.columns:
        return pl.lit(None, dtype=kind)
    if kind == pl.Date and alerts.schema[name] == pl.String:
        return pl.col(name).str.to_date("%Y-%m-%d")
    return pl.col(name).cast(kind)


def _counted(households: Mapping[str, int], names: list[str]) -> Ints:
    if any(count < 0 for count in households.values()):
        raise UsageError("bad_capacity", "a township has fewer than no households; give counts")
    return np.array([households.get(name, 0) for name in names], np.int64)


def _day_numbers(days: pl.Series) -> Ints:
    return np.array([day.toordinal() for day in days.to_list()], np.int64)


def _planned(waiting: pl.DataFrame, rows: list[tuple[int, int, int, str]], as_of: date) -> pl.DataFrame:
    at = pl.DataFrame(rows, schema=["week", "rank", "_row", "reason"], orient="row") if rows else None
    if at is None:
        return pl.DataFrame(schema=VISITS)
    first = pl.lit(as_of) + pl.duration(days=7 * (pl.col("week") - 1))
    found = pl.concat([at.drop("_row"), waiting[at["_row"].to_list()]], how="horizontal")
    return found.with_columns(first.cast(pl.Date).alias("from_date")).with_columns(
        (pl.col("from_date") > pl.col("due")).alias("late")
    ).select(pl.col(name).cast(kind) for name, kind in VISITS.items())  # fmt: skip
