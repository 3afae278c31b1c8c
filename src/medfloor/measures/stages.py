"""Work out what each household pays itself before insurance and after each tier, from its members' settlements.

Settlements are first added up, as whole fen by household and column (`Added`): rows that are added up in parts, here or
on other machines, come to the same sums in whatever order the parts are put together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import add
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
    settlements: Table | Added,
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
    Settlements that were added up already (`Added`, which `medfloor.measures.cluster` makes) bring their own households
    and year.

    A claim of a person or household that is not in the tables is refused, or left out and counted.

    Raises UsageError: no_people, no_such_tier, many_years; InputError: missing_column, not_numeric, missing_value,
    duplicate_household, two_households, unknown_household, parts_not_total, no_rows.

    >>> homes = {"household_id": ["a", "b"]}
    >>> claims = {"household_id": ["a", "a"], "total": [100.0, 20.0], "pay_basic": [60.0, 0.0]}
    >>> stages_of(homes, claims).frame.select("stage_0", "stage_1", "paid_1").rows()
    [(120.0, 60.0, 60.0), (0.0, 0.0, 0.0)]
    """
    frame = frame_of(households)
    if isinstance(settlements, Added):
        added, asked = settlements, tiers_of(settlements.columns, tiers)
        _check_years(added.facts, year)
        _check_parts(added.facts, asked if tiers is None else None)
        homes = _homes(frame)
        _check_people(added.facts)
    else:
        claims = in_our_names(frame_of(getattr(settlements, "settlements", settlements)))
        claims, years = of_year(claims, year)
        _check_years(Facts(years=years), year)
        asked = tiers_of(claims.columns, tiers)
        used = used_columns(claims.columns, tiers)
        sums, facts = row_sums(claims, used)
        _check_parts(facts, asked if tiers is None else None)
        homes = _homes(frame)
        where, facts.two_households = _households_of(claims, people)
        _check_people(facts)
        added = Added(
            by_key(sums.with_columns(where.alias("household_id")), "household_id"), tuple(claims.columns), facts
        )
    _check_missing(added.facts, ["total", *(f"{PREFIX}{part}" for parts in asked for part in parts)])
    known = pl.col("household_id").is_in(homes.implode()).fill_null(False)
    left_out = int(added.frame.filter(~known)["rows"].sum())
    if left_out and unknown != "leave_out":
        raise InputError(
            "unknown_household",
            f"{left_out:,} of {added.facts.rows:,} claims are of people whose household is not in the table, or "
            "unknown. Complete the tables, or leave such claims out with unknown=leave_out.",
        )
    names = [BEFORE, *("+".join(parts) for parts in asked)]
    paid = (
        pl.sum_horizontal(f"{PREFIX}{part}" for part in parts).alias(name)
        for name, parts in zip(names[1:], asked, strict=True)
    )
    sums = added.frame.select("household_id", "total", *paid)
    joined = pl.DataFrame({"household_id": homes}).join(sums, on="household_id", how="left", maintain_order="left")
    on_top = number(frame, besides, "besides") if besides is not None else np.zeros(frame.height)
    made = _made(joined, names, on_top)
    counts = {"no_claims": joined["total"].null_count()}
    counts |= {"claims_left_out": left_out} if left_out else {}
    return Stages(
        frame.with_columns(**{name: pl.Series(values) for name, values in made.items()}),
        tuple(names),
        counts,
        _left(added.columns, asked),
    )


@dataclass(slots=True, eq=False)
class Facts:
    """Be what was seen of settlements while they were added up.

    `rows` of the year that is kept; the `years` that there are, None without such a column; in how many rows each
    column is empty (`missing`), and in how many the parts are not the total paid (`off`; None where none is told);
    how many people have `two_households`.
    """

    rows: int = 0
    years: set[str] | None = None
    missing: dict[str, int] = field(default_factory=dict)
    off: int | None = None
    two_households: int = 0

    def add(self, other: Facts) -> None:
        """Add what was seen of other rows of the same settlements."""
        self.rows += other.rows
        self.years = other.years if self.years is None else self.years | (other.years or set())
        for name, count in other.missing.items():
            self.missing[name] = self.missing.get(name, 0) + count
        self.off = other.off if self.off is None else self.off + (other.off or 0)


@dataclass(frozen=True, slots=True, eq=False)
class Added:
    """Be settlements added up by household: whole fen, and the number of `rows`.

    `frame` has household_id (null where it is not known), rows, total and the columns `pay_<tier>`; `columns` are those
    of the settlements.
    """

    frame: pl.DataFrame
    columns: tuple[str, ...]
    facts: Facts


def of_year(claims: pl.DataFrame, year: int | None) -> tuple[pl.DataFrame, set[str] | None]:
    """Keep the rows of a benefit year, where one is asked for; say which years there are."""
    if "benefit_year" not in claims.columns:
        return claims, None
    years = claims["benefit_year"].cast(pl.String)
    there = set(years.drop_nulls().unique().to_list())
    return claims if year is None else claims.filter(years == str(year)), there


def used_columns(columns: Sequence[str], tiers: Sequence[str] | None) -> list[str]:
    """List the columns of money that are needed: the total, what the tiers paid, and pay_total to check them by."""
    asked = [f"{PREFIX}{part}" for parts in tiers_of(columns, tiers) for part in parts]
    return ["total", *asked, *(["pay_total"] if tiers is None and "pay_total" in columns else [])]


