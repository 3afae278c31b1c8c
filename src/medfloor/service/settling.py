"""Settle, preview, take back and look up claims for whoever speaks to us: our own routes, the national dialect, FHIR.

All three make a `ClaimBody` and get a `Settlement`, so that the same claim comes to the same fen whichever way it is
sent.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

import sqlalchemy as sa
from starlette.concurrency import run_in_threadpool

from medfloor.errors import ConflictError, UsageError
from medfloor.periods import OFFICE_ZONE
from medfloor.service.access import Acting
from medfloor.service.bodies.settlements import ChangedClaim, ClaimBody, Preview, Proposed, Reversal, Settlement
from medfloor.service.looking import look, no_claim, no_person, note, person_of_claim, places_of
from medfloor.service.running import Running
from medfloor.store import ledger, proposals
from medfloor.store.bills import Bill
from medfloor.store.books import Books
from medfloor.store.office import office_of
from medfloor.store.postings import SETTLING, Amounts
from medfloor.store.roles import place_prefix, require, sees
from medfloor.store.schema import account, claim, entry


async def preview(run: Running, acting: Acting, body: ClaimBody) -> Preview:
    """Say what a claim would be paid now; nothing is recorded but who asked. Raises what settling raises."""
    books = books_of(run)

    def work() -> ledger.Posted:
        asked = [_request(acting, body, None)]
        (found,) = ledger.presettle(books, asked, actor=acting.actor, now=acting.now)
        if isinstance(found, ledger.Refused):
            _note_outside(run, acting, [body.person_id], [found])
            raise found.error
        note(run, acting, "preview", [body.person_id])
        return found

    return preview_of(body, await run_in_threadpool(work), books)


async def settle(run: Running, acting: Acting, body: ClaimBody, key: str | None) -> Settlement:
    """Settle a claim; the answer comes after the commit, and the same key again gives the same answer.

    Raises NotFoundError (`no_such_person`) outside of the place, InputError with the code of a refused row,
    ConflictError: key_reused, claim_settled; StoreError: queue_full and the like.
    """
    books = books_of(run)
    answer = await run.feeder.ask(_request(acting, body, key), actor=acting.actor, now=acting.now)
    if isinstance(answer, ledger.Refused):
        await run_in_threadpool(_note_outside, run, acting, [body.person_id], [answer])
        raise answer.error
    return settlement_after(body, answer, books)


async def settle_many(
    run: Running, acting: Acting, asked: list[tuple[ClaimBody, str]]
) -> list[tuple[ClaimBody, ledger.Posted | ledger.Refused]]:
    """Settle many claims, each for itself; those of people outside of the place are refused like unknown ones."""
    books = books_of(run)

    def work() -> list[ledger.Posted | ledger.Refused]:
        answers: list[ledger.Posted | ledger.Refused] = []
        for start in range(0, len(asked), 100):
            requests = [_request(acting, body, key) for body, key in asked[start : start + 100]]
            answers += ledger.settle(books, requests, actor=acting.actor, now=acting.now)
        _note_outside(run, acting, [body.person_id for body, _ in asked], answers)
        return answers

    return [(body, answer) for (body, _), answer in zip(asked, await run_in_threadpool(work), strict=True)]


async def reverse(
    run: Running, acting: Acting, claim_id: str, *, reason: str, key: str | None, on: Any = None
) -> Reversal | Proposed:
    """Take a claim back; above the office's limit it becomes a proposal that a second person decides.

    Raises NotFoundError (`no_such_claim`), ConflictError: reversed_twice, claim_continued, key_reused.
    """
    return await run_in_threadpool(_reverse, run, acting, claim_id, reason, key, on)


def reinstate(run: Running, acting: Acting, claim_id: str, *, reason: str, key: str | None) -> None:
    """Let a claim that was taken back stand again, settled by what is known now.

    Raises NotFoundError (`no_such_claim`), ConflictError: not_reversed, key_reused; InputError as settling it.
    """
    books = books_of(run)
    look(run, acting, "reinstate", lambda connection: _standing(connection, acting, books, claim_id))
    ledger.reinstate(books, claim_id, key=key, reason=reason, actor=acting.actor, now=acting.now)


def correct(
    run: Running, acting: Acting, claim_id: str, body: ClaimBody, *, reason: str, key: str | None
) -> Settlement:
    """Take a claim back and settle another in its stead, in one transaction.

    Raises as `reverse`, and ConflictError (`correction_above_limit`) where the claim takes two pairs of eyes.
    """
    books = books_of(run)
    _, standing = look(run, acting, "correct", lambda connection: _standing(connection, acting, books, claim_id))
    if standing.pay_total_fen > _limit(run):
        raise ConflictError(
            "correction_above_limit",
            "the funds paid more for this claim than one person may take back; propose its reversal, then settle anew",
        )
    done = ledger.correct(books, claim_id, bill_of(body), key=key, reason=reason, actor=acting.actor, now=acting.now)
    return settlement_after(body, done, books)


def find(
    run: Running, acting: Acting, claim_id: str, *, action: str = "read_settlement"
) -> tuple[ClaimBody, Settlement]:
    """Give a claim and its settlement as it stands.

    Raises NotFoundError (`no_such_claim`), also where the claim is of somebody outside of the place.
    """
    books = books_of(run)
    return look(run, acting, action, lambda connection: _standing(connection, acting, books, claim_id))


def settlement_of(connection: sa.Connection, books: Books, claim_id: str) -> tuple[ClaimBody, Settlement]:
    """Read a claim and what the ledger says of it. Raises NotFoundError (`no_such_claim`)."""
    row = connection.execute(
        sa.select(claim, account.c.benefit_year)
        .join(account, account.c.id == claim.c.account_id)
        .where(claim.c.claim_id == claim_id)
    ).one_or_none()
    if row is None:
        raise no_claim()
    body = claim_of(Bill.from_row(row))
    entries = connection.execute(
        sa.select(entry.c.number, entry.c.kind, entry.c.result, entry.c.posted_at, entry.c.policy)
        .where(entry.c.claim_id == claim_id, entry.c.kind.in_((*SETTLING, "difference", "reversal")))
        .order_by(entry.c.number)
    ).all()
    counted = [one for one in entries if one.kind != "reversal"]
    settled = next(one for one in reversed(entries) if one.kind in SETTLING)
    amounts = Amounts.from_facts(json.loads(counted[-1].result))
    return body, Settlement(
        **_sums(body, amounts, books, row.benefit_year, settled.policy),
        state="reversed" if entries[-1].kind == "reversal" else "settled",
        entry=settled.number,
        posted_at=settled.posted_at,
    )


def preview_of(body: ClaimBody, posted: ledger.Posted, books: Books) -> Preview:
    """Give the answer of a preview."""
    return Preview(**_sums(body, posted.amounts, books, posted.benefit_year, posted.policy))


def settlement_after(body: ClaimBody, posted: ledger.Posted, books: Books) -> Settlement:
    """Give the answer of a settlement that was just posted (or had been before)."""
    return Settlement(
        **_sums(body, posted.amounts, books, posted.benefit_year, posted.policy),
        state="settled",
        entry=posted.number,
        posted_at=posted.posted_at,
        repeated=posted.again,
        changed_claims=_changes(posted.changes),
    )


def reversal_after(posted: ledger.Posted) -> Reversal:
    """Give the answer of a reversal that was just posted (or had been before)."""
    return Reversal(
        claim_id=posted.claim_id,
        person_id=posted.person_id,
        entry=posted.number,
        posted_at=posted.posted_at,
        pay_total_fen=-posted.amounts.pay_total_fen,
        own_total_fen=-posted.amounts.own_total_fen,
        repeated=posted.again,
        changed_claims=_changes(posted.changes),
    )


def bill_of(body: ClaimBody) -> Bill:
    """Make the ledger's bill of a claim; it is settled on its last day where it says no other."""
    return Bill(
        claim_id=body.claim_id, person_id=body.person_id, care_type=body.care_type, facility_level=body.facility_level,
        start_date=body.start_date, end_date=body.end_date, settled_date=body.settled_date or body.end_date,
        total_fen=body.total_fen, in_scope_fen=body.in_scope_fen, off_catalogue_fen=body.off_catalogue_fen,
        over_limit_fen=body.over_limit_fen, first_self_pay_fen=body.first_self_pay_fen, area=body.area,
        referral=body.referral, continues=body.continues, diagnosis=body.diagnosis, provider_id=body.provider_id,
        extra=body.extra_fen, paid_by=body.paid_by,
    )  # fmt: skip


