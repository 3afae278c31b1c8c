"""Read the China Family Panel Studies: files of several waves to a panel of households and a panel of people.

The names of questions change from wave to wave, and some numbers are given to other questions (fp509 asks for medical
expenses in 2012, fp511 does later); `medfloor.layouts` says which name holds in which wave, and no name is ever tried
in another. What could not be found, what was missing by which code, and which rows were refused is part of the answer.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from medfloor.errors import InputError, UsageError
from medfloor.intake.answers import read_ids
from medfloor.intake.cfps_files import CfpsFile, find_cfps_files, open_cfps_file
from medfloor.intake.crossyear import CrossYears, compare_people, count_crossyear, fill_households, read_crossyear
from medfloor.intake.findings import Piece, Survey, refuse, report, stack
from medfloor.intake.prices import OwnIndex, in_prices
from medfloor.intake.questions import read_questions
from medfloor.intake.waves import Link, count_units, link_waves
from medfloor.layouts import Layout, shipped_layout
from medfloor.words import Phrase

_NOTHING = "_nothing_"
"""Before a column's name: its zero is a code that means that nothing was spent."""

CHILD_UNTIL = 16
"""CFPS asks those of 16 and older with the adults' questionnaire; the younger are its children."""


def read_cfps(
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    waves: Sequence[int] | None = None,
    link: Link = "household",
    prices: int | None = None,
    index: OwnIndex | None = None,
    layout: Layout | None = None,
) -> Survey:
    """Read CFPS from a folder with its files (or a list of them) as the user got them.

    Files are known by their names (wave, kind, release, the English e, capitals); of several releases the newest is
    read. Households come from famecon, members and the respondents of 2010 and 2012 from famconf, people from adult and
    child (to 2016) or person and childproxy. Of the cross-year files (crossyearid) the latest tells where households
    came from, and their sampling unit, where a wave's own file does not. `waves` are the years to read; without it all
    that have a famecon file.
    `link` chooses the panel_id of households (see `medfloor.intake.waves.link_waves`; `balanced` also leaves out what
    is not there in every wave); the counts of all three stand in the report. `prices` brings all money to the prices of
    that year, by the shipped consumer price index or by `index` (year -> the year before = 100); without it money
    stays in each wave's own. `layout` replaces the shipped names.

    Codes for missing become null, each counted; -8 in the costs of care means that nothing was spent (0), but of
    somebody who was in hospital it is missing. Income and net assets can truly be negative. `health_2010` and `health`
    are different questions. `oop` of a household is what it says it paid itself in a year, `medical` includes fitness.
    Rows without a number, and second rows of one household or person in a wave, are refused; a child that is both in
    person and childproxy is one row.

    Raises InputError: file_not_found, no_cfps_files, no_such_wave, no_household_number, ambiguous_column and those of
    the formats; UsageError: no_price_index, no_such_link.
    """
    if link not in ("household", "respondent", "balanced"):
        raise UsageError("no_such_link", f"waves are linked by household, respondent or balanced, not by {link!r}")
    layout = layout or shipped_layout("cfps")
    found, unused = find_cfps_files(source)
    asked = _waves(waves, found, layout)
    files = {(file.wave, file.kind): file for file in found}
    pieces: list[Piece] = []
    dropped: list[dict[str, Any]] = []
    homes, persons, rosters = [], [], []
    for wave in asked:
        home = _read_piece(files[wave, "famecon"], "household", layout, asked)
        roster = _read_piece(files[wave, "famconf"], "roster", layout, asked) if (wave, "famconf") in files else None
        parts = [
            _read_piece(files[wave, kind], "person", layout, asked)
            for kind in layout.files["person"].get(wave, ())
            if (wave, kind) in files
        ]
        pieces += [home, *([roster] if roster else []), *parts]
        homes.append(_with_members(home.frame, roster.frame if roster else None, wave))
        rosters.append(roster.frame if roster else None)
        one, merged = _one_row_a_person(stack(part.frame for part in parts), wave)
        dropped += merged
        persons.append(one)
    panel, remarks, links = stack(homes), [], []
    cross = _latest_crossyear(found, layout, asked)
    if cross is not None:
        pieces.append(cross.piece)
        panel, remark = fill_households(panel, cross)
        remarks.append(remark)
        links = count_crossyear(cross)
    linked = link_waves(panel, link=link)
    people, more = _with_place(stack(persons), linked.frame)
    if people.height:
        links = [*count_units(people, "person_id", "person", [str(wave) for wave in asked]), *links]
    if cross is not None:
        dropped += compare_people(people, cross)
    why = "not_in_every_wave" if link == "balanced" else "no_panel_id"
    lost = {"wave": "all", "table": "households", "file": "", "reason": why, "rows": int(linked.lost.sum())}
    dropped += [*more, lost]
    households = linked.frame.filter(~linked.lost) if link == "balanced" else linked.frame
    remarks = [*_remarks(layout, asked, files, households, people), *remarks]
    if prices is not None:
        households, people, remark = in_prices(households, people, layout=layout, year=prices, index=index)
        remarks.append(remark)
    return Survey(
        name=layout.survey,
        households=_in_order(households, "household_id"),
        people=_in_order(people, "person_id"),
        rejects=stack(piece.rejects for piece in pieces if piece.rejects.height),
        findings=report(
            files=_file_rows(found, unused, asked, pieces, layout),
            pieces=pieces,
            dropped=dropped,
            links=[*linked.links, *links],
            remarks=remarks,
        ),
    )


