"""Read the harmonised CHARLS: one row a person with all waves side by side, to panels of households and of people."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from medfloor.errors import InputError
from medfloor.intake.answers import read_codes, read_ids
from medfloor.intake.files import FORMATS, read_table
from medfloor.intake.findings import Piece, Survey, refuse, report, stack
from medfloor.intake.packages import READERS, read_package_file
from medfloor.intake.prices import OwnIndex, in_prices
from medfloor.intake.questions import Words, read_questions
from medfloor.intake.waves import count_units
from medfloor.layouts import Layout, shipped_layout
from medfloor.words import Phrase

MONTHS = 12
"""A month's visits are taken for a twelfth of the year's: a choice of ours, and noisy for one household."""

WEEKS = 52
"""A week's food is taken for a 52nd of the year's, likewise; consumption is of a year as it stands."""

ANSWERED = "1"
"""The interview status of somebody who answered and is alive."""

_CONSTANT = ("person_id", "household_id", "sex", "education", "psu", "interview", "interview_year")


def read_charls(
    source: str | os.PathLike[str],
    *,
    waves: Sequence[int] | None = None,
    prices: int | None = None,
    index: OwnIndex | None = None,
    layout: Layout | None = None,
) -> Survey:
    """Read the harmonised CHARLS file (H_CHARLS_D_Data.dta, or saved again as SPSS, SAS, CSV or Parquet).

    `waves` are years of 2011, 2013, 2015, 2018; without it all for which the file has a column. A person has a row in a
    wave in which their interview status says that they answered; where the file lacks the status, in which anything was
    answered. `oop` of a person is what was paid for stays of the last year and 12 times that for visits of the last
    month, missing where either is; who had no stay or no visit paid nothing for it. That of a household is the sum over
    those interviewed (a respondent and perhaps a spouse), so that it leaves out its other members. `food` is 52 times
    that of the last week. `insured` is 1 with any of the three kinds of insurance. `net_assets` are the household's
    (2011, 2013), `net_assets_couple` the couple's (2015, 2018). Money is in yuan of each wave, or with `prices` of that
    year, by the shipped index or by `index`; `price_index` is the file's own.

    Households that parted keep one number in this file: where members of one number tell of different households, the
    first is kept, and the report counts them.

    Raises InputError: file_not_found, unknown_format, no_person_number, no_such_wave, other_version (the years of the
    interviews are not those of the waves) and those of the formats; UsageError: no_price_index.
    """
    layout = layout or shipped_layout("charls")
    frame, words, place = _open(source, layout)
    asked = _waves(frame, layout, waves, place)
    number = layout.variable("person", "person_id").names(layout.waves[0])
    key = read_ids(frame.get_column(next(name for name in number if name in frame.columns)), missing=())
    empty = key.values.is_null()
    again = ~empty & ~key.values.is_first_distinct()
    parts = [
        (empty, "missing_value", "the row has no ID"),
        (again, "duplicate_row", "an earlier row of this file has the same ID"),
    ]
    dropped = [
        {"wave": "all", "table": "people", "file": place, "reason": reason, "rows": int(rows.sum())}
        for rows, reason, _ in parts
    ]
    rejects = stack(refuse(frame.filter(rows), file=place, reason=r, detail=d) for rows, r, d in parts if rows.any())
    read = frame.filter(~(empty | again))
    pieces, homes, persons = [], [], []
    for wave in asked:
        home, person = _read_wave(read, words, layout, wave, place)
        pieces += [home, person]
        homes.append(home.frame)
        persons.append(person.frame)
    households, people = stack(homes), stack(persons)
    remarks = [Phrase.of("surveys.names"), Phrase.of("surveys.charls_oop"), Phrase.of("surveys.charls_food")]
    if "synthetic" in people.columns and people["synthetic"].any():
        remarks.insert(0, Phrase.of("surveys.synthetic_charls"))
    if prices is not None:
        households, people, remark = in_prices(
            households, people, layout=layout, year=prices, index=index, made=("oop", "food")
        )
        remarks.append(remark)
    return Survey(
        name=layout.survey,
        households=households,
        people=people,
        rejects=rejects,
        findings=report(
            files=[{"file": place, "wave": "all", "kind": "harmonised", "used": True, "rows": frame.height, "why": ""}],
            pieces=pieces,
            dropped=dropped,
            links=_links(households, people, asked),
            remarks=remarks,
        ),
    )


def _waves(frame: pl.DataFrame, layout: Layout, waves: Sequence[int] | None, place: str) -> list[int]:
    """Say which waves to read; a file whose interviews are of other years is another version."""
    number = layout.variable("person", "person_id").names(layout.waves[0])
    if not any(name in frame.columns for name in number):
        raise InputError(
            "no_person_number", f"{place} has no column {' or '.join(number)}. Take the harmonised file of CHARLS."
        )
    there = [wave for wave in layout.waves if _answered(frame, layout, wave)]
    asked = list(dict.fromkeys(sorted(waves))) if waves else there
    lacking = [wave for wave in asked if wave not in there]
    if lacking or not asked:
        raise InputError(
            "no_such_wave",
            f"{place} has no columns of {', '.join(map(str, lacking)) or 'any wave'}; it has "
            f"{', '.join(map(str, there)) or 'none of the harmonised names'}.",
        )
    for wave in asked:
        for name in _names(layout, "interview_year", wave):
            year = frame[name].cast(pl.Float64, strict=False).median() if name in frame.columns else None
            # Interviews run into the year after the wave's (2011 to 2012), never into another wave's.
            if isinstance(year, float) and not wave - 0.5 <= year <= wave + 1:
                raise InputError(
                    "other_version",
                    f"{place}: {name} says that the interviews of the wave of {wave} were held in {year:.0f}. "
                    "Version C of the harmonised file numbers its waves otherwise; take version D, or give a layout of "
                    "your own.",
                )
    return asked


def _names(layout: Layout, column: str, wave: int) -> tuple[str, ...]:
    return next((variable.names(wave) for variable in layout.person if variable.name == column), ())


def _open(source: str | os.PathLike[str], layout: Layout) -> tuple[pl.DataFrame, Words, str]:
    """Read the columns that the layout names, in small letters: the file has thousands of others."""
    path, place = Path(source), os.fspath(source)
    wanted = {name for v in (*layout.household, *layout.person) for wave in layout.waves for name in v.names(wave)}

    def choose(names: Sequence[str]) -> list[str]:
        plain = [name.lower() for name in names]
        twice = sorted({name for name in plain if name in wanted and plain.count(name) > 1})
        if twice:
            raise InputError("ambiguous_column", f"{place} has a column {twice[0]} twice. Keep one of them.")
        return [name for name in names if name.lower() in wanted | {"synthetic"}]

    if path.is_dir():
        there = sorted(one.name for one in path.iterdir() if one.suffix.lower() in (*READERS, *FORMATS))
        like = next((one for one in there if "charls" in one.lower()), "H_CHARLS_D_Data.dta")
        raise InputError(
            "file_not_found",
            f"{place} is a folder, and CHARLS is read from one file; name the harmonised file in it: {path / like}",
        )
    words: Words = {}
    if path.suffix.lower() in READERS:
        read = read_package_file(path, place, choose=choose)
        frame, words = read.frame, read.labels
    elif path.suffix.lower() in FORMATS:
        whole = read_table(path, "survey")
        frame = whole.select(choose(whole.columns))
    else:
        raise InputError(
            "unknown_format", f"{place} has an ending that is not read: {', '.join([*READERS, *FORMATS])}."
        )
    frame = frame.rename({name: name.lower() for name in frame.columns})
    return frame, {name.lower(): labels for name, labels in words.items()}, place


def _answered(frame: pl.DataFrame, layout: Layout, wave: int) -> list[str]:
    """List the columns of a file in which people answer in one wave alone."""
    asked = [v for v in layout.person if v.name not in _CONSTANT]
    return [name for v in asked for name in v.names(wave) if name in frame.columns]


def _read_wave(frame: pl.DataFrame, words: Words, layout: Layout, wave: int, place: str) -> tuple[Piece, Piece]:
    status = next((name for name in _names(layout, "interview", wave) if name in frame.columns), "")
    if status:
        frame = frame.filter((read_codes(frame[status], missing=()).values == ANSWERED).fill_null(False))
    else:
        # A column without any answer comes as text, whose cells are empty and not null.
        asked = _answered(frame, layout, wave)
        answers = [pl.col(name).cast(pl.String).str.strip_chars().fill_null("") != "" for name in asked]
        frame = frame.filter(pl.any_horizontal(answers))
    told: dict[str, Any] = {"wave": str(wave), "file": place}
    made, columns, codes = read_questions(
        frame, words, layout.person, layout, wave, child=False, place={**told, "table": "person"}
    )
    # Whether somebody answered is said by their having a row.
    person = pl.DataFrame(made).drop("interview", "interview_year", strict=False)
    person = _with_oop(person).with_columns(wave=pl.lit(str(wave)))
    home_made, home_columns, home_codes = read_questions(
        frame, words, layout.household, layout, wave, child=False, place={**told, "table": "household"}
    )
    home = pl.DataFrame(home_made).with_columns(wave=pl.lit(str(wave)))
    if "food_week" in home.columns:
        home = home.with_columns(food=pl.col("food_week") * WEEKS).drop("food_week")
    if "synthetic" in frame.columns:
        made_up = frame["synthetic"].cast(pl.Float64, strict=False) == 1
        person, home = person.with_columns(synthetic=made_up), home.with_columns(synthetic=made_up)
    home, differing = _one_row_a_household(home, person)
    dropped = [{**told, "table": "households", "reason": "household_answers_differ", "rows": differing}]
    return (
        Piece(_keys_first(home, "household_id"), pl.DataFrame(), home_columns, home_codes, dropped),
        Piece(_keys_first(person, "person_id"), pl.DataFrame(), columns, codes),
    )


def _one_row_a_household(home: pl.DataFrame, person: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """Make one row of the members' rows, with the sum of what they paid; count those who tell of different homes."""
    if "household_id" not in home.columns:
        return home.clear(), 0
    home = home.drop_nulls("household_id")
    told = [name for name in ("size", "income", "consumption", "residence") if name in home.columns]
    differs = [pl.col(name).drop_nulls().n_unique() > 1 for name in told]
    differing = home.group_by("household_id").agg(pl.any_horizontal(differs).alias("_d")) if told else pl.DataFrame()
    if "oop" in person.columns:
        # A sum of which one part is unknown is unknown.
        sums = person.group_by("household_id", maintain_order=True).agg(
            pl.when(pl.col("oop").null_count() == 0).then(pl.col("oop").sum()).alias("oop")
        )
        home = home.join(sums, on="household_id", how="left", maintain_order="left")
    first = home.unique("household_id", keep="first", maintain_order=True)
    return first, int(differing["_d"].sum()) if differing.height else 0


