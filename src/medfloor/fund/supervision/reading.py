"""Read what supervision looks at: claims as a whole or part by part, people, charge lines, a catalogue, facilities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from medfloor.errors import InputError
from medfloor.intake import Keys, People, Scan, collect, read_claims, read_keys, read_people, scan_table, sink_all
from medfloor.intake.files import Source
from medfloor.tables import SEXES

NARROW = (
    "claim_id", "person_id", "provider_id", "diagnosis", "care", "level", "start", "end", "total_fen", "counted_fen",
    "minute", "moved", "who", "where",
)  # fmt: skip
"""The columns that rules look at. `counted_fen` counts towards a yearly ceiling; `minute` is of the day; `who`
and `where` number persons and facilities of a part, because whole numbers are quicker than texts (-1: unknown)."""

PAID = ("pay_basic", "hifp_pay")
"""Carried columns of what the basic fund paid, which counts towards its ceiling; without one, in_scope does."""

BYTES_A_ROW = 700
"""About what a claim takes while it is read and looked over."""

_SINKS = 16
_MOST_PARTS = 1_000
_CATALOGUE = ("sex", "age_from", "age_to", "day_limit", "price_limit")
_OF_PEOPLE = {"sex", "gend", "birth_date", "brdy", "death_date", "scheme", "enrolled_from"}
_LINES = ("quantity", "unit_price", "amount")


@dataclass(frozen=True, eq=False, slots=True)
class Read:
    """Be a part of the claims, sifted: `live` has the columns of NARROW and nothing that is or was taken back."""

    live: pl.DataFrame
    rejected: pl.DataFrame
    rows: int
    reversed: int
    money_fen: int
    money_rejected_fen: int
    alone: bool


@dataclass(frozen=True, eq=False, slots=True)
class Persons:
    """Be what is known of people: birth, sex and death, a row a person; and who is enrolled twice on a day."""

    known: pl.DataFrame
    twice: pl.DataFrame
    refused: int
    has_death: bool


def claims_parts(source: Source, *, memory_gb: float, folder: Path) -> Iterator[Read]:
    """Read claims, in one piece where they fit into the memory allowed, else in parts that hold persons whole.

    Parts are written into `folder` first, in passes of sixteen over the file. Rows that share a claim_id go together,
    so that they are refused as in one piece. Raises InputError as `read_claims` does, and OutputError cannot_write.
    """
    keys = read_keys(source)
    rows = int(collect(keys.scan, keys.scan.frame.select(pl.len()))[0, 0])
    count = min(_MOST_PARTS, max(1, -(-rows * BYTES_A_ROW // max(1, int(memory_gb * 2**30)))))
    if count == 1:
        yield _read(keys.scan, alone=True)
        return
    paths = [folder / f"{number}.parquet" for number in range(count)]
    _write_parts(keys, paths)
    for path in paths:
        frame = pl.scan_parquet(path, glob=False)
        yield _read(Scan(frame, frame.collect_schema(), keys.scan.place, whole=False), alone=False)
        path.unlink()


def _write_parts(keys: Keys, paths: list[Path]) -> None:
    count = len(paths)
    ids = keys.scan.frame.select(keys.claim_id.alias("id")).drop_nulls()
    hashes = collect(keys.scan, ids.select(pl.col("id").hash().alias("hash")))["hash"]
    # Sorted, because a table of hashes would take six times as much, and this alone grows with the file.
    in_order = np.sort(hashes.to_numpy())
    shared = pl.Series(np.unique(in_order[1:][in_order[1:] == in_order[:-1]]))
    # By another seed than the search for equal ids, so that rows without a person are spread as well.
    number = keys.person_id.fill_null("").hash(1) % count
    if len(shared):
        number = (
            pl.when(keys.claim_id.hash().is_in(shared.implode())).then(keys.claim_id.hash(2) % count).otherwise(number)
        )
    frame = keys.scan.frame.with_columns(number.alias("__part"))
    for first in range(0, count, _SINKS):
        chosen = range(first, min(first + _SINKS, count))
        parts = [frame.filter(pl.col("__part") == k).drop("__part") for k in chosen]
        sink_all(keys.scan, parts, [paths[k] for k in chosen])


def _read(scan: Scan, *, alone: bool) -> Read:
    claims = read_claims(scan)
    frame = claims.accepted
    paid = next((name for name in PAID if name in claims.carried), None)
    counted = pl.col("in_scope_fen") if paid is None else _fen(paid, frame.schema[paid])
    minute = _minutes("visit_time", frame.schema["visit_time"]) if "visit_time" in claims.carried else pl.lit(None)
    if frame["reverses"].null_count() < frame.height:
        # A row takes back a claim of its own person; one that names another's says nothing about that claim.
        taken = frame.filter(pl.col("reverses").is_not_null()).select("person_id", pl.col("reverses").alias("claim_id"))
        frame = frame.filter(pl.col("reverses").is_null()).join(taken, on=["person_id", "claim_id"], how="anti")
    live = frame.select(
        "claim_id", "person_id", "provider_id", "diagnosis", pl.col("care_type").alias("care"),
        pl.col("facility_level").alias("level"), pl.col("start_date").alias("start"), pl.col("end_date").alias("end"),
        "total_fen", counted.alias("counted_fen"), minute.cast(pl.Int32).alias("minute"),
        pl.col("continues").is_not_null().alias("moved"),
    )  # fmt: skip
    live = live.with_columns(numbered(live["person_id"]).alias("who"), numbered(live["provider_id"]).alias("where"))
    rows, refused = claims.rows_in, claims.rejected
    return Read(
        live,
        refused,
        rows,
        rows - refused.height - live.height,
        claims.money_in_fen,
        claims.money_rejected_fen,
        alone,
    )


def numbered(texts: pl.Series) -> pl.Series:
    """Number texts, the same for the same text; -1 where there is none.

    >>> numbered(pl.Series(["a", None, "b", "a"])).to_list()
    [0, -1, 1, 0]
    """
    return texts.cast(pl.Categorical(pl.Categories.random())).to_physical().cast(pl.Int64).fill_null(-1)


def _fen(name: str, dtype: pl.DataType) -> pl.Expr:
    amount = pl.col(name)
    if isinstance(dtype, pl.String):
        amount = amount.str.strip_chars().cast(pl.Float64, strict=False)
    elif not dtype.is_numeric():
        raise InputError("wrong_type", f"the claims have {name} as {dtype}, and it must be money in yuan")
    return (
        (amount.cast(pl.Float64).fill_null(0.0).fill_nan(0.0) * 100).round().cast(pl.Int64, strict=False).fill_null(0)
    )


def _minutes(name: str, dtype: pl.DataType) -> pl.Expr:
    """Read a time of day as minutes: HH:MM alone or at the end of a date, or a time; null where there is none."""
    if isinstance(dtype, (pl.Datetime, pl.Time)):
        return pl.col(name).dt.hour().cast(pl.Int32) * 60 + pl.col(name).dt.minute().cast(pl.Int32)
    if not isinstance(dtype, pl.String):
        raise InputError("wrong_type", f"the claims have {name} as {dtype}, and it must be a time such as 09:30")
    hour, minute = (pl.col(name).str.extract(r"(?:^|[ T])([01]?\d|2[0-3]):([0-5]\d)", n).cast(pl.Int32) for n in (1, 2))
    return hour * 60 + minute


def read_persons(source: Source) -> Persons:
    """Read people: the contract's table, with `death_date` where there is one.

    People whose enrolment meets itself are listed as enrolled twice, and are known all the same where their rows agree.
    Raises InputError as `read_people`, wrong_table for claims, missing_column where nothing is told of people.
    """
    scan = scan_table(source, "people")
    names = {one.strip().lower() for one in scan.names}
    if "claim_id" in names:
        raise InputError(
            "wrong_table",
            f"{scan.place} has a column claim_id: it is a table of claims, not of people; give the people's own file",
        )
    if not names & _OF_PEOPLE:
        raise InputError(
            "missing_column",
            f"{scan.place} says nothing of people that rules ask for: it has none of sex, birth_date, death_date, "
            "scheme and enrolled_from",
        )
    people = read_people(scan)
    bad = people.bad
    twice = bad.filter(pl.col("reason").is_in(["overlapping_schemes", "duplicate_person"])).select(
        "person_id", "reason"
    )
    frames = [_known(people)]
    if twice.height:
        name = next(one for one in scan.names if one.strip().lower() in ("person_id", "psn_no"))
        key = pl.col(name).cast(pl.String).str.strip_chars()
        rows = collect(scan, scan.frame.filter(key.is_in(twice["person_id"].implode()))).unique(
            name, maintain_order=True
        )
        frames.append(_known(read_people(rows)))
    known = pl.concat(frames, how="vertical_relaxed").unique("person_id", keep="first", maintain_order=True)
    return Persons(known, twice, bad.height - twice.height, "death_date" in people.carried)


def _known(people: People) -> pl.DataFrame:
    frame = people.accepted
    death = pl.lit(None, pl.Date)
    if "death_date" in people.carried:
        death = pl.col("death_date")
        if isinstance(frame.schema["death_date"], pl.String):
            given = death.str.strip_chars().replace("", None)
            unread = frame.select(
                given.is_not_null() & given.str.to_date("%Y-%m-%d", strict=False).is_null()
            ).to_series()
            if unread.any():
                raise InputError(
                    "bad_date",
                    f"people have {unread.sum():,} values in death_date that are no days; write them 2024-06-01",
                )
            death = given.str.to_date("%Y-%m-%d", strict=False)
        elif not frame.schema["death_date"].is_temporal():
            raise InputError("wrong_type", f"people have death_date as {frame.schema['death_date']}, not as a date")
    sexes = dict(enumerate(SEXES))
    return frame.select(
        "person_id", "birth_date", pl.col("sex").replace_strict(sexes, default=None, return_dtype=pl.String),
        death.cast(pl.Date).alias("death"),
    )  # fmt: skip


def read_lines(source: Source) -> Scan:
    """Open charge lines without reading them: claim_id, item_code, quantity, unit_price or amount, and item_date.

    Raises InputError missing_column.
    """
    scan = scan_table(source, "items")
    for name in ("claim_id", "item_code", "quantity"):
        if name not in scan.names:
            raise InputError("missing_column", f"{scan.place} has no column {name}; charge lines need one")
    if not {"unit_price", "amount"} & set(scan.names):
        raise InputError("missing_column", f"{scan.place} has neither unit_price nor amount; charge lines need one")
    return scan


def read_catalogue(source: Source) -> pl.DataFrame:
    """Read a catalogue: item_code and any of sex, age_from, age_to (years), day_limit, price_limit (yuan).

    Raises InputError missing_column, and bad_catalogue for a code twice, a value that is none, or limits below zero.
    """
    scan = scan_table(source, "catalogue")
    if "item_code" not in scan.names:
        raise InputError("missing_column", f"{scan.place} has no column item_code; a catalogue needs one")
    named = [name for name in _CATALOGUE if name in scan.names]
    if not named:
        raise InputError("missing_column", f"{scan.place} has none of the columns {', '.join(_CATALOGUE)}")
    frame = collect(scan, scan.frame.select("item_code", *named)).with_columns(_text("item_code"))
    twice = frame["item_code"].is_duplicated().sum()
    if twice:
        raise InputError("bad_catalogue", f"{scan.place} has {twice} rows that share an item_code; keep one of each")
    for name in named:
        given = frame[name]
        if name == "sex":
            value = frame.select(_text(name)).to_series()
            bad = value.is_not_null() & ~value.is_in(list(SEXES))
        else:
            value = given.cast(pl.String).str.strip_chars().replace("", None).cast(pl.Float64, strict=False)
            bad = given.cast(pl.String).replace("", None).is_not_null() & ~((value >= 0) & value.is_finite()).fill_null(
                False
            )
        if bad.any():
            raise InputError(
                "bad_catalogue",
                f"{scan.place}, column {name}: {given.filter(bad)[0]!r} is neither empty nor "
                f"{'male or female' if name == 'sex' else 'a number from 0'}",
            )
        frame = frame.with_columns(value.alias(name))
    lack = [pl.lit(None, pl.String if n == "sex" else pl.Float64).alias(n) for n in _CATALOGUE if n not in named]
    return frame.with_columns(lack)


def read_facilities(source: Source) -> pl.DataFrame:
    """Read facilities: provider_id, and `budget`, yuan a year; a column `name` is left where it is.

    Raises InputError missing_column, bad_facilities for a facility twice or a budget below zero.
    """
    scan = scan_table(source, "facilities")
    for name in ("provider_id", "budget"):
        if name not in scan.names:
            raise InputError("missing_column", f"{scan.place} has no column {name}; facilities need one")
    frame = collect(scan, scan.frame.select("provider_id", "budget")).with_columns(_text("provider_id"))
    if frame["provider_id"].is_duplicated().any():
        raise InputError("bad_facilities", f"{scan.place} has a provider_id in two rows; keep one of each")
    value = frame["budget"].cast(pl.String).replace("", None).cast(pl.Float64, strict=False)
    bad = frame["budget"].cast(pl.String).replace("", None).is_not_null() & ~(value > 0).fill_null(False)
    if bad.any():
        raise InputError(
            "bad_facilities", f"{scan.place}: a budget is {frame['budget'].filter(bad)[0]}; write yuan above 0"
        )
    return frame.with_columns(value.alias("budget"))


def lines_numbers(schema: Mapping[str, pl.DataType]) -> list[pl.Expr]:
    """Read the numbers of charge lines: null where a cell is empty, cannot be read, or is below zero."""
    found = []
    for name in _LINES:
        if name not in schema:
            found.append(pl.lit(None, pl.Float64).alias(name))
            continue
        value = pl.col(name).cast(pl.String).str.strip_chars().cast(pl.Float64, strict=False)
        found.append(pl.when((value >= 0) & value.is_finite()).then(value).alias(name))
    return found


def _text(name: str) -> pl.Expr:
    return pl.col(name).cast(pl.String).str.strip_chars().replace("", None)
