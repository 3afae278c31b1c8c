"""Settle, take back and correct claims in the ledger: append-only, one order a year, each request once.

What always holds: the postings of every entry come to zero; a claim settles once under its id; the same request again
gives the same answer and writes nothing; the claims of a year that stand are settled as if all had come in their
order, because what comes after a late, reversed or corrected claim is settled again and the differences are posted;
the counters of an account are those after the last claim that stands.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError

from medfloor.errors import ConflictError, InputError, MedfloorError, StoreError
from medfloor.periods import OFFICE_ZONE
from medfloor.store import accounts, arrears
from medfloor.store.accounts import HOME, PERSON, Counters, Key
from medfloor.store.among import among
from medfloor.store.bills import Bill
from medfloor.store.books import Books
from medfloor.store.entries import Draft, Stamp, canonical, sha256, write
from medfloor.store.identity import without_identities
from medfloor.store.postings import Amounts
from medfloor.store.reckoning import erased, refusal
from medfloor.store.register import Known, known, no_such_person
from medfloor.store.roles import Actor, sees
from medfloor.store.schema import account, claim, entry
from medfloor.store.year import Standing, Year, no_such_claim, past_of


@dataclass(frozen=True, slots=True)
class Request:
    """Be a claim to be settled, and the key under which it is asked: the same key again is the same request.

    A request without a key is settled once too, because a claim_id settles once; its repeat is then a conflict.
    `by` is who asks, where it is not who settles the whole batch; `within` refuses people outside of their place.
    """

    bill: Bill
    key: str | None = None
    by: Actor | None = None
    within: bool = False

    @property
    def hash(self) -> str:
        """Hash what is asked."""
        return sha256(canonical(self.bill.facts()))


@dataclass(frozen=True, slots=True)
class Change:
    """Be a settled claim that came out anew because of another entry; amount_fen as an arrear (above zero: owed)."""

    claim_id: str
    number: int
    amount_fen: int


@dataclass(frozen=True, slots=True)
class Posted:
    """Be an entry that stands in the ledger (of a pre-settlement: would stand; its entry_id is 0 and its hash empty).

    `counters` is what the year had used after this claim. `again` says that the request had been answered before.
    """

    entry_id: int
    number: int
    kind: str
    claim_id: str
    person_id: str
    benefit_year: int
    settled_date: date
    posted_at: datetime
    policy: str
    hash: str
    amounts: Amounts
    counters: Counters
    changes: tuple[Change, ...] = ()
    again: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """Be a request that was not carried out; nothing was written for it. `code` is that of the error."""

    claim_id: str
    error: MedfloorError

    @property
    def code(self) -> str:
        """Give the stable code of the reason."""
        return self.error.code


def settle(books: Books, requests: Sequence[Request], *, actor: Actor, now: datetime) -> list[Posted | Refused]:
    """Settle claims in one transaction, each for itself, in the order given; one that is refused hinders no other.

    The answers stand in the order of the requests. A refusal carries an InputError with the code by which a batch
    refuses the row, a ConflictError: `key_reused` (the key was used for another request), `claim_settled` (the claim_id
    was), or NotFoundError (`no_such_person`) for one outside of the place of who asks `within` it. Raises StoreError
    where the store did not take it.
    """
    if not requests:
        return []
    try:
        return books.store.attempt(
            lambda connection: _Sitting(books, connection, actor, now).settle(requests),
            harmless_twice=all(one.key is not None for one in requests),
        )
    except (IntegrityError, sa.exc.DataError):
        # Another transaction took a key or a claim_id since we looked. Now that it is done, each is asked alone.
        return [_alone(books, one, actor, now) for one in requests]


def posting_of(connection: sa.Connection, claim_id: str, person_id: str) -> tuple[date, datetime]:
    """Give the day on which the care of a person's claim began, and the moment at which it was settled first.

    What the register believed at that moment is what the claim was settled by. Raises NotFoundError (`no_such_claim`),
    also for a claim of another person.
    """
    row = connection.execute(
        sa.select(claim.c.start_date, sa.func.min(entry.c.posted_at, type_=entry.c.posted_at.type))
        .join(entry, entry.c.claim_id == claim.c.claim_id)
        .where(claim.c.claim_id == claim_id, claim.c.person_id == person_id)
        .group_by(claim.c.start_date)
    ).first()
    if row is None:
        raise no_such_claim(claim_id)
    return row[0], row[1]


def presettle(books: Books, requests: Sequence[Request], *, actor: Actor, now: datetime) -> list[Posted | Refused]:
    """Say what `settle` would answer, and write nothing."""
    with books.store.reading() as connection:
        return _Sitting(books, connection, actor, now, writes=False).settle(requests)


def reverse(
    books: Books,
    claim_id: str,
    *,
    key: str | None = None,
    reason: str,
    actor: Actor,
    now: datetime,
    on: date | None = None,
) -> Posted:
    """Take a claim back by a new entry, and settle again what comes after it in its year.

    `on` is the day of the reversal (default: the day of `now` in the office). Raises NotFoundError (`no_such_claim`),
    ConflictError: `reversed_twice`, `claim_continued` (a later stay continues it), `key_reused`.
    """
    reason = without_identities(reason)
    asked = {"reverse": claim_id, "reason": reason}
    day = on or now.astimezone(OFFICE_ZONE).date()
    return _change(
        books, claim_id, asked, key, actor, now, lambda year, request: year.reverse(claim_id, reason, day, **request)
    )


def reinstate(
    books: Books, claim_id: str, *, key: str | None = None, reason: str, actor: Actor, now: datetime
) -> Posted:
    """Take a reversal back: the claim stands again in its place, by a new entry, settled by what is known now.

    Raises NotFoundError (`no_such_claim`), ConflictError: `not_reversed`, `key_reused`; InputError as settling it.
    """
    asked = {"reinstate": claim_id, "reason": without_identities(reason)}

    def stand(year: Year, request: Mapping[str, Any]) -> Draft:
        past = year.past()
        if claim_id in past.standing:
            raise ConflictError("not_reversed", f"claim {claim_id} stands; there is no reversal to take back")
        return year.reinstate(past.bills[claim_id], cause=past.taken[claim_id], **request)

    return _change(books, claim_id, asked, key, actor, now, stand)


def correct(
    books: Books, claim_id: str, bill: Bill, *, key: str | None = None, reason: str, actor: Actor, now: datetime
) -> Posted:
    """Take a claim back and settle another in its stead, both in one transaction; the new one has an id of its own.

    Raises as `reverse`, and ConflictError (`claim_settled`) where the new id is taken, InputError where the new claim
    cannot be settled or is of another person.
    """
    reason = without_identities(reason)
    try:
        return books.store.attempt(
            lambda connection: _Sitting(books, connection, actor, now).correct(claim_id, bill, key, reason),
            harmless_twice=key is not None,
        )
    except IntegrityError:
        return books.store.attempt(
            lambda connection: _Sitting(books, connection, actor, now).correct(claim_id, bill, key, reason),
            harmless_twice=key is not None,
        )


@dataclass(frozen=True, slots=True)
class Line:
    """Be one claim of a year: what it stands at, and how it came to that."""

    bill: Bill
    number: int
    first: Amounts
    now: Amounts


@dataclass(frozen=True, slots=True)
class YearView:
    """Be a person's benefit year: the claims that stand in their order, those taken back, and what has been used.

    `counters` are in the policy's names; those at their start are left out. `entries` is the length of the chain.
    """

    person_id: str
    benefit_year: int
    owner: str
    policy: str | None
    lines: tuple[Line, ...]
    taken_back: tuple[str, ...]
    counters: Counters
    entries: int
    head: str


def year_of(connection: sa.Connection, person_id: str, benefit_year: int) -> YearView | None:
    """Give a person's benefit year, or None where nothing was ever settled in it. Reads only."""
    found = accounts.of_person(connection, person_id, benefit_year)
    if found is None:
        return None
    past = past_of(connection, found.id)
    lines = sorted(past.standing.values(), key=lambda one: one.bill.order)
    return YearView(
        person_id, benefit_year, found.owner, found.policy,
        tuple(Line(one.bill, one.number, one.first, one.now) for one in lines if one.bill.person_id == person_id),
        tuple(sorted(one for one in past.taken if past.bills[one].person_id == person_id)),
        found.counters, found.length, found.head,
    )  # fmt: skip


