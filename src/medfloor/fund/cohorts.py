"""Carry a population forward by cohorts: who is born, who dies, who comes and goes; or read a table of it.

People are an array by age (single years, the last is 100 and over), sex (male, female) and residence (urban, rural).
The method is the ordinary cohort-component one: survivors grow a year older, births follow from women of 15 to 49, net
migration falls on ages 18 to 45. Mortality is Gompertz's law with a fixed slope, its level found so that the life
expectancy is the one asked for, with infants apart: a shape of ours, to be replaced by a table where one is known.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor.errors import InputError
from medfloor.fund.parameters import Parameters
from medfloor.sparing import ready
from medfloor.tables import RESIDENCES, SEXES

if TYPE_CHECKING:
    from medfloor.measures.sample import Table

Array = npt.NDArray[np.float64]

AGES = 101
"""Single years of age from 0; the last stands for 100 and over."""

SHAPE = (AGES, 2, 2)
_SLOPE = 0.098
_INFANT = 0.005
"""Gompertz's slope a year of age, and the deaths of the first year: ours, near those of low-mortality countries."""

_FERTILE = slice(15, 50)
_SPREAD = 5.0
_MOVING = slice(18, 46)
_FLOWS = ("births", "deaths", "migration")
_OLDEST_AT_LEAST = 85
"""A table of people that ends below this age has left the old out."""

_MOST_CHANGE = 0.10
"""By what part a place may grow or shrink in a year before births, deaths and migration must say why: ours."""


def carry(people: Array, parameters: Parameters, *, first: int, years: int) -> Array:
    """Give the people of `first` and of so many years after it: shape (years + 1, ages, sexes, residences).

    >>> from medfloor.fund.parameters import shipped_parameters
    >>> carry(np.ones(SHAPE), shipped_parameters(), first=2025, years=2).shape
    (3, 101, 2, 2)
    """
    found = [np.asarray(people, np.float64)]
    for year in range(first, first + years):
        found.append(_next_year(found[-1], parameters, year))
    return np.stack(found)


def spread(bands: dict[str, float], total: float, male: float, urban: float, oldest: float) -> Array:
    """Spread published shares of age bands, such as 15-59, over single years; men and town by their shares.

    Within a band every year has as many; from the last band on (65+) ages fall off with a mean of `oldest` years.

    >>> round(spread({"0-59": 81.0, "60+": 19.0}, 1000, 0.5, 0.6, 8.0)[60:].sum())
    190
    """
    ages = np.zeros(AGES)
    for band, share in bands.items():
        if band.endswith("+"):
            start = int(band[:-1])
            tail = np.exp(-np.arange(AGES - start) / oldest)
            ages[start:] += share * tail / tail.sum()
        else:
            low, high = (int(part) for part in band.split("-"))
            ages[low : high + 1] += share / (high + 1 - low)
    people = total * ages / ages.sum()
    by_sex = np.stack([people * male, people * (1 - male)], axis=1)
    return np.stack([by_sex * urban, by_sex * (1 - urban)], axis=2)


def read_people_by_year(table: Table, *, first: int, years: int) -> Array:
    """Read a table of the user's: year, age, sex, persons, and optionally residence. Rows must add up.

    Ages are single years from 0 (100 stands for 100 and over), each once for every year, sex and residence, with 0
    persons where there is nobody. A row whose age is "all" is a total of its year (and of its sex or residence, where
    it has one), and the rows must come to it within half a person a row. Where the table has births, deaths and
    migration in the total rows of years, each year must be the year before and these; without them a year may differ
    from the one before by a tenth.

    Raises InputError: missing_column, missing_year, missing_age, given_twice, bad_number, does_not_add_up.
    """
    from medfloor.measures.sample import frame_of

    frame = frame_of(table).with_row_index("line", 2)
    for name in ("year", "age", "sex", "persons"):
        if name not in frame.columns:
            raise InputError("missing_column", f"the population table has no column {name}; it needs year, age, sex, "
                             "persons")  # fmt: skip
    frame = frame.with_columns(pl.col("age", "sex").cast(pl.String).str.strip_chars())
    totals = _totals(frame.filter(pl.col("age") == "all"))
    cells = _cells(frame.filter(pl.col("age") != "all"))
    there = set(cells["year"].to_list())
    missing = [year for year in range(first, first + years + 1) if year not in there]
    if missing:
        raise InputError("missing_year", f"the population table lacks {', '.join(map(str, missing))}; give every year "
                         f"from {first} to {first + years}, or fewer --years")  # fmt: skip
    _hold_each_once(cells)
    _hold_totals(cells, totals)
    explained = _hold_flows(cells, totals, first=first, last=first + years)
    _hold_steps(cells, explained, first=first, last=first + years)
    found = np.zeros((years + 1, *SHAPE))
    wanted = cells.filter(pl.col("year").is_between(first, first + years))
    np.add.at(
        found,
        tuple(wanted[name].to_numpy() - (first if name == "year" else 0) for name in ("year", "age", "sex", "at")),
        wanted["persons"].to_numpy(),
    )
    return found


