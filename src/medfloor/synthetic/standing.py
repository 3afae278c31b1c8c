"""Give people their insurance and their dated statuses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medfloor.synthetic.draws import Array, Flags, Ints, chosen, labels_of, stream
from medfloor.synthetic.health import Health
from medfloor.synthetic.homes import Homes
from medfloor.synthetic.means import Means
from medfloor.synthetic.place import Place
from medfloor.tables import SCHEMES

RESIDENT, EMPLOYEE, NONE = (SCHEMES.index(name) for name in ("resident", "employee", "none"))
DETAILS = ("unstable", "edge", "sudden_difficulty")
_WORKING_FROM = 22
_TEKUN_FROM = 60
RUNNING = -(10**6)


@dataclass(frozen=True)
class Enrolment:
    """Be how people are insured: scheme (a place in `tables.SCHEMES`), years without a gap, years without a claim."""

    scheme: Ints
    continuous_years: Ints
    claim_free_years: Ints
    family_doctor: Flags


@dataclass(frozen=True)
class Spells:
    """Be dated statuses, in order of people.

    `person` is a place among people, `since` and `until` are days counted from 1 January of the first year, both
    included; `until` is RUNNING where a status still runs.
    """

    person: Ints
    group: list[str]
    since: Ints
    until: Ints
    detail: list[str | None]


def make_enrolment(place: Place, homes: Homes, means: Means, seed: int) -> Enrolment:
    """Insure people: employees are adults, mostly in town and better off; a few people have no insurance."""
    rng = stream(seed, "enrolment")
    n = homes.people
    scheme = np.full(n, RESIDENT)
    urban = homes.urban[homes.home]
    grown = homes.age >= _WORKING_FROM
    weight = np.where(grown, np.exp(1.1 * urban + 0.6 * means.standing - 0.012 * np.abs(homes.age - 45)), 0.0)
    employee = chosen(weight, round(place.share("insurance.employees") * n), rng)
    scheme[employee] = EMPLOYEE
    without = n - int(employee.sum()) - round(place.share("insurance.residents") * n)
    weight = np.where(employee, 0.0, np.where(homes.age < 35, 2.0, 1.0) * np.exp(-0.2 * means.standing))
    scheme[chosen(weight, max(0, without), rng)] = NONE
    given = place.parts("insurance.continuous_years")
    years = np.array([int(text) for text in given])[labels_of(list(given.values()), n, rng)]
    years = np.minimum(years, homes.age)
    free = (rng.random(n) < place.share("insurance.claim_free")).astype(np.int64)
    doctor = rng.random(n) < place.share("insurance.family_doctor")
    return Enrolment(scheme, years, np.minimum(free, years), doctor & (scheme != NONE))


def make_spells(place: Place, homes: Homes, means: Means, health: Health, enrolment: Enrolment, seed: int) -> Spells:
    """Give households statuses, so that holders on 31 December of the first year are as many as published.

    The register sees income with an error, so that some poor households are left out and some others are in. Only
    households of which all members are in the residents' scheme, or uninsured, are registered. Former holders and
    those recognised during the year come on top of and among them; former holders are poor households that could have
    held it. Days are those of the household: a child that was born later holds the status from its birthday.
    """
    rng = stream(seed, "spells")
    held = place.parts("status.held")
    can = homes.every(enrolment.scheme != EMPLOYEE)
    poverty = np.argsort(np.argsort(means.registered / homes.size, kind="stable")) / len(homes.size)
    old = homes.every(homes.age >= _TEKUN_FROM)
    ill = homes.total(health.major.astype(np.float64)) > 0
    taken = np.zeros(len(homes.size), np.bool_)
    found: list[tuple[str, Ints, Flags]] = []
    rules: dict[str, tuple[Flags, Array]] = {
        "tekun": (can & old, poverty),
        "dibao": (can, poverty),
        "dibao_marginal": (can, poverty),
        "returned_poor": (can & (poverty < 0.3), rng.random(len(taken))),
        "monitored": (can & (poverty < 0.3), rng.random(len(taken))),
        "illness_poor": (ill & can & (poverty < 0.5), rng.random(len(taken))),
    }
    for group, (may, order) in rules.items():
        homes_in = _until(may & ~taken, order, homes.size, held[group] / 100 * homes.people)
        taken[homes_in] = True
        found.append((group, homes_in, may & (poverty < 0.3)))
    return _dated(place, homes, found, rng)


def _until(may: Flags, order: Array, size: Ints, people: float) -> Ints:
    """Take households in order until they hold so many people, as nearly as whole households can."""
    rows = np.flatnonzero(may)
    rows = rows[np.argsort(order[rows], kind="stable")]
    reached = np.cumsum(size[rows])
    over = int(np.searchsorted(reached, people, side="right"))
    if over < len(rows):
        before = int(reached[over - 1]) if over else 0
        over += int(abs(reached[over] - people) < abs(before - people))
    return rows[:over]


def _dated(place: Place, homes: Homes, found: list[tuple[str, Ints, Flags]], rng: np.random.Generator) -> Spells:
    """Give each household's status its days, the same for all its members.

    `found` has each status with the households that hold it and those that could have held it before.
    """
    timing = place.parts("status.timing")
    first_of = np.cumsum(homes.size) - homes.size
    person, names, since, until, detail = [], [], [], [], []
    free = np.ones(len(homes.size), np.bool_)
    for _, rows, _ in found:
        free[rows] = False
    for group, rows, could in found:
        late = rng.random(len(rows)) < timing["new"] / 100
        start = np.where(late, rng.integers(0, 365, len(rows)), -rng.integers(1, 8 * 365, len(rows)))
        which = rng.integers(0, len(DETAILS), len(rows))
        rest = np.flatnonzero(free & could)
        former = rng.choice(rest, min(round(timing["ended"] / 100 * len(rows)), len(rest)), replace=False)
        free[former] = False
        end = rng.integers(-365, 364, len(former))
        for these, begin, last, kind in (
            (rows, start, np.full(len(rows), RUNNING), which),
            (former, end - rng.integers(200, 1500, len(former)), end, np.zeros(len(former), np.int64)),
        ):
            at = np.repeat(np.arange(len(these)), homes.size[these])
            slot = np.arange(len(at)) - np.repeat(np.cumsum(homes.size[these]) - homes.size[these], homes.size[these])
            person.append(first_of[these][at] + slot)
            names += [group] * len(at)
            since.append(begin[at])
            until.append(last[at])
            detail += [DETAILS[k] if group == "monitored" else None for k in kind[at]]
    people = np.concatenate(person)
    order = np.lexsort((np.concatenate(since), people))
    return Spells(
        people[order],
        [names[k] for k in order],
        np.concatenate(since)[order],
        np.concatenate(until)[order],
        [detail[k] for k in order],
    )
