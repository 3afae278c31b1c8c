"""Be the people on whom reforms are tried: a folder of the contract's tables, or a survey without claims."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

from medfloor.errors import InputError, UsageError
from medfloor.intake import read_households, read_table, scan_table
from medfloor.intake.files import Scan, yuan_of
from medfloor.measures.sample import Table, frame_of
from medfloor.simulation.sieve import Sifted, sifted
from medfloor.tables import FACILITY_LEVELS, HOUSEHOLDS

_MONEY = tuple(column.name for column in HOUSEHOLDS.columns if column.kind == "money")
_NUMBERS = ("weight", "fpc", "oop_outside")
"""Columns that households may carry and that are read as numbers."""

_ENDINGS = (".parquet", ".csv")


@dataclass(frozen=True, slots=True)
class Assumed:
    """Be what a survey does not say and a simulation has to assume.

    `in_scope` is the share of each amount that lies in the insurance's scope, `low` and `high` the ends between which
    draws take it. `level` is the facility level of stays where the survey has none, `visit_level` that of visits.
    `missing` says what becomes of households in which somebody's spending is missing: they are set aside (`aside`), or
    what is missing is taken as zero (`zero`).
    """

    in_scope: float
    low: float | None = None
    high: float | None = None
    level: str = "2"
    visit_level: str = "primary"
    missing: Literal["aside", "zero"] = "aside"

    def __post_init__(self) -> None:
        """Refuse a share that is none, and levels that there are not."""
        shares = [one for one in (self.low, self.in_scope, self.high) if one is not None]
        if any(not 0 <= one <= 1 for one in shares) or shares != sorted(shares):
            raise UsageError("bad_share", f"the in-scope share {self.in_scope:g} must lie within 0 and 1 and its range")
        for level in (self.level, self.visit_level):
            if level not in FACILITY_LEVELS:
                raise UsageError("bad_choice", f"there is no level {level!r}; use {', '.join(FACILITY_LEVELS)}")
        if self.missing not in ("aside", "zero"):
            raise UsageError("bad_choice", f"missing spending is set aside or taken as zero, not {self.missing!r}")


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """Be people with their claims of one year.

    `claims`, `people` and `spells` are what `settle` takes; `households` has one row a household, money in yuan as
    doubles: household_id, size, consumption, income, food, ..., `oop_outside` (what it spends on health outside the
    claims; 0 where the table has none), and weight, stratum, psu, region, residence where it has them. `synthetic` says
    that the people are made up. `survey` keeps the table that claims were made of, `assumed` how, and `sifted` which
    of its rows were set aside. `rejects` are the rows that are in no figure, as text, with reason and detail: those of
    the survey, or the households that cannot be measured.
    """

    name: str
    claims: pl.DataFrame | Scan
    people: pl.DataFrame
    spells: pl.DataFrame | None
    households: pl.DataFrame
    year: int | None = None
    synthetic: bool = False
    survey: pl.DataFrame | None = None
    assumed: Assumed | None = None
    sifted: Sifted | None = None
    rejects: pl.DataFrame | None = None

    def assuming(self, in_scope: float) -> Population:
        """Make the claims of a survey again with another in-scope share."""
        assert self.survey is not None and self.assumed is not None, "only a survey has assumptions"
        made = population_of_survey(self.survey, replace(self.assumed, in_scope=in_scope), name=self.name)
        return replace(made, year=self.year, assumed=self.assumed, sifted=self.sifted, rejects=self.rejects)


def read_population(folder: str | Path, *, year: int | None = None) -> Population:
    """Read the tables claims, people, households and spells of a folder (.parquet or .csv; spells may be missing).

    Several folders joined with + are the counties of one province: their people stand side by side, with the folder's
    name as `region`. `year` keeps the claims that end in one year; it is needed where there are several.

    Raises InputError no_population where a table is missing, and what reading the tables raises.
    """
    parts = [_read_folder(Path(one), year) for one in str(folder).split("+")]
    return parts[0] if len(parts) == 1 else _side_by_side(parts, str(folder))


def population_of(
    claims: pl.DataFrame | Scan,
    people: pl.DataFrame,
    households: pl.DataFrame,
    spells: pl.DataFrame | None = None,
    *,
    name: str = "population",
    year: int | None = None,
) -> Population:
    """Make a population of tables in the contract's columns.

    Households that cannot be read, or have no size or no consumption, are set aside as `rejects`: their people count in
    the totals of funds and of use, and nowhere else.

    Raises InputError: duplicate_household, bad_number, missing_column, no_rows where no household can be measured, and
    what `read_households` raises.

    >>> claims = pl.DataFrame({"claim_id": ["c1"], "person_id": ["p1"], "care_type": ["inpatient"],
    ...     "start_date": ["2024-03-01"], "end_date": ["2024-03-10"], "facility_level": ["3"],
    ...     "total": [1000.0], "in_scope": [1000.0]})
    >>> homes = pl.DataFrame({"household_id": ["h1"], "size": [1], "consumption": [9000.0]})
    >>> population_of(claims, pl.DataFrame({"person_id": ["p1"], "household_id": ["h1"]}), homes).households["size"][0]
    1.0
    """
    read = read_households(households)
    frame, bad = _measurable(read.accepted, read.bad)
    if not frame.height:
        told = f"; the first because {bad['detail'][0]}" if bad.height else ""
        raise InputError("no_rows", f"none of the {bad.height:,} households of {name} can be measured{told}")
    if frame["household_id"].is_duplicated().any():
        raise InputError("duplicate_household", "a household stands in two rows; give one wave, one row a household")
    frame = frame.with_columns(
        *(yuan_of(pl.col(f"{one}_fen")).alias(one) for one in _MONEY),
        *(pl.col(one).cast(pl.Float64) for one in ("size", "adults", "children")),
    ).drop(f"{one}_fen" for one in _MONEY)
    for one in _NUMBERS:
        if one in frame.columns:
            frame = frame.with_columns(_as_number(frame[one]))
    if "oop_outside" not in frame.columns:
        frame = frame.with_columns(pl.lit(0.0).alias("oop_outside"))
    empty = [one for one in frame.columns if frame[one].null_count() == frame.height]
    made_up = "synthetic" in people.columns and people.height > 0 and str(people["synthetic"][0]).lower() == "true"
    rejects = bad.cast(pl.String) if bad.height else None
    return Population(name, claims, people, spells, frame.drop(empty), year, made_up, rejects=rejects)


def _measurable(frame: pl.DataFrame, bad: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Part the households that have a size and a consumption from those that do not, or cannot be read."""
    for column, fact in (("size", "size"), ("consumption_fen", "consumption")):
        if column not in frame.columns:
            raise InputError("missing_column", f"the households have no column {fact}; every household needs it")
        none = frame[column].is_null() | ((frame[column] <= 0) if column == "size" else False)
        told = frame.filter(none).select(
            "household_id",
            pl.lit("missing_value").alias("reason"),
            pl.lit(f"{fact} is empty" + (" or 0" if column == "size" else "")).alias("detail"),
        )
        bad, frame = pl.concat([bad, told], how="vertical_relaxed"), frame.filter(~none)
    return frame, bad