def row_sums(claims: pl.DataFrame, used: Sequence[str]) -> tuple[pl.DataFrame, Facts]:
    """Read the money of settlements as whole fen, ready to be added up, and look for what is missing or off.

    An empty amount counts as 0 here and is in the facts.

    >>> claims = pl.DataFrame({"total": [9.5, None], "pay_basic": [5.0, 1.0]})
    >>> sums, facts = row_sums(claims, ["total", "pay_basic"])
    >>> sums.rows(), facts.missing
    ([(1, 950, 500), (1, 0, 100)], {'total': 1})
    """
    fen, missing = {}, {}
    for name in used:
        values = number(claims, name, name)
        empty = int(np.count_nonzero(np.isnan(values)))
        if empty:
            missing[name] = empty
            values = np.nan_to_num(values, nan=0.0)
        fen[name] = pl.Series(name, np.rint(values * 100).astype(np.int64))
    off = None
    if "pay_total" in fen:
        paid = reduce(add, [one for name, one in fen.items() if name not in ("total", "pay_total")])
        off = int((paid != fen.pop("pay_total")).sum())
    sums = pl.DataFrame({"rows": pl.repeat(1, claims.height, dtype=pl.Int64, eager=True), **fen})
    return sums, Facts(rows=claims.height, missing=missing, off=off)


def by_key(sums: pl.DataFrame, key: str) -> pl.DataFrame:
    """Add up rows of the same key; a null is a key of its own."""
    return sums.group_by(key).agg(pl.exclude(key).sum())


def _check_years(facts: Facts, year: int | None) -> None:
    if facts.years is None:
        if year is not None:
            raise InputError("missing_column", "the settlements have no column benefit_year to choose a year by")
        return
    there = sorted(facts.years)
    if year is None and len(there) > 1:
        raise UsageError(
            "many_years",
            f"the settlements are of the benefit years {', '.join(there)}, and consumption is that of one; "
            "choose it with year",
        )
    if year is not None and str(year) not in there:
        raise UsageError("no_such_year", f"no settlement is of the benefit year {year}; there are {', '.join(there)}")


def tiers_of(columns: Sequence[str], tiers: Sequence[str] | None) -> list[list[str]]:
    """List the tiers in order, each with the columns that make it up. Raises what `stages_of` says of tiers."""
    there = [name.removeprefix(PREFIX) for name in columns if name.startswith(PREFIX) and name != "pay_total"]
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


def _check_parts(facts: Facts, tiers: list[list[str]] | None) -> None:
    """Refuse settlements whose parts are not what was paid; where tiers were chosen, the rest need not be there."""
    if tiers is None or facts.off is None:
        return
    _check_missing(facts, [*(f"{PREFIX}{part}" for parts in tiers for part in parts), "pay_total"])
    if facts.off:
        raise InputError(
            "parts_not_total",
            f"in {facts.off:,} settlements the columns pay_<tier> do not add up to pay_total; name all that paid with "
            "tiers",
        )


def _check_missing(facts: Facts, names: Sequence[str]) -> None:
    for name in names:
        if facts.missing.get(name):
            raise InputError(
                "missing_value",
                f"column {name} of the settlements is empty in {facts.missing[name]} rows; "
                "settle them again, or write 0 where nothing was paid",
            )


def _homes(frame: pl.DataFrame) -> pl.Series:
    """Give the household_id of the households, one each."""
    homes = column(frame, "household_id", "household_id").cast(pl.String)
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
    return homes


def _households_of(claims: pl.DataFrame, people: Table | None) -> tuple[pl.Series, int]:
    """Give each claim its household, null where it is not known; count the people who have several."""
    if people is None:
        check_people_given(claims.columns)
        return claims["household_id"].cast(pl.String), 0
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
        return claims.clear().to_series(), pairs["person_id"].filter(twice).n_unique()
    person = pl.DataFrame({"person_id": column(claims, "person_id", "person_id").cast(pl.String)})
    return person.join(pairs, on="person_id", how="left", maintain_order="left")["household_id"], 0


def unreadable(refused: int, rows_in: int, place: str, first: str) -> InputError:
    """Say that a table of which every row must be readable is not: sums over a part of it would be wrong."""
    return InputError(
        "bad_rows",
        f"{refused:,} of {rows_in:,} rows of {place} cannot be read; the first: {first}. Correct them, or take them "
        "out.",
    )


def check_people_given(columns: Sequence[str]) -> None:
    """Raise UsageError no_people where settlements do not say the household themselves."""
    if "household_id" not in columns:
        raise UsageError("no_people", "the settlements have no household_id; give people, which has it by person_id")


def _check_people(facts: Facts) -> None:
    if facts.two_households:
        raise InputError(
            "two_households",
            f"{facts.two_households} person_id of people have several household_id; keep one",
        )


def _made(sums: pl.DataFrame, names: list[str], on_top: Array) -> dict[str, Array]:
    """Take off tier after tier what it paid."""
    left = sums["total"].fill_null(0).to_numpy()
    made = {"stage_0": left / 100 + on_top}
    for place, name in enumerate(names[1:], 1):
        paid = sums[name].fill_null(0).to_numpy()
        left = left - paid
        made |= {f"stage_{place}": left / 100 + on_top, f"paid_{place}": paid / 100}
    return made


def _left(columns: Sequence[str], asked: list[list[str]]) -> tuple[Phrase, ...]:
    """Say which tiers were not asked for, because their payments then stay with the households."""
    used = {part for parts in asked for part in parts}
    names = [name.removeprefix(PREFIX) for name in columns if name.startswith(PREFIX)]
    left = [name for name in names if name not in used and name != "total"]
    return (Phrase.of("by_tier.left", tiers=", ".join(left)),) if left else ()
