"""Read a county's folder: what was paid for each claim, people, statuses, households; settle first where need be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from medfloor.errors import InputError, UsageError
from medfloor.intake import read_claims, read_households, read_people, read_spells, read_table, yuan_of
from medfloor.intake.codes import code_reader
from medfloor.measures.settled import in_our_names, without_taken_back
from medfloor.policy.load import load_policy
from medfloor.policy.model import GROUPS
from medfloor.settlement import settle
from medfloor.tables import (
    CARE_TYPES,
    CLAIMS,
    FACILITY_LEVELS,
    HOUSEHOLDS,
    NATIONAL_SETTLEMENTS,
    RESIDENCES,
    SCHEMES,
    SEXES,
)

SETTLED = ("settlements", "settled")
"""How a file of settlements may be called."""

_ENDINGS = (".parquet", ".csv")
_MONEY = tuple(column.name for column in HOUSEHOLDS.columns if column.kind == "money")
_NUMBERS = ("weight", "oop_outside", "registered_income")


@dataclass(frozen=True, slots=True, eq=False)
class County:
    """Be a county as its tables tell it; money is yuan as doubles.

    `paid` has one row a claim that was settled and not taken back: claim_id, person_id, care_type, facility_level and
    diagnosis (null where nobody says), start and day (when care began and ended), total, in_scope (where known), one
    pay_<tier> a tier in order, own (what stayed with the patient). `people` has person_id, household_id, birth_date,
    sex, scheme, residence and what the table carries; `statuses` person_id, group, from_date, to_date; `households`
    household_id, size and money; each None where the folder lacks the table. `law` is what the claims were settled
    under here, None where settlements came as they are. `counts` are claims, refused, taken_back.
    """

    paid: pl.DataFrame
    people: pl.DataFrame | None
    statuses: pl.DataFrame | None
    households: pl.DataFrame | None
    tiers: tuple[str, ...]
    law: str | None
    synthetic: bool
    counts: Mapping[str, int]

    def with_status(self, groups: Sequence[str] = GROUPS) -> pl.DataFrame:
        """List claim_id of care during which the person held one of the groups on some day; none without statuses."""
        if self.statuses is None:
            return self.paid.select("claim_id").clear()
        held = self.statuses.filter(pl.col("group").is_in(list(groups))).rename(
            {"from_date": "_from", "to_date": "_to"}
        )
        both = self.paid.select("claim_id", "person_id", "start", "day").join(held, on="person_id")
        inside = (pl.col("_from").is_null() | (pl.col("_from") <= pl.col("day"))) & (
            pl.col("_to").is_null() | (pl.col("_to") >= pl.col("start"))
        )
        # Care without a date cannot be placed in time: having the status at all then counts.
        return both.filter(inside.fill_null(True)).select("claim_id").unique(maintain_order=True)

    def holders(self, groups: Sequence[str] = GROUPS) -> pl.DataFrame:
        """List person_id and groups (joined with +) of people who held a status on some day of the claims' span."""
        empty = pl.DataFrame(schema={"person_id": pl.String, "groups": pl.String})
        if self.statuses is None:
            return empty
        first, last = self.paid["start"].min(), self.paid["day"].max()
        inside = (pl.col("from_date").is_null() | (pl.col("from_date") <= pl.lit(last))) & (
            pl.col("to_date").is_null() | (pl.col("to_date") >= pl.lit(first))
        )
        held = self.statuses.filter(pl.col("group").is_in(list(groups)) & inside.fill_null(True))
        order = {name: place for place, name in enumerate(groups)}
        return (
            held.select("person_id", "group")
            .unique()
            .sort("person_id", pl.col("group").replace_strict(order, return_dtype=pl.Int64))
            .group_by("person_id", maintain_order=True)
            .agg(pl.col("group").str.join("+").alias("groups"))
        )