def population_of_survey(
    table: Table, assumed: Assumed, *, name: str = "survey", unreadable: pl.DataFrame | None = None
) -> Population:
    """Make a population of a survey that tells a person's yearly spending instead of claims.

    One row a person: household_id, `inpatient` and `outpatient` (what was charged in the year, before any payback;
    either may be absent), and the household's size, consumption, income, food, weight, stratum and psu in each row of
    its members. Optional: person_id, age, sex, residence, scheme, group (a status held all year), stays (how many
    admissions the inpatient amount is of; 1 if not told), facility_level, year, oop_outside. Each stay and each
    person's outpatient care of the year is one unit, of which `assumed.in_scope` lies in the scope and the rest outside
    the catalogues. Without size the rows of a household are counted. Care is dated 1 July, as nothing else is known.

    Rows with missing or impossible values are set aside with their households (`Population.rejects`, see `sifted`);
    `unreadable` are rows that could not be read before. Missing spending is what `assumed.missing` says.

    Raises InputError missing_column, and no_rows where all rows are set aside.
    """
    frame = frame_of(table)
    if "household_id" not in frame.columns:
        raise InputError("missing_column", "the survey has no column household_id; map it: household_id=<your column>")
    spends = [one for one in ("inpatient", "outpatient") if one in frame.columns]
    if not spends:
        raise InputError("missing_column", "the survey has neither inpatient nor outpatient spending; map one of them")
    frame = frame.with_columns(pl.col("household_id").cast(pl.String))
    if "consumption" not in frame.columns:
        raise InputError("missing_column", "the survey has no column consumption; map it: consumption=<your column>")
    if "person_id" not in frame.columns:
        frame = frame.with_columns(pl.format("s{}", pl.int_range(1, pl.len() + 1)).alias("person_id"))
    found = sifted(frame, zero=assumed.missing == "zero", unreadable=unreadable)
    if not found.frame.height:
        raise InputError("no_rows", _all_aside(found, name))
    frame = found.frame
    said = frame["year"].drop_nulls().to_list() if "year" in frame.columns else []
    year = int(said[0]) if said else 2024
    people = _people_of_survey(frame, year)
    claims = pl.concat([_units(frame, one, assumed, year) for one in spends]).filter(pl.col("total") > 0)
    spells = None
    if "group" in frame.columns:
        spells = frame.filter(pl.col("group").is_not_null() & (pl.col("group").cast(pl.String) != "none")).select(
            pl.col("person_id").cast(pl.String), pl.col("group").cast(pl.String)
        )
    made = population_of(claims, people, _homes_of_survey(frame), spells, name=name)
    rejects = _joined([found.rejects, made.rejects])
    return replace(made, survey=frame, assumed=assumed, sifted=found, rejects=rejects)


