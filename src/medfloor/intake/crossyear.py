"""The cross-year file of CFPS (crossyearid): one row a person ever in the survey, with the household of every wave.

It says where a household came from when its own file does not, and gives the sampling unit of waves whose files lack
it. It fills gaps only: what a wave's own file says is never replaced.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from medfloor.errors import InputError
from medfloor.intake.answers import read_ids
from medfloor.intake.cfps_files import CfpsFile, open_cfps_file
from medfloor.intake.findings import Piece
from medfloor.intake.questions import read_questions
from medfloor.intake.waves import count_units
from medfloor.layouts import Layout
from medfloor.words import Phrase

DESIGN = ("psu", "stratum")


@dataclass(frozen=True, eq=False, slots=True)
class CrossYears:
    """Be the cross-year file: `living` has person_id, wave and household_id, `design` what is constant of a person."""

    living: pl.DataFrame
    design: pl.DataFrame
    piece: Piece
    place: str


def read_crossyear(file: CfpsFile, layout: Layout, waves: Sequence[int]) -> CrossYears:
    """Read whose household had which number in each of the waves.

    Rows without a person's number are left out; of second rows of a person the first counts. Both are told as dropped.
    Raises InputError no_person_number, and what `open_cfps_file` raises.
    """
    numbers = {str(wave): layout.earlier.format(yy=f"{wave % 100:02d}") for wave in waves}
    names = [name for variable in layout.crossyear for name in variable.names(file.wave)]
    opened = open_cfps_file(file, [*names, *numbers.values()])
    told = {"wave": str(file.wave), "table": "crossyear", "file": file.place}
    made, columns, codes = read_questions(
        opened.frame, opened.words, layout.crossyear, layout, file.wave, child=False, place=told
    )
    if "person_id" not in made:
        raise InputError(
            "no_person_number", f"{file.place} has no column pid, which numbers its rows. Take the whole file."
        )
    frame = pl.DataFrame({name: values.alias(name) for name, values in made.items()})
    there = {wave: name for wave, name in numbers.items() if name in opened.frame.columns}
    missing = list(layout.missing)
    frame = frame.with_columns(
        read_ids(opened.frame[name], missing=missing).values.alias(w) for w, name in there.items()
    )
    kept = frame.drop_nulls("person_id").unique("person_id", keep="first", maintain_order=True)
    dropped = [
        {**told, "reason": reason, "rows": rows}
        for reason, rows in (
            ("no_person_in_crossyear", frame["person_id"].null_count()),
            ("second_in_crossyear", frame.height - frame["person_id"].null_count() - kept.height),
        )
    ]
    living = (
        kept.unpivot(list(there), index="person_id", variable_name="wave", value_name="household_id")
        if there
        else pl.DataFrame(schema={"person_id": pl.String, "wave": pl.String, "household_id": pl.String})
    )
    return CrossYears(
        living.drop_nulls("household_id"),
        kept.select("person_id", *(name for name in DESIGN if name in kept.columns)),
        Piece(kept, pl.DataFrame(), columns, codes, dropped),
        file.place,
    )


def fill_households(homes: pl.DataFrame, cross: CrossYears) -> tuple[pl.DataFrame, Phrase]:
    """Give households the number that their file lacks of an earlier wave, and their sampling unit and stratum.

    A household came from where most of its members lived in that wave; where as many came from two, from the one under
    its own number, else from the smaller number. Its unit and stratum are those of most of its members. The sentence
    says how many households each was filled for.
    """
    members = homes.select("wave", "household_id").join(cross.living, on=["wave", "household_id"], how="inner")
    filled = {"origin": 0, **dict.fromkeys(DESIGN, 0)}
    for earlier in sorted(homes["wave"].unique())[:-1]:
        before = cross.living.filter(pl.col("wave") == earlier).select("person_id", _of="household_id")
        found = _most(members.filter(pl.col("wave") > earlier).join(before, on="person_id"), "_of")
        homes, number = _filled(homes, found, f"earlier_{earlier}")
        filled["origin"] += number
    for name in DESIGN:
        if name in cross.design.columns:
            given = cross.design.select("person_id", _of=name).drop_nulls()
            homes, filled[name] = _filled(homes, _most(members.join(given, on="person_id"), "_of"), name)
    told = {name: f"{number:,}" for name, number in filled.items()}
    return homes, Phrase.of("surveys.crossyear", file=cross.place, **told)


def compare_people(people: pl.DataFrame, cross: CrossYears) -> list[dict[str, Any]]:
    """Count people whose own file puts them into another household than the cross-year file does; both are kept."""
    if not {"wave", "household_id"} <= set(people.columns):
        return []
    both = people.select("wave", "person_id", "household_id").join(
        cross.living.rename({"household_id": "_there"}), on=["wave", "person_id"]
    )
    other = both.filter(pl.col("household_id") != pl.col("_there")).group_by("wave").len().sort("wave")
    return [
        {"wave": wave, "table": "people", "file": cross.place, "reason": "other_household_in_crossyear", "rows": rows}
        for wave, rows in other.iter_rows()
    ]


def count_crossyear(cross: CrossYears) -> list[dict[str, Any]]:
    """Count the people of the cross-year file: in any wave, in two or more, in every one, and between waves."""
    waves = cross.living["wave"].unique().sort().to_list()
    return count_units(cross.living, "person_id", "crossyear", waves) if waves else []


def _most(members: pl.DataFrame, of: str) -> pl.DataFrame:
    """Give each household the value that most of its members have."""
    counts = members.group_by("wave", "household_id", of).len()
    own = pl.col(of) == pl.col("household_id")
    counts = counts.sort(["wave", "household_id", "len", own, of], descending=[False, False, True, True, False])
    return counts.unique(["wave", "household_id"], keep="first", maintain_order=True).drop("len")


def _filled(homes: pl.DataFrame, found: pl.DataFrame, name: str) -> tuple[pl.DataFrame, int]:
    if name not in homes.columns:
        homes = homes.with_columns(pl.lit(None, pl.String).alias(name))
    before = homes[name].null_count()
    homes = homes.join(found, on=["wave", "household_id"], how="left", maintain_order="left")
    homes = homes.with_columns(pl.coalesce(name, "_of").alias(name)).drop("_of")
    return homes, before - homes[name].null_count()
