"""Make households and the people in them: sizes, ages, sexes and residence, all margins met to the person.

Roles (head, spouse, child, elder) give plausible ages; a rising map per sex then brings the ages to the published
bands, so that gaps between spouses and between parents and children nearly stay. The roles and gaps are ours; no
published table of household types was found.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medfloor.synthetic.draws import Array, Flags, Ints, counts_of, root, stream
from medfloor.synthetic.place import Place

CHILD_BELOW = 14
"""Members younger than this count as children of a household, as equivalence scales do."""
OLDEST = 100

HEAD, SPOUSE, CHILD, ELDER = range(4)
_SECOND_IS_SPOUSE = (0.75, 0.92)  # households of two, larger ones
_THIRD_IS_CHILD, _FOURTH_IS_CHILD = 0.85, 0.65
_YOUNG_SINGLES = 0.5
_GROWN, _GROWN_CHILD = 20, 35
_AGES = {"single_young": (34, 11), "single_old": (69, 9), "two": (57, 14), "more": (43, 10)}
_GAP_SPOUSE, _GAP_CHILD = (1.5, 3.0), (28.0, 5.0)


@dataclass(frozen=True)
class Homes:
    """Be H households with n people, who stand in order of their households.

    `size` and `urban` are of households; `home` (the household's place), `role`, `age` (on 1 January of the first year)
    and `male` of people.
    """

    size: Ints
    urban: Flags
    home: Ints
    role: Ints
    age: Ints
    male: Flags

    @property
    def people(self) -> int:
        """Count the people."""
        return len(self.home)

    def total(self, values: Array) -> Array:
        """Add up a person's number by household."""
        return np.asarray(np.bincount(self.home, weights=values, minlength=len(self.size)), np.float64)

    def every(self, flags: Flags) -> Flags:
        """Say of each household whether all its members have a flag."""
        return np.asarray(self.total(flags.astype(np.float64)) == self.size, np.bool_)


def make_homes(place: Place, people: int, seed: int) -> Homes:
    """Make households with exactly so many people in all."""
    rng = stream(seed, "homes")
    size = np.repeat(np.arange(1, 11), _sizes(place, people))
    rng.shuffle(size)
    home = np.repeat(np.arange(len(size)), size)
    slot = np.arange(people) - np.repeat(np.cumsum(size) - size, size)
    role = _roles(size, home, slot, rng)
    raw = _raw_ages(size, home, role, rng)
    male = _sexes(place, home, role, rng)
    age = _grown_up(_ages(place, raw, male), role, male)
    return Homes(size, _urban(place, size, rng), home, role, age, male)


def tilted_sizes(place: Place) -> Array:
    """Give the shares of household sizes 1 to 10, tilted exponentially until their mean is the published one."""
    given = place.parts("population.household_sizes")
    shares = np.array([given.get(str(size), 0.0) for size in range(1, 11)])
    sizes = np.arange(1, 11)

    def tilted(slope: float) -> Array:
        weights = shares * np.exp(slope * sizes)
        return np.asarray(weights / weights.sum(), np.float64)

    mean = place.value("population.household_mean")
    return tilted(root(lambda slope: float(tilted(slope) @ sizes) - mean, -3, 3))


def _sizes(place: Place, people: int) -> Ints:
    """Count households by size so that their people are exactly those asked for."""
    shares = tilted_sizes(place)
    sizes = np.arange(1, 11)
    counts = counts_of(shares, max(1, round(people / float(shares @ sizes))))
    lacking = people - int(counts @ sizes)
    # A few people too many or too few: households of one and two are the most, so a few of them do not show.
    while lacking > 0:
        counts[0] += 1
        lacking -= 1
    while lacking < 0:
        smallest = int(np.flatnonzero(counts)[0])
        counts[smallest] -= 1
        lacking += smallest + 1
        if lacking > 0:
            counts[lacking - 1] += 1
            lacking = 0
    return counts


def _roles(size: Ints, home: Ints, slot: Ints, rng: np.random.Generator) -> Ints:
    draw = rng.random(len(home))
    of_two = size[home] == 2
    role = np.full(len(home), CHILD)
    role[slot == 0] = HEAD
    role[(slot == 1) & (draw < np.where(of_two, *_SECOND_IS_SPOUSE))] = SPOUSE
    role[(slot == 2) & (draw >= _THIRD_IS_CHILD)] = ELDER
    role[(slot == 3) & (draw >= _FOURTH_IS_CHILD)] = ELDER
    role[(slot >= 4) & (slot <= 5)] = ELDER
    return role


def _raw_ages(size: Ints, home: Ints, role: Ints, rng: np.random.Generator) -> Array:
    """Draw ages by role, before they are brought to the published bands; those of heads decide the others."""
    normal = rng.standard_normal(len(size))
    young = rng.random(len(size)) < _YOUNG_SINGLES
    kind = np.where(size == 1, np.where(young, 0, 1), np.where(size == 2, 2, 3))
    mean, spread = (np.array([pair[k] for pair in _AGES.values()], np.float64)[kind] for k in (0, 1))
    head = np.clip(mean + spread * normal, 19, 95)
    noise = rng.standard_normal(len(home))
    age = head[home]
    spouse, child, elder = role == SPOUSE, role == CHILD, role == ELDER
    age[spouse] -= _GAP_SPOUSE[0] + _GAP_SPOUSE[1] * noise[spouse]
    gap = _GAP_CHILD[0] + _GAP_CHILD[1] * noise
    age[child] = np.abs(age[child] - 1 - gap[child])
    age[elder] += gap[elder]
    return np.clip(age, 0.0, OLDEST) + rng.random(len(home)) * 0.999


def _sexes(place: Place, home: Ints, role: Ints, rng: np.random.Generator) -> Flags:
    """Give spouses and their heads two sexes, and all others so that the share of men is met exactly."""
    male = np.zeros(len(home), np.bool_)
    spouse = np.flatnonzero(role == SPOUSE)
    husband = rng.random(len(spouse)) < 0.9  # heads of couples are mostly men in registers (ours)
    male[spouse] = ~husband
    male[spouse - 1] = husband  # the head stands just before
    free = np.ones(len(home), np.bool_)
    free[spouse], free[spouse - 1] = False, False
    others = np.flatnonzero(free)
    wanted = round(place.share("population.male") * len(home)) - len(spouse)
    male[rng.permutation(others)[: min(max(0, wanted), len(others))]] = True
    return male


def _urban(place: Place, size: Ints, rng: np.random.Generator) -> Flags:
    """Put households into town until the share of people there is met, each size in the same proportion."""
    share = place.share("population.urban")
    urban = np.zeros(len(size), np.bool_)
    lacking = share * int(size.sum())
    for one in np.unique(size)[::-1]:
        rows = rng.permutation(np.flatnonzero(size == one))
        below = int(size[size < one].sum()) * share
        urban[rows[: min(len(rows), max(0, round((lacking - below) / one)))]] = True
        lacking = share * int(size.sum()) - float(size[urban].sum())
    return urban


def _ages(place: Place, raw: Array, male: Flags) -> Ints:
    """Bring raw ages to the published bands, keeping their order within each sex."""
    parts = place.parts("population.age")
    lower = [0.0, 15.0, 60.0, 65.0, float(OLDEST)]
    whole = counts_of(list(parts.values()), len(raw))
    men = counts_of(whole.astype(np.float64), int(male.sum()))
    age = np.zeros(len(raw), np.int64)
    for sex, counts in ((True, men), (False, whole - men)):
        rows = np.flatnonzero(male == sex)
        rows = rows[np.argsort(raw[rows], kind="stable")]
        first = 0
        for band, count in enumerate(counts):
            within = (np.arange(count) + 0.5) / max(1, count)
            age[rows[first : first + count]] = _within(place, lower[band], lower[band + 1], within)
            first += int(count)
    return age


def _grown_up(age: Ints, role: Ints, male: Flags) -> Ints:
    """Let heads, spouses and elders who came out too young change ages with grown children of their sex elsewhere."""
    for sex in (True, False):
        young = np.flatnonzero((role != CHILD) & (age < _GROWN) & (male == sex))
        grown = np.flatnonzero((role == CHILD) & (age >= _GROWN) & (age < _GROWN_CHILD) & (male == sex))
        count = min(len(young), len(grown))
        young, grown = young[:count], grown[:count]
        age[young], age[grown] = age[grown], age[young]
    return age


def _within(place: Place, low: float, high: float, share: Array) -> Ints:
    """Give whole ages within a band: evenly, and thinning out towards the end of life in the last."""
    if high < OLDEST:
        return np.asarray(np.floor(low + (high - low) * share), np.int64)
    mean = place.value("population.oldest")
    cut = 1 - np.exp(-(high - low) / mean)
    return np.asarray(np.floor(low - mean * np.log(1 - cut * share)), np.int64)