def _joined(parts: Iterable[pl.DataFrame | None]) -> pl.DataFrame | None:
    there = [one for one in parts if one is not None and one.height]
    return pl.concat(there, how="diagonal_relaxed") if there else None


def _all_aside(found: Sifted, name: str) -> str:
    if not found.rows_in:
        return f"{name} has no rows"
    reasons = ", ".join(f"{reason} {number:,}" for reason, number in found.reasons.items())
    first = found.rejects.filter(pl.col("reason") != "bad_household")["detail"]
    return (
        f"all {found.rows_in:,} rows of {name} are set aside ({reasons}), the first because "
        f"{first[0] if len(first) else found.rejects['detail'][0]}. Mend them; if empty spending means none, say "
        "--missing-spending zero (missing='zero')"
    )


def _read_folder(folder: Path, year: int | None) -> Population:
    found = {name: _file(folder, name) for name in ("claims", "people", "households", "spells")}
    for name in ("claims", "people", "households"):
        if found[name] is None:
            raise InputError(
                "no_population",
                f"{folder} has no {name}.parquet or {name}.csv; a population is a folder with claims, people and "
                "households, such as `medfloor synthesise` writes",
            )
    tables: dict[str, Any] = {name: path for name, path in found.items() if path is not None}
    spells = read_table(tables["spells"], "spells") if "spells" in tables else None
    return population_of(
        scan_table(tables["claims"], "claims"),
        read_table(tables["people"], "people"),
        read_table(tables["households"], "households"),
        spells,
        name=folder.name,
        year=year,
    )


def _file(folder: Path, name: str) -> Path | None:
    return next((path for ending in _ENDINGS if (path := folder / f"{name}{ending}").is_file()), None)