def claim_of(bill: Bill) -> ClaimBody:
    """Give a bill of the ledger as a claim; its ids may come from files and are taken as they are."""
    values: dict[str, Any] = {name: getattr(bill, name) for name in ClaimBody.model_fields if name != "extra_fen"}
    return ClaimBody.model_construct(**values, extra_fen=dict(bill.extra))


def check_not_ahead(day: date | None, acting: Acting) -> None:
    """Refuse a day that has not come yet: what is written down was done. Raises UsageError (`day_ahead`)."""
    if day is not None and day > acting.now.astimezone(OFFICE_ZONE).date():
        raise UsageError("day_ahead", f"{day} lies ahead; money is written down on the day on which it moved")


def books_of(run: Running) -> Books:
    """Give the books. Raises ConflictError (`no_policy_chosen`) while the office has chosen no policy."""
    if run.books is None:
        raise ConflictError(
            "no_policy_chosen", "the office has chosen no policy; run medfloor admin init --policy ADDRESS"
        )
    return run.books


def policy_name(address: str) -> str:
    """Give a policy's address as it is told outside: of one that is a file of the server its name only.

    >>> policy_name("cn/beijing"), policy_name("/srv/office/our-city.yaml")
    ('cn/beijing', 'our-city.yaml')
    """
    return address.replace("\\", "/").rpartition("/")[2] if address.endswith((".yaml", ".yml")) else address


