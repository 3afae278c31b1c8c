"""Make a year of care: stays, visits and chronic outpatient care of the residents' scheme, as claims.

Counts and mean costs are met for each kind and level by itself; nothing is scaled over all levels afterwards, because
that would shift the level means that were just met (the severity of a case shifts it between levels).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medfloor.errors import InputError
from medfloor.sparing import ready
from medfloor.synthetic.draws import Array, Ints, allotted, chosen, labels_of, place_in_run, spread_out, stream
from medfloor.synthetic.health import Health
from medfloor.synthetic.homes import Homes
from medfloor.synthetic.place import Place
from medfloor.synthetic.standing import RESIDENT, Enrolment
from medfloor.tables import AREAS, CARE_TYPES, FACILITY_LEVELS, REFERRALS

STAY, VISIT, CHRONIC_VISIT, TWO_DISEASE = range(4)
assert CARE_TYPES == ("inpatient", "outpatient", "special_outpatient", "two_disease")
PRIMARY, FIRST, SECOND, THIRD = range(4)
assert FACILITY_LEVELS == ("primary", "1", "2", "3")
LEVELS = {"primary": (PRIMARY, FIRST), "secondary": (SECOND,), "tertiary": (THIRD,)}
"""The published levels and ours: statistics join first-class hospitals and grass-roots facilities."""

_DAYS = 365
_OLD = 60
_HYPERTENSION, _DIABETES = "I10", "E11"


@dataclass(frozen=True)
class Care:
    """Be the claims of a year, m rows, in order of person and first day.

    `person` is a place among people; `start` counts days from 1 January of that year, `days` is 0 for a visit. Codes
    are places in the tuples of `tables`, `diagnosis` in `codes`. Money is fen.
    """

    person: Ints
    kind: Ints
    start: Ints
    days: Ints
    level: Ints
    area: Ints
    referral: Ints
    diagnosis: Ints
    codes: tuple[str, ...]
    total: Ints
    off_catalogue: Ints
    over_limit: Ints
    first_self_pay: Ints

    @property
    def in_scope(self) -> Ints:
        """Give what enters the insurance, in fen."""
        return self.total - self.off_catalogue - self.over_limit - self.first_self_pay


@dataclass(frozen=True)
class _People:
    """Be the residents of a year: places among people, age, diseases, and how many stays they are likely to need."""

    row: Ints
    age: Ints
    chronic: Array
    major: Array
    hypertension: Array
    diabetes: Array
    dearness: Array
    need: Array
    ease: Array
    certified: Array


@dataclass(frozen=True)
class _Part:
    """Be the claims of one kind before they are put together; `who` is a place among residents."""

    who: Ints
    kind: Ints
    start: Ints
    days: Ints
    level: Ints
    total: Ints
    diagnosis: Ints
    out: Array


def level_shares(place: Place) -> dict[str, float]:
    """Solve the shares of stays by level from the mean cost of all stays and of each level.

    One equation leaves one share free: that of the primary level is given (`care.primary_share`), and
    tertiary = (mean - secondary + share (secondary - primary)) / (tertiary - secondary).

    Raises InputError bad_place where no shares between 0 and 1 give the mean.

    >>> from medfloor.synthetic.place import shipped_place
    >>> {level: round(share, 3) for level, share in level_shares(shipped_place()).items()}
    {'primary': 0.26, 'secondary': 0.299, 'tertiary': 0.441}
    """
    cost = place.parts("care.cost_by_level")
    primary = place.share("care.primary_share")
    gap = cost["tertiary"] - cost["secondary"]
    if gap <= 0:
        raise InputError("bad_place", "care.cost_by_level: tertiary has to be dearer than secondary")
    mean = place.value("care.cost_of_stay")
    tertiary = (mean - cost["secondary"] + primary * (cost["secondary"] - cost["primary"])) / gap
    shares = {"primary": primary, "secondary": 1 - primary - tertiary, "tertiary": tertiary}
    if min(shares.values()) < 0:
        said = ", ".join(f"{level} {100 * share:.1f} %" for level, share in shares.items())
        raise InputError(
            "bad_place",
            f"no shares of levels give a mean cost of {mean:g} yuan with care.cost_by_level and care.primary_share: "
            f"they would be {said}. Mend one of the three",
        )
    return shares


def make_care(place: Place, homes: Homes, health: Health, enrolment: Enrolment, seed: int, year: int) -> Care:
    """Make the claims of one year, 0 being the first."""
    rng = stream(seed, f"care {year}")
    people = _residents(place, homes, health, enrolment, seed, rng, year)
    codes = _codes(place)
    parts = [
        _stays(place, people, codes, rng),
        _visits(place, people, codes, rng),
        _chronic_visits(place, people, codes, rng),
    ]
    return _together(place, people, codes, parts, rng)


def total_of(care: Care, people: int) -> Array:
    """Add up the cost of each person's claims, in fen."""
    return np.asarray(np.bincount(care.person, weights=care.total, minlength=people), np.float64)


