"""Read contracts, contacts, measurements and doctors as they come, and set rows apart that cannot be used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from medfloor.errors import InputError

_REJECTED = {"table": pl.String, "row": pl.Int64, "reason": pl.String, "detail": pl.String}
_CONTRACTS = {"person_id": "text", "signed": "date", "until": "date", "doctor_id": "text"}
_CONTACTS = {"person_id": "text", "date": "date", "kind": "text"}
_MEASUREMENTS = {"person_id": "text", "date": "date", "systolic": "number", "diastolic": "number", "glucose": "number"}
_DOCTORS = {"doctor_id": "text", "hours": "number"}
_KIND_WORDS = {"随访": "follow_up", "体检": "exam", "健康体检": "exam", "面访": "follow_up"}
_YES, _NO = ("true", "yes", "1", "是", "y"), ("false", "no", "0", "否", "n", "")
_RANGES = {"systolic": (50.0, 300.0), "diastolic": (30.0, 200.0), "glucose": (1.0, 60.0), "hours": (0.0, 8784.0)}


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """Be the four tables made ready, each None where none was given, and the rows that were set apart.

    `rejected` has table, row (from 1), reason and detail; it names nobody.
    """

    contracts: pl.DataFrame | None
    contacts: pl.DataFrame | None
    measurements: pl.DataFrame | None
    doctors: pl.DataFrame | None
    rejected: pl.DataFrame


def prepare(
    people: pl.DataFrame,
    *,
    contracts: pl.DataFrame | None = None,
    contacts: pl.DataFrame | None = None,
    measurements: pl.DataFrame | None = None,
    doctors: pl.DataFrame | None = None,
) -> Inputs:
    """Make the tables ready: types, known persons, one row a contact.

    Columns that are not used are left away; of text columns (as CSV gives them) dates are ISO. Kinds of contact are
    follow_up and exam (随访, 体检); others are kept and count for nothing.

    Raises InputError missing_column, wrong_type.

    >>> people = pl.DataFrame({"person_id": ["p1"]})
    >>> contacts = pl.DataFrame({"person_id": ["p1", "p9"], "date": ["2025-03-01"] * 2, "kind": ["随访"] * 2})
    >>> found = prepare(people, contacts=contacts)
    >>> found.contacts["kind"].to_list(), found.rejected["reason"].to_list()
    (['follow_up'], ['unknown_person'])
    """
    known = people["person_id"]
    ready = [
        _sifted(contracts, "contracts", _CONTRACTS, ("person_id", "signed"), known),
        _sifted(contacts, "contacts", _CONTACTS, ("person_id", "date", "kind"), known),
        _sifted(measurements, "measurements", _MEASUREMENTS, ("person_id", "date"), known),
        _sifted(doctors, "doctors", _DOCTORS, ("doctor_id",), None),
    ]
    rejected = pl.concat([refused for _, refused in ready], how="vertical")
    signed, seen, measured, team = (frame for frame, _ in ready)
    if seen is not None:
        seen = seen.with_columns(pl.col("kind").replace(_KIND_WORDS))
    return Inputs(signed, seen, measured, team, rejected)


def flags_of(people: pl.DataFrame, names: Sequence[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Make flags of columns that hold yes and no as text or as numbers; what is neither is empty (not known), and told.

    >>> people, refused = flags_of(pl.DataFrame({"diabetes": ["是", "no", "maybe"]}), ["diabetes"])
    >>> people["diabetes"].to_list(), refused["row"].to_list()
    ([True, False, None], [3])
    """
    made, told_of = [], []
    for name in names:
        if name in people.columns and people.schema[name] != pl.Boolean:
            word = pl.col(name).cast(pl.String).str.strip_chars().str.to_lowercase()
            told = pl.when(word.is_in(_YES)).then(pl.lit(True)).when(word.is_in(_NO)).then(pl.lit(False))
            made.append(told.otherwise(None).alias(name))
            unread = word.is_not_null() & ~word.is_in([*_YES, *_NO])
            told_of.append((name, people.select(unread.fill_null(value=False)).to_series().arg_true() + 1))
    refused = [
        {"table": "people", "row": row, "reason": "bad_flag", "detail": f"{name} is neither yes nor no"}
        for name, rows in told_of
        for row in rows.to_list()
    ]
    return people.with_columns(made), pl.DataFrame(refused, schema=_REJECTED)