def survival(expectancy: float) -> Array:
    """Give the chance to live through each year of age, for a life expectancy at birth in years.

    >>> float(np.cumprod(survival(78.0))[64].round(2)) > 0.8
    True
    """
    return _survival(round(float(expectancy), 4))


def life_expectancy(chances: Array) -> float:
    """Give the life expectancy at birth of chances to live through each year; half a year in the year of death."""
    alive = np.cumprod(chances)
    return float(0.5 + alive[:-1].sum() + alive[-1] / max(1 - chances[-1], 1e-9))


@functools.lru_cache(maxsize=512)
def _survival(expectancy: float) -> Array:
    def chances(level: float) -> Array:
        hazard = math.exp(level) * np.exp(_SLOPE * np.arange(AGES))
        hazard[0] += _INFANT
        found: Array = np.exp(-np.minimum(hazard, 50.0))
        return found

    level = ready("scipy.optimize").brentq(lambda one: life_expectancy(chances(one)) - expectancy, -25.0, 5.0)
    found = chances(level)
    found.flags.writeable = False
    return found


def _next_year(people: Array, parameters: Parameters, year: int) -> Array:
    gained = parameters.value("population.life_gain")
    lived = np.empty((AGES, 2))
    for sex, name in enumerate(("life_male", "life_female")):
        known = parameters[f"population.{name}"]
        lived[:, sex] = survival(min(max(known.value + gained * (year + 1 - known.year), 20.0), 99.0))
    survivors = people * lived[:, :, None]
    older = np.zeros_like(people)
    older[1:] = survivors[:-1]
    older[-1] += survivors[-1]
    ages = np.arange(15, 50)
    bell = np.exp(-0.5 * ((ages - parameters.value("population.age_at_birth")) / _SPREAD) ** 2)
    rate = parameters.value("population.fertility") * bell / bell.sum()
    mothers = (people[_FERTILE, 1] + older[_FERTILE, 1]) / 2
    births = rate @ mothers
    boys = parameters.share("population.boys")
    older[0] = np.stack([births * boys, births * (1 - boys)])
    moving = older[_MOVING]
    come = parameters.value("population.migration") / 1000 * older.sum()
    if moving.sum() > 0:
        older[_MOVING] = moving * max(1 + come / moving.sum(), 0.0)
    town = older[:, :, 1] * parameters.share("population.urbanising")
    older[:, :, 0] += town
    older[:, :, 1] -= town
    return older


def _cells(frame: pl.DataFrame) -> pl.DataFrame:
    residence = pl.col("residence").cast(pl.String) if "residence" in frame.columns else pl.lit("urban")
    read = frame.select(
        "line",
        pl.col("year").cast(pl.Int64, strict=False),
        pl.col("age").cast(pl.Int64, strict=False),
        pl.col("sex").replace_strict(list(SEXES), [0, 1], default=None, return_dtype=pl.Int64),
        residence.replace_strict(list(RESIDENCES), [0, 1], default=None, return_dtype=pl.Int64).alias("at"),
        pl.col("persons").cast(pl.Float64, strict=False),
    )
    wrong = read.filter(
        pl.any_horizontal(pl.all().is_null())
        | ~pl.col("age").is_between(0, AGES - 1)
        | (pl.col("persons") < 0)
        | ~pl.col("persons").is_finite()
    )
    if wrong.height:
        raise InputError(
            "bad_number",
            f"{wrong.height} rows of the population table cannot be read, the first in line {wrong['line'][0]}: "
            "year and age are whole numbers (age 0 to 100), sex male or female, residence urban or rural, persons not "
            "below 0",
        )
    return read


def _totals(frame: pl.DataFrame) -> pl.DataFrame:
    """Read the total rows; one that cannot be read is an error, because nothing could be held against it."""
    numbers = [name for name in ("persons", *_FLOWS) if name in frame.columns]
    read = frame.with_columns(
        pl.col("year").cast(pl.Int64, strict=False), pl.col(numbers).cast(pl.Float64, strict=False)
    )
    if read.select(pl.any_horizontal(pl.col("year", "persons").is_null())).to_series().any():
        raise InputError(
            "bad_number", "a total of the population table (age all) has no year or no persons; fill it in"
        )
    return read


