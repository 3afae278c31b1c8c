"""Read any survey by a mapping, with the report that CFPS and CHARLS have: columns, codes for missing, refused rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from medfloor.errors import UsageError
from medfloor.intake.answers import read_numbers
from medfloor.intake.files import Source
from medfloor.intake.findings import Piece, Survey, report
from medfloor.intake.mapping import OneMapping, read_mapping
from medfloor.intake.microdata import ArrowTable, read_microdata
from medfloor.intake.waves import count_units
from medfloor.tables import HOUSEHOLDS, SURVEY, SURVEY_PEOPLE
from medfloor.words import Phrase

NUMBERS = tuple(
    dict.fromkeys(
        column.name
        for table in (HOUSEHOLDS, SURVEY, SURVEY_PEOPLE)
        for column in table.columns
        if column.kind in ("money", "integer", "number")
    )
)
"""Our names that hold numbers; what else a mapping names is read as labels."""


def read_survey(
    source: Source | ArrowTable,
    *,
    mapping: OneMapping | Sequence[OneMapping],
    missing: Mapping[int, str] | Sequence[int] = (),
    zero: Mapping[str, Sequence[int]] | None = None,
    signed: Sequence[str] = ("income",),
    numbers: Sequence[str] = (),
    name: str = "survey",
) -> Survey:
    """Read a survey table whose columns a mapping gives our names, one row a household or a person (and wave).

    `missing` lists codes for missing, such as -1, -2, -8; in columns of numbers and labels they become null, and each
    is counted. `zero` says in which of our columns a code means 0. Other negative numbers are missing too, except in
    `signed` columns; where `missing` is empty, nothing negative is touched. Numbers are the contract's columns of
    numbers, and those of `numbers`; other names are labels. The rows are the people's panel where the mapping gives
    person_id, else the households'. Codes are looked for in what the mapping comes to, so a mapping that works with a
    coded column (`med_1 + med_2`) must set its codes aside itself.

    Raises UsageError no_mapping, and what `medfloor.intake.read_microdata` raises.

    >>> frame = pl.DataFrame({"hh": ["1", "2"], "med": ["300", "-8"], "urb": ["1", "-9"]})
    >>> read = read_survey(frame, mapping="household_id=hh,oop=med,residence=urb", missing=[-8, -9], zero={"oop": [-8]})
    >>> read.households.rows()
    [('1', 300.0, '1'), ('2', 0.0, None)]
    >>> read.findings.codes.select("column", "code", "read_as", "rows").rows()
    [('oop', '-8', 'zero', 1), ('residence', '-9', 'missing', 1)]
    """
    links = read_mapping(mapping)
    if not links:
        raise UsageError("no_mapping", "the mapping names no column. Write ours=theirs, such as oop=med,food=foodexp.")
    ours = [link.ours for link in links.values()]
    as_numbers = [one for one in ours if one in NUMBERS or one in numbers]
    labels = [one for one in ours if one not in as_numbers]
    read = read_microdata(source, mapping=mapping, numbers=as_numbers, labels=labels)
    words = dict(missing) if isinstance(missing, Mapping) else dict.fromkeys(missing, "")
    frame, codes, columns = read.accepted, [], []
    wave = "all"
    for one in ours:
        told: dict[str, Any] = {
            "wave": wave, "table": "survey", "column": one, "taken_from": read.mapped[one], "file": read.place,
        }  # fmt: skip
        values, found = _without_codes(
            frame[one], list(words), (zero or {}).get(one, ()), number=one in as_numbers, signed=one in signed
        )
        frame = frame.with_columns(values.alias(one))
        codes += [
            {**told, "code": code, "meaning": words.get(int(code), "") if code.lstrip("-").isdigit() else code,
             "read_as": read_as, "rows": rows}
            for (code, read_as), rows in found.items()
        ]  # fmt: skip
        lacking = values.null_count()
        columns.append({
            **told, "status": "read", "rows": values.len(), "values": values.len() - lacking, "missing": lacking,
            "source": "mapping",
        })  # fmt: skip
    frame = frame.select(*ours, *(column for column in frame.columns if column not in ours))
    refused = read.rejects["reason"].value_counts().iter_rows() if read.rejects.height else ()
    dropped = [
        {"wave": wave, "table": "survey", "file": read.place, "reason": reason, "rows": rows}
        for reason, rows in sorted(refused)
    ]
    person = "person_id" in ours
    return Survey(
        name=name,
        households=pl.DataFrame() if person else frame,
        people=frame if person else pl.DataFrame(),
        rejects=read.rejects,
        findings=report(
            files=[{"file": read.place, "wave": wave, "kind": name, "used": True, "rows": read.rows_in, "why": ""}],
            pieces=[Piece(frame, read.rejects, columns, codes)],
            dropped=dropped,
            links=_links(frame, ours),
            remarks=[Phrase.of("surveys.mapped")],
        ),
    )


def _links(frame: pl.DataFrame, ours: Sequence[str]) -> list[dict[str, Any]]:
    """Count units over waves where the mapping gives waves and numbers."""
    told: list[dict[str, Any]] = []
    if "wave" not in ours:
        return told
    known = frame.drop_nulls("wave").with_columns(pl.col("wave").cast(pl.String))
    waves = known["wave"].unique().sort().to_list()
    for number, link in (("person_id", "person"), ("household_id", "household")):
        if number in ours and waves:
            told += count_units(known.drop_nulls(number), number, link, waves)
    return told


def _without_codes(
    values: pl.Series, missing: Sequence[int], zero: Sequence[int], *, number: bool, signed: bool
) -> tuple[pl.Series, dict[tuple[str, str], int]]:
    if number:
        if not missing and not zero:
            return values, {}
        read = read_numbers(values, missing=missing, zero=zero, signed=signed or not missing)
        return read.values, read.codes
    counts = {}
    for code in missing:
        found = values == str(code)
        if found.any():
            counts[str(code), "missing"] = int(found.sum())
            values = values.set(found.fill_null(False), None)
    return values, counts