def _sifted(
    given: pl.DataFrame | None, table: str, kinds: Mapping[str, str], needs: Sequence[str], known: pl.Series | None
) -> tuple[pl.DataFrame | None, pl.DataFrame]:
    """Part rows with a fault, under the first that they have, from those without."""
    if given is None:
        return None, pl.DataFrame(schema=_REJECTED)
    missing = [name for name in needs if name not in given.columns]
    if missing:
        raise InputError("missing_column", f"{table} has no column {missing[0]}; it needs {', '.join(needs)}")
    frame = given.select(_cell(given, table, name, kind).alias(name) for name, kind in kinds.items())
    faults: list[tuple[str, str, pl.Expr | pl.Series]] = []
    for name, kind in kinds.items():
        was = _filled(given, name)
        if name in needs:
            faults.append(("missing_value", f"{name} is empty", ~was))
        if kind != "text":
            said = "date" if kind == "date" else "number"
            faults.append((f"bad_{said}", f"{name} is not a {said}", was & frame[name].is_null()))
        if name in _RANGES:
            low, high = _RANGES[name]
            outside = ~frame[name].is_between(low, high)
            faults.append(("bad_number", f"{name} is not between {low:g} and {high:g}", outside.fill_null(value=False)))
    if known is not None:
        faults.append(
            ("unknown_person", "people has no row of this person", ~frame["person_id"].is_in(known.implode()))
        )
    else:
        faults.append(("repeated_row", "the id has a row before this one", ~frame["doctor_id"].is_first_distinct()))
    if table == "contracts":
        turned = frame.select((pl.col("until") < pl.col("signed")).fill_null(value=False)).to_series()
        faults.append(("bad_date", "until is before signed", turned))
    return _parted(frame, table, faults)


def _parted(
    frame: pl.DataFrame, table: str, faults: Sequence[tuple[str, str, pl.Expr | pl.Series]]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    first = pl.coalesce(
        pl.when(pl.lit(where) if isinstance(where, pl.Series) else where).then(pl.lit(place))
        for place, (_, _, where) in enumerate(faults)
    )
    judged = frame.with_columns(first.alias("_fault")).with_row_index("_row", offset=1)
    wrong = judged.filter(pl.col("_fault").is_not_null())
    told = [faults[place] for place in wrong["_fault"].to_list()]
    refused = pl.DataFrame(
        {
            "table": [table] * len(told), "row": wrong["_row"].cast(pl.Int64), "reason": [one[0] for one in told],
            "detail": [one[1] for one in told],
        },
        schema=_REJECTED,
    )  # fmt: skip
    return judged.filter(pl.col("_fault").is_null()).drop("_fault", "_row"), refused


def _filled(given: pl.DataFrame, name: str) -> pl.Series:
    if name not in given.columns:
        return pl.repeat(False, given.height, eager=True)
    cells = given[name]
    if cells.dtype == pl.String:
        return (cells.str.strip_chars() != "").fill_null(value=False)
    return cells.is_not_null()


def _cell(given: pl.DataFrame, table: str, name: str, kind: str) -> pl.Expr:
    wanted = {"text": pl.String, "date": pl.Date, "number": pl.Float64}[kind]
    if name not in given.columns:
        return pl.lit(None, dtype=wanted)
    found = given.schema[name]
    cell = pl.col(name)
    if found == pl.String:
        text = cell.str.strip_chars()
        text = pl.when(text != "").then(text)
        if kind == "date":
            return text.str.to_date("%Y-%m-%d", strict=False)
        return text.cast(pl.Float64, strict=False) if kind == "number" else text
    if found == pl.Null or found == wanted or (kind == "number" and found.is_numeric()):
        return cell.cast(wanted)
    if kind == "date" and found == pl.Datetime:
        return cell.dt.date()
    if kind == "text" and found.is_integer():
        return cell.cast(pl.String)
    raise InputError("wrong_type", f"{table}: {name} is {found} and should be a {kind}")