def _alone(books: Books, request: Request, actor: Actor, now: datetime) -> Posted | Refused:
    """Settle one request in a transaction of its own; another may have come first, so it is asked twice."""
    try:
        for last in (False, True):
            try:
                return books.store.attempt(
                    lambda connection: _Sitting(books, connection, actor, now).settle([request]),
                    harmless_twice=request.key is not None,
                )[0]
            except IntegrityError:
                if last:
                    raise
        raise AssertionError
    except DBAPIError as error:
        if isinstance(error, (IntegrityError, sa.exc.DataError)):
            return Refused(request.bill.claim_id, StoreError("store_refused", "the store did not take the claim"))
        raise


def _change(
    books: Books, claim_id: str, asked: Mapping[str, Any], key: str | None, actor: Actor, now: datetime, work: Any
) -> Posted:
    """Change a claim that was settled, under the lock of its account."""

    def once(connection: sa.Connection) -> Posted:
        return _Sitting(books, connection, actor, now).change(claim_id, asked, key, work)

    try:
        return books.store.attempt(once, harmless_twice=key is not None)
    except IntegrityError:
        return books.store.attempt(
            once, harmless_twice=key is not None
        )  # another used the key since we looked; now it is seen


@dataclass(slots=True)
class _Sitting:
    """Be one transaction of the ledger: lock, look up, work, write."""

    books: Books
    connection: sa.Connection
    actor: Actor
    now: datetime
    writes: bool = True
    years: dict[Key, Year] = field(default_factory=dict)
    known: dict[str, Known] = field(default_factory=dict)
    answered: dict[str, Posted | Draft] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)

    def settle(self, requests: Sequence[Request]) -> list[Posted | Refused]:
        """Settle requests one after the other, then write all of them."""
        whose = self._placed(requests)
        self._look_up(requests)
        answers: list[Posted | Refused | Draft] = []
        for request, place in zip(requests, whose, strict=True):
            try:
                answers.append(self._one(request, place))
            except MedfloorError as error:
                answers.append(Refused(request.bill.claim_id, refusal(error)))
        self._write()
        made: dict[int, Posted] = {}
        told: list[Posted | Refused] = []
        for answer, request, place in zip(answers, requests, whose, strict=True):
            if not isinstance(answer, Draft):
                told.append(answer)
            elif id(answer) in made:
                told.append(replace(made[id(answer)], again=True))
            else:
                assert isinstance(place, tuple)
                made[id(answer)] = self._posted(answer, self.years[place], request.bill)
                told.append(made[id(answer)])
        return told

    def change(self, claim_id: str, asked: Mapping[str, Any], key: str | None, work: Any) -> Posted:
        """Lock the year of a settled claim, let `work` draft what changes, and write it."""
        year = self._year_of_claim(claim_id)
        asked_hash = sha256(canonical(asked))
        before = self._answer_before(key, asked_hash)
        if before is not None:
            return before
        draft: Draft = work(year, {"key": key, "hash": asked_hash})
        self._write()
        return self._posted(draft, year, year.past().bills[claim_id])

    def correct(self, claim_id: str, bill: Bill, key: str | None, reason: str) -> Posted:
        """Take a claim back and settle another in its stead."""
        bill.checked()
        old = self._year_of_claim(claim_id, also=bill)
        asked_hash = sha256(canonical({"correct": claim_id, "by": bill.facts(), "reason": reason}))
        before = self._answer_before(key, asked_hash)
        if before is not None:
            return before
        if old.past().bills[claim_id].person_id != bill.person_id:
            raise InputError("corrects_other_person", "the claim that is corrected belongs to another person")
        self._look_up([Request(bill)])
        self._check_free(bill)
        self._learn([bill.person_id])
        if bill.person_id not in self.known:
            raise erased()
        reversal = old.reverse(claim_id, reason, self.now.astimezone(OFFICE_ZONE).date())
        year = self.years[(old.account.kind, old.account.owner, self.books.benefit_year(bill))]
        cause = reversal.number if year is old else None
        draft = year.settle(bill, self.known[bill.person_id], kind="correction", key=key, hash=asked_hash, cause=cause)
        self._write()
        return self._posted(draft, year, bill)

    def _placed(self, requests: Sequence[Request]) -> list[Key | MedfloorError]:
        """Check the requests and lock the accounts of those that can be settled at all."""
        placed: list[Key | MedfloorError] = []
        if self.books.household:
            self._learn(one.bill.person_id for one in requests)
        for request in requests:
            try:
                placed.append(self._key_of(request.bill.checked()))
            except MedfloorError as error:
                placed.append(error)
        self._open([one for one in placed if isinstance(one, tuple)])
        # What is known of people is read under the lock: who changes it later finds our entries, and settles them
        # again.
        self.known = {}
        self._learn(one.bill.person_id for one, key in zip(requests, placed, strict=True) if key in self.years)
        return placed

    def _key_of(self, bill: Bill) -> Key:
        """Name the account in which a claim is settled: the person's, or the household's, year."""
        year = self.books.benefit_year(bill)
        if not self.books.household:
            return PERSON, bill.person_id, year
        before = accounts.of_person(self.connection, bill.person_id, year)
        if before is not None:
            return before.key  # who moves during a year counts with the first household
        one = self.known.get(bill.person_id)
        if one is None:
            raise _unknown_person()
        return HOME, one.person(bill.start_date).household_id, year

    def _open(self, keys: Iterable[Key]) -> None:
        opened = accounts.locked if self.writes else accounts.looked_at
        stamp = self._stamp(self.actor)
        for key, found in opened(self.connection, [key for key in keys if key not in self.years]).items():
            self.years[key] = Year(self.books, found, stamp, self.connection, self._learn, self._standing)

    def _stamp(self, actor: Actor) -> Stamp:
        return self.books.stamp(actor, self.now)

    def _standing(self, claim_id: str) -> Standing | None:
        """Find a claim that stands in another year, and lock that year, so that it goes on standing."""
        for year in self.years.values():
            if any(bill.claim_id == claim_id for bill in year.bills):
                return year.past().standing.get(claim_id)
        row = self.connection.execute(_ACCOUNT_OF, {"claim_id": claim_id}).first()
        if row is None:
            return None
        key = (row.kind, row.owner, row.benefit_year)
        self._open([key])
        return self.years[key].past().standing.get(claim_id)

    def _learn(self, person_ids: Iterable[str]) -> Mapping[str, Known]:
        """Read what is known of people, once."""
        wanted = sorted({one for one in person_ids if one not in self.known})
        if wanted:
            self.known |= known(self.connection, wanted)
        return self.known

    def _look_up(self, requests: Sequence[Request]) -> None:
        """Find which keys and claim_ids have been used."""
        asked = {
            "keys": [one.key for one in requests if one.key is not None],
            "ids": [one.bill.claim_id for one in requests],
        }
        used = self.connection.execute(_USED, asked).all()
        self.taken |= {claim_id for _, claim_id in used if claim_id is not None}
        keys = [key for key, _ in used if key is not None]
        if keys:
            self._read_answers(keys)

    def _read_answers(self, keys: Sequence[str]) -> None:
        for row in self.connection.execute(_BY_KEY, {"keys": keys}).all():
            self.keys[row.request_key], self.answered[row.request_key] = row.request_hash, self._found(row)

    def _one(self, request: Request, place: Key | MedfloorError) -> Posted | Draft:
        """Settle one request, or give the answer it had."""
        bill = request.bill
        if isinstance(place, MedfloorError):
            raise place
        year, person = self.years.get(place), self.known.get(bill.person_id)
        actor = request.by or self.actor
        if request.within and person is not None and not sees(actor, person.place):
            raise no_such_person()
        before = self._repeat(request.key, request.hash) if request.key is not None else None
        if before is not None:
            return before
        self._check_free(bill)
        if year is None or person is None:
            raise _unknown_person()
        year.stamp = self._stamp(actor)
        draft = year.settle(bill, person, key=request.key, hash=request.hash)
        self.taken.add(bill.claim_id)
        if request.key is not None:
            self.keys[request.key], self.answered[request.key] = request.hash, draft
        return draft

    def _check_free(self, bill: Bill) -> None:
        if bill.claim_id in self.taken:
            raise ConflictError(
                "claim_settled",
                f"claim {bill.claim_id} was settled before; a claim that was taken back and comes again needs a new id",
            )

    def _answer_before(self, key: str | None, asked_hash: str) -> Posted | None:
        """Give the answer that a key had, if it was used. Raises ConflictError (`key_reused`)."""
        if key is None:
            return None
        self._read_answers([key])
        found = self._repeat(key, asked_hash)
        assert not isinstance(found, Draft)
        return found

    def _repeat(self, key: str, asked_hash: str) -> Posted | Draft | None:
        if key not in self.keys:
            return None
        if self.keys[key] != asked_hash:
            raise ConflictError("key_reused", "this request key was used for another request; use a new one")
        return self.answered.get(key)

    def _year_of_claim(self, claim_id: str, also: Bill | None = None) -> Year:
        """Lock the account of a settled claim, and that in which another bill of it will be settled."""
        row = self.connection.execute(_ACCOUNT_OF, {"claim_id": claim_id}).first()
        if row is None:
            raise no_such_claim(claim_id)
        key = (row.kind, row.owner, row.benefit_year)
        self._open({key, key if also is None else (row.kind, row.owner, self.books.benefit_year(also))})
        return self.years[key]

    def _write(self) -> None:
        """Write what was drafted."""
        if not self.writes:
            return
        busy = [year for year in self.years.values() if year.drafts]
        rows = [{**bill.row(), "account_id": year.account.id} for year in busy for bill in year.bills]
        drafts = [draft for year in busy for draft in year.drafts]
        write(self.connection, drafts, [year.account for year in busy], rows)
        arrears.found(
            self.connection, [(year.account.benefit_year, owed) for year in busy for owed in year.owed],
            now=self.now,
        )  # fmt: skip

    def _posted(self, draft: Draft, year: Year, bill: Bill) -> Posted:
        """Say what was posted, and what it changed."""
        amounts = Amounts.from_facts(draft.input["standing"] if draft.kind == "reversal" else draft.result)
        changes = tuple(
            Change(other.claim_id or "", other.number, _moved(other.postings))
            for other in year.drafts
            if other.kind == "difference" and other.cause == draft.number
        )
        return Posted(
            draft.id, draft.number, draft.kind, bill.claim_id, bill.person_id, year.account.benefit_year,
            draft.settled_date, self.now, self.books.address, draft.hash if self.writes else "", amounts,
            draft.result["state"], changes,
        )  # fmt: skip

    def _found(self, row: Any) -> Posted:
        """Give the answer that an entry of the ledger was."""
        result, said = json.loads(row.result), json.loads(row.input)
        found = self.connection.execute(_CHANGES, {"account": row.account_id, "cause": row.number})
        changes = tuple(
            Change(other.claim_id, other.number, _moved_between(json.loads(other.input), json.loads(other.result)))
            for other in found
        )
        amounts = Amounts.from_facts(said["standing"] if row.kind == "reversal" else result)
        return Posted(
            row.id, row.number, row.kind, row.claim_id, row.person_id, row.benefit_year, row.settled_date,
            row.posted_at, row.policy, row.hash, amounts, result["state"], changes, again=True,
        )  # fmt: skip