def _residents(
    place: Place, homes: Homes, health: Health, enrolment: Enrolment, seed: int, rng: np.random.Generator, year: int
) -> _People:
    row = np.flatnonzero(enrolment.scheme == RESIDENT)
    age = homes.age[row] + year
    given = place.parts("use.age")
    curve = np.interp(age, [float(text) for text in given], list(given.values()))
    chronic, major = health.chronic[row].astype(np.float64), health.major[row].astype(np.float64)
    multiple = place.parts("use.multiples")
    frailty = place.parts("use.frailty")
    lasting = frailty["lasting"] / 100
    passing = rng.standard_gamma(frailty["shape"], len(row)) / frailty["shape"]
    trait = lasting * health.frailty[row] + (1 - lasting) * passing
    need = curve * multiple["chronic"] ** chronic * multiple["major"] ** major * trait
    habits = place.parts("use.visits")
    ease = rng.standard_gamma(habits["shape"], len(row)) * habits["chronic"] ** chronic * np.sqrt(curve)
    who = stream(seed, "certified").random(homes.people)[row]  # the same people in every year
    asked = place.parts("use.certified")
    limit = np.where(major > 0, asked["major"], asked["chronic"]) / 100
    certified = np.where((chronic > 0) & (who < limit), 0.4 + trait * curve, 0.0)
    return _People(
        row, age, chronic, major,
        health.hypertension[row].astype(np.float64), health.diabetes[row].astype(np.float64),
        health.dearness[row], need, ease, certified,
    )  # fmt: skip


def _codes(place: Place) -> tuple[str, ...]:
    names = {_HYPERTENSION, _DIABETES}
    for group in ("child", "adult", "old"):
        names |= set(place.parts(f"cost.diagnoses_{group}"))
    return tuple(sorted(names))


def _stays(place: Place, people: _People, codes: tuple[str, ...], rng: np.random.Generator) -> _Part:
    ready("scipy.special")
    from scipy.special import ndtri

    count = round(place.value("care.admissions") / 100 * len(people.row))
    who = allotted(people.need, count, rng)
    own = place.parts("cost.person")
    case = ndtri(spread_out(count, rng))
    severity = own["stays"] * people.dearness[who] + np.sqrt(1 - own["stays"] ** 2) * case
    severity += own["major"] * people.major[who]
    level = _levels_of_stays(place, severity, own["level"], rng)
    total = _costs_of_stays(place, severity, level, rng)
    start, days = _days_of_stays(place, who, level, total, rng)
    out = _out_of_scope(place, level, total, rng)
    kind = np.full(count, STAY)
    return _Part(who, kind, start, days, level, total, _diagnoses(place, people, who, codes, rng), out)


def _levels_of_stays(place: Place, severity: Array, pull: float, rng: np.random.Generator) -> Ints:
    """Give stays their levels: the shares exactly, the severe ones higher up as a rule."""
    shares = level_shares(place)
    score = pull * severity + np.sqrt(1 - pull**2) * rng.standard_normal(len(severity))
    first = shares["primary"] * place.share("care.first_class")
    edges = np.cumsum([shares["primary"] - first, first, shares["secondary"]]) * len(score)
    level = np.empty(len(score), np.int64)
    level[np.argsort(score, kind="stable")] = np.searchsorted(np.rint(edges), np.arange(len(score)), side="right")
    low = level <= FIRST
    level[low] = np.where(chosen(np.ones(int(low.sum())), int((level == FIRST).sum()), rng), FIRST, PRIMARY)
    return level