def read_county(folder: Path, *, policy: str | None = None) -> County:
    """Read settlements (or claims, which are settled first), people, spells and households of a folder.

    Files are <table>.parquet or .csv in the contract's columns, or the national platform's; settlements are called
    settlements or settled. Claims alone are settled under `policy`, else under policy.yaml of the folder; with `policy`
    claims are settled anew even where settlements are there.

    Raises InputError no_settlements; UsageError no_law; and what reading, loading and settling raise.
    """
    files = {name: _file(folder, name) for name in (*SETTLED, "claims", "people", "spells", "households")}
    settled = next((files[name] for name in SETTLED if files[name] is not None), None)
    people = read_people(files["people"]).accepted if files["people"] else None
    law = None
    if files["claims"] is not None and (settled is None or policy is not None):
        law, paid, counts = _settled(folder, files, policy)
    elif settled is not None:
        paid, counts = read_table(settled, "settlements"), {}
    else:
        raise InputError(
            "no_settlements",
            f"{folder} has neither settlements nor claims (.parquet or .csv); put what `medfloor settle` wrote there, "
            "or claims and people with a policy to settle them under",
        )
    paid, tiers, back = _paid(paid, _told(files["claims"], law))
    return County(
        paid,
        _people(people),
        _statuses(files["spells"], law),
        _households(files["households"]),
        tiers,
        law,
        _made_up([paid, people]),
        {"claims": paid.height, "taken_back": back, **counts},
    )


def _file(folder: Path, name: str) -> Path | None:
    return next((path for ending in _ENDINGS if (path := folder / f"{name}{ending}").is_file()), None)


def _settled(
    folder: Path, files: Mapping[str, Path | None], policy: str | None
) -> tuple[str, pl.DataFrame, dict[str, int]]:
    own = folder / "policy.yaml"
    law = policy or (str(own) if own.is_file() else None)
    if law is None:
        raise UsageError(
            "no_law",
            f"{folder} has claims and no settlements; name the law to settle them under (--set policy=cn/beijing), or "
            "put it there as policy.yaml",
        )
    claims, people = files["claims"], files["people"]
    if people is None:
        raise InputError("no_settlements", f"{folder} has claims and no people; settling needs both")
    assert claims is not None
    done = settle(claims, people, files["spells"], law)
    return law, done.settlements, {"refused": done.rejected.height}


def _told(claims: Path | None, law: str | None) -> pl.DataFrame | None:
    """Read what claims tell beside amounts: kind of care, dates, diagnosis."""
    if claims is None:
        return None
    codes = load_policy(law).versions[-1].codes if law else None
    read = read_claims(claims, med_type=codes.med_type, hosp_lv=codes.hosp_lv) if codes else read_claims(claims)
    frame = read.accepted
    care = pl.col("care_type").cast(pl.Int64).replace_strict(dict(enumerate(CARE_TYPES)), return_dtype=pl.String)
    levels = dict(enumerate(FACILITY_LEVELS))
    level = pl.col("facility_level").cast(pl.Int64).replace_strict(levels, default=None, return_dtype=pl.String)
    there = [pl.col(name) for name in ("diagnosis",) if name in frame.columns]
    return frame.select(
        "claim_id", care, level, pl.col("start_date").alias("start"), pl.col("end_date").alias("day"), *there
    )


def _paid(frame: pl.DataFrame, told: pl.DataFrame | None) -> tuple[pl.DataFrame, tuple[str, ...], int]:
    """Bring settlements into the columns of `County.paid`; give tiers, and how many were taken back."""
    # Numbers first: a fund that most places do not have is left out only where it is seen to pay nothing.
    theirs = [name for name in frame.columns if name.strip().lower() in NATIONAL_SETTLEMENTS]
    frame = _plain_names(in_our_names(frame.with_columns(_number(frame, one) for one in theirs if _is_money(one))))
    names = [name for name in frame.columns if name.startswith("pay_") and name != "pay_total"]
    if "total" not in frame.columns or not names:
        raise InputError(
            "no_settlements",
            "the settlements have no column total, or none that begins with pay_; is it the right file?",
        )
    frame = frame.with_columns(_number(frame, one) for one in ["total", *names, *_further(frame)])
    if "claim_id" not in frame.columns:
        frame = frame.with_row_index("claim_id", 1).with_columns(pl.col("claim_id").cast(pl.String))
    if "person_id" not in frame.columns:
        frame = frame.with_columns(pl.col("claim_id").alias("person_id"))
    frame, back = without_taken_back(frame, total="total", paid=names)
    frame = frame.with_columns(pl.col("claim_id").cast(pl.String), pl.col("person_id").cast(pl.String))
    frame = _with_care(frame, told)
    own = pl.col("own_total") if "own_total" in frame.columns else pl.col("total") - pl.sum_horizontal(names)
    frame = frame.with_columns(own.alias("own"))
    return frame, tuple(name.removeprefix("pay_") for name in names), back


def _plain_names(frame: pl.DataFrame) -> pl.DataFrame:
    """Give columns that still have the platform's names ours, where ours are not taken."""
    found = {name.strip().lower(): name for name in frame.columns}
    links = {found[c.national]: c.name for c in CLAIMS.columns if c.national in found and c.name not in frame.columns}
    return frame.rename(links)


