"""Seal the chains of the ledger, and verify them.

Each account is a chain of its own: an entry carries the hash of the one before it, so that two who post to different
people never wait for each other. What a single global chain would show, that whole accounts were taken away or cut
short, seals show: now and then the heads of all chains that grew are written down and hashed together with the seal
before. Who keeps the hash of a seal outside the store can prove later that nothing before it has changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from medfloor.errors import StoreError
from medfloor.store import postings
from medfloor.store.accounts import FACILITY, GENESIS, Account, text_of
from medfloor.store.bills import Bill
from medfloor.store.books import Books
from medfloor.store.engine import Store
from medfloor.store.entries import append, canonical, entry_hash, sha256
from medfloor.store.findings import Finding, Verification
from medfloor.store.postings import SETTLING, Amounts, Posting
from medfloor.store.recompute import Recomputing
from medfloor.store.schema import account, arrear, arrear_step, claim, entry, posting, seal, seal_head
from medfloor.store.year import Past

__all__ = ["Sealed", "append", "seal_now", "verify"]

PAGE = 300
"""How many accounts are verified at once."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """Be a seal: how many chains and new entries it covers, and its hash, which is worth keeping outside the store."""

    id: int
    sealed_at: datetime
    accounts: int
    entries: int
    hash: str


def seal_now(store: Store, *, now: datetime) -> Sealed | None:
    """Seal all chains that grew since the last seal; None where none did."""
    for _ in range(5):
        try:
            return store.attempt(lambda connection: _seal(connection, now))
        except IntegrityError:
            continue  # another sealed at the same moment; seal what is left
    raise StoreError("store_busy", "others sealed at the same moment each time; try again")


def verify(store: Store, *, books: Books | None = None, seal_hash: str | None = None) -> Verification:
    """Verify hashes, links, lengths, heads, postings, claims, counters, arrears and seals; with `books` the amounts.

    With `books` every entry of this law and program is settled again from its own input by the reference engine, and
    every year from nothing by `settle`, under what the register knows now. `seal_hash` is that of a seal that was
    kept outside. Reads only, and sees one state of the store throughout.
    """
    with store.reading() as connection:
        checking = _Checking(connection, None if books is None else Recomputing(books, connection))
        for page in _pages(connection):
            checking.page(page)
        checking.orphans()
        seals = checking.seals(seal_hash)
        again = checking.again
        if again is not None:
            checking.found += again.years()
        return Verification(
            checking.accounts, checking.entries, seals,
            again.entries if again else 0, again.other_law if again else 0, again.claims if again else 0,
            again.erased if again else 0, tuple(checking.found),
        )  # fmt: skip


def _seal(connection: sa.Connection, now: datetime) -> Sealed | None:
    before = connection.execute(sa.select(seal.c.hash).order_by(seal.c.id.desc()).limit(1)).scalar() or GENESIS
    last = sa.select(seal_head.c.account_id, sa.func.max(seal_head.c.length).label("length"))
    sealed = last.group_by(seal_head.c.account_id).subquery()
    had = sa.func.coalesce(sealed.c.length, 0)
    grown = connection.execute(
        sa.select(account.c.id, account.c.length, account.c.head, had)
        .outerjoin(sealed, sealed.c.account_id == account.c.id)
        .where(account.c.length > had)
        .order_by(account.c.id)
    ).all()
    if not grown:
        return None
    entries = sum(row[1] - row[3] for row in grown)
    heads = [[row[0], row[1], row[2]] for row in grown]
    made = seal_hash_of(before, now, len(heads), entries, heads)
    values = {"sealed_at": now, "accounts": len(heads), "entries": entries, "previous": before, "hash": made}
    seal_id = connection.execute(sa.insert(seal).values(values).returning(seal.c.id)).scalar_one()
    rows = [{"seal_id": seal_id, "account_id": one, "length": length, "head": head} for one, length, head in heads]
    connection.execute(sa.insert(seal_head), rows)
    return Sealed(seal_id, now, len(heads), entries, made)


def seal_hash_of(previous: str, at: datetime, accounts: int, entries: int, heads: Sequence[Sequence[Any]]) -> str:
    """Hash a seal: the one before it, when, how much, and each chain's length and head."""
    moment = at.astimezone(UTC).isoformat(timespec="microseconds")
    return sha256(canonical([previous, moment, accounts, entries, sorted(list(one) for one in heads)]))


@dataclass(slots=True)
class _Page:
    """Be some accounts with all that belongs to them, by account id."""

    accounts: list[Account]
    rows: list[Any]
    entries: dict[int, list[Any]]
    postings: dict[int, list[Posting]]
    claims: dict[int, list[Any]]
    arrears: dict[int, list[Any]]
    steps: dict[int, list[Any]]


def _pages(connection: sa.Connection) -> Iterator[_Page]:
    last = 0
    while True:
        rows = connection.execute(
            sa.select(account).where(account.c.id > last).order_by(account.c.id).limit(PAGE)
        ).all()
        if not rows:
            return
        first, last = rows[0].id, rows[-1].id
        yield _page(connection, rows, first, last)