def tiers_of(run: Running) -> tuple[str, ...]:
    """Give the tiers of the policy in use, in the order of payment; none while the office has chosen no policy."""
    return () if run.books is None else tuple(run.books.law.layout.tiers)


async def check_place(run: Running, acting: Acting, person_ids: Iterable[str]) -> None:
    """Go on only if people are within the place of who asks, or not in the register at all (which the ledger says).

    Raises NotFoundError (`no_such_person`), and writes the attempt down.
    """
    if not place_prefix(acting.actor.place):
        return
    places = await run_in_threadpool(_read_places, run, list(dict.fromkeys(person_ids)))
    outside = [one for one, place in places.items() if not sees(acting.actor, place)]
    if outside:
        await run_in_threadpool(note, run, acting, "outside_place", outside, detail="settle")
        raise no_person()


def _read_places(run: Running, person_ids: list[str]) -> dict[str, str]:
    with run.store.reading() as connection:
        return places_of(connection, person_ids)


def _request(acting: Acting, body: ClaimBody, key: str | None) -> ledger.Request:
    """Ask the ledger for somebody; it looks at the place of the person under its own lock."""
    return ledger.Request(bill_of(body), key, by=acting.actor, within=True)


def _note_outside(
    run: Running, acting: Acting, person_ids: list[str], answers: Iterable[ledger.Posted | ledger.Refused]
) -> None:
    """Write down who was asked for outside of the place; the ledger answers `no_such_person` for no other reason."""
    outside = [
        one
        for one, answer in zip(person_ids, answers, strict=True)
        if isinstance(answer, ledger.Refused) and answer.code == "no_such_person"
    ]
    if outside:
        note(run, acting, "outside_place", dict.fromkeys(outside), detail="settle")


def _reverse(run: Running, acting: Acting, claim_id: str, reason: str, key: str | None, on: Any) -> Reversal | Proposed:
    books = books_of(run)
    body, standing = look(run, acting, "reverse", lambda connection: _standing(connection, acting, books, claim_id))
    if standing.state == "settled" and standing.pay_total_fen > _limit(run):
        require(acting.actor, "propose")

        def ask(connection: sa.Connection) -> proposals.Proposal:
            payload = {"claim_id": claim_id, "reason": reason, "on": None if on is None else on.isoformat(), "key": key}
            return proposals.propose(
                connection, "reversal", {name: value for name, value in payload.items() if value is not None},
                reason=reason, actor=acting.actor, now=acting.now, person_id=body.person_id,
                place=places_of(connection, [body.person_id]).get(body.person_id, ""),
            )  # fmt: skip

        made = run.store.attempt(ask)
        return Proposed(proposal=made.id, kind="reversal", person_id=body.person_id)
    done = ledger.reverse(books, claim_id, key=key, reason=reason, actor=acting.actor, now=acting.now, on=on)
    return reversal_after(done)


def _limit(run: Running) -> int:
    with run.store.reading() as connection:
        return office_of(connection).reversal_limit_fen


def _standing(
    connection: sa.Connection, acting: Acting, books: Books, claim_id: str
) -> tuple[tuple[ClaimBody, Settlement], list[str]]:
    whose = [person_of_claim(connection, acting, claim_id)]
    return settlement_of(connection, books, claim_id), whose


def _changes(changes: Iterable[ledger.Change]) -> list[ChangedClaim]:
    return [ChangedClaim(claim_id=one.claim_id, difference_fen=one.amount_fen) for one in changes]


def _sums(body: ClaimBody, amounts: Amounts, books: Books, year: int, policy: str) -> Mapping[str, Any]:
    # Tiers that pay nothing are left out of the ledger; an answer has all tiers of the law, in their order.
    tiers = {**dict.fromkeys(books.law.layout.tiers, 0), **amounts.pay}
    return {
        "claim_id": body.claim_id,
        "person_id": body.person_id,
        "benefit_year": year,
        "settled_date": body.settled_date or body.end_date,
        "policy": policy_name(policy),
        "total_fen": body.total_fen,
        "in_scope_fen": body.in_scope_fen,
        "off_catalogue_fen": body.off_catalogue_fen,
        "over_limit_fen": body.over_limit_fen,
        "first_self_pay_fen": body.first_self_pay_fen,
        "payments_fen": tiers,
        "pay_total_fen": amounts.pay_total_fen,
        "own_in_scope_fen": amounts.own_in_scope_fen,
        "own_outside_fen": amounts.own_outside_fen,
        "own_total_fen": amounts.own_total_fen,
        "deductible_fen": amounts.deductible_fen,
    }