def _waves(waves: Sequence[int] | None, found: Sequence[CfpsFile], layout: Layout) -> list[int]:
    there = sorted({file.wave for file in found if file.kind == "famecon" and file.wave in layout.waves})
    if not waves:
        if not there:
            raise InputError(
                "no_such_wave",
                f"there is no famecon file of {', '.join(map(str, layout.waves))} among the files. Download the family "
                "economy file of at least one wave.",
            )
        return there
    lacking = [wave for wave in waves if wave not in there]
    if lacking:
        raise InputError(
            "no_such_wave",
            f"there is no famecon file of {', '.join(map(str, lacking))}; there are those of "
            f"{', '.join(map(str, there)) or 'no wave'}. Ask for other waves, or add the files.",
        )
    return sorted(set(waves))


def _latest_crossyear(found: Sequence[CfpsFile], layout: Layout, waves: Sequence[int]) -> CrossYears | None:
    files = [file for file in found if file.kind == "crossyearid" and file.wave in layout.waves]
    return read_crossyear(files[-1], layout, waves) if files else None


# One file


def _read_piece(file: CfpsFile, part: Any, layout: Layout, waves: Sequence[int]) -> Piece:
    """Read one file of one wave: our columns, refused rows, and what is to be reported."""
    wave, child = file.wave, file.kind in ("child", "childproxy")
    variables = layout.part(part)
    before = {w: layout.earlier.format(yy=f"{w % 100:02d}") for w in waves if w < wave} if part == "household" else {}
    if 2010 in before:
        # The files of 2012 and later call the household's number of 2010 fid10; that of 2010 itself is fid.
        before[2010] = layout.earlier.format(yy="10")
    names = [name for v in variables for name in (*v.names(wave, child=child), *v.otherwise.get(wave, ()))]
    opened = open_cfps_file(file, [*names, *before.values(), "synthetic"])
    place = {"wave": str(wave), "table": part, "file": file.place}
    made, columns, codes = read_questions(opened.frame, opened.words, variables, layout, wave, child=child, place=place)
    for earlier, name in before.items():
        if name in opened.frame.columns:
            made[f"earlier_{earlier}"] = read_ids(opened.frame[name], missing=list(layout.missing)).values
    for told in codes:
        if told["read_as"] == "zero" and told["taken_from"] in opened.frame.columns:
            raw = opened.frame[told["taken_from"]].cast(pl.Float64, strict=False)
            made[_NOTHING + told["column"]] = (raw == float(told["code"])).fill_null(False)
    frame = pl.DataFrame({name: values.alias(name) for name, values in made.items()})
    frame = frame.with_columns(wave=pl.lit(str(wave)), file_kind=pl.lit(file.kind))
    if "synthetic" in opened.frame.columns and part != "roster":
        frame = frame.with_columns(opened.frame["synthetic"].cast(pl.Float64, strict=False) == 1)
    key = "household_id" if part == "household" else "person_id"
    if key not in frame.columns:
        wanted = [name for v in variables if v.name == key for name in v.names(wave, child=child)]
        what = f"{file.place} has no column {' or '.join(wanted) or key}, which numbers its rows. Take the whole file."
        if part == "household":
            raise InputError("no_household_number", what)
        raise InputError("no_person_number", what)
    if part == "roster":
        return Piece(frame.drop("file_kind").drop_nulls(["person_id"]), pl.DataFrame(), columns, codes)
    frame, rejects, dropped = _sifted(frame, opened.frame, key, file)
    return Piece(frame, rejects, columns, codes, dropped)


