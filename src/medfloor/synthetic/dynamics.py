"""Let a made-up county live through years: incomes that move, spells of illness, and when trouble began.

All of it is synthetic. Claims are those that `synthesise(people, seed=, years=)` made, in which frailty and disease
last; here they get the illness behind them, and the households the incomes that illness, lost work and luck leave.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from medfloor.errors import UsageError
from medfloor.synthetic.assumed import Assumed, shipped_numbers
from medfloor.synthetic.county import County
from medfloor.synthetic.draws import Array, Ints, stream
from medfloor.synthetic.illness import FAR, Illness, Members, make_illness
from medfloor.synthetic.incomes import (
    WorkLost,
    healthy_incomes,
    loss_of_illness,
    loss_of_work,
    lost_by_year,
    make_work_lost,
    weights_of,
)

_YEAR = 365
KINDS = ("illness", "lasting_illness", "work_lost")
"""What a trouble began with."""


@dataclass(frozen=True, eq=False)
class Years:
    """Be what became of a county in some years; money is yuan as Float64, every row is marked `synthetic`.

    `people`, `spells` (statuses) and `claims` are the county's. `households` has one row a household and year (`wave`):
    `income` before any help, and the other columns as in a county; `labour_capacity` counts who can work on
    31 December. `illness` has a row a spell: person_id, household_id, ill_from, known_from (first stay), ill_to (last
    day; null where it does not end), severity (0 to 1), lasting, in_claims (false: the person's care is not among the
    claims). `truth` has a row for each trouble: household_id, person_id, wave, onset, until, kind (`KINDS`), lost
    (income of the twelve months from onset), care (own part of the cost of claims in them, as the fund usually leaves
    it), and large, whether their sum exceeds the share of income that makes a household's trouble. `causes` has, by
    household and wave, healthy_income and income_lost, which no office can see.
    """

    people: pl.DataFrame
    households: pl.DataFrame
    spells: pl.DataFrame
    claims: pl.DataFrame
    illness: pl.DataFrame
    truth: pl.DataFrame
    causes: pl.DataFrame
    first_year: int
    years: int
    seed: int
    numbers: Assumed

    @property
    def tables(self) -> dict[str, pl.DataFrame]:
        """Give what a county does not have, by name."""
        return {"waves": self.households, "illness": self.illness, "truth": self.truth, "causes": self.causes}

    def wave(self, year: int) -> pl.DataFrame:
        """Give the households of one year, without the column `wave`.

        Raises UsageError no_such_wave for a year that was not lived.
        """
        if not self.first_year <= year < self.first_year + self.years:
            last = self.first_year + self.years - 1
            raise UsageError("no_such_wave", f"{year} was not lived; there are {self.first_year} to {last}")
        return self.households.filter(pl.col("wave") == year).drop("wave")


def live(county: County, *, seed: int, years: int | None = None, numbers: Assumed | None = None) -> Years:
    """Let a county live; the same county and seed give the same tables.

    `years` is at most the number of years whose claims the county has, by default all of them; `numbers` are those of
    `dynamics.toml` unless others are given. Incomes of the first year are the county's own. Nobody is born or dies and
    there is no trend in prices: what moves is luck, illness and work. Nothing is fitted to microdata.

    Raises UsageError bad_years, bad_seed.

    >>> from medfloor.synthetic import synthesise
    >>> lived = live(synthesise(1_000, seed=1, years=2), seed=1)
    >>> lived.households["wave"].unique().to_list(), bool(lived.truth["synthetic"].all())
    ([2025, 2026], True)
    """
    known = county.calibration.years
    years = known if years is None else years
    if not 1 <= years <= known:
        raise UsageError("bad_years", f"{years} years: the county has claims of {known}; synthesise it with more")
    if not 0 <= seed < 1 << 63:
        raise UsageError("bad_seed", f"seed {seed}: give a whole number from 0")
    numbers = numbers or shipped_numbers()
    first_year = county.calibration.place.year
    people, homes = county.people, county.households
    members = _members(people, homes, first_year)
    claims = county.claims.filter(pl.col("start_date").dt.year() < first_year + years)
    cost = _cost(claims, people, first_year)
    weight, labour = weights_of(members, homes.height, numbers)
    ill = make_illness(cost, members, years * _YEAR, numbers, seed)
    work = make_work_lost(members, weight, years, numbers, seed)
    lost = lost_by_year(ill, work, members, weight, labour, years, numbers)
    size = homes["size"].to_numpy().astype(np.float64)
    income = homes["income"].to_numpy()
    healthy = healthy_incomes(
        income / (1 - lost[:, 0]) / size, (homes["residence"] == "urban").to_numpy(), years, numbers, seed
    )
    healthy = healthy * size[:, None]
    left = np.round(healthy * (1 - lost), 2)
    left[:, 0] = income
    own = 1 - county.calibration.place.share("burden.fund_share")
    capacity = np.stack([_able(ill, members, homes.height, year) for year in range(years)], axis=1)
    waves = _waves(homes, left, capacity, _claimed(cost, members, homes.height, years) * own, numbers, seed, first_year)
    trouble = _Trouble(members, weight, labour, left, cost, own, years, numbers)
    return Years(
        people,
        waves,
        county.spells,
        claims,
        _illness_table(ill, members, people, first_year),
        _truth_table(ill, work, trouble, people, first_year),
        _causes_table(homes, healthy, left, first_year),
        first_year,
        years,
        seed,
        numbers,
    )


def _members(people: pl.DataFrame, homes: pl.DataFrame, first_year: int) -> Members:
    place = pl.DataFrame({"household_id": homes["household_id"], "home": np.arange(homes.height)})
    home = people.select("household_id").join(place, on="household_id", how="left", maintain_order="left")["home"]
    return Members(
        home.to_numpy().astype(np.int64),
        (first_year - people["birth_date"].dt.year()).to_numpy().astype(np.int64),
        (people["sex"] == "male").to_numpy(),
        people["major_disease"].to_numpy(),
        (people["scheme"] == "resident").to_numpy(),
    )


def _cost(claims: pl.DataFrame, people: pl.DataFrame, first_year: int) -> pl.DataFrame:
    """Give claims by the person's place among people, days counted from the first day of the first year."""
    place = pl.DataFrame({"person_id": people["person_id"], "person": np.arange(people.height)})
    zero = pl.date(first_year, 1, 1)
    return claims.join(place, on="person_id", how="inner", maintain_order="left").select(
        "person",
        (pl.col("start_date") - zero).dt.total_days().alias("start"),
        (pl.col("end_date") - zero).dt.total_days().alias("end"),
        (pl.col("care_type") == "inpatient").alias("inpatient"),
        (pl.col("start_date").dt.year() - first_year).alias("year"),
        "total",
    )