def _costs_of_stays(place: Place, severity: Array, level: Ints, rng: np.random.Generator) -> Ints:
    """Give stays their costs: lognormal with a Pareto tail, each published level brought to its own mean."""
    spread = place.parts("cost.spread")
    tail = place.parts("cost.tail")
    cost = np.empty(len(severity))
    for name, mean in place.parts("care.cost_by_level").items():
        rows = np.flatnonzero(np.isin(level, LEVELS[name]))
        weight = np.exp(np.clip(severity[rows], -3, 3) / 2)
        dear = np.flatnonzero(chosen(weight, round(tail["share"] / 100 * len(rows)), rng))
        times = np.ones(len(rows))
        times[dear] = tail["from"] * spread_out(len(dear), rng) ** (-1 / tail["index"])
        cost[rows] = _to_mean(np.exp(spread[name] * severity[rows]) * times, mean, tail["most"])
    return _fen(cost)


def _days_of_stays(place: Place, who: Ints, level: Ints, total: Ints, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Give stays their first day and length, so that no person is in two beds on one day.

    The year is cut into as many parts as the person has stays, and each stay lies within its part.
    """
    if not len(who):
        return who, who
    which, of = place_in_run(who)
    length = (total / max(1.0, float(total.mean()))) ** 0.35 * np.exp(0.35 * rng.standard_normal(len(who)))
    part = _DAYS / np.maximum(of, 1)
    days = np.rint(length * place.value("care.stay_days") / max(1e-9, float(length.mean()))).astype(np.int64)
    days = np.clip(days, 1, np.maximum(1, np.floor(part).astype(np.int64) - 1))
    start = np.floor(which * part + rng.random(len(who)) * (part - days)).astype(np.int64)
    return np.clip(start, 0, _DAYS - 1 - days), days


def _out_of_scope(place: Place, level: Ints, total: Ints, rng: np.random.Generator) -> Array:
    """Draw the share of each stay's cost that is out of scope, so that over all cost it is the published one."""
    parts = place.parts("scope.by_level")
    by_level = np.array([parts["primary"], parts["primary"], parts["secondary"], parts["tertiary"]]) / 100
    share = _beta(1 - by_level[level], place.value("scope.concentration"), rng)
    wanted = (1 - place.share("scope.of_stays")) * float(total.sum())
    for _ in range(8):  # a few rounds, because a share cannot rise above nine tenths
        share = np.minimum(0.9, share * wanted / max(1.0, float(share @ total)))
    return share


def _beta(mean: Array, concentration: float, rng: np.random.Generator) -> Array:
    return rng.beta(mean * concentration, (1 - mean) * concentration)


def _visits(place: Place, people: _People, codes: tuple[str, ...], rng: np.random.Generator) -> _Part:
    count = round(place.value("care.visits") * len(people.row))
    drugs = round(place.share("care.two_disease") * count)
    ill = np.maximum(people.hypertension, people.diabetes)
    drugs = drugs if ill.any() else 0
    who = np.concatenate([allotted(people.ease, count - drugs, rng), allotted(people.ease * ill, drugs, rng)
                          if drugs else np.zeros(0, np.int64)])  # fmt: skip
    kind = np.repeat([VISIT, TWO_DISEASE], [count - drugs, drugs])
    level = labels_of(list(place.parts("care.visit_levels").values()), count, rng)
    low = (kind == TWO_DISEASE) & (level > SECOND)
    level[low] = SECOND
    spread = place.parts("cost.spread")["visit"]
    cost = np.exp(spread * rng.standard_normal(count, np.float32) + 0.35 * level)
    total = _fen(_to_mean(cost.astype(np.float64), place.value("care.cost_of_visit")))
    diagnosis = _diagnoses(place, people, who, codes, rng)
    diabetic = rng.random(drugs) < np.where(people.hypertension[who[count - drugs :]] > 0, 0.5, 1.0)
    diabetic &= people.diabetes[who[count - drugs :]] > 0
    diagnosis[count - drugs :] = np.where(diabetic, codes.index(_DIABETES), codes.index(_HYPERTENSION))
    start = rng.integers(0, _DAYS, count)
    return _Part(who, kind, start, np.zeros(count, np.int64), level, total, diagnosis, _flat_scope(place, kind, rng))


def _chronic_visits(place: Place, people: _People, codes: tuple[str, ...], rng: np.random.Generator) -> _Part:
    count = round(place.value("care.chronic_visits") * len(people.row)) if people.certified.any() else 0
    who = allotted(people.certified, count, rng) if count else np.zeros(0, np.int64)
    own = place.parts("cost.chronic")
    spread = place.parts("cost.spread")["chronic_visit"]
    cost = own["person"] * people.dearness[who] + own["major"] * people.major[who]
    cost = np.exp(cost + spread * rng.standard_normal(count) * 0.5)
    total = _fen(_to_mean(cost, place.value("care.cost_of_chronic_visit")))
    level = labels_of(list(place.parts("care.chronic_levels").values()), count, rng)
    kind = np.full(count, CHRONIC_VISIT)
    start = rng.integers(0, _DAYS, count)
    diagnosis = _diagnoses(place, people, who, codes, rng)
    return _Part(who, kind, start, np.zeros(count, np.int64), level, total, diagnosis, _flat_scope(place, kind, rng))


def _flat_scope(place: Place, kind: Ints, rng: np.random.Generator) -> Array:
    """Draw the share of a visit's cost that is out of scope: none in most cases, a larger part in some."""
    parts = place.parts("scope.of_visits")
    mean = 1 - np.array([1.0, *(parts[name] / 100 for name in CARE_TYPES[1:])])[kind]
    draw = rng.random(len(kind))
    return np.where(draw < 2 * mean, 0.5, 0.0)


def _diagnoses(place: Place, people: _People, who: Ints, codes: tuple[str, ...], rng: np.random.Generator) -> Ints:
    age = people.age[who]
    found = np.zeros(len(who), np.int64)
    groups: Sequence[tuple[str, int, int]] = (("child", 0, 15), ("adult", 15, _OLD), ("old", _OLD, 999))
    for name, low, high in groups:
        rows = np.flatnonzero((age >= low) & (age < high))
        given = place.parts(f"cost.diagnoses_{name}")
        places = np.array([codes.index(code) for code in given])
        found[rows] = places[labels_of(list(given.values()), len(rows), rng)]
    return found


def _to_mean(values: Array, mean: float, most: float = np.inf) -> Array:
    """Scale values to a mean, none of them above so many times it."""
    for _ in range(12 if len(values) else 0):
        values = np.minimum(values * (mean / float(values.mean())), most * mean)
    return values


def _fen(yuan: Array) -> Ints:
    return np.maximum(100, np.rint(yuan * 100)).astype(np.int64)


def _together(
    place: Place, people: _People, codes: tuple[str, ...], parts: Sequence[_Part], rng: np.random.Generator
) -> Care:
    """Put all kinds together in order of person and day, split what is out of scope, and send some stays elsewhere."""
    who = np.concatenate([part.who for part in parts])
    start = np.concatenate([part.start for part in parts])
    order = np.argsort(who * _DAYS + start, kind="stable")

    def joined(name: str) -> Ints:
        return np.asarray(np.concatenate([getattr(part, name) for part in parts])[order], np.int64)

    kind, level, total = joined("kind"), joined("level"), joined("total")
    out = np.rint(total * np.concatenate([part.out for part in parts])[order]).astype(np.int64)
    given = place.parts("scope.outside_parts")
    over = np.floor(out * (given["over_limit"] / 100)).astype(np.int64)
    first = np.floor(out * (given["first_self_pay"] / 100)).astype(np.int64)
    area, referral = _elsewhere(place, kind, level, total, rng)
    return Care(
        person=people.row[who[order]], kind=kind, start=start[order], days=joined("days"), level=level,
        area=area, referral=referral, diagnosis=joined("diagnosis"), codes=codes, total=total,
        off_catalogue=out - over - first, over_limit=over, first_self_pay=first,
    )  # fmt: skip


def _elsewhere(place: Place, kind: Ints, level: Ints, total: Ints, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Send stays at higher hospitals out of the pooling area until they have the published share of all cost."""
    area = np.full(len(kind), AREAS.index("local"))
    referral = np.full(len(kind), REFERRALS.index("regular"))
    rows = rng.permutation(np.flatnonzero((kind == STAY) & (level >= SECOND)))
    rows = rows[np.argsort(-(level[rows] + 0.9 * rng.random(len(rows))), kind="stable")]  # tertiary first
    reached = np.cumsum(total[rows])
    first = 0
    whole = float(total.sum())
    gone = 0.0
    for name, percent in place.parts("care.elsewhere").items():
        gone += percent / 100 * whole
        last = int(np.searchsorted(reached, gone, side="right"))
        area[rows[first:last]] = AREAS.index(name)
        first = last
    given = place.parts("care.referral")
    places = np.array([REFERRALS.index(name) for name in given])
    referral[rows[:first]] = places[labels_of(list(given.values()), first, rng)]
    return area, referral
