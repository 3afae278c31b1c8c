"""Tell spells of illness from a county's claims: when somebody fell ill, how badly, and whether it ends.

The claims are left as they are, because they are calibrated (who is dear stays so as often as was published). A spell
begins before the stay in hospital by which it is known, lasts beyond it, and takes in the stays that follow before it
is over. Who has no claims in the tables (employees, the uninsured) falls ill as a resident of the same age and sex.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from medfloor.synthetic.assumed import Assumed
from medfloor.synthetic.draws import Array, Flags, Ints, chosen, stream

FAR = 10**6
"""A day that is never reached: an illness that does not end."""
_MOST_LEAD = 60
_AGE_BAND = 5


@dataclass(frozen=True, slots=True)
class Members:
    """Be the people of a county by place in its table: household, age on 1 January of the first year, and the rest."""

    home: Ints
    age: Ints
    male: Flags
    major: Flags
    resident: Flags


@dataclass(frozen=True, slots=True)
class Illness:
    """Be spells of illness in order of person and first day; no two of a person overlap.

    `person` is a place among people; days count from 1 January of the first year. `known` is the day of the first stay,
    `until` the last day, or FAR. `severity` is that of the worst stay, 0 to 1. `lasting` does not end.
    """

    person: Ints
    since: Ints
    known: Ints
    until: Ints
    severity: Array
    lasting: Flags


def make_illness(claims: pl.DataFrame, members: Members, last_day: int, numbers: Assumed, seed: int) -> Illness:
    """Make the spells of all people.

    `claims` has, in any order, person (a place among people), start and end (days), inpatient and total (yuan).
    """
    stays = claims.filter(pl.col("inpatient")).sort("person", "start", "end", "total")
    found = _merged(_of_stays(stays, members, last_day, numbers, stream(seed, "illness")))
    return _with_others(found, members, stream(seed, "illness of others"))


def _of_stays(
    stays: pl.DataFrame, members: Members, last_day: int, numbers: Assumed, rng: np.random.Generator
) -> Illness:
    person, start, end = (stays[name].to_numpy().astype(np.int64) for name in ("person", "start", "end"))
    total = stays["total"].to_numpy()
    count = len(person)
    least, most = numbers["severity.from"], numbers["severity.to"]
    severity = np.clip(np.log(np.maximum(total, 1.0) / least) / np.log(most / least), 0.0, 1.0)
    lead = np.minimum(_MOST_LEAD, np.rint(numbers["lead"] * rng.standard_exponential(count))).astype(np.int64)
    logs = np.log(numbers["recovery.least"]) + numbers["recovery.slope"] * severity
    recovery = np.exp(logs + numbers["recovery.spread"] * rng.standard_normal(count))
    weight = severity**2 * np.where(members.major[person], numbers["lasting.major"], 1.0)
    weight *= 1 + numbers["lasting.again"] * _in_later_years(person, start)
    lasting = chosen(weight, round(numbers.share("lasting.share") * count), rng)
    until = np.where(lasting, FAR, np.minimum(end + np.rint(recovery).astype(np.int64), last_day + FAR // 2))
    return Illness(person, start - lead, start, until, severity, lasting)


def _in_later_years(person: Ints, start: Ints) -> Array:
    """Count for each stay those of the same person that begin more than a year later."""
    if not len(person):
        return np.zeros(0)
    key = person * FAR + start  # rising, because stays come in order
    last = np.searchsorted(person, person, side="right")
    return np.asarray(last - np.minimum(last, np.searchsorted(key, key + 365, side="right")), np.float64)


def _merged(one: Illness) -> Illness:
    """Join spells of a person that touch; the first day is the earliest, the severity the worst."""
    if not len(one.person):
        return one
    order = np.lexsort((one.since, one.person))
    person, since, until = one.person[order], one.since[order], one.until[order]
    wide = 4 * FAR
    reached = np.maximum.accumulate(person * wide + until) - person * wide
    new = np.ones(len(person), np.bool_)
    new[1:] = (person[1:] != person[:-1]) | (since[1:] > reached[:-1] + 1)
    first = np.flatnonzero(new)
    last = np.append(first[1:], len(person)) - 1
    return Illness(
        person[first],
        since[first],
        np.minimum.reduceat(one.known[order], first),
        np.minimum(FAR, reached[last]),
        np.maximum.reduceat(one.severity[order], first),
        np.maximum.reduceat(one.lasting[order], first),
    )


def _with_others(found: Illness, members: Members, rng: np.random.Generator) -> Illness:
    """Let those without claims in the tables fall ill as a resident of the same age and sex did."""
    stratum = np.minimum(members.age, 99) // _AGE_BAND * 2 + members.male
    others = np.flatnonzero(~members.resident)
    donor = np.full(len(stratum), -1)
    for one in np.unique(stratum[others]):
        here = others[stratum[others] == one]
        among = np.flatnonzero(members.resident & (stratum == one))
        if len(among):
            donor[here] = rng.choice(among, len(here))
    others = others[donor[others] >= 0]
    begin = np.searchsorted(found.person, donor[others], side="left")
    count = np.searchsorted(found.person, donor[others], side="right") - begin
    taken = np.repeat(begin - np.cumsum(count) + count, count) + np.arange(int(count.sum()))
    person = np.concatenate([found.person, np.repeat(others, count)])
    row = np.concatenate([np.arange(len(found.person)), taken])
    order = np.lexsort((found.since[row], person))
    row = row[order]
    return Illness(
        person[order], found.since[row], found.known[row], found.until[row], found.severity[row], found.lasting[row]
    )
