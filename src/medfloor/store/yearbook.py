"""Give what an office settled and counts in a benefit year as tables for a yearly report, without names or numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl
import sqlalchemy as sa

from medfloor.store.arrears import owed
from medfloor.store.cases import count_cases
from medfloor.store.office import office_of
from medfloor.store.roles import Actor
from medfloor.store.schema import alert, claim
from medfloor.store.watching import register_of, settled_of


@dataclass(frozen=True, slots=True, eq=False)
class OfficeYear:
    """Be an office's benefit year.

    `paid` has claim_id, person_id, benefit_year, start, day, care_type, facility_level, total, in_scope, one pay_<tier>
    a tier, own; `people`, `statuses` and `households` the register at the year's end; money is yuan as doubles.
    `alerts` are signals with their number, `cases` states with their number and how many are overdue, `arrears` states,
    whether they are owed to people, their number and fen. `smallest_cell` is the office's smallest cell.
    """

    paid: pl.DataFrame
    people: pl.DataFrame
    statuses: pl.DataFrame
    households: pl.DataFrame
    alerts: tuple[tuple[str, int], ...]
    cases: tuple[tuple[str, int, int], ...]
    arrears: tuple[tuple[str, bool, int, int], ...]
    smallest_cell: int


def office_year(connection: sa.Connection, *, year: int, tiers: Sequence[str], actor: Actor, on: date) -> OfficeYear:
    """Read a benefit year; `on` is the day on which cases are overdue or not."""
    register = register_of(connection, as_of=min(on, date(year, 12, 31)))
    homes, spells = register.households, register.spells
    assert spells is not None, "the store always gives spells"
    yuan = [(pl.col(f"{name}_fen") / 100).alias(name) for name in ("income", "consumption", "food")]
    return OfficeYear(
        _paid(connection, year, tiers),
        register.people.drop("death_date"),
        spells.drop("detail"),
        homes.with_columns(yuan).select("household_id", "size", "income", "consumption", "food"),
        _alerts(connection, year),
        _cases(connection, actor, on),
        _arrears(connection, year),
        office_of(connection).smallest_cell,
    )


def _paid(connection: sa.Connection, year: int, tiers: Sequence[str]) -> pl.DataFrame:
    settled = settled_of(connection, year=year, tiers=tiers).filter(pl.col("benefit_year") == year)
    kinds = {
        "claim_id": pl.String, "care_type": pl.String, "facility_level": pl.String, "start": pl.Date, "day": pl.Date,
        "total": pl.Int64, "in_scope": pl.Int64,
    }  # fmt: skip
    asked = sa.select(
        claim.c.claim_id, claim.c.care_type, claim.c.facility_level, claim.c.start_date, claim.c.end_date,
        claim.c.total_fen, claim.c.in_scope_fen,
    ).where(claim.c.settled_date >= date(year, 1, 1))  # fmt: skip
    bills = pl.DataFrame([tuple(row) for row in connection.execute(asked)], schema=kinds, orient="row")
    joined = settled.join(bills, on="claim_id", how="inner")
    return joined.select(
        "claim_id", "person_id", "benefit_year", "start", "day", "care_type", "facility_level",
        pl.col("total") / 100, pl.col("in_scope") / 100,
        *((pl.col(f"pay_{one}_fen") / 100).alias(f"pay_{one}") for one in tiers),
        (pl.col("own_total_fen") / 100).alias("own"),
    ).sort("claim_id")  # fmt: skip


def _alerts(connection: sa.Connection, year: int) -> tuple[tuple[str, int], ...]:
    asked = sa.select(alert.c.signal, sa.func.count()).where(alert.c.year == year)
    rows = connection.execute(asked.group_by(alert.c.signal).order_by(alert.c.signal))
    return tuple((signal, int(number)) for signal, number in rows)


def _cases(connection: sa.Connection, actor: Actor, on: date) -> tuple[tuple[str, int, int], ...]:
    found: dict[str, tuple[int, int]] = {}
    for _, state, number, late in count_cases(connection, actor, on=on):
        before = found.get(state, (0, 0))
        found[state] = (before[0] + number, before[1] + late)
    return tuple((state, *found[state]) for state in sorted(found))


def _arrears(connection: sa.Connection, year: int) -> tuple[tuple[str, bool, int, int], ...]:
    found: dict[tuple[str, bool], tuple[int, int]] = {}
    for one in owed(connection, benefit_year=year):
        key = one.state, one.amount_fen > 0
        number, fen = found.get(key, (0, 0))
        found[key] = number + 1, fen + one.amount_fen
    return tuple((*key, *found[key]) for key in sorted(found))