def _able(ill: Illness, members: Members, homes: int, year: int) -> Ints:
    """Count who of each household can work on the last day of a year: 16 to 64 and not ill."""
    day = (year + 1) * _YEAR - 1
    able = (members.age + year >= 16) & (members.age + year < 65)
    able[ill.person[(ill.since <= day) & (ill.until >= day)]] = False
    return np.bincount(members.home, weights=able.astype(np.float64), minlength=homes).astype(np.int64)


def _claimed(cost: pl.DataFrame, members: Members, homes: int, years: int) -> Array:
    """Add up the cost of claims by household and year, yuan."""
    at = members.home[cost["person"].to_numpy()] * years + cost["year"].to_numpy()
    summed = np.bincount(at, weights=cost["total"].to_numpy(), minlength=homes * years)
    return np.asarray(summed.reshape(homes, years), np.float64)


def _waves(
    homes: pl.DataFrame, income: Array, capacity: Ints, expected: Array, numbers: Assumed, seed: int, first_year: int
) -> pl.DataFrame:
    """Give the households of all years one below the other; those of the first are the county's own."""
    frames = []
    outside_0 = homes["oop_outside"].to_numpy()
    outside = _outside(outside_0, income.shape[1], numbers, seed)
    other_0 = homes["consumption"].to_numpy() - outside_0 - expected[:, 0]
    error = homes["registered_income"].to_numpy() / np.maximum(homes["income"].to_numpy(), 0.01)
    food_0 = homes["food"].to_numpy()
    for year in range(income.shape[1]):
        frame = homes
        if year:
            moved = (income[:, year] / np.maximum(income[:, 0], 0.01)) ** numbers["smoothing"]
            other = np.maximum(other_0, food_0) * moved
            spent = {
                "income": income[:, year],
                "consumption": other + outside[:, year] + expected[:, year],
                "food": food_0 * moved,
                "housing": homes["housing"].to_numpy() * moved,
                "utilities": homes["utilities"].to_numpy() * moved,
                "oop_outside": outside[:, year],
                "registered_income": income[:, year] * error,
            }
            frame = homes.with_columns(pl.Series(name, np.round(values, 2)) for name, values in spent.items())
        frames.append(
            frame.with_columns(
                pl.lit(first_year + year, dtype=pl.Int32).alias("wave"),
                pl.Series("labour_capacity", capacity[:, year].astype(np.int32)),
            )
        )
    return pl.concat(frames)


def _outside(first: Array, years: int, numbers: Assumed, seed: int) -> Array:
    """Move own spending outside the claims on, its sum over the county staying as it was."""
    rng = stream(seed, "outside")
    luck = np.zeros(len(first))
    spent = np.empty((len(first), years))
    for year in range(years):
        drawn = first * np.exp(numbers["outside.spread"] * luck)
        spent[:, year] = np.round(drawn * (first.sum() / max(1e-9, float(drawn.sum()))), 2)
        rho = numbers["outside.lasting"]
        luck = rho * luck + np.sqrt(1 - rho**2) * rng.standard_normal(len(first))
    return spent