def _unknown_person() -> InputError:
    return InputError("unknown_person", "person_id: the register has no such person; add the person first")


def _moved(postings: Sequence[tuple[str, int]]) -> int:
    return -sum(fen for party, fen in postings if party == "person")


def _moved_between(said: Mapping[str, Any], result: Mapping[str, Any]) -> int:
    return Amounts.from_facts(result).pay_total_fen - Amounts.from_facts(said["standing"]).pay_total_fen


_USED = sa.union_all(
    sa.select(entry.c.request_key, sa.null()).where(among(entry.c.request_key, "keys")),
    sa.select(sa.null(), claim.c.claim_id).where(among(claim.c.claim_id, "ids")),
)

_BY_KEY = (
    sa.select(entry, claim.c.person_id, account.c.benefit_year)
    .join(claim, claim.c.claim_id == entry.c.claim_id)
    .join(account, account.c.id == entry.c.account_id)
    .where(among(entry.c.request_key, "keys"))
)

_CHANGES = (
    sa.select(entry.c.claim_id, entry.c.number, entry.c.input, entry.c.result)
    .where(
        entry.c.account_id == sa.bindparam("account"),
        entry.c.cause == sa.bindparam("cause"),
        entry.c.kind == "difference",
    )
    .order_by(entry.c.number)
)

_ACCOUNT_OF = (
    sa.select(account.c.kind, account.c.owner, account.c.benefit_year)
    .join(claim, claim.c.account_id == account.c.id)
    .where(claim.c.claim_id == sa.bindparam("claim_id"))
)
