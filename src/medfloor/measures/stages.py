"""Work out what each household pays itself before insurance and after each tier, from its members' settlements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from medfloor.errors import InputError, UsageError
from medfloor.measures.influence import Array
from medfloor.measures.sample import Source, Table, column, frame_of, number
from medfloor.measures.settled import in_our_names
from medfloor.words import Phrase

Unknown = Literal["refuse", "leave_out"]
BEFORE = "before"
PREFIX = "pay_"


@dataclass(frozen=True, slots=True, eq=False)
class Stages:
    """Be households with what each pays itself at each stage, and what each tier pays for it.

    `frame` has the households as they came and the columns `stage_0` (before insurance), `stage_1` (after the first
    tier), ... and `paid_1`, ..., in the unit of the settlements, NaN where what comes on top is missing. `names` are
    those of the stages. `counts` says how many households have no claims, and how many claims were left out.
    """

    frame: pl.DataFrame
    names: tuple[str, ...]
    counts: dict[str, int]
    notes: tuple[Phrase, ...]


def stages_of(
    households: Table,
    settlements: Table,
    *,
    people: Table | None = None,
    tiers: Sequence[str] | None = None,
    besides: Source | None = None,
    year: int | None = None,
    unknown: Unknown = "refuse",
) -> Stages:
    """Sum up settlements by household, tier by tier.

    `settlements` has person_id, total and the columns `pay_<tier>` (what `medfloor settle` writes, or its result; the
    national platform's names are understood too);
    `people` says by person_id and household_id who lives where (not needed where settlements have household_id). The
    tiers are taken in the order of their columns, or in that of `tiers`, which may leave some out and join some
    ("assistance+tilt"). Rows that take a claim back have negative amounts and so cancel it. `year` keeps one benefit
    year. `besides` is what a household pays on top, outside the claims. Households without claims pay nothing else.

    A claim of a person or household that is not in the tables is refused, or left out and counted.

    Raises UsageError: no_people, no_such_tier, many_years; InputError: missing_column, not_numeric, missing_value,
    duplicate_household, two_households, unknown_household, parts_not_total, no_rows.

    >>> homes = {"household_id": ["a", "b"]}
    >>> claims = {"household_id": ["a", "a"], "total": [100.0, 20.0], "pay_basic": [60.0, 0.0]}
    >>> stages_of(homes, claims).frame.select("stage_0", "stage_1", "paid_1").rows()
    [(120.0, 60.0, 60.0), (0.0, 0.0, 0.0)]
    """
    frame = frame_of(households)
    claims = _of_year(in_our_names(frame_of(getattr(settlements, "settlements", settlements))), year)
    asked = _tiers(claims, tiers)
    if tiers is None:
        _check_parts(claims, asked)
    names = [BEFORE, *("+".join(parts) for parts in asked)]
    homes = column(frame, "household_id", "household_id").cast(pl.String)
    _check_homes(homes)
    where = _households_of(claims, people)
    known = where.is_in(homes.implode()).fill_null(False)
    amounts = {"total": _fen(claims, "total")}
    amounts |= {name: _sum(claims, parts) for name, parts in zip(names[1:], asked, strict=True)}
    left_out = int((~known).sum())
    if left_out and unknown != "leave_out":
        raise InputError(
            "unknown_household",
            f"{left_out:,} of {claims.height:,} claims are of people whose household is not in the table, or unknown. "
            "Complete the tables, or leave such claims out with unknown=leave_out.",
        )
    sums = pl.DataFrame({"household_id": where, **amounts}).filter(known).group_by("household_id").sum()
    joined = pl.DataFrame({"household_id": homes}).join(sums, on="household_id", how="left", maintain_order="left")
    on_top = number(frame, besides, "besides") if besides is not None else np.zeros(frame.height)
    made = _made(joined, names, on_top)
    counts = {"no_claims": joined["total"].null_count()}
    counts |= {"claims_left_out": left_out} if left_out else {}
    notes = _left(claims, asked)
    return Stages(
        frame.with_columns(**{name: pl.Series(values) for name, values in made.items()}), tuple(names), counts, notes
    )


def _of_year(claims: pl.DataFrame, year: int | None) -> pl.DataFrame:
    if "benefit_year" not in claims.columns:
        if year is not None:
            raise InputError("missing_column", "the settlements have no column benefit_year to choose a year by")
        return claims
    years = claims["benefit_year"].cast(pl.String)
    if year is None:
        there = sorted(years.drop_nulls().unique().to_list())
        if len(there) > 1:
            raise UsageError(
                "many_years",
                f"the settlements are of the benefit years {', '.join(there)}, and consumption is that of one; "
                "choose it with year",
            )
        return claims
    kept = claims.filter(years == str(year))
    if kept.is_empty():
        others = ", ".join(sorted(years.drop_nulls().unique().to_list()))
        raise UsageError("no_such_year", f"no settlement is of the benefit year {year}; there are {others}")
    return kept


def _tiers(claims: pl.DataFrame, tiers: Sequence[str] | None) -> list[list[str]]:
    """List the tiers in order, each with the columns that make it up."""
    there = [name.removeprefix(PREFIX) for name in claims.columns if name.startswith(PREFIX) and name != "pay_total"]
    if not there:
        raise InputError("missing_column", "the settlements have no columns pay_<tier>; see `medfloor settle`")
    if tiers is None:
        return [[name] for name in there]
    asked = [[part.strip() for part in one.split("+")] for one in tiers]
    flat = [part for parts in asked for part in parts]
    wrong = [part for part in flat if part not in there]
    if wrong or not flat:
        raise UsageError(
            "no_such_tier", f"there is no tier {wrong[0] if wrong else ''!r}; there are {', '.join(there)}"
        )
    if len(set(flat)) < len(flat):
        raise UsageError("no_such_tier", f"a tier is named twice in {', '.join(tiers)}; keep one")
    return asked


def _check_parts(claims: pl.DataFrame, tiers: list[list[str]]) -> None:
    if "pay_total" not in claims.columns:
        return
    paid = _sum(claims, [one for parts in tiers for one in parts])
    off = int((paid != _fen(claims, "pay_total")).sum())
    if off:
        raise InputError(
            "parts_not_total",
            f"in {off:,} settlements the columns pay_<tier> do not add up to pay_total; name all that paid with tiers",
        )


def _check_homes(homes: pl.Series) -> None:
    if homes.null_count():
        raise InputError(
            "missing_value",
            f"household_id is empty in {homes.null_count()} rows of the households; fill it in, or leave them out",
        )
    twice = homes.filter(homes.is_duplicated())
    if len(twice):
        raise InputError(
            "duplicate_household",
            f"{twice.n_unique()} household_id stand in more than one row; give one wave at a time, one row a household",
        )


def _households_of(claims: pl.DataFrame, people: Table | None) -> pl.Series:
    """Give each claim its household, null where it is not known."""
    if people is None:
        if "household_id" not in claims.columns:
            raise UsageError(
                "no_people", "the settlements have no household_id; give people, which has it by person_id"
            )
        return claims["household_id"].cast(pl.String)
    given = frame_of(people)
    pairs = pl.DataFrame(
        {
            "person_id": column(given, "person_id", "person_id").cast(pl.String),
            "household_id": column(given, "household_id", "household_id").cast(pl.String),
        }
    )
    pairs = pairs.drop_nulls().unique(maintain_order=True)
    twice = pairs["person_id"].is_duplicated()
    if twice.any():
        raise InputError(
            "two_households",
            f"{pairs['person_id'].filter(twice).n_unique()} person_id of people have several household_id; keep one",
        )
    person = pl.DataFrame({"person_id": column(claims, "person_id", "person_id").cast(pl.String)})
    return person.join(pairs, on="person_id", how="left", maintain_order="left")["household_id"]


def _sum(claims: pl.DataFrame, tiers: Sequence[str]) -> pl.Series:
    """Add up what some tiers paid on each claim."""
    paid = _fen(claims, f"{PREFIX}{tiers[0]}")
    for one in tiers[1:]:
        paid = paid + _fen(claims, f"{PREFIX}{one}")
    return paid


def _fen(claims: pl.DataFrame, name: str) -> pl.Series:
    """Read a column of money as whole fen, so that sums are exact."""
    values = number(claims, name, name)
    if np.isnan(values).any():
        raise InputError(
            "missing_value",
            f"column {name} of the settlements is empty in {int(np.isnan(values).sum())} rows; "
            "settle them again, or write 0 where nothing was paid",
        )
    return pl.Series(name, np.rint(values * 100).astype(np.int64))


def _made(sums: pl.DataFrame, names: list[str], on_top: Array) -> dict[str, Array]:
    """Take off tier after tier what it paid."""
    left = sums["total"].fill_null(0).to_numpy()
    made = {"stage_0": left / 100 + on_top}
    for place, name in enumerate(names[1:], 1):
        paid = sums[name].fill_null(0).to_numpy()
        left = left - paid
        made |= {f"stage_{place}": left / 100 + on_top, f"paid_{place}": paid / 100}
    return made


def _left(claims: pl.DataFrame, asked: list[list[str]]) -> tuple[Phrase, ...]:
    """Say which tiers were not asked for, because their payments then stay with the households."""
    used = {part for parts in asked for part in parts}
    names = [name.removeprefix(PREFIX) for name in claims.columns if name.startswith(PREFIX)]
    left = [name for name in names if name not in used and name != "total"]
    return (Phrase.of("by_tier.left", tiers=", ".join(left)),) if left else ()
