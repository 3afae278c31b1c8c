"""Find what cannot be, or need not be, along one person's days: copies, stays cut up, stays and visits that meet.

Persons are numbered, and a person's day becomes one whole number (person first, then day), so that all persons lie on
one line behind each other: sorting, the furthest end so far and the stay that covers a day need no loop over persons.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor.fund.supervision.leads import as_leads
from medfloor.fund.supervision.reading import numbered
from medfloor.fund.supervision.rules import Rules
from medfloor.tables import CARE_TYPES

_INPATIENT = CARE_TYPES.index("inpatient")
_DAYS = 22
"""Bits of a day, counted from the first of year 1: enough for year 9999."""

_YEAR_ONE = 719_162
_SAME = ("who", "start", "end", "care", "where", "total_fen")
"""What a claim and its copy share; the diagnosis may be written otherwise, and claim_id is."""

Ints = npt.NDArray[np.int64]


def along_days(live: pl.DataFrame, rules: Rules) -> list[pl.DataFrame]:
    """Find copies, split stays, re-admissions, visits during a stay, stays that overlap, and two facilities at once.

    `live` are claims that nothing takes back, with the columns of `reading.NARROW`. Gives leads in the form of
    `leads.SCHEMA`, a frame a rule.
    """
    found = []
    copies = _copies(live)
    if rules["duplicate"].on:
        found.append(copies)
    # A copy would meet its original in every other rule again; one lead is enough.
    once = live.join(copies.select("claim_id"), on="claim_id", how="anti") if copies.height else live
    days = _Days.of(once)
    stays = _Stays.of(days)
    for name, work in (("split_stay", _cut_up), ("stays_overlap", _overlaps), ("visit_in_stay", _visits_inside)):
        if rules[name].on or (name == "split_stay" and rules["readmission"].on):
            found += work(days, stays, rules)
    if rules["two_facilities"].on:
        found += _two_facilities(days, stays, rules)
    return [one for one in found if one["rule"].is_empty() or rules[one["rule"][0]].on]


def _copies(live: pl.DataFrame) -> pl.DataFrame:
    """Find claims of the same person, days, facility and amount under another number; the first is no lead."""
    known = live.filter(pl.col("provider_id").is_not_null(), pl.col("total_fen") > 0)
    # Hashes are cheap and may agree by chance; only the few rows that share one are compared in full.
    hashed = known.select(pl.struct(_SAME).hash()).to_series()
    alike = known.filter(hashed.is_duplicated())
    alike = alike.filter(alike.select(pl.struct(_SAME).is_duplicated()).to_series()).sort("claim_id")
    alike = alike.with_columns(
        pl.col("claim_id").first().over(_SAME).alias("others"), pl.len().over(_SAME).alias("copies")
    )
    later = alike.filter(pl.col("claim_id") != pl.col("others"))
    return as_leads(later, "duplicate", others="others", value=pl.col("copies"), limit=1)


@dataclass(frozen=True, eq=False)
class _Days:
    """Be claims with numbers of persons and facilities: `first` and `last` are person-days, `care` the kind."""

    frame: pl.DataFrame
    first: Ints
    last: Ints
    care: npt.NDArray[np.uint8]
    provider: Ints
    diagnosis: Ints
    moved: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, frame: pl.DataFrame) -> _Days:
        person = frame["who"].to_numpy() << _DAYS
        start, end = (frame[name].to_physical().to_numpy().astype(np.int64) + _YEAR_ONE for name in ("start", "end"))
        return cls(
            frame, person + start, person + end, frame["care"].to_numpy(), frame["where"].to_numpy(),
            _groups(frame["diagnosis"]), frame["moved"].to_numpy(),
        )  # fmt: skip


def _groups(diagnoses: pl.Series) -> Ints:
    """Number diagnoses by their first three characters, from the few that there are."""
    whole = numbered(diagnoses)
    first = pl.DataFrame({"n": whole, "d": diagnoses}).unique("n")
    short = numbered(first["d"].str.head(3))
    found: Ints = whole.replace_strict(first["n"], short).to_numpy()
    return found


@dataclass(frozen=True, eq=False)
class _Stays:
    """Be stays in the order of persons and admission.

    `row` is a stay's place among the claims, `reach` the furthest person-day that it or a stay before it reaches, and
    `by` the row of the stay that reaches it. `before` and `before_by` are those of the stays before it alone.
    """

    row: Ints
    first: Ints
    reach: Ints
    by: Ints
    before: Ints
    before_by: Ints

    @classmethod
    def of(cls, days: _Days) -> _Stays:
        row = np.flatnonzero(days.care == _INPATIENT)
        row = row[np.argsort(days.first[row], kind="stable")]
        first, last = days.first[row], days.last[row]
        reach = np.maximum.accumulate(last) if row.size else last
        before = np.concatenate(([-1], reach[:-1]))[: row.size]
        by = row[np.maximum.accumulate(np.where(last > before, np.arange(row.size), 0))] if row.size else row
        before_by = np.concatenate(([0], by[:-1]))[: row.size]
        return cls(row, first, reach, by, before, before_by)


def _cut_up(days: _Days, stays: _Stays, rules: Rules) -> list[pl.DataFrame]:
    """Find admissions soon after a discharge: at the same facility, or elsewhere with the same diagnosis."""
    gap = stays.first - stays.before
    here, there = stays.row, stays.before_by
    same_person = (stays.first >> _DAYS) == (stays.before >> _DAYS)
    after = same_person & (gap >= 0) & ~days.moved[here]
    same_place = (days.provider[here] == days.provider[there]) & (days.provider[here] >= 0)
    split = after & same_place & (gap <= rules["split_stay"]["days"]) if rules["split_stay"].on else after & False
    alike = (days.diagnosis[here] == days.diagnosis[there]) & (days.diagnosis[here] >= 0)
    again = after & alike & (gap <= rules["readmission"]["days"]) & ~split
    return [
        _paired(days, here[which], there[which], name, value=gap[which], limit=rules[name]["days"])
        for name, which in (("split_stay", split), ("readmission", again))
    ]


def _overlaps(days: _Days, stays: _Stays, rules: Rules) -> list[pl.DataFrame]:
    """Find stays at one facility that begin before another there ended."""
    meeting, here, there = _meeting(days, stays)
    which = meeting & (days.provider[here] == days.provider[there])
    overlap = (stays.before - stays.first)[which]
    return [_paired(days, here[which], there[which], "stays_overlap", value=overlap, limit=0)]


def _visits_inside(days: _Days, stays: _Stays, rules: Rules) -> list[pl.DataFrame]:
    """Find visits on a day after admission and before discharge."""
    visits = np.flatnonzero(days.care != _INPATIENT)
    if not stays.row.size:
        visits = visits[:0]
    place = np.searchsorted(stays.first, days.first[visits], side="left") - 1
    inside = (place >= 0) & (stays.reach[place] > days.first[visits]) if visits.size else visits > 0
    here, there = visits[inside], stays.by[place[inside]]
    left = (stays.reach[place[inside]] - days.first[here]) if here.size else here
    return [_paired(days, here, there, "visit_in_stay", value=left, limit=0)]


def _two_facilities(days: _Days, stays: _Stays, rules: Rules) -> list[pl.DataFrame]:
    """Find stays at two facilities on the same days, and visits at two facilities within so many minutes."""
    meeting, here, there = _meeting(days, stays)
    which = meeting & (days.provider[here] != days.provider[there])
    overlap = (stays.before - stays.first)[which] * 1440.0
    limit = rules["two_facilities"]["minutes"]
    found = [_paired(days, here[which], there[which], "two_facilities", value=-overlap, limit=limit)]
    minute = days.frame["minute"].fill_null(-1).to_numpy()
    timed = np.flatnonzero((days.care != _INPATIENT) & (minute >= 0) & (days.provider >= 0))
    clock = days.first[timed] * 1440 + minute[timed]
    order = np.argsort(clock, kind="stable")
    timed, clock = timed[order], clock[order]
    here, there, apart = timed[1:], timed[:-1], np.diff(clock)
    # Minutes run on over midnight; two persons are never so near, because a person's days begin a new number.
    same = (days.first[here] >> _DAYS) == (days.first[there] >> _DAYS)
    near = same & (apart <= limit) & (days.provider[here] != days.provider[there])
    return [*found, _paired(days, here[near], there[near], "two_facilities", value=apart[near], limit=limit)]


def _meeting(days: _Days, stays: _Stays) -> tuple[npt.NDArray[np.bool_], Ints, Ints]:
    here, there = stays.row, stays.before_by
    known = (days.provider[here] >= 0) & (days.provider[there] >= 0)
    # On the day of a transfer a person may be in both, so one day is let pass.
    return (stays.before > stays.first) & known, here, there


def _paired(days: _Days, here: Ints, there: Ints, rule: str, *, value: Any, limit: float) -> pl.DataFrame:
    rows = days.frame[here].with_columns(
        days.frame["claim_id"][there].alias("others"), pl.Series("value", np.asarray(value, np.float64))
    )
    return as_leads(rows, rule, others="others", value=pl.col("value"), limit=limit)