def _sifted(
    frame: pl.DataFrame, raw: pl.DataFrame, key: str, file: CfpsFile
) -> tuple[pl.DataFrame, pl.DataFrame, list[dict[str, Any]]]:
    """Keep the first row of each household or person; refuse rows without a number and second rows."""
    empty = frame[key].is_null()
    again = ~empty & ~frame[key].is_first_distinct()
    refused, told = [], []
    for rows, reason, detail in (
        (empty, "missing_value", f"the row has no {key}"),
        (again, "duplicate_row", f"an earlier row of this file has the same {key}"),
    ):
        if rows.any():
            refused.append(refuse(raw.filter(rows), file=file.place, reason=reason, detail=detail))
            place = {"wave": str(file.wave), "table": "households" if key == "household_id" else "people"}
            told.append({**place, "file": file.place, "reason": reason, "rows": int(rows.sum())})
    return frame.filter(~(empty | again)), stack(refused), told


# One wave


def _with_members(home: pl.DataFrame, roster: pl.DataFrame | None, wave: int) -> pl.DataFrame:
    """Add adults and children from the roster, and the respondent where the file gives only a place in it."""
    frame = home.drop("file_kind")
    if roster is None or "household_id" not in roster.columns:
        return _with_respondent(frame, None)
    members = roster.drop_nulls("household_id").unique(["household_id", "person_id"], keep="first", maintain_order=True)
    inside = members
    for flag in ("in_household", "alive"):
        if flag in members.columns:
            inside = inside.filter((pl.col(flag) != 0).fill_null(True))
    if "birth_year" in inside.columns:
        inside = inside.with_columns(age=wave - pl.col("birth_year"))
        counts = inside.group_by("household_id").agg(
            (pl.col("age") >= CHILD_UNTIL).sum().cast(pl.Float64).alias("adults"),
            (pl.col("age") < CHILD_UNTIL).sum().cast(pl.Float64).alias("children"),
            pl.col("age").null_count().alias("_ageless"),
        )
        # A member of unknown age makes both numbers unknown, for a scale must not take it for either.
        known = pl.col("_ageless") == 0
        counts = counts.with_columns(
            pl.when(known).then("adults").alias("adults"), pl.when(known).then("children").alias("children")
        ).drop("_ageless")
        frame = frame.join(counts, on="household_id", how="left", maintain_order="left")
    return _with_respondent(frame, members)


def _with_respondent(frame: pl.DataFrame, members: pl.DataFrame | None) -> pl.DataFrame:
    if "respondent_id" in frame.columns:
        return frame.drop("respondent_code", strict=False)
    if "respondent_code" in frame.columns and members is not None and "member_code" in members.columns:
        places = members.select(
            "household_id",
            pl.col("person_id").alias("respondent_id"),
            # The roster numbers its members from 101, the economy file from 1.
            (pl.col("member_code") - 100).cast(pl.Int64, strict=False).cast(pl.String).alias("respondent_code"),
        ).drop_nulls()
        places = places.unique(["household_id", "respondent_code"], keep="first", maintain_order=True)
        frame = frame.join(places, on=["household_id", "respondent_code"], how="left", maintain_order="left")
    else:
        frame = frame.with_columns(respondent_id=pl.lit(None, pl.String))
    return frame.drop("respondent_code", strict=False)


def _one_row_a_person(people: pl.DataFrame, wave: int) -> tuple[pl.DataFrame, list[dict[str, Any]]]:
    """Make one row of a person who is in two files: what they said themselves, else what was said for them."""
    if not people.height:
        return people, []
    marks = [name for name in people.columns if name.startswith(_NOTHING)]
    doubles = people.height - people["person_id"].n_unique()
    if not doubles:
        return people.drop(marks), []
    people = people.with_columns(pl.col(marks).fill_null(False))
    said = [name for name in people.columns if name != "person_id"]
    # A zero that stands for "does not apply" gives way to any answer: it may only not have been asked of the child.
    answers = {name: pl.col(name).filter(~pl.col(_NOTHING + name)) for name in said if _NOTHING + name in marks}
    first = {name: pl.col(name).drop_nulls().first() for name in said if name not in marks}
    first |= {name: pl.coalesce(answer.drop_nulls().first(), pl.col(name).max()) for name, answer in answers.items()}
    # The zero stands where no file has an answer.
    first |= {_NOTHING + name: answer.drop_nulls().len() == 0 for name, answer in answers.items()}
    merged = people.group_by("person_id", maintain_order=True).agg(one.alias(name) for name, one in first.items())
    if "hospitalised" in merged.columns:
        # Nor can it stand beside a stay that the other file tells of.
        none = {name: pl.col(_NOTHING + name) & (pl.col("hospitalised") == 1).fill_null(False) for name in answers}
        merged = merged.with_columns(pl.when(~wrong).then(name).alias(name) for name, wrong in none.items())
    return merged.select(name for name in people.columns if name not in marks), [
        {"wave": str(wave), "table": "people", "file": "", "reason": "joined_with_other_file", "rows": doubles}
    ]