def _page(connection: sa.Connection, rows: Sequence[Any], first: int, last: int) -> _Page:
    of_page = entry.c.account_id.between(first, last)
    entries = connection.execute(sa.select(entry).where(of_page).order_by(entry.c.account_id, entry.c.number))
    lines = connection.execute(
        sa.select(posting.c.entry_id, posting.c.party, posting.c.amount_fen).join(entry).where(of_page)
    )
    claims = connection.execute(sa.select(claim).where(claim.c.account_id.between(first, last)))
    owed = connection.execute(sa.select(arrear, entry.c.account_id).join(entry).where(of_page).order_by(arrear.c.id))
    steps = connection.execute(
        sa.select(arrear_step)
        .join(arrear, arrear.c.id == arrear_step.c.arrear_id)
        .join(entry, entry.c.id == arrear.c.entry_id)
        .where(of_page)
        .order_by(arrear_step.c.id)
    )
    return _Page(
        [Account.of_row(row) for row in rows], list(rows), _grouped(entries, "account_id"),
        {one: [(row.party, row.amount_fen) for row in some] for one, some in _grouped(lines, "entry_id").items()},
        _grouped(claims, "account_id"), _grouped(owed, "account_id"), _grouped(steps, "arrear_id"),
    )  # fmt: skip


def _grouped(rows: Any, name: str) -> dict[int, list[Any]]:
    groups: dict[int, list[Any]] = {}
    for row in rows:
        groups.setdefault(getattr(row, name), []).append(row)
    return groups