def _days(first_year: int, days: Ints) -> pl.Series:
    return pl.Series(np.datetime64(f"{first_year}-01-01") + days.astype("timedelta64[D]")).cast(pl.Date)


def _ends(first_year: int, days: Ints) -> pl.Series:
    """Give last days, none where there is no end."""
    ends = days < FAR
    dates = _days(first_year, np.where(ends, days, 0))
    return pl.select(pl.when(pl.Series(ends)).then(dates)).to_series()


def _illness_table(ill: Illness, members: Members, people: pl.DataFrame, first_year: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "person_id": people["person_id"].gather(ill.person),
            "household_id": people["household_id"].gather(ill.person),
            "ill_from": _days(first_year, ill.since),
            "known_from": _days(first_year, ill.known),
            "ill_to": _ends(first_year, ill.until),
            "severity": np.round(ill.severity, 4),
            "lasting": ill.lasting,
            "in_claims": members.resident[ill.person],
            "synthetic": np.ones(len(ill.person), np.bool_),
        }
    )


@dataclass(frozen=True, slots=True)
class _Trouble:
    """Be what is needed to say how large a trouble is: income by household and year, and the claims."""

    members: Members
    weight: Array
    labour: Array
    income: Array
    cost: pl.DataFrame
    own: float
    years: int
    numbers: Assumed

    def care_from(self, person: Ints, since: Ints) -> Array:
        """Give the own part of the cost of a person's claims in the year from a day."""
        wide = 4 * FAR
        sorted_ = self.cost.sort("person", "start")
        key = sorted_["person"].to_numpy() * wide + sorted_["start"].to_numpy()
        reached = np.concatenate([[0.0], np.cumsum(sorted_["total"].to_numpy())])
        begin = person * wide + since
        between = reached[np.searchsorted(key, begin + _YEAR)] - reached[np.searchsorted(key, begin)]
        return np.asarray(self.own * between, np.float64)

    def income_of(self, person: Ints, since: Ints) -> tuple[Array, Array]:
        """Give the income and the labour's part of it of a person's household in the year of a day."""
        home = self.members.home[person]
        income = self.income[home, np.clip(since // _YEAR, 0, self.years - 1)]
        return income, income * self.labour[home]


def _truth_table(
    ill: Illness, work: WorkLost, trouble: _Trouble, people: pl.DataFrame, first_year: int
) -> pl.DataFrame:
    """List troubles in order of day and household."""
    person = np.concatenate([ill.person, work.person])
    since = np.concatenate([ill.since, work.since])
    until = np.concatenate([ill.until, work.until])
    kind = np.concatenate([ill.lasting.astype(np.int64), np.full(len(work.person), 2)])
    day_ill, day_lost = ill.since.astype(np.float64), work.since.astype(np.float64)
    taken = np.concatenate(
        [
            loss_of_illness(ill, trouble.weight, day_ill, day_ill + _YEAR, trouble.numbers),
            loss_of_work(work, trouble.weight, day_lost, day_lost + _YEAR),
        ]
    )
    income, labour = trouble.income_of(person, since)
    lost = np.minimum(labour, taken * labour)
    care = np.where(kind < 2, trouble.care_from(person, since), 0.0)
    large = lost + care > trouble.numbers.share("trouble") * income
    return _ordered(
        pl.DataFrame(
            {
                "household_id": people["household_id"].gather(person),
                "person_id": people["person_id"].gather(person),
                "wave": (first_year + np.clip(since // _YEAR, 0, trouble.years - 1)).astype(np.int32),
                "onset": _days(first_year, since),
                "until": _ends(first_year, until),
                "kind": pl.Series(KINDS).gather(kind),
                "lost": np.round(lost, 2),
                "care": np.round(care, 2),
                "large": large,
                "synthetic": np.ones(len(person), np.bool_),
            }
        )
    )


def _ordered(truth: pl.DataFrame) -> pl.DataFrame:
    return truth.sort("onset", "household_id", "person_id", "kind", maintain_order=True)


def _causes_table(homes: pl.DataFrame, healthy: Array, left: Array, first_year: int) -> pl.DataFrame:
    ids = homes["household_id"]
    return pl.concat(
        pl.DataFrame(
            {
                "household_id": ids,
                "wave": np.full(len(ids), first_year + year, np.int32),
                "healthy_income": np.round(healthy[:, year], 2),
                "income_lost": np.round(np.maximum(0.0, healthy[:, year] - left[:, year]), 2),
                "synthetic": np.ones(len(ids), np.bool_),
            }
        )
        for year in range(left.shape[1])
    )
