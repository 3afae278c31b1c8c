"""Look at the claims of a person page by page: what each stands at, or stood at before it was taken back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from medfloor.store.bills import Bill
from medfloor.store.postings import SETTLING, Amounts
from medfloor.store.schema import account, claim, entry


@dataclass(frozen=True, slots=True)
class ClaimLine:
    """Be one claim of a list: `amounts` as it stands, of a reversed one as it stood before.

    `differences` is how often it came out anew after it was settled; `number` and `posted_at` are of its settling.
    """

    bill: Bill
    benefit_year: int
    reversed: bool
    amounts: Amounts
    differences: int
    number: int
    posted_at: datetime
    posted_by: str


def years_of(connection: sa.Connection, person_id: str) -> list[int]:
    """List the benefit years in which a person has claims, the latest first."""
    asked = (
        sa.select(account.c.benefit_year)
        .join(claim, claim.c.account_id == account.c.id)
        .where(claim.c.person_id == person_id)
        .distinct()
        .order_by(account.c.benefit_year.desc())
    )
    return [int(one) for one in connection.execute(asked).scalars()]


def claims_of(
    connection: sa.Connection, person_id: str, benefit_year: int, *, skip: int = 0, limit: int = 20
) -> list[ClaimLine]:
    """List a person's claims of a benefit year, the latest first, those taken back among them."""
    rows = connection.execute(
        sa.select(claim, account.c.benefit_year)
        .join(account, account.c.id == claim.c.account_id)
        .where(claim.c.person_id == person_id, account.c.benefit_year == benefit_year)
        .order_by(claim.c.settled_date.desc(), claim.c.start_date.desc(), claim.c.claim_id.desc())
        .offset(skip)
        .limit(limit)
    ).all()
    return lines_of(connection, [(Bill.from_row(row), int(row.benefit_year)) for row in rows])


def lines_of(connection: sa.Connection, bills: Sequence[tuple[Bill, int]]) -> list[ClaimLine]:
    """Give the lines of claims that were read, each with its benefit year, in the order given."""
    entries = connection.execute(
        sa.select(entry.c.claim_id, entry.c.number, entry.c.kind, entry.c.result, entry.c.posted_at, entry.c.posted_by)
        .where(
            entry.c.claim_id.in_([bill.claim_id for bill, _ in bills]),
            entry.c.kind.in_((*SETTLING, "difference", "reversal")),
        )
        .order_by(entry.c.account_id, entry.c.number)
    ).all()
    by_claim: dict[str, list[Any]] = {}
    for one in entries:
        by_claim.setdefault(one.claim_id, []).append(one)
    found = []
    for bill, year in bills:
        mine = by_claim[bill.claim_id]
        settled = next(one for one in reversed(mine) if one.kind in SETTLING)
        counted = [one for one in mine if one.kind != "reversal"]
        found.append(
            ClaimLine(
                bill, year, mine[-1].kind == "reversal", Amounts.from_facts(json.loads(counted[-1].result)),
                sum(one.kind == "difference" for one in mine), settled.number, settled.posted_at, settled.posted_by,
            )
        )  # fmt: skip
    return found


def count_claims(connection: sa.Connection, person_id: str, benefit_year: int) -> int:
    """Count a person's claims of a benefit year, those taken back among them."""
    asked = (
        sa.select(sa.func.count())
        .select_from(claim.join(account, account.c.id == claim.c.account_id))
        .where(claim.c.person_id == person_id, account.c.benefit_year == benefit_year)
    )
    return int(connection.execute(asked).scalar_one())