def _with_oop(person: pl.DataFrame) -> pl.DataFrame:
    parts = []
    for flag, paid, times in (("hospitalised", "inpatient_oop", 1), ("visited", "outpatient_oop_month", MONTHS)):
        if paid in person.columns:
            amount = pl.col(paid) * times
            if flag in person.columns:
                amount = pl.when(pl.col(flag) == 0).then(0.0).otherwise(amount)
            parts.append(amount)
    if len(parts) == 2:
        person = person.with_columns(oop=parts[0] + parts[1])
    kinds = [name for name in ("insured_public", "insured_private", "insured_other") if name in person.columns]
    if kinds:
        person = person.with_columns(insured=pl.max_horizontal(kinds))
    return person


def _links(households: pl.DataFrame, people: pl.DataFrame, waves: Sequence[int]) -> list[dict[str, Any]]:
    """Count people and households over waves; a household keeps the number of its first interview."""
    years = [str(wave) for wave in waves]
    told = count_units(people, "person_id", "person", years) if people.height else []
    if "household_id" in households.columns:
        told += count_units(households, "household_id", "household", years)
        every = pl.col("wave").n_unique().over("household_id") == len(years)
        told += count_units(households.filter(every), "household_id", "balanced", years)
    return told


def _keys_first(frame: pl.DataFrame, key: str) -> pl.DataFrame:
    first = [name for name in dict.fromkeys(("wave", key, "household_id")) if name in frame.columns]
    return frame.select(*first, *(name for name in frame.columns if name not in first))
