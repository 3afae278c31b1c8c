"""Make a county, or a province of several: households, people, statuses and claims, told only by published figures."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from medfloor import __version__
from medfloor.errors import InputError, UsageError
from medfloor.synthetic.burden import make_burden
from medfloor.synthetic.calibration import Calibration, Check
from medfloor.synthetic.care import Care, make_care, total_of
from medfloor.synthetic.draws import Array, Ints, counts_of, stream
from medfloor.synthetic.health import Health, make_health
from medfloor.synthetic.homes import CHILD_BELOW, Homes, make_homes
from medfloor.synthetic.means import Means, consumption_of, make_means
from medfloor.synthetic.place import Place, shipped_place
from medfloor.synthetic.reached import checks_of
from medfloor.synthetic.standing import RESIDENT, RUNNING, Enrolment, Spells, make_enrolment, make_spells
from medfloor.tables import AREAS, CARE_TYPES, FACILITY_LEVELS, REFERRALS, SCHEMES

LEAST, MOST = 1_000, 5_000_000
MOST_YEARS = 8
_STUDENT_BELOW = 18
_ADULT = 15


@dataclass(frozen=True)
class County:
    """Be a made-up county, or a province, in the tables of the data contract, each row marked `synthetic`.

    Money is yuan as Float64, exact to the fen. `claims` are those of the residents' scheme; households have
    `oop_outside`, what they spend themselves on health that is not among the claims. `calibration` tells what was
    reached. A province also has its `counties` one by one, whose ids are the column `region` of people and households.
    """

    people: pl.DataFrame
    households: pl.DataFrame
    spells: pl.DataFrame
    claims: pl.DataFrame
    calibration: Calibration
    counties: tuple[County, ...] = ()

    @property
    def tables(self) -> dict[str, pl.DataFrame]:
        """Give the four tables by name."""
        return {
            "people": self.people, "households": self.households, "spells": self.spells, "claims": self.claims,
        }  # fmt: skip


def synthesise(people: int, *, seed: int, place: Place | None = None, years: int = 1, checked: bool = True) -> County:
    """Make a county of so many people, calibrated to a place's figures; the same seed gives the same tables.

    A province (a place with counties) gets each of its counties with its share of the people, from a seed that follows
    from the seed and the county's id. `years` is the number of years with claims (1 to 8), each calibrated to the same
    figures: no trend, no births and deaths. Figures that need a settlement are checked by
    `medfloor.simulation.validate`. Nothing is fitted to microdata. Who only needs the tables asks for a county that is
    not `checked`: the same tables, and a calibration without checks, for which a year more would have to be made up.

    Raises UsageError: bad_people, bad_years, bad_seed; InputError bad_place where the figures contradict each other.

    >>> county = synthesise(2_000, seed=1)
    >>> county.people.height, bool(county.claims["synthetic"].all())
    (2000, True)
    """
    if not LEAST <= people <= MOST:
        raise UsageError(
            "bad_people",
            f"{people} people: ask for {LEAST:,} to {MOST:,}; make a larger place in small, its shares stay",
        )
    if not 1 <= years <= MOST_YEARS:
        raise UsageError("bad_years", f"{years} years: ask for 1 to {MOST_YEARS}")
    if not 0 <= seed < 1 << 63:
        raise UsageError("bad_seed", f"seed {seed}: give a whole number from 0 to {(1 << 63) - 1:,}")
    place = place or shipped_place()
    if place.counties:
        return _province(place, people, seed, years, checked)
    return _county(place, people, seed, years, "", checked)


def _province(place: Place, people: int, seed: int, years: int, checked: bool) -> County:
    """Make each county of a province by itself, and put their tables one below the other."""
    counts = counts_of([share for share, _ in place.counties], people)
    made = []
    for number, ((_, county), count) in enumerate(zip(place.counties, counts, strict=True), 1):
        if count < LEAST:
            raise UsageError(
                "bad_people",
                f"{people:,} people: of them only {count:,} live in county {county.id}, and a county needs {LEAST:,}",
            )
        mark = f"{number:0{len(str(len(counts)))}d}-"
        made.append(_county(county, int(count), _seed_of(seed, county.id), years, mark, checked))
    checks = tuple(
        replace(one, county=county.id)
        for (_, county), part in zip(place.counties, made, strict=True)
        for one in part.calibration.checks
    )
    tables = {name: pl.concat([part.tables[name] for part in made], rechunk=True) for name in made[0].tables}
    calibration = Calibration(checks, place, seed, people, years, version=__version__)
    return County(**tables, calibration=calibration, counties=tuple(made))


def _seed_of(seed: int, county: str) -> int:
    """Give a county its seed, which does not depend on the other counties of the province."""
    return int(np.random.SeedSequence([seed, zlib.crc32(county.encode())]).generate_state(1, np.uint64)[0] >> 1)


def _county(place: Place, people: int, seed: int, years: int, mark: str, checked: bool) -> County:
    """Make one county; `mark` begins the numbers in its ids, so that those of a province differ, and is empty else."""
    homes = make_homes(place, people, seed)
    means = make_means(place, homes, seed)
    health = make_health(place, homes, means, seed)
    enrolment = make_enrolment(place, homes, means, seed)
    spells = make_spells(place, homes, means, health, enrolment, seed)
    if not (enrolment.scheme == RESIDENT).any():
        raise InputError("bad_place", f"insurance.residents: among {people:,} people is no resident, so no claims")
    cares = [make_care(place, homes, health, enrolment, seed, year) for year in range(years)]
    claimed = total_of(cares[0], homes.people) / 100
    outside, expected = make_burden(place, homes, means, health, enrolment, claimed, seed)
    spending = consumption_of(place, homes, means, outside + expected)
    checks: tuple[Check, ...] = ()
    if checked:
        # Who stays dear can only be seen in a second year, which is not written when it was not asked for.
        second = cares[1] if years > 1 else make_care(place, homes, health, enrolment, seed, 1)
        checks = checks_of(place, homes, means, health, enrolment, spells, cares[0], second, spending)
    persons = _people_table(place, homes, health, enrolment, seed, mark)
    return County(
        persons,
        _households_table(place, homes, means, enrolment, outside, spending, mark),
        _spells_table(place, spells, persons),
        pl.concat([_claims_table(place, care, year, persons["person_id"], mark) for year, care in enumerate(cares)]),
        Calibration(checks, place, seed, people, years, version=__version__),
    )


def _ids(letter: str, rows: Ints, count: int) -> pl.Series:
    """Write numbers as ids whose order as text is that of the numbers."""
    width = len(str(count))
    return pl.select(pl.lit(letter) + pl.Series(rows + 1).cast(pl.String).str.zfill(width)).to_series()


def _days(first: np.datetime64, days: Ints) -> pl.Series:
    return pl.Series(first + days.astype("timedelta64[D]")).cast(pl.Date)


def _first_day(place: Place, year: int = 0) -> np.datetime64:
    return np.datetime64(f"{place.year + year}-01-01")


def _texts(names: tuple[str, ...], codes: Ints) -> pl.Series:
    return pl.Series(names, dtype=pl.String).gather(codes)


def _yuan(fen: Ints) -> Array:
    """Give the doubles nearest to fen / 100."""
    return np.asarray(fen / 100.0, np.float64)


def _whole_fen(yuan: Array) -> Array:
    return _yuan(np.rint(yuan * 100).astype(np.int64))


def _people_table(
    place: Place, homes: Homes, health: Health, enrolment: Enrolment, seed: int, mark: str
) -> pl.DataFrame:
    rng = stream(seed, "birthdays")
    birthday = (np.datetime64(str(place.year), "Y") - homes.age.astype("timedelta64[Y]")).astype("datetime64[D]")
    birth = birthday - rng.integers(0, 365, homes.people).astype("timedelta64[D]")
    joined = (np.datetime64(str(place.year), "Y") - enrolment.continuous_years.astype("timedelta64[Y]")).astype(
        birth.dtype
    )
    joined = np.maximum(joined, birth)
    insured = pl.Series(enrolment.scheme != SCHEMES.index("none"))
    student = pl.Series(homes.age < _STUDENT_BELOW)
    frame = pl.DataFrame(
        {
            "person_id": _ids(f"p{mark}", np.arange(homes.people), homes.people),
            "household_id": _ids(f"h{mark}", homes.home, len(homes.size)),
            "birth_date": pl.Series(birth).cast(pl.Date),
            "sex": _texts(("female", "male"), homes.male.astype(np.int64)),
            "scheme": _texts(SCHEMES, enrolment.scheme),
            "residence": _texts(("rural", "urban"), homes.urban[homes.home].astype(np.int64)),
            **_region(place, mark, homes.people),
            "enrolled_from": pl.Series(joined).cast(pl.Date),
            "continuous_years": enrolment.continuous_years.astype(np.int32),
            "claim_free_years": enrolment.claim_free_years.astype(np.int32),
            "family_doctor": enrolment.family_doctor,
            "chronic": health.chronic,
            "hypertension": health.hypertension,
            "diabetes": health.diabetes,
            "major_disease": health.major,
        }
    )
    dated = pl.when(insured).then(pl.col("enrolled_from", "continuous_years", "claim_free_years"))
    return frame.with_columns(dated, pl.lit(True).alias("synthetic")).insert_column(
        frame.columns.index("enrolled_from"),
        pl.select(pl.when(student).then(pl.lit("student_child"))).to_series().alias("insured_class"),
    )


def _region(place: Place, mark: str, rows: int) -> dict[str, pl.Series]:
    """Give a county of a province its column `region`; a county by itself has none."""
    return {"region": pl.repeat(place.id, rows, dtype=pl.String, eager=True)} if mark else {}


def _households_table(
    place: Place,
    homes: Homes,
    means: Means,
    enrolment: Enrolment,
    outside: Array,
    spending: dict[str, Array],
    mark: str,
) -> pl.DataFrame:
    children = homes.total((homes.age < CHILD_BELOW).astype(np.float64)).astype(np.int32)
    elsewhere = homes.total((enrolment.scheme != SCHEMES.index("resident")).astype(np.float64)).astype(np.int32)
    return pl.DataFrame(
        {
            "household_id": _ids(f"h{mark}", np.arange(len(homes.size)), len(homes.size)),
            "size": homes.size.astype(np.int32),
            "adults": homes.size.astype(np.int32) - children,
            "children": children,
            "residence": _texts(("rural", "urban"), homes.urban.astype(np.int64)),
            **_region(place, mark, len(homes.size)),
            "income": _whole_fen(means.income),
            **{name: _whole_fen(values) for name, values in spending.items()},
            "oop_outside": _whole_fen(outside),
            "registered_income": _whole_fen(means.registered),
            "members_elsewhere": elsewhere,
            "synthetic": np.ones(len(homes.size), np.bool_),
        }
    )


def _spells_table(place: Place, spells: Spells, people: pl.DataFrame) -> pl.DataFrame:
    """Give the spells with dates; those of children begin with their birth, or not at all if they ended before it."""
    first = _first_day(place)
    running = spells.until == RUNNING
    frame = pl.DataFrame(
        {
            "person_id": people["person_id"].gather(spells.person),
            "group": pl.Series(spells.group, dtype=pl.String),
            "from_date": pl.select(
                pl.max_horizontal(_days(first, spells.since), people["birth_date"].gather(spells.person))
            ).to_series(),
            "to_date": _days(first, np.where(running, 0, spells.until)),
            "detail": pl.Series(spells.detail, dtype=pl.String),
            "synthetic": np.ones(len(running), np.bool_),
        }
    )
    frame = frame.with_columns(pl.when(pl.Series(~running)).then(pl.col("to_date")).alias("to_date"))
    return frame.filter(pl.col("to_date").is_null() | (pl.col("to_date") >= pl.col("from_date")))


def _claims_table(place: Place, care: Care, year: int, person_ids: pl.Series, mark: str) -> pl.DataFrame:
    first = _first_day(place, year)
    count = len(care.person)
    number = pl.Series(np.arange(1, count + 1)).cast(pl.String).str.zfill(9)
    return pl.DataFrame(
        {
            "claim_id": pl.select(pl.lit(f"c{place.year + year}-{mark}") + number).to_series(),
            "person_id": person_ids.gather(care.person),
            "care_type": _texts(CARE_TYPES, care.kind),
            "start_date": _days(first, care.start),
            "end_date": _days(first, care.start + care.days),
            "facility_level": _texts(FACILITY_LEVELS, care.level),
            "area": _texts(AREAS, care.area),
            "referral": _texts(REFERRALS, care.referral),
            "diagnosis": _texts(care.codes, care.diagnosis),
            "total": _yuan(care.total),
            "off_catalogue": _yuan(care.off_catalogue),
            "over_limit": _yuan(care.over_limit),
            "first_self_pay": _yuan(care.first_self_pay),
            "in_scope": _yuan(care.in_scope),
            "synthetic": np.ones(count, np.bool_),
        }
    )
