"""Read the harmonised CHARLS: one row a person with all waves side by side, to panels of households and of people."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from medfloor.errors import InputError
from medfloor.intake.files import FORMATS, read_table
from medfloor.intake.findings import Piece, Survey, refuse, report, stack
from medfloor.intake.packages import READERS, read_package_file
from medfloor.intake.questions import Words, read_questions
from medfloor.layouts import Layout, shipped_layout
from medfloor.words import Phrase

MONTHS = 12
"""A month's visits are taken for a twelfth of the year's: a choice of ours, and noisy for one household."""

_CONSTANT = ("person_id", "household_id", "sex", "education", "psu")


def read_charls(
    source: str | os.PathLike[str], *, waves: Sequence[int] | None = None, layout: Layout | None = None
) -> Survey:
    """Read the harmonised CHARLS file (H_CHARLS_D_Data.dta, or saved again as SPSS, SAS, CSV or Parquet).

    `waves` are years of 2011, 2013, 2015, 2018; without it all for which the file has a column. A person has a row in a
    wave in which anything was answered. `oop` of a person is what was paid for stays of the last year and 12 times that
    for visits of the last month, missing where either is; who had no stay or no visit paid nothing for it. That of a
    household is the sum over those interviewed (a respondent and perhaps a spouse), so that it leaves out its other
    members. `insured` is 1 with any of the three kinds of insurance. Money is in yuan of each wave; `price_index` is
    the file's own.

    Raises InputError: file_not_found, unknown_format, no_person_number, no_such_wave and those of the formats.
    """
    layout = layout or shipped_layout("charls")
    frame, words, place = _open(source)
    number = layout.variable("person", "person_id").names(layout.waves[0])
    if not any(name in frame.columns for name in number):
        raise InputError(
            "no_person_number", f"{place} has no column {' or '.join(number)}. Take the harmonised file of CHARLS."
        )
    there = [wave for wave in layout.waves if _answered(frame, layout, wave)]
    asked = list(waves) if waves is not None else there
    lacking = [wave for wave in asked if wave not in there]
    if lacking or not asked:
        raise InputError(
            "no_such_wave",
            f"{place} has no columns of {', '.join(map(str, lacking)) or 'any wave'}; it has "
            f"{', '.join(map(str, there)) or 'none of the harmonised names'}.",
        )
    key = frame.get_column(next(name for name in number if name in frame.columns))
    again = key.is_null() | ~key.is_first_distinct()
    rejects = refuse(frame.filter(again), file=place, reason="duplicate_row", detail="no ID, or one that came before")
    frame = frame.filter(~again)
    pieces, homes, persons = [], [], []
    for wave in asked:
        home, person = _read_wave(frame, words, layout, wave, place)
        pieces += [home, person]
        homes.append(home.frame)
        persons.append(person.frame)
    lost = [{"wave": "all", "table": "people", "file": place, "reason": "duplicate_row", "rows": int(again.sum())}]
    people = stack(persons)
    return Survey(
        name=layout.survey,
        households=stack(homes),
        people=people,
        rejects=rejects if again.any() else pl.DataFrame(),
        findings=report(
            files=[{"file": place, "wave": "all", "kind": "harmonised", "used": True, "rows": again.len(), "why": ""}],
            pieces=pieces,
            dropped=lost,
            links=_links(people, asked),
            remarks=[Phrase.of("surveys.names"), Phrase.of("surveys.charls_oop")],
        ),
    )


def _open(source: str | os.PathLike[str]) -> tuple[pl.DataFrame, Words, str]:
    path, place = Path(source), os.fspath(source)
    words: Words = {}
    if path.suffix.lower() in READERS:
        read = read_package_file(path, place)
        frame, words = read.frame, read.labels
    elif path.suffix.lower() in FORMATS:
        frame = read_table(path, "survey")
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
    asked = _answered(frame, layout, wave)
    # A column without any answer comes as text, whose cells are empty and not null.
    told_something = [pl.col(name).cast(pl.String).str.strip_chars().fill_null("") != "" for name in asked]
    frame = frame.filter(pl.any_horizontal(told_something))
    told: dict[str, Any] = {"wave": str(wave), "file": place}
    made, columns, codes = read_questions(
        frame, words, layout.person, layout, wave, child=False, place={**told, "table": "person"}
    )
    person = _with_oop(pl.DataFrame(made)).with_columns(wave=pl.lit(str(wave)))
    home_made, home_columns, home_codes = read_questions(
        frame, words, layout.household, layout, wave, child=False, place={**told, "table": "household"}
    )
    home = pl.DataFrame(home_made).with_columns(wave=pl.lit(str(wave)))
    if "household_id" in home.columns:
        if "oop" in person.columns:
            # A sum of which one part is unknown is unknown.
            sums = person.group_by("household_id", maintain_order=True).agg(
                pl.when(pl.col("oop").null_count() == 0).then(pl.col("oop").sum()).alias("oop")
            )
            home = home.join(sums, on="household_id", how="left", maintain_order="left")
        home = home.drop_nulls("household_id").unique("household_id", keep="first", maintain_order=True)
    else:
        home = home.clear()
    return (
        Piece(_keys_first(home, "household_id"), pl.DataFrame(), home_columns, home_codes),
        Piece(_keys_first(person, "person_id"), pl.DataFrame(), columns, codes),
    )


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


def _links(people: pl.DataFrame, waves: Sequence[int]) -> list[dict[str, Any]]:
    counts = people.group_by("person_id").agg(pl.col("wave").n_unique().alias("waves"), pl.len().alias("rows"))
    several, every = counts.filter(pl.col("waves") >= 2), counts.filter(pl.col("waves") == len(waves))
    return [
        {"link": "person", "between": name, "units": one.height, "rows": int(one["rows"].sum())}
        for name, one in (("any wave", counts), ("two or more waves", several), ("every wave", every))
    ]


def _keys_first(frame: pl.DataFrame, key: str) -> pl.DataFrame:
    first = [name for name in dict.fromkeys(("wave", key, "household_id")) if name in frame.columns]
    return frame.select(*first, *(name for name in frame.columns if name not in first))
