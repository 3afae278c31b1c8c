"""Give a benefit year of the office as tables without names: claims that stand, people, households, statuses.

Ids are the office's own, so that who may see people can follow a lead; results for analysts hold no id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl
import sqlalchemy as sa

from medfloor.errors import InputError
from medfloor.store.schema import account, claim, entry
from medfloor.store.watching import register_of, settled_of

_KINDS: dict[str, pl.DataType] = {
    "claim_id": pl.String(), "person_id": pl.String(), "provider_id": pl.String(), "care_type": pl.String(),
    "facility_level": pl.String(), "area": pl.String(), "referral": pl.String(), "start_date": pl.Date(),
    "end_date": pl.Date(), "settled_date": pl.Date(), "diagnosis": pl.String(), "total_fen": pl.Int64(),
    "off_catalogue_fen": pl.Int64(), "over_limit_fen": pl.Int64(), "first_self_pay_fen": pl.Int64(),
    "in_scope_fen": pl.Int64(),
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class OfficeYear:
    """Be the tables of a year, in the columns of the contract and in yuan; there is no name and no number in them."""

    claims: pl.DataFrame
    people: pl.DataFrame
    households: pl.DataFrame
    spells: pl.DataFrame


def office_year(connection: sa.Connection, year: int) -> OfficeYear:
    """Give the tables of a benefit year, people and households as on its last day.

    Raises InputError no_claims_of_year where no claim of the year stands.
    """
    turned = sa.select(entry.c.claim_id, entry.c.number, entry.c.kind).where(
        entry.c.kind.in_(("reversal", "reinstatement"))
    )
    latest: dict[str, tuple[int, str]] = {}
    for row in connection.execute(turned.order_by(entry.c.number)):
        latest[row.claim_id] = (row.number, row.kind)
    gone = [name for name, (_, kind) in latest.items() if kind == "reversal"]
    asked = (
        sa.select(*(claim.c[name] for name in _KINDS))
        .join_from(claim, account, account.c.id == claim.c.account_id)
        .where(account.c.benefit_year == year)
        .order_by(claim.c.id)
    )
    rows = connection.execute(asked).all()
    claims = pl.DataFrame(rows, schema=_KINDS, orient="row").filter(~pl.col("claim_id").is_in(gone))
    if not claims.height:
        raise InputError("no_claims_of_year", f"no claim of {year} stands in the office")
    register = register_of(connection, as_of=date(year, 12, 31))
    people = register.people.select("person_id", "household_id", "residence", "birth_date", "sex", "death_date")
    assert register.spells is not None, "the store's register has statuses"
    homes = register.households.select(
        "household_id", "size", *(_yuan(name) for name in ("income", "consumption", "food"))
    )
    held = register.spells.select("person_id", "group", "from_date", "to_date", "detail")
    return OfficeYear(_in_yuan(claims), people, homes, held)


def last_care(connection: sa.Connection, year: int) -> date | None:
    """Give the last day of care in a calendar year of which the office has a claim; None where it has none."""
    asked = sa.select(sa.func.max(claim.c.end_date)).where(
        claim.c.end_date >= date(year, 1, 1), claim.c.end_date <= date(year, 12, 31)
    )
    return connection.execute(asked).scalar()


def with_paid(connection: sa.Connection, claims: pl.DataFrame, year: int, care: Sequence[str]) -> pl.DataFrame:
    """Add what the ledger says that basic insurance paid of each claim (`pay_basic`, yuan), as it stands now.

    Only what claims of these kinds of care were paid is said: what fills another ceiling does not fill this one.
    """
    settled = settled_of(connection, year=year, tiers=("basic",)).select(
        "claim_id", (pl.col("pay_basic_fen") / 100).alias("pay_basic")
    )
    paid = pl.when(pl.col("care_type").is_in(list(care))).then(pl.col("pay_basic")).otherwise(0.0).fill_null(0.0)
    return claims.join(settled, on="claim_id", how="left", maintain_order="left").with_columns(paid.alias("pay_basic"))


def _yuan(name: str) -> pl.Expr:
    return (pl.col(f"{name}_fen") / 100).alias(name)


def _in_yuan(frame: pl.DataFrame) -> pl.DataFrame:
    money = [name.removesuffix("_fen") for name in frame.columns if name.endswith("_fen")]
    return frame.with_columns(*(_yuan(name) for name in money)).drop(f"{name}_fen" for name in money)