def _is_money(name: str) -> bool:
    ours = NATIONAL_SETTLEMENTS[name.strip().lower()]
    return ours.startswith("pay_") or ours in ("total", "in_scope", "own_total", "deductible")


def _further(frame: pl.DataFrame) -> list[str]:
    return [name for name in ("in_scope", "own_total", "income", "deductible") if name in frame.columns]


def _number(frame: pl.DataFrame, name: str) -> pl.Series:
    read = frame[name].cast(pl.Float64, strict=False)
    blank = int((frame[name].cast(pl.String).str.strip_chars() == "").sum())
    if read.null_count() > frame[name].null_count() + blank:
        at = int((read.is_null() & frame[name].is_not_null()).arg_true()[0])
        raise InputError(
            "bad_number",
            f"column {name} of the settlements holds {frame[name][at]!r} in row {at + 1}, which is no number",
        )
    return read


def _with_care(frame: pl.DataFrame, told: pl.DataFrame | None) -> pl.DataFrame:
    """Add kind of care, dates and diagnosis: from the claims, else from what the settlements carry, else null."""
    if told is not None:
        known = [name for name in told.columns if name != "claim_id"]
        frame = frame.drop([one for one in (*known, "start_date", "end_date") if one in frame.columns])
        frame = frame.join(told, on="claim_id", how="left", maintain_order="left")
    elif "care_type" in frame.columns:
        read = code_reader(CLAIMS.column("care_type"))
        positions = {one: read(one.strip().lower()) for one in frame["care_type"].cast(pl.String).unique().drop_nulls()}
        codes = {
            one: CARE_TYPES[place] if place is not None and place >= 0 else None for one, place in positions.items()
        }
        care = frame["care_type"].cast(pl.String).replace_strict(codes, default=None, return_dtype=pl.String)
        frame = frame.with_columns(care.alias("care_type"))
    dates = {"start": ("start", "start_date", "settled_date"), "day": ("day", "end_date", "settled_date")}
    for name, places in dates.items():
        there = next((one for one in places if one in frame.columns), None)
        frame = frame.with_columns((_date(frame, there) if there else pl.lit(None, pl.Date)).alias(name))
    absent = [name for name in ("care_type", "facility_level", "diagnosis") if name not in frame.columns]
    return frame.with_columns(pl.lit(None, pl.String).alias(name) for name in absent)


def _date(frame: pl.DataFrame, name: str) -> pl.Expr:
    if frame.schema[name] == pl.String:
        return pl.col(name).str.slice(0, 10).str.to_date(strict=False)
    return pl.col(name).cast(pl.Date)


def _people(people: pl.DataFrame | None) -> pl.DataFrame | None:
    """Give one row a person: the last span of enrolment, codes as words."""
    if people is None:
        return None
    words = {"sex": SEXES, "scheme": SCHEMES, "residence": RESIDENCES}
    named = [
        pl.col(name).cast(pl.Int64).replace_strict(dict(enumerate(codes)), default=None, return_dtype=pl.String)
        for name, codes in words.items()
        if name in people.columns
    ]
    return people.with_columns(named).unique("person_id", keep="last", maintain_order=True)


def _statuses(spells: Path | None, law: str | None) -> pl.DataFrame | None:
    if spells is None:
        return None
    groups: Sequence[str] = GROUPS
    if law is not None:
        groups = (*GROUPS, *(one.id for version in load_policy(law).versions for one in version.groups))
    return read_spells(spells, list(dict.fromkeys(groups))).accepted.select(
        "person_id", "group", "from_date", "to_date"
    )


def _households(households: Path | None) -> pl.DataFrame | None:
    if households is None:
        return None
    frame = read_households(households).accepted
    frame = frame.with_columns(yuan_of(pl.col(f"{one}_fen")).alias(one) for one in _MONEY).drop(
        f"{one}_fen" for one in _MONEY
    )
    return frame.with_columns(pl.col(one).cast(pl.Float64, strict=False) for one in _NUMBERS if one in frame.columns)


def _made_up(frames: Sequence[pl.DataFrame | None]) -> bool:
    """Say whether a table carries the mark of made-up data."""
    marked = [one["synthetic"] for one in frames if one is not None and "synthetic" in one.columns and one.height]
    return any(str(column[0]).lower() in ("true", "1", "yes") for column in marked)
