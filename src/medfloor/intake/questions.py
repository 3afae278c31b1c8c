"""Read the questions of one wave from one table, as a layout names them: our columns, and what is to be reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import polars as pl

from medfloor.intake.answers import Answers, read_codes, read_flag, read_ids, read_insurance, read_numbers
from medfloor.layouts import Layout, Variable

Words: TypeAlias = Mapping[str, Mapping[Any, str]]
"""By column, the words that a file gives to its values."""

WORDS = {
    "sex": {1: "male", 0: "female", 2: "female", 5: "female"},
    "residence": {0: "rural", 1: "urban"},
    "rural": {0: "urban", 1: "rural"},
}
"""What a code says, by kind of question."""


def read_questions(
    frame: pl.DataFrame,
    words: Words,
    variables: Sequence[Variable],
    layout: Layout,
    wave: int,
    *,
    child: bool,
    place: Mapping[str, Any],
) -> tuple[dict[str, pl.Series], list[dict[str, Any]], list[dict[str, Any]]]:
    """Read all columns that a layout has for a wave from a table under its own names in small letters.

    `place` (wave, table, file) goes into every row of the report; `child` says that it is the children's file. Gives
    our columns, what each was taken from with its status, and the codes that stood in them.
    """
    codes: list[dict[str, Any]] = []
    made: dict[str, pl.Series] = {}
    taken_from: dict[str, str] = {}
    for variable in variables:
        taken, values, found = _read_variable(variable, frame, words, layout, wave, child=child)
        made |= values
        taken_from[variable.name] = taken
        codes += [
            {**place, "column": variable.name, "taken_from": taken, "code": code, "meaning": _meaning(code, layout),
             "read_as": read_as, "rows": rows}
            for (code, read_as), rows in found.items()
        ]  # fmt: skip
    codes = _contradictions(made, frame, codes)
    columns = []
    for variable in variables:
        status = _status(variable, wave, taken_from[variable.name], made, frame.height, child=child)
        columns.append({**place, "column": variable.name, "taken_from": taken_from[variable.name], **status})
    return made, columns, codes


def _read_variable(
    variable: Variable, frame: pl.DataFrame, words: Words, layout: Layout, wave: int, *, child: bool
) -> tuple[str, dict[str, pl.Series], dict[tuple[str, str], int]]:
    """Read one of our columns: what it was taken from, its values (several for insurance), and codes counted."""
    missing = [*layout.missing, *variable.missing]
    if variable.kind == "slots":
        for pattern in variable.names(wave, child=child):
            stem, _, tail = pattern.partition("*")
            slots = {
                name: frame[name]
                for name in frame.columns
                if name.startswith(stem) and name.endswith(tail) and name[len(stem) : len(name) - len(tail)].isdigit()
            }
            if slots:
                said = {name: words.get(name, {}) for name in slots}
                only = wave in variable.words_only
                values, found, _ = read_insurance(slots, said, layout.insurance, missing=missing, words_only=only)
                return pattern, values, found
        return "", {}, {}
    name = next((n for n in variable.names(wave, child=child) if n in frame.columns), "")
    if not name:
        return "", {}, {}
    read = _read_one(variable, frame[name], missing)
    second = next((n for n in variable.otherwise.get(wave, ()) if n in frame.columns), "")
    if second and not (child and wave in variable.child):
        # Asked of those whom the first question is not: whoever the first does not concern (-8) answers here.
        other = _read_one(variable, frame[second], missing)
        first = frame[name].cast(pl.Float64, strict=False)
        concerned = ~(first.is_in([float(code) for code in variable.zero]) | first.is_null())
        both = pl.DataFrame({"a": read.values, "b": other.values, "own": concerned.fill_null(False)})
        joined = both.select(pl.when("own").then("a").otherwise("b")).to_series()
        return f"{name}, else {second}", {variable.name: joined}, _added(read.codes, other.codes)
    return name, {variable.name: read.values}, read.codes


def _read_one(variable: Variable, raw: pl.Series, missing: Sequence[int]) -> Answers:
    if variable.kind == "id":
        return read_ids(raw, missing=missing)
    if variable.kind == "yes_no":
        return read_flag(raw, missing=missing)
    if variable.kind in WORDS:
        known = WORDS[variable.kind]
        read = read_codes(raw, missing=missing, words=known)
        strange = read.values.is_not_null() & ~read.values.is_in(list(known.values()))
        counts = {("other_code", "missing"): int(strange.sum())} if strange.any() else {}
        return Answers(read.values.set(strange, None), read.codes | counts)
    if variable.kind == "code":
        return read_codes(raw, missing=missing)
    return read_numbers(raw, missing=missing, zero=variable.zero, signed=variable.signed)


def _status(
    variable: Variable, wave: int, taken: str, made: Mapping[str, pl.Series], rows: int, *, child: bool
) -> dict[str, Any]:
    if not variable.names(wave, child=child):
        status = "not_asked" if variable.partial else "not_known"
    elif not taken:
        status = "not_in_file"
    else:
        status = "unverified" if wave in variable.unverified else "read"
    name = "insurance_codes" if variable.kind == "slots" else variable.name
    there = made[name].count() if name in made else 0
    return {"status": status, "rows": rows, "values": there, "missing": rows - there, "source": variable.sources}


def _meaning(code: str, layout: Layout) -> str:
    return layout.missing.get(int(code), "") if code.lstrip("-").isdigit() else code.replace("_", " ")


def _added(one: Mapping[tuple[str, str], int], other: Mapping[tuple[str, str], int]) -> dict[tuple[str, str], int]:
    return {key: one.get(key, 0) + other.get(key, 0) for key in dict.fromkeys([*one, *other])}


def _contradictions(
    made: dict[str, pl.Series], frame: pl.DataFrame, codes: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Take back a zero that a code stood for where the person was in hospital: both cannot be.

    A cost that was answered with 0 stays, for a stay may have been free.
    """
    if "hospitalised" not in made:
        return codes
    told = []
    for row in codes:
        told.append(row)
        name = row["column"]
        if row["read_as"] != "zero" or row["taken_from"] not in frame.columns:
            continue
        raw = frame[row["taken_from"]].cast(pl.Float64, strict=False)
        wrong = ((made["hospitalised"] == 1) & (raw == float(row["code"]))).fill_null(False)
        if wrong.any():
            made[name] = made[name].set(wrong, None)
            told[-1] = {**row, "rows": row["rows"] - int(wrong.sum())}
            why = f"{row['meaning']}, though in hospital"
            told.append({**row, "meaning": why, "read_as": "missing", "rows": int(wrong.sum())})
    return told
