"""Explain settled claims from the ledger: the year as it stood before each, and the facts its entry was made of."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import sqlalchemy as sa

from medfloor.errors import ConflictError, InputError
from medfloor.money import format_yuan
from medfloor.periods import OPEN_END
from medfloor.settlement.explanation import BillLine
from medfloor.store.bills import Bill
from medfloor.store.schema import account, claim, entry
from medfloor.store.year import no_such_claim, past_of

if TYPE_CHECKING:
    from medfloor.settlement.batch import Law
    from medfloor.settlement.explanation import Explanation

_AMOUNTS = ("total", "off_catalogue", "over_limit", "first_self_pay", "in_scope")
_PERSON = (
    "person_id", "household_id", "birth_date", "sex", "scheme", "residence", "insured_class", "continuous_years",
    "claim_free_years",
)  # fmt: skip


class Scene:
    """Hold the claims of a year up to one, and of each the facts with which it was settled."""

    def __init__(self, bills: list[Bill], said: Mapping[str, Mapping[str, Any]], own_total_fen: int) -> None:
        self.bills, self.said, self.own_total_fen = bills, said, own_total_fen

    def claims(self) -> pl.DataFrame:
        """Give the claims under the contract's names, amounts in yuan."""
        extra = sorted({name for bill in self.bills for name in bill.extra})
        rows = []
        for bill in self.bills:
            row = {
                name: getattr(bill, name)
                for name in ("claim_id", "person_id", "care_type", "facility_level", "area", "referral", "continues",
                             "diagnosis", "provider_id")
            }  # fmt: skip
            row |= {name: getattr(bill, name).isoformat() for name in ("start_date", "end_date", "settled_date")}
            row |= {name: format_yuan(getattr(bill, f"{name}_fen")) for name in _AMOUNTS}
            row |= {name: format_yuan(bill.extra[name]) if name in bill.extra else None for name in extra}
            rows.append(row)
        return _text(rows)

    def people(self) -> pl.DataFrame:
        """Give the people as each claim saw them: one row an enrolment."""
        rows: dict[tuple[Any, ...], dict[str, Any]] = {}
        for said in self.said.values():
            person = said["person"]
            since, until = person["enrolled"]
            row = {name: person.get(name) for name in _PERSON}
            row["family_doctor"] = "1" if person.get("family_doctor") else "0"
            if since > "0001-01-01":
                row["enrolled_from"] = since
            if until < OPEN_END.isoformat():
                row["enrolled_to"] = _day_before(until)
            if person["scheme"] == "none":
                # Who is enrolled nowhere on a day has no row of that day; without any row they would not be known.
                rows.setdefault((person["person_id"], "none"), row)
            else:
                rows[person["person_id"], since] = row
                rows.pop((person["person_id"], "none"), None)
        return _text(list(rows.values()))

    def spells(self) -> pl.DataFrame:
        """Give the statuses that the claims were settled with."""
        rows = {
            (said["person"]["person_id"], group, since, until)
            for said in self.said.values()
            for group, since, until in said["spells"]
        }
        return _text(
            [
                {
                    "person_id": person_id,
                    "group": group,
                    "from_date": since if since > "0001-01-01" else None,
                    "to_date": _day_before(until) if until < OPEN_END.isoformat() else None,
                }
                for person_id, group, since, until in sorted(rows)
            ],
            ("person_id", "group", "from_date", "to_date"),
        )

    def explained(self, claim_id: str, law: Law) -> Explanation:
        """Explain the claim under the law in use.

        Raises ConflictError (`cannot_explain`) where that law gives another answer than the ledger's entry, or the
        claim does not stand.
        """
        from medfloor.settlement.explain import explain

        try:
            told = explain(claim_id, self.claims(), self.people(), self.spells(), law)
        except InputError as error:
            raise ConflictError("cannot_explain", f"the claim cannot be explained any more: {error.code}") from None
        if told.state != "settled" or told.own_total_fen != self.own_total_fen:
            raise ConflictError(
                "cannot_explain",
                "the law in use gives another answer than the ledger's entry; settle the year again first",
            )
        return told


def scene_of(connection: sa.Connection, claim_id: str) -> Scene:
    """Read what a claim was settled with. Raises NotFoundError (`no_such_claim`)."""
    row = connection.execute(sa.select(claim).where(claim.c.claim_id == claim_id)).first()
    if row is None:
        raise no_such_claim(claim_id)
    mine = Bill.from_row(row)
    past = past_of(connection, row.account_id)
    bills = [one.bill for one in past.standing.values() if one.bill.order < mine.order]
    bills.append(mine)
    said: dict[str, Mapping[str, Any]] = {}
    own = 0
    kinds = ("settlement", "correction", "reinstatement", "difference")
    wanted = {bill.claim_id for bill in bills}
    for one in connection.execute(
        sa.select(entry.c.claim_id, entry.c.input, entry.c.result)
        .where(entry.c.account_id == row.account_id, entry.c.kind.in_(kinds))
        .order_by(entry.c.number)
    ):
        if one.claim_id in wanted:
            said[one.claim_id] = json.loads(one.input)
            if one.claim_id == claim_id:
                own = json.loads(one.result)["own_total"]
    return Scene(sorted(bills, key=lambda bill: bill.order), said, own)


def claims_of_year(connection: sa.Connection, person_ids: Collection[str], year: int) -> list[BillLine]:
    """List the claims of some people that stand in a benefit year, by the day on which care began."""
    years = connection.execute(
        sa.select(claim.c.account_id)
        .join(account, account.c.id == claim.c.account_id)
        .where(claim.c.person_id.in_(sorted(person_ids)), account.c.benefit_year == year)
        .distinct()
    ).scalars()
    wanted = set(person_ids)
    stood = [
        one for each in years.all() for one in past_of(connection, each).standing.values()
        if one.bill.person_id in wanted
    ]  # fmt: skip
    return [
        BillLine(
            one.bill.claim_id, one.bill.person_id, one.bill.start_date, one.bill.end_date, one.bill.care_type,
            one.bill.facility_level, one.bill.total_fen, one.now.pay_total_fen, one.now.own_total_fen,
        )
        for one in sorted(stood, key=lambda one: (one.bill.start_date, one.bill.order))
    ]  # fmt: skip


def _text(rows: list[dict[str, Any]], names: Iterable[str] = ()) -> pl.DataFrame:
    """Make a table of text; a column that says nothing of anybody is left out, as files leave it out."""
    listed = list(dict.fromkeys([*names, *(name for row in rows for name in row)]))
    columns = {name: [None if row.get(name) is None else str(row[name]) for row in rows] for name in listed}
    kept = {
        name: values for name, values in columns.items() if name in tuple(names) or any(v is not None for v in values)
    }
    return pl.DataFrame(kept, schema=dict.fromkeys(kept, pl.String))


def _day_before(day: str) -> str:
    return (date.fromisoformat(day) - timedelta(days=1)).isoformat()
