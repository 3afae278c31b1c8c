"""Settle again what the ledger says it settled: each entry from its own input, and every year from nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import polars as pl
import sqlalchemy as sa

from medfloor.errors import MedfloorError
from medfloor.periods import OPEN_END
from medfloor.policy.compile import CLAIMS
from medfloor.settlement.scope import Person, Spell
from medfloor.settlement.settle import settle
from medfloor.store.accounts import Account
from medfloor.store.books import Books
from medfloor.store.findings import Finding
from medfloor.store.postings import Amounts
from medfloor.store.reckoning import again
from medfloor.store.register import known
from medfloor.store.year import Standing


@dataclass(slots=True)
class Recomputing:
    """Be the recomputation of a ledger under one law: entries at once, years when all have been seen."""

    books: Books
    connection: sa.Connection
    entries: int = 0
    other_law: int = 0
    claims: int = 0
    erased: int = 0
    waiting: list[tuple[Account, Sequence[Standing]]] = field(default_factory=list)
    parts: list[tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]] = field(default_factory=list)
    expected: dict[str, tuple[str, Amounts]] = field(default_factory=dict)
    counters: dict[tuple[str, int], tuple[str, Mapping[str, int]]] = field(default_factory=dict)

    def entry(self, row: Any, said: Mapping[str, Any], result: Mapping[str, Any]) -> str | None:
        """Settle an entry again from its own input; give what differs, or None. Another law's are counted only."""
        if row.policy_hash != self.books.policy_hash or row.engine != self.books.engine:
            self.other_law += 1
            return None
        self.entries += 1
        try:
            made = again(self.books, said)
        except MedfloorError as error:
            return error.code
        return None if made == result else ", ".join(name for name in made if made[name] != result.get(name))

    def year(self, account: Account, standing: Sequence[Standing]) -> None:
        """Take a year in, to be settled again from nothing."""
        if standing and account.policy_hash == self.books.policy_hash:
            self.waiting.append((account, standing))

    def remember_years(self) -> None:
        """Turn the years that wait into tables, under what the register knows of their people."""
        people = sorted({line.bill.person_id for _, lines in self.waiting for line in lines})
        facts = known(self.connection, people) if people else {}
        claims: list[dict[str, Any]] = []
        rows: dict[tuple[str, date], dict[str, Any]] = {}
        spells: dict[str, tuple[Spell, ...]] = {}
        for account, lines in self.waiting:
            if any(line.bill.person_id not in facts for line in lines):
                self.erased += 1
                continue
            chain = f"{account.kind} {account.owner} {account.benefit_year}"
            self.counters[account.owner, account.benefit_year] = (chain, account.counters)
            for line in lines:
                bill = line.bill
                one = facts[bill.person_id]
                person = one.person(bill.start_date)
                home = account.owner if self.books.household else person.household_id
                rows[bill.person_id, bill.start_date] = _person_row(person, bill.start_date, home)
                spells[bill.person_id] = one.spells()
                claims.append(_claim_row(line))
                self.expected[bill.claim_id] = (chain, line.now)
        self.waiting.clear()
        if claims:
            wanted = {name for _, names in self.books.law.dimensions.groups for name in names}
            held = [_spell_row(who, one) for who, some in spells.items() for one in some if one.group in wanted]
            self.parts.append((
                pl.DataFrame(claims, infer_schema_length=None),
                pl.DataFrame(list(rows.values()), schema=_PEOPLE),
                pl.DataFrame(held, schema=_SPELLS),
            ))  # fmt: skip

    def years(self) -> list[Finding]:
        """Settle all years from nothing, and list what differs from what stands."""
        if not self.parts:
            return []
        claims = pl.concat([part[0] for part in self.parts], how="diagonal_relaxed")
        people = pl.concat([part[1] for part in self.parts]).unique(["person_id", "enrolled_from"], maintain_order=True)
        spells = pl.concat([part[2] for part in self.parts]).unique(maintain_order=True)
        self.claims = claims.height
        done = settle(claims, people, spells, self.books.law, closing=not self.books.household)
        found = []
        for claim_id, reason in zip(done.rejected["claim_id"], done.rejected["reason"], strict=True):
            found.append(Finding("year_refused", self.expected[claim_id][0], 0, f"{claim_id}: {reason}"))
        for row in done.fen.iter_rows(named=True):
            chain, stands = self.expected[row["claim_id"]]
            made = Amounts(
                {tier: row[f"pay_{tier}_fen"] for tier in done.tiers},
                row["own_in_scope_fen"], row["own_total_fen"], row["deductible_fen"],
            )  # fmt: skip
            if made.facts() != stands.facts():
                found.append(Finding("year_differs", chain, 0, row["claim_id"]))
        return found + ([] if done.closing is None else self._counters(done.closing))

    def _counters(self, closing: pl.DataFrame) -> list[Finding]:
        """Compare the counters of each person-year."""
        layout = self.books.law.layout
        start = {name: value for name, value in zip(layout.names, layout.initial, strict=True) if name != CLAIMS}
        found = []
        for row in closing.iter_rows(named=True):
            chain, stands = self.counters[row["person_id"], row["benefit_year"]]
            if {name: row[name] for name, value in start.items() if row[name] != value} != dict(stands):
                found.append(Finding("counters_differ", chain, 0))
        return found


_PEOPLE: Any = {
    "person_id": pl.String, "household_id": pl.String, "birth_date": pl.Date, "sex": pl.String, "scheme": pl.String,
    "residence": pl.String, "insured_class": pl.String, "enrolled_from": pl.Date, "enrolled_to": pl.Date,
    "continuous_years": pl.Int64, "claim_free_years": pl.Int64, "family_doctor": pl.Int64,
}  # fmt: skip

_SPELLS: Any = {"person_id": pl.String, "group": pl.String, "from_date": pl.Date, "to_date": pl.Date}


def _person_row(person: Person, day: date, home: str) -> dict[str, Any]:
    """Give a person as a row that holds on one day: what changes within an enrolment then needs no spans."""
    return {
        "person_id": person.person_id, "household_id": home, "birth_date": person.birth_date, "sex": person.sex,
        "scheme": person.scheme if person.enrolled.holds(day) else "none", "residence": person.residence,
        "insured_class": person.insured_class, "enrolled_from": day, "enrolled_to": day,
        "continuous_years": person.continuous_years, "claim_free_years": person.claim_free_years,
        "family_doctor": int(person.family_doctor),
    }  # fmt: skip


def _spell_row(person_id: str, spell: Spell) -> dict[str, Any]:
    last = None if spell.span.end >= OPEN_END else spell.span.end - timedelta(days=1)
    first = None if spell.span.start <= date(1, 1, 1) else spell.span.start
    return {"person_id": person_id, "group": spell.group, "from_date": first, "to_date": last}


def _claim_row(line: Standing) -> dict[str, Any]:
    """Give a claim in the columns of the data contract, money in yuan (exact to the fen as a double)."""
    bill = line.bill
    row: dict[str, Any] = {
        "claim_id": bill.claim_id, "person_id": bill.person_id, "care_type": bill.care_type,
        "facility_level": bill.facility_level, "area": bill.area, "referral": bill.referral,
        "start_date": bill.start_date, "end_date": bill.end_date, "settled_date": bill.settled_date,
        "continues": bill.continues, "diagnosis": bill.diagnosis,
    }  # fmt: skip
    for name in ("total", "in_scope", "off_catalogue", "over_limit", "first_self_pay"):
        row[name] = getattr(bill, f"{name}_fen") / 100
    return row | {name: fen / 100 for name, fen in bill.extra.items()}