# All waves


def _with_place(people: pl.DataFrame, households: pl.DataFrame) -> tuple[pl.DataFrame, list[dict[str, Any]]]:
    """Give people where their household lives, and count those whose household is not in the panel."""
    if not people.height:
        return people, []
    given = ["region", "county", "residence", "size", "stratum", "psu", "panel_id"]
    place = households.select("wave", "household_id", *(name for name in given if name in households.columns))
    place = place.rename({"panel_id": "household_panel_id"}).with_columns(_there=pl.lit(True))
    joined = people.join(place, on=["wave", "household_id"], how="left", maintain_order="left")
    alone = joined.filter(pl.col("_there").is_null()).group_by("wave").len().sort("wave")
    told = [
        {"wave": wave, "table": "people", "file": "", "reason": "kept_without_household", "rows": rows}
        for wave, rows in alone.iter_rows()
    ]
    return joined.drop("_there"), told


def _remarks(
    layout: Layout,
    waves: Sequence[int],
    files: Mapping[tuple[int, str], CfpsFile],
    households: pl.DataFrame,
    people: pl.DataFrame,
) -> list[Phrase]:
    """Say what a user of these waves must know."""
    told = [Phrase.of("surveys.names")]
    if "synthetic" in households.columns and households["synthetic"].any():
        told.insert(0, Phrase.of("surveys.synthetic"))
    without = [str(wave) for wave in waves if (wave, "famconf") not in files]
    if without:
        told.append(Phrase.of("surveys.no_roster", waves=", ".join(without)))
    nobody = [w for w in waves if not any((w, kind) in files for kind in layout.files["person"].get(w, ()))]
    if nobody:
        told.append(Phrase.of("surveys.no_people", waves=", ".join(map(str, nobody))))
    if 2010 in waves and len(waves) > 1:
        told.append(Phrase.of("surveys.first_wave"))
    if any(wave >= 2020 for wave in waves) and any(wave < 2020 for wave in waves):
        told.append(Phrase.of("surveys.comparable_income"))
    left = sorted(
        {
            file.kind if file.wave in layout.waves else str(file.wave)
            for file in files.values()
            if file.wave not in layout.waves or file.kind == "comm"
        }
    )
    if left:
        told.append(Phrase.of("surveys.not_used", kinds=", ".join(left)))
    if "insurance_codes" in people.columns:
        told.append(Phrase.of("surveys.critical_illness"))
    return told


def _file_rows(
    found: Sequence[CfpsFile],
    unused: Sequence[tuple[str, str]],
    waves: Sequence[int],
    pieces: Sequence[Piece],
    layout: Layout,
) -> list[dict[str, Any]]:
    rows = {told["file"]: told["rows"] for piece in pieces for told in piece.columns}
    told = []
    for file in found:
        used = file.place in rows
        earlier = file.kind == "crossyearid" and file.wave in layout.waves
        why = "" if used else "later_one_read" if earlier else "other_wave" if file.wave not in waves else "not_needed"
        told.append({
            "file": file.place, "wave": str(file.wave), "kind": file.kind, "release": file.release, "used": used,
            "rows": rows.get(file.place), "why": why,
        })  # fmt: skip
    return [*told, *({"file": place, "used": False, "why": why} for place, why in unused)]


def _in_order(frame: pl.DataFrame, key: str) -> pl.DataFrame:
    """Put the keys first and the rows in the order of waves."""
    if not frame.width:
        return frame
    first = [name for name in ("wave", key, "household_id", "panel_id", "household_panel_id") if name in frame.columns]
    first = list(dict.fromkeys(first))
    rest = [name for name in frame.columns if name not in first]
    return frame.select(*first, *rest).sort("wave", key)
