"""Work on one benefit year of one person (or household): settle on top, settle again, take back, and draft the entries.

A `Year` is a working copy of a locked account. Nothing is written until the ledger writes the drafts; a refusal
leaves the copy as it was.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import sqlalchemy as sa

from medfloor.errors import ConflictError, InputError, NotFoundError
from medfloor.settlement.scope import Person, Spell
from medfloor.store import postings
from medfloor.store.accounts import Account, Counters
from medfloor.store.bills import Bill
from medfloor.store.books import Books
from medfloor.store.entries import Draft, Stamp, link
from medfloor.store.postings import SETTLING, Amounts
from medfloor.store.reckoning import Reckoned, erased, from_start, on_top
from medfloor.store.register import Known
from medfloor.store.schema import claim, entry

Lookup = Callable[[Iterable[str]], Mapping[str, Known]]
"""Gives what is known of people, by person_id."""


@dataclass(slots=True)
class Standing:
    """Be a claim that stands: the entry that settled it, at what, and what differences have made of it since."""

    bill: Bill
    number: int
    first: Amounts
    latest: int
    now: Amounts
    after: Counters


@dataclass(frozen=True, slots=True)
class Owed:
    """Be what an entry leaves to be paid to a person (above zero) or returned by them (below), and why."""

    draft: Draft
    person_id: str
    claim_id: str
    amount_fen: int
    cause: str


@dataclass(slots=True)
class Past:
    """Be what the entries of an account come to: the claims that stand, and which entry took others back."""

    standing: dict[str, Standing] = field(default_factory=dict)
    taken: dict[str, int] = field(default_factory=dict)
    bills: dict[str, Bill] = field(default_factory=dict)

    def add(self, kind: str, claim_id: str | None, number: int, result: Mapping[str, Any]) -> None:
        """Let one more entry, the next of the chain, have its effect."""
        if claim_id is None or kind in ("payment", "clearing"):
            return
        if kind == "reversal":
            self.standing.pop(claim_id, None)
            self.taken[claim_id] = number
            return
        amounts = Amounts.from_facts(result)
        if kind in SETTLING:
            self.taken.pop(claim_id, None)
            self.standing[claim_id] = Standing(self.bills[claim_id], number, amounts, number, amounts, result["state"])
        else:
            one = self.standing[claim_id]
            one.latest, one.now, one.after = number, amounts, result["state"]


@dataclass(slots=True)
class Year:
    """Be the working copy of a locked account; `drafts`, `bills` and `owed` are what must be written."""

    books: Books
    account: Account
    stamp: Stamp
    connection: sa.Connection
    look_up: Lookup
    elsewhere: Callable[[str], Standing | None] = lambda claim_id: None
    drafts: list[Draft] = field(default_factory=list)
    bills: list[Bill] = field(default_factory=list)
    owed: list[Owed] = field(default_factory=list)
    read: Past | None = None

    def settle(self, bill: Bill, known: Known, **request: Any) -> Draft:
        """Settle a claim in its place, and what comes after it again; give the draft of its entry.

        `request` has key, hash, kind and cause. Raises InputError and ConflictError; then nothing has changed.
        """
        last = self.account.last_order
        if self._may_go_on_top(bill, last):
            done = on_top(self.books, bill, known.person(bill.start_date), known.spells(), self.account.counters)
            draft = self._settling(done, request)
            self._went_on(done)
        else:
            draft = self._settle_again(bill, "late_claim", request)
        self.bills.append(bill)
        return draft

    def reinstate(self, bill: Bill, **request: Any) -> Draft:
        """Let a claim that was taken back stand again, in its place; give the draft of its entry."""
        return self._settle_again(bill, "reinstatement", {**request, "kind": "reinstatement"})

    def reverse(self, claim_id: str, why: str, on: date, **request: Any) -> Draft:
        """Take a claim back, settle what comes after it again, and give the draft of its entry."""
        past = self.past()
        one = past.standing.get(claim_id)
        if one is None:
            raise ConflictError("reversed_twice", f"claim {claim_id} is already taken back")
        later = [other.bill.claim_id for other in past.standing.values() if other.bill.continues == claim_id]
        later += _continued_elsewhere(self.connection, one.bill, self.account.id)
        if later:
            raise ConflictError("claim_continued", f"claim {later[0]} continues this stay; take that one back first")
        rest = [other.bill for other in past.standing.values() if other is not one]
        worked = from_start(self.books, rest, self._whose(rest))
        draft = Draft(
            "reversal", claim_id, on,
            {
                "claim_id": claim_id, "reason": why, "first": one.first.facts(), "standing": one.now.facts(),
                "settled_by": one.number, "latest": one.latest,
            },
            {"state": worked[-1].after if worked else {}}, postings.of_reversal(one.first, one.now),
            cause=one.number, request_key=request.get("key"), request_hash=request.get("hash"),
        )  # fmt: skip
        self._add(draft)
        moved = one.first.own_total_fen - one.now.own_total_fen
        if moved:
            # What was found owing to the person because of this claim is owed no longer.
            self.owed.append(Owed(draft, one.bill.person_id, claim_id, -moved, "reversal"))
        self._differ(worked, draft.number, "reversal")
        self._went_to_end(worked)
        return draft

    def again(self, cause: str) -> None:
        """Settle the whole year again by what is known now, and draft a difference for each that comes out anew."""
        bills = [one.bill for one in self.past().standing.values()]
        worked = from_start(self.books, bills, self._whose(bills))
        self._differ(worked, None, cause)
        self._went_to_end(worked)

    def past(self) -> Past:
        """Read the claims and entries of the account, once."""
        if self.read is None:
            self.read = past_of(self.connection, self.account.id)
            for bill in self.bills:
                self.read.bills[bill.claim_id] = bill
            for draft in self.drafts:
                self.read.add(draft.kind, draft.claim_id, draft.number, draft.result)
        return self.read

    def _may_go_on_top(self, bill: Bill, last: Any) -> bool:
        """Say whether the claim comes after all that stand, and their counters are of this law."""
        if self.books.desk is None or bill.continues is not None:
            return False
        return last is None or (bill.order > last and self.account.policy_hash == self.books.policy_hash)

    def _settle_again(self, bill: Bill, cause: str, request: Mapping[str, Any]) -> Draft:
        past = self.past()
        if bill.continues is not None:
            self._check_continues(bill, past)
        bills = [*(one.bill for one in past.standing.values()), bill]
        worked = from_start(self.books, bills, self._whose(bills))
        done = next(one for one in worked if one.bill is bill)
        draft = self._settling(done, request)
        self._differ([one for one in worked if one is not done], draft.number, cause)
        self._went_to_end(worked)
        return draft

    def _check_continues(self, bill: Bill, past: Past) -> None:
        before = past.standing.get(bill.continues or "")
        if before is None:
            # A stay that began in another benefit year is another stay here; it must stand all the same.
            before = self.elsewhere(bill.continues or "")
        if before is None:
            raise InputError("unknown_continues", "continues: no settled claim that stands has that claim_id")
        if before.bill.person_id != bill.person_id:
            raise InputError("continues_other_person", "continues: that stay belongs to another person")
        if before.bill.order >= bill.order:
            raise InputError("continues_later", "continues: that stay is settled after this one; check the dates")

    def _whose(self, bills: Iterable[Bill]) -> Callable[[Bill], tuple[Person, tuple[Spell, ...]]]:
        known = self.look_up({bill.person_id for bill in bills})

        def whose(bill: Bill) -> tuple[Person, tuple[Spell, ...]]:
            one = known.get(bill.person_id)
            if one is None:
                raise erased()
            return one.person(bill.start_date), one.spells()

        return whose

    def _settling(self, done: Reckoned, request: Mapping[str, Any]) -> Draft:
        draft = Draft(
            request.get("kind", "settlement"), done.bill.claim_id, done.bill.settled_date, done.input(), done.result(),
            postings.of_settlement(done.amounts),
            cause=request.get("cause"), request_key=request.get("key"), request_hash=request.get("hash"),
        )  # fmt: skip
        if self.read is not None:
            self.read.bills[done.bill.claim_id] = done.bill
        self._add(draft)
        return draft

    def _differ(self, worked: Iterable[Reckoned], number: int | None, cause: str) -> None:
        """Draft a difference for each claim that now comes out otherwise than it stands, in payments or in counters."""
        standing = self.past().standing
        for done in worked:
            one = standing[done.bill.claim_id]
            if one.now.facts() == done.amounts.facts() and one.after == done.after:
                continue
            before = one.now
            draft = Draft(
                "difference", done.bill.claim_id, done.bill.settled_date,
                {**done.input(), "standing": before.facts(), "of": one.latest, "why": cause},
                done.result(), postings.of_difference(before, done.amounts), cause=number,
            )  # fmt: skip
            self._add(draft)
            moved = done.amounts.pay_total_fen - before.pay_total_fen
            if moved:
                self.owed.append(Owed(draft, done.bill.person_id, done.bill.claim_id, moved, cause))

    def _add(self, draft: Draft) -> None:
        link(self.account, draft, self.stamp)
        self.drafts.append(draft)
        if self.read is not None:
            self.read.add(draft.kind, draft.claim_id, draft.number, draft.result)

    def _went_on(self, done: Reckoned) -> None:
        self.account.counters = done.after
        self.account.last_order = done.bill.order
        self.account.policy, self.account.policy_hash = self.books.address, self.books.policy_hash

    def _went_to_end(self, worked: list[Reckoned]) -> None:
        """Let the account stand where the last claim of the year leaves it."""
        self.account.policy, self.account.policy_hash = self.books.address, self.books.policy_hash
        self.account.counters = worked[-1].after if worked else {}
        self.account.last_order = worked[-1].bill.order if worked else None


def past_of(connection: sa.Connection, account_id: int) -> Past:
    """Read what the claims and entries of an account come to."""
    past = Past()
    for row in connection.execute(_CLAIMS, {"account": account_id}):
        past.bills[row.claim_id] = Bill.from_row(row)
    for number, kind, claim_id, result in connection.execute(_ENTRIES, {"account": account_id}):
        past.add(kind, claim_id, number, json.loads(result))
    return past


def _continued_elsewhere(connection: sa.Connection, bill: Bill, account_id: int) -> list[str]:
    """List the claims that stand in other years and continue this one."""
    named = sa.select(claim.c.claim_id, claim.c.account_id).where(
        claim.c.person_id == bill.person_id, claim.c.continues == bill.claim_id, claim.c.account_id != account_id
    )
    found = connection.execute(named).all()
    return [claim_id for claim_id, other in found if claim_id in past_of(connection, other).standing]


def no_such_claim(claim_id: str) -> NotFoundError:
    """Say that the ledger has no such claim."""
    return NotFoundError("no_such_claim", f"the ledger has no claim {claim_id}")


_CLAIMS = sa.select(claim).where(claim.c.account_id == sa.bindparam("account"))
_ENTRIES = (
    sa.select(entry.c.number, entry.c.kind, entry.c.claim_id, entry.c.result)
    .where(entry.c.account_id == sa.bindparam("account"))
    .order_by(entry.c.number)
)
