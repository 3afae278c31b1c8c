"""Move households' incomes through years: lasting and passing luck, and what illness or lost work takes away."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medfloor.sparing import ready
from medfloor.synthetic.assumed import Assumed
from medfloor.synthetic.draws import Array, Flags, Ints, stream
from medfloor.synthetic.illness import Illness, Members

_YEAR = 365.0
_MOST_LOST = 0.95


@dataclass(frozen=True, slots=True)
class WorkLost:
    """Be times without work for reasons other than illness: person, first and last day."""

    person: Ints
    since: Ints
    until: Ints


def weights_of(members: Members, homes: int, numbers: Assumed) -> tuple[Array, Array]:
    """Give each person's share of the household's labour, and each household's share of income that is labour's."""
    grown = (members.age >= 16) & (members.age < 65)
    old = (members.age >= 65) & (members.age < 75)
    weight = np.where(grown, 1.0, np.where(old, numbers["old_worker"], 0.0))
    whole = np.bincount(members.home, weights=weight, minlength=homes)
    some = np.bincount(members.home, weights=grown.astype(np.float64), minlength=homes) > 0
    labour = np.where(some, numbers.share("labour_share"), numbers.share("old_labour_share"))
    return weight / np.maximum(whole, 1e-9)[members.home], np.where(whole > 0, labour, 0.0)


def make_work_lost(members: Members, weight: Array, years: int, numbers: Assumed, seed: int) -> WorkLost:
    """Draw who loses work and for how long."""
    rng = stream(seed, "work lost")
    able = np.flatnonzero((weight > 0) & (members.age >= 16) & (members.age < 65))
    count = rng.poisson(numbers.share("work_lost.chance") * years, len(able))
    person = np.repeat(able, count)
    since = rng.integers(0, round(years * _YEAR), len(person))
    length = np.maximum(15, np.rint(numbers["work_lost.days"] * rng.standard_exponential(len(person))))
    return WorkLost(person, since, since + length.astype(np.int64))


def loss_of_illness(ill: Illness, weight: Array, first: Array, last: Array, numbers: Assumed) -> Array:
    """Give of each spell the years of the household's labour that it takes between two days (each of a spell, or one).

    What is taken begins a lag after the first day; while ill it is least + severe x severity of the person's part. With
    a lasting illness the recovery that there is not is cut at the first half year, after which the lasting part counts;
    otherwise the scar fades from the last day on. A carer, where another works, loses a part while somebody is ill.
    """
    begin = np.asarray(ill.since + numbers["lag"], np.float64)
    recovered = np.where(ill.lasting, np.minimum(ill.until, ill.since + 182), ill.until)
    acute = np.asarray(recovered + numbers["lag"], np.float64)
    ill_for = _overlap(begin, acute, first, last)
    lost = weight[ill.person] * (numbers["loss.least"] + numbers["loss.severe"] * ill.severity) * ill_for
    later = _overlap(acute, np.full(len(begin), np.inf), first, last) * numbers["loss.lasting"]
    fading = np.log(2) / numbers["scar_half_life"]
    left, right = (np.maximum(day - acute, 0) / _YEAR for day in (first, last))
    scar = numbers["loss.scar"] * (np.exp(-fading * left) - np.exp(-fading * right)) / fading
    lost = lost + weight[ill.person] * ill.severity * np.where(ill.lasting, later, scar)
    # One worker in a household of one has nobody who cares for him and loses by it; his own weight is then one.
    carer = numbers["loss.carer"] * ill.severity * np.minimum(0.5, 1 - weight[ill.person]) * ill_for
    return np.asarray(lost + carer, np.float64)


def loss_of_work(work: WorkLost, weight: Array, first: Array, last: Array) -> Array:
    """Give of each time without work the years of the household's labour that it takes between two days."""
    return np.asarray(weight[work.person] * _overlap(work.since, work.until, first, last), np.float64)


def _overlap(begin: Array | Ints, end: Array | Ints, first: Array, last: Array) -> Array:
    return np.asarray(np.maximum(0.0, np.minimum(end, last) - np.maximum(begin, first)) / _YEAR, np.float64)


def lost_by_year(
    ill: Illness, work: WorkLost, members: Members, weight: Array, labour: Array, years: int, numbers: Assumed
) -> Array:
    """Give the share of income that each household loses in each year (households by years), below one."""
    homes = len(labour)
    lost = np.empty((homes, years))
    for year in range(years):
        first, last = np.float64(year * _YEAR), np.float64((year + 1) * _YEAR)
        by_ill = loss_of_illness(ill, weight, np.asarray(first), np.asarray(last), numbers)
        by_work = loss_of_work(work, weight, np.asarray(first), np.asarray(last))
        taken = np.bincount(members.home[ill.person], weights=by_ill, minlength=homes)
        taken += np.bincount(members.home[work.person], weights=by_work, minlength=homes)
        lost[:, year] = labour * np.minimum(_MOST_LOST, taken)
    return lost


def healthy_incomes(income: Array, urban: Flags, years: int, numbers: Assumed, seed: int) -> Array:
    """Give incomes a head in each year (households by years) had nobody fallen ill, the first being what is given.

    The normal score of a household's rank among those of its residence has a lasting part, which forgets itself slowly,
    and a passing part; the score of a later year is read from the incomes of the first, so that every year has the same
    distribution but for chance.
    """
    ready("scipy.special")
    from scipy.special import ndtr, ndtri

    rng = stream(seed, "luck")
    passing = numbers.share("transitory")
    lasting, rho = 1 - passing, numbers["persistence"]
    paths = np.empty((len(income), years))
    for here in (urban, ~urban):
        rows = np.flatnonzero(here)
        if not len(rows):
            continue
        ranked = np.sort(income[rows])
        middle = (np.arange(len(rows)) + 0.5) / len(rows)
        score = np.empty(len(rows))
        score[np.argsort(income[rows], kind="stable")] = ndtri(middle)
        part = lasting * score + np.sqrt(lasting * passing) * rng.standard_normal(len(rows))
        paths[rows, 0] = income[rows]
        for year in range(1, years):
            part = rho * part + np.sqrt((1 - rho**2) * lasting) * rng.standard_normal(len(rows))
            score = part + np.sqrt(passing) * rng.standard_normal(len(rows))
            paths[rows, year] = np.interp(ndtr(score), middle, ranked)
    return paths