def _hold_each_once(cells: pl.DataFrame) -> None:
    """See that every age from 0 on stands once for each year, sex and residence that the table has."""
    keys = ["year", "age", "sex", "at"]
    again = cells.filter(~pl.struct(keys).is_first_distinct())
    if again.height:
        row = again.row(0, named=True)
        raise InputError(
            "given_twice",
            f"the population table gives {_cell(row)} again in line {row['line']} ({again.height} rows in all are "
            "given twice); leave one of them",
        )
    top = int(cells["age"].cast(pl.Int64).to_numpy().max())
    if top < _OLDEST_AT_LEAST:
        raise InputError(
            "missing_age",
            f"the population table ends at age {top}; go on to 100 (100 and over), with 0 persons where there is "
            "nobody",
        )
    ages = pl.DataFrame({"age": range(top + 1)}, schema={"age": pl.Int64})
    wanted = cells.select("year").unique().join(ages, how="cross")
    for name in ("sex", "at"):
        there = pl.DataFrame({name: [0, 1]}) if name == "sex" else cells.select(name).unique()
        wanted = wanted.join(there, how="cross")
    lacking = wanted.join(cells, on=keys, how="anti").sort(keys)
    if lacking.height:
        raise InputError(
            "missing_age",
            f"the population table lacks {_cell(lacking.row(0, named=True))} ({lacking.height} rows in all); give "
            f"every age from 0 to {top} for each year, sex and residence, with 0 persons where there is nobody",
        )


def _cell(row: dict[str, Any]) -> str:
    return f"year {row['year']}, age {row['age']}, {SEXES[row['sex']]}, {RESIDENCES[row['at']]}"


def _hold_totals(cells: pl.DataFrame, totals: pl.DataFrame) -> None:
    for row in totals.iter_rows(named=True):
        inside, who = cells.filter(pl.col("year") == int(row["year"])), ""
        for name, known, column in (("sex", SEXES, "sex"), ("residence", RESIDENCES, "at")):
            if row.get(name) in known:
                inside = inside.filter(pl.col(column) == known.index(row[name]))
                who += f", {row[name]}"
        told, summed = float(row["persons"]), float(inside["persons"].sum())
        if abs(told - summed) > max(0.5 * inside.height, 1e-9 * told):
            raise InputError(
                "does_not_add_up",
                f"line {row['line']} of the population table says {told:,.0f} people for {row['year']}{who}, but its "
                f"rows come to {summed:,.0f}; mend the rows or the total",
            )


def _hold_flows(cells: pl.DataFrame, totals: pl.DataFrame, *, first: int, last: int) -> set[int]:
    """See that births, deaths and migration lead from year to year; give the years that they explain."""
    flows = [name for name in _FLOWS if name in totals.columns]
    if not flows:
        return set()
    lacking = [name for name in _FLOWS if name not in flows]
    if lacking:
        raise InputError(
            "missing_column",
            f"the population table has {', '.join(flows)} and no {', '.join(lacking)}; give all three (0 where there "
            "is none), or none of them",
        )
    whole = totals.filter(~pl.col("sex").is_in(list(SEXES)).fill_null(False))
    if "residence" in whole.columns:
        whole = whole.filter(~pl.col("residence").is_in(list(RESIDENCES)).fill_null(False))
    rows = {int(row["year"]): row for row in whole.iter_rows(named=True)}
    people = dict(cells.group_by("year").agg(pl.col("persons").sum()).iter_rows())
    for year in range(first + 1, last + 1):
        row = rows.get(year)
        if row is None or any(row[name] is None for name in _FLOWS):
            raise InputError(
                "missing_year",
                f"the population table has {', '.join(_FLOWS)}, but not for {year}; give them in a row of {year} whose "
                "age and sex are all",
            )
        if row["births"] < 0 or row["deaths"] < 0:
            raise InputError("bad_number", f"line {row['line']} of the population table: births and deaths are not "
                             "below 0")  # fmt: skip
        expected = people[year - 1] + row["births"] - row["deaths"] + row["migration"]
        if abs(expected - people[year]) > 0.5 * AGES * 4:
            raise InputError(
                "does_not_add_up",
                f"line {row['line']} of the population table: {year - 1} with births, deaths and migration of {year} "
                f"comes to {expected:,.0f}, but the table has {people[year]:,.0f} people in {year}; mend one of them",
            )
    return set(range(first + 1, last + 1))


def _hold_steps(cells: pl.DataFrame, explained: set[int], *, first: int, last: int) -> None:
    """See that there is somebody in every year, and that no year leaps without births, deaths and migration."""
    people = dict(cells.group_by("year").agg(pl.col("persons").sum()).iter_rows())
    for year in range(first, last + 1):
        if not people[year] > 0:
            raise InputError("does_not_add_up", f"the population table has nobody in {year}; give the persons")
        if year == first or year in explained:
            continue
        change = people[year] / people[year - 1] - 1
        if abs(change) > _MOST_CHANGE:
            raise InputError(
                "does_not_add_up",
                f"the population table goes from {people[year - 1]:,.0f} people in {year - 1} to "
                f"{people[year]:,.0f} in {year} ({change:+.0%}); more than {_MOST_CHANGE:.0%} in a year needs births, "
                "deaths and migration in rows of age all, or is a slip",
            )
