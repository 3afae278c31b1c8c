"""Work out what a county reached of each figure that needs no settlement."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from medfloor.synthetic.calibration import Check, check, extra
from medfloor.synthetic.care import CHRONIC_VISIT, FIRST, LEVELS, STAY, TWO_DISEASE, VISIT, Care, total_of
from medfloor.synthetic.draws import Array, Ints
from medfloor.synthetic.health import ADULT, CHRONIC_FROM, Health
from medfloor.synthetic.homes import Homes, tilted_sizes
from medfloor.synthetic.means import Means
from medfloor.synthetic.place import Place
from medfloor.synthetic.standing import EMPLOYEE, RESIDENT, RUNNING, Enrolment, Spells
from medfloor.tables import AREAS

_LAST_DAY = 364


def checks_of(
    place: Place,
    homes: Homes,
    means: Means,
    health: Health,
    enrolment: Enrolment,
    spells: Spells,
    care: Care,
    second: Care,
    spending: dict[str, Array],
) -> tuple[Check, ...]:
    """Hold a county against the figures of its place."""
    return (
        *_population(place, homes),
        *_insurance(place, homes, enrolment),
        *_income(place, homes, means, spending),
        *_diseases(place, homes, health),
        *_statuses(place, homes, enrolment, spells),
        *_care(place, enrolment, care),
        *_spread(place, homes, care, second),
    )


def _percent(flags: Any) -> float:
    return 100 * float(np.mean(flags)) if len(flags) else 0.0


def _mean(values: Array | Ints) -> float:
    return float(np.mean(values)) if len(values) else 0.0


def _population(place: Place, homes: Homes) -> Iterator[Check]:
    one, home = 100 / homes.people, 100 / len(homes.size)
    figure = place.figure("population.age")
    edges = [0, 15, 60, 65, 999]
    whole = {}
    for number, part in enumerate(figure.parts):
        inside = (homes.age >= edges[number]) & (homes.age < edges[number + 1])
        whole[part] = inside
        yield check(figure, _percent(inside), part=part, step=one)
    men = place.share("population.male")
    for part, inside in whole.items():
        for sex, here in (("male", homes.male), ("female", ~homes.male)):
            share = men if sex == "male" else 1 - men
            target = figure.parts[part] * share
            yield check(figure, _percent(inside & here), part=f"{part}, {sex}", target=target, step=2 * one)
    yield check(place.figure("population.male"), _percent(homes.male), step=one)
    yield check(place.figure("population.urban"), _percent(homes.urban[homes.home]), step=6 * one)
    figure = place.figure("population.household_sizes")
    for size, share in zip(range(1, 11), tilted_sizes(place), strict=True):
        if share > 0:
            reached = _percent(homes.size == size)
            yield check(figure, reached, part=str(size), target=100 * share, step=(1 if size > 2 else 6) * home)
    step = 12 / len(homes.size)
    yield check(place.figure("population.household_mean"), float(homes.size.mean()), step=step)


def _insurance(place: Place, homes: Homes, enrolment: Enrolment) -> Iterator[Check]:
    one = 100 / homes.people
    yield check(place.figure("insurance.residents"), _percent(enrolment.scheme == RESIDENT), step=one)
    yield check(place.figure("insurance.employees"), _percent(enrolment.scheme == EMPLOYEE), step=one)


def _income(place: Place, homes: Homes, means: Means, spending: dict[str, Array]) -> Iterator[Check]:
    head = (means.income / homes.size)[homes.home]
    ranked = np.sort(head)
    figure = place.figure("income.fifths")
    for number, fifth in enumerate(np.array_split(ranked, 5), 1):
        yield check(figure, float(fifth.mean()), part=str(number))
    town = homes.urban[homes.home]
    if town.any() and not town.all():
        yield check(place.figure("income.urban_to_rural"), float(head[town].mean() / head[~town].mean()))
    whole = float(spending["consumption"].sum())
    yield check(place.figure("consumption.of_income"), 100 * whole / float(means.income.sum()))
    yield check(place.figure("consumption.food"), 100 * float(spending["food"].sum()) / whole)
    share = spending["food"] / spending["consumption"]
    order = np.argsort(means.income / homes.size, kind="stable")
    parts = np.array_split(order, 5)
    for number in (0, 4):
        like = place.figure("consumption.food_elasticity")
        yield extra("consumption.food", f"fifth_{number + 1}", "%", 100 * float(share[parts[number]].mean()), like)


def _diseases(place: Place, homes: Homes, health: Health) -> Iterator[Check]:
    urban = homes.urban[homes.home]
    grown, adults = homes.age >= CHRONIC_FROM, homes.age >= ADULT
    one = 100 / max(1, int(adults.sum()))
    yield check(place.figure("health.chronic"), _percent(health.chronic[grown]), step=one)
    yield check(place.figure("health.chronic_rural"), _percent(health.chronic[grown & ~urban]))
    for part, here in (("rural", ~urban), ("urban", urban)):
        here = here & adults
        step = 100 / max(1, int(here.sum()))
        yield check(place.figure("health.hypertension"), _percent(health.hypertension[here]), part=part, step=step)
    yield check(place.figure("health.diabetes"), _percent(health.diabetes[adults]), step=one)
    yield check(place.figure("health.major"), _percent(health.major), step=one)


def _statuses(place: Place, homes: Homes, enrolment: Enrolment, spells: Spells) -> Iterator[Check]:
    held = (spells.since <= _LAST_DAY) & ((spells.until == RUNNING) | (spells.until >= _LAST_DAY))
    figure = place.figure("status.held")
    groups = np.array(spells.group, dtype=object)
    # Whole households enter, and the nearest number of them is taken: half of a household of up to ten.
    step = 100 * 5 / homes.people
    for group in figure.parts:
        yield check(figure, 100 * float((held & (groups == group)).sum()) / homes.people, part=group, step=step)
    residents = max(1, int((enrolment.scheme == RESIDENT).sum()))
    yield check(place.figure("status.assisted"), 100 * len(np.unique(spells.person[held])) / residents)


def _care(place: Place, enrolment: Enrolment, care: Care) -> Iterator[Check]:
    residents = max(1, int((enrolment.scheme == RESIDENT).sum()))
    stay = care.kind == STAY
    cost = care.total / 100
    stays = max(1, int(stay.sum()))
    yield check(place.figure("care.admissions"), 100 * int(stay.sum()) / residents, step=50 / residents)
    yield check(place.figure("care.cost_of_stay"), _mean(cost[stay]))
    for part, levels in LEVELS.items():
        here = stay & np.isin(care.level, levels)
        if here.any():  # a place may have no stays at a level
            yield check(place.figure("care.cost_by_level"), _mean(cost[here]), part=part)
        share = 100 * int(here.sum()) / stays
        if part == "primary":
            yield check(place.figure("care.primary_share"), share, step=100 / stays)
        else:
            yield extra("care.level_share", part, "%", share, place.figure("care.primary_share"))
    low = stay & (care.level <= FIRST)
    yield check(place.figure("care.first_class"), _percent(care.level[low] == FIRST))
    yield check(place.figure("care.stay_days"), _mean(care.days[stay]))
    visit = (care.kind == VISIT) | (care.kind == TWO_DISEASE)
    yield check(place.figure("care.visits"), int(visit.sum()) / residents)
    if visit.any():
        yield check(place.figure("care.cost_of_visit"), _mean(cost[visit]))
    chronic = care.kind == CHRONIC_VISIT
    yield check(place.figure("care.chronic_visits"), int(chronic.sum()) / residents)
    if chronic.any():
        yield check(place.figure("care.cost_of_chronic_visit"), float(cost[chronic].mean()))
    whole = float(care.total.sum())
    figure = place.figure("care.elsewhere")
    for part in figure.parts:
        yield check(figure, 100 * float(care.total[care.area == AREAS.index(part)].sum()) / whole, part=part)
    paid_for = max(1.0, float(care.total[stay].sum()))
    yield check(place.figure("scope.of_stays"), 100 * float(care.in_scope[stay].sum()) / paid_for)


def _spread(place: Place, homes: Homes, care: Care, second: Care) -> Iterator[Check]:
    first, later = total_of(care, homes.people), total_of(second, homes.people)
    users = np.sort(first[first > 0])
    yield check(place.figure("spending.gini"), 100 * _gini(users))
    yield check(place.figure("spending.top5"), 100 * _top(users, 0.05))
    yield check(place.figure("spending.top10"), 100 * _top(users, 0.10))
    stay = np.intersect1d(_dearest(first), _dearest(later), assume_unique=True)
    yield check(place.figure("spending.persistence"), 100 * len(stay) / max(1, len(_dearest(first))))


def _gini(ranked: Array) -> float:
    n = len(ranked)
    return float(2 * (np.arange(1, n + 1) @ ranked) / (n * ranked.sum()) - (n + 1) / n)


def _top(ranked: Array, share: float) -> float:
    return float(ranked[len(ranked) - round(share * len(ranked)) :].sum() / ranked.sum())


def _dearest(cost: Array) -> Ints:
    """Give the places of the dearest tenth of users."""
    users = np.flatnonzero(cost)
    return users[np.argsort(-cost[users], kind="stable")[: round(0.1 * len(users))]]