def _side_by_side(parts: Sequence[Population], name: str) -> Population:
    """Join counties: ids get the number of their county, households the name of it as region."""
    claims, people, spells, homes = [], [], [], []
    for number, one in enumerate(parts, 1):
        marks = {key: pl.format(f"{number}-{{}}", pl.col(key)).alias(key) for key in _KEYS}

        def marked(frame: pl.DataFrame, marks: dict[str, pl.Expr] = marks) -> pl.DataFrame:
            return frame.with_columns(mark for key, mark in marks.items() if key in frame.columns)

        claims.append(marked(read_table(one.claims, "claims")))
        people.append(marked(one.people))
        homes.append(marked(one.households).with_columns(pl.lit(one.name).alias("region")))
        if one.spells is not None:
            spells.append(marked(one.spells))
    return replace(
        parts[0],
        name=name,
        claims=pl.concat(claims, how="diagonal_relaxed"),
        people=pl.concat(people, how="diagonal_relaxed"),
        households=pl.concat(homes, how="diagonal_relaxed"),
        spells=pl.concat(spells, how="diagonal_relaxed") if spells else None,
        synthetic=any(one.synthetic for one in parts),
        rejects=_joined(one.rejects for one in parts),
    )


_KEYS = ("claim_id", "person_id", "household_id", "continues", "reverses", "mdtrt_id", "psn_no")


def _as_number(values: pl.Series) -> pl.Series:
    read = values.cast(pl.Float64, strict=False)
    if read.null_count() > values.null_count():
        raise InputError("bad_number", f"column {values.name} of the households holds what is not a number; mend it")
    return read


def _people_of_survey(frame: pl.DataFrame, year: int) -> pl.DataFrame:
    columns = [pl.col("person_id").cast(pl.String), pl.col("household_id")]
    if "age" in frame.columns:
        columns.append(pl.date(year - pl.col("age").cast(pl.Int32, strict=False), 1, 1).alias("birth_date"))
    columns += [pl.col(one).cast(pl.String) for one in ("sex", "residence", "scheme") if one in frame.columns]
    return frame.select(columns)


def _units(frame: pl.DataFrame, care: str, assumed: Assumed, year: int) -> pl.DataFrame:
    """Make one unit of each stay, or of a person's visits of the year, to the fen."""
    spent = frame[care]
    stays = np.ones(frame.height, np.int64)
    if care == "inpatient" and "stays" in frame.columns:
        stays = np.maximum(frame["stays"].fill_null(1.0).to_numpy().astype(np.int64), 1)
    row = np.repeat(np.arange(frame.height), stays)
    first = np.repeat(np.concatenate([[0], np.cumsum(stays)[:-1]]), stays)
    place = np.arange(len(row)) - first
    fen = np.rint(spent.to_numpy() * 100).astype(np.int64)[row]
    # What does not divide goes to the first stays, a fen each.
    total = fen // stays[row] + (place < fen % stays[row])
    inside = np.rint(total * assumed.in_scope).astype(np.int64)
    level: Any = pl.lit(assumed.level if care == "inpatient" else assumed.visit_level)
    if care == "inpatient" and "facility_level" in frame.columns:
        level = frame["facility_level"].cast(pl.String).gather(row).fill_null(assumed.level)
    persons = frame["person_id"].cast(pl.String).gather(row)
    made = pl.DataFrame({"person_id": persons, "_place": place + 1, "total": total / 100, "in_scope": inside / 100})
    return made.select(
        pl.format(f"{care}-{{}}-{{}}", "person_id", "_place").alias("claim_id"),
        "person_id",
        pl.lit(care).alias("care_type"),
        pl.lit(f"{year}-07-01").alias("start_date"),
        pl.lit(f"{year}-07-01").alias("end_date"),
        level.alias("facility_level"),
        "total",
        pl.Series((total - inside) / 100).alias("off_catalogue"),
        "in_scope",
    )


def _homes_of_survey(frame: pl.DataFrame) -> pl.DataFrame:
    known = [*HOUSEHOLDS.names[1:], *_NUMBERS, "stratum", "psu", "region", "residence"]
    there = [one for one in known if one in frame.columns]
    homes = frame.group_by("household_id", maintain_order=True).agg(
        *(pl.col(one).drop_nulls().first() for one in there), pl.len().alias("_rows")
    )
    if "size" not in there:
        homes = homes.with_columns(pl.col("_rows").alias("size"))
    numbers = [one for one in there if homes.schema[one].is_float() and one in _MONEY]
    return homes.with_columns(pl.col(one).round(2) for one in numbers).drop("_rows")