@dataclass(slots=True)
class _Checking:
    """Be one verification on its way."""

    connection: sa.Connection
    again: Recomputing | None
    found: list[Finding] = field(default_factory=list)
    accounts: int = 0
    entries: int = 0
    heads: dict[int, dict[int, str]] = field(default_factory=dict)

    def page(self, page: _Page) -> None:
        """Verify the accounts of a page."""
        wanted = self._sealed([one.id for one in page.accounts])
        for one, row in zip(page.accounts, page.rows, strict=True):
            self.accounts += 1
            mine = page.entries.get(one.id, [])
            past = self._walk(one, mine, page, wanted.get(one.id, {}))
            self._check_account(one, row, mine, past)
            self._check_arrears(one, mine, page)
        if self.again is not None:
            self.again.remember_years()

    def orphans(self) -> None:
        """Find rows whose account or entry is not there."""
        for child, column, parent in (
            (claim, claim.c.account_id, account), (entry, entry.c.account_id, account),
            (posting, posting.c.entry_id, entry),
            (arrear, arrear.c.entry_id, entry), (arrear_step, arrear_step.c.arrear_id, arrear),
        ):  # fmt: skip
            lost = sa.select(sa.func.count()).select_from(child.outerjoin(parent, parent.c.id == column))
            count = self.connection.execute(lost.where(parent.c.id.is_(None))).scalar_one()
            if count:
                self._say("orphan", None, 0, f"{count} rows of {child.name} have no {parent.name}")

    def seals(self, wanted: str | None) -> int:
        """Verify the chain of seals, and that what they sealed still stands."""
        previous, count, seen = GENESIS, 0, set()
        for one in self.connection.execute(sa.select(seal).order_by(seal.c.id)).all():
            count += 1
            seen.add(one.hash)
            written = sa.select(seal_head.c.account_id, seal_head.c.length, seal_head.c.head)
            heads = self.connection.execute(written.where(seal_head.c.seal_id == one.id)).all()
            made = seal_hash_of(one.previous, one.sealed_at, one.accounts, one.entries, heads)
            if one.previous != previous or made != one.hash or len(heads) != one.accounts:
                self._say("seal_broken", None, 0, f"seal {one.id}")
            previous = one.hash
            for account_id, length, head in heads:
                if self.heads.get(account_id, {}).get(length) != head:
                    self._say("sealed_gone", None, length, f"seal {one.id}, account {account_id}")
        lost = sa.select(sa.func.count()).select_from(seal_head.outerjoin(seal, seal.c.id == seal_head.c.seal_id))
        if self.connection.execute(lost.where(seal.c.id.is_(None))).scalar_one():
            self._say("seal_broken", None, 0, "heads of a seal that is not there")
        if wanted is not None and wanted not in seen:
            self._say("seal_missing", None, 0, wanted)
        return count

    def _walk(self, one: Account, entries: Sequence[Any], page: _Page, sealed: Mapping[int, str]) -> Past:
        """Follow a chain from its first entry to its last."""
        past = Past()
        for row in page.claims.get(one.id, []):
            past.bills[row.claim_id] = Bill.from_row(row)
        posted = set()
        head = GENESIS
        for place, row in enumerate(entries, 1):
            self.entries += 1
            lines = page.postings.get(row.id, [])
            if row.number != place:
                self._say("entry_missing", one, row.number, f"the {place}. entry has number {row.number}")
            if row.previous != head:
                self._say("link_broken", one, row.number)
            head = row.hash
            if row.number in sealed:
                self.heads.setdefault(one.id, {})[row.number] = row.hash
            if entry_hash(one.key, row._mapping, lines) != row.hash:
                self._say("hash_differs", one, row.number)
            if sha256(row.input) != row.input_hash:
                self._say("input_differs", one, row.number)
            if sum(fen for _, fen in lines) != 0:
                self._say("not_balanced", one, row.number)
            if row.kind in SETTLING:
                posted.add(row.claim_id)
            try:
                self._follow(one, row, lines, past)
            except (KeyError, TypeError, ValueError, AssertionError):
                self._say("unreadable", one, row.number)
        for claim_id in sorted(set(past.bills) - posted):
            self._say("claim_unposted", one, 0, claim_id)
        return past

    def _follow(self, one: Account, row: Any, lines: Sequence[Posting], past: Past) -> None:
        """Verify what an entry says against the entries before it, and let it have its effect."""
        said, result = json.loads(row.input), json.loads(row.result)
        if sorted(lines) != sorted(_following(row.kind, said, result)):
            self._say("postings_differ", one, row.number)
        if one.kind == FACILITY or row.kind in ("payment", "clearing"):
            return
        if row.kind in SETTLING:
            bill = past.bills.get(row.claim_id)
            if bill is None or bill.facts() != said["claim"]:
                self._say("claim_differs", one, row.number)
            if row.claim_id in past.standing:
                self._say("standing_differs", one, row.number, "the claim stood already")
        else:
            before = past.standing.get(row.claim_id)
            if before is None or before.now.facts() != said["standing"]:
                self._say("standing_differs", one, row.number)
        past.add(row.kind, row.claim_id, row.number, result)
        if self.again is not None and row.kind != "reversal":
            wrong = self.again.entry(row, said, result)
            if wrong:
                self._say("result_differs", one, row.number, wrong)

    def _check_account(self, one: Account, row: Any, entries: Sequence[Any], past: Past) -> None:
        last = entries[-1] if entries else None
        if one.length != len(entries) or one.head != (last.hash if last else GENESIS):
            self._say("head_moved", one, one.length)
        if one.kind == FACILITY:
            return
        ordered = sorted(past.standing.values(), key=lambda line: line.bill.order)
        counters: Mapping[str, int] = ordered[-1].after if ordered else {}
        order = ordered[-1].bill.order if ordered else None
        if dict(one.counters) != dict(counters) or row.last_order != text_of(order):
            self._say("state_differs", one, one.length)
        if self.again is not None:
            self.again.year(one, ordered)

    def _check_arrears(self, one: Account, entries: Sequence[Any], page: _Page) -> None:
        """Verify that each entry that moved money left an arrear of that amount, and that paid ones have a payment."""
        moved = {}
        payments = {}
        for row in entries:
            lines = page.postings.get(row.id, [])
            if row.kind == "difference":
                moved[row.id] = -sum(fen for party, fen in lines if party == "person")
            elif row.kind == "reversal":
                moved[row.id] = sum(fen for party, fen in lines if party in ("person", "facility"))
                moved[row.id] = -moved[row.id] if moved[row.id] else 0
            elif row.kind == "payment":
                payments[row.id] = sum(fen for party, fen in lines if party == "arrears")
        for owed in page.arrears.get(one.id, []):
            steps = page.steps.get(owed.id, [])
            if moved.pop(owed.entry_id, 0) != owed.amount_fen or not steps or steps[-1].state != owed.state:
                self._say("arrear_differs", one, 0, f"arrear {owed.id}")
            paid = [step for step in steps if step.state in ("paid", "returned")]
            amounts = [payments.pop(step.entry_id, None) for step in paid]
            if amounts != [owed.amount_fen] * len(paid) or len(paid) > 1:
                self._say("payment_differs", one, 0, f"arrear {owed.id}")
        if any(moved.values()):
            self._say("arrear_differs", one, 0, "an entry that moved money has no arrear")
        if payments:
            self._say("payment_differs", one, 0, "a payment has no arrear")

    def _sealed(self, ids: Sequence[int]) -> dict[int, dict[int, str]]:
        rows = self.connection.execute(
            sa.select(seal_head.c.account_id, seal_head.c.length, seal_head.c.head).where(
                seal_head.c.account_id.between(ids[0], ids[-1])
            )
        )
        wanted: dict[int, dict[int, str]] = {}
        for account_id, length, head in rows:
            wanted.setdefault(account_id, {})[length] = head
        return wanted

    def _say(self, code: str, one: Account | None, number: int, detail: str = "") -> None:
        chain = "" if one is None else f"{one.kind} {one.owner} {one.benefit_year}"
        self.found.append(Finding(code, chain, number, detail))


def _following(kind: str, said: Mapping[str, Any], result: Mapping[str, Any]) -> list[Posting]:
    """Give the postings that follow from what an entry says."""
    if kind in SETTLING:
        return postings.of_settlement(Amounts.from_facts(result))
    if kind == "difference":
        return postings.of_difference(Amounts.from_facts(said["standing"]), Amounts.from_facts(result))
    if kind == "reversal":
        return postings.of_reversal(Amounts.from_facts(said["first"]), Amounts.from_facts(said["standing"]))
    if kind == "payment":
        return postings.of_payment(said["amount"])
    return postings.of_clearing(said["amount"])
