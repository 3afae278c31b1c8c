"""Ask for two pairs of eyes: one proposes, another decides, and only what was approved is carried out, once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa

from medfloor.errors import AccessError, ConflictError, NotFoundError, UsageError
from medfloor.store import audit, schema
from medfloor.store.identity import without_identities
from medfloor.store.office import office_of
from medfloor.store.roles import Actor, place_prefix, require, sees

KINDS: dict[str, str] = {
    "reversal": "decide_reversal",
    "status_change": "decide_status",
    "exit": "decide_status",
    "adjustment": "decide_adjustment",
}
"""What can be proposed -> the permission that it takes to decide."""

_WRITTEN = frozenset({"reason", "evidence", "detail", "recognised_by"})
"""What of a payload people write as they like."""

State = Literal["open", "approved", "refused", "withdrawn"]


@dataclass(frozen=True, slots=True)
class Proposal:
    """Be what was proposed; `payload` is what is to be carried out, `outcome` what became of it."""

    id: int
    kind: str
    person_id: str | None
    place: str
    payload: Mapping[str, Any]
    reason: str
    proposed_by: str
    proposed_at: datetime
    state: str
    decided_by: str | None
    decided_at: datetime | None
    note: str | None
    outcome: str | None


def propose(
    connection: sa.Connection,
    kind: str,
    payload: Mapping[str, Any],
    *,
    reason: str,
    actor: Actor,
    now: datetime,
    person_id: str | None = None,
    place: str = "",
) -> Proposal:
    """Propose what one pair of eyes may not do alone. The payload holds no name and no identity number.

    Whoever proposes the same again while it is open gets the same proposal, so that a repeated request is harmless.

    Raises UsageError: unknown_proposal_kind, no_reason; AccessError: forbidden, outside_place.
    """
    require(actor, "propose")
    if kind not in KINDS:
        raise UsageError("unknown_proposal_kind", f"there is no such proposal; there are {', '.join(KINDS)}")
    if not reason.strip():
        raise UsageError("no_reason", "say why, so that whoever decides can judge")
    if place and not sees(actor, place):
        raise AccessError("outside_place", "this lies outside of your place; ask the office that it belongs to")
    table = schema.proposal
    same = {
        "kind": kind,
        "person_id": person_id,
        "payload": json.dumps(_without_numbers(payload), ensure_ascii=False, sort_keys=True, separators=(",", ":")),
        "reason": without_identities(reason.strip()),
        "proposed_by": actor.login,
        "state": "open",
    }
    before = _open_before(connection, same, now)
    if before is not None:
        return before
    done = connection.execute(table.insert().values(place=place or actor.place, proposed_at=now, **same))
    (number,) = done.inserted_primary_key or (0,)
    audit.record(connection, actor, "propose", person_id=person_id, detail=f"proposal={number} kind={kind}", now=now)
    return proposal_of(connection, number)


def _open_before(connection: sa.Connection, same: Mapping[str, Any], now: datetime) -> Proposal | None:
    """Find what was proposed in the same words and can still be decided; of two at once one waits for the other."""
    table, person = schema.proposal, schema.person
    if same["person_id"] is not None:
        held = sa.select(person.c.person_id).where(person.c.person_id == same["person_id"])
        connection.execute(held.with_for_update(key_share=True))
    since = now - timedelta(days=office_of(connection).proposal_days)
    asked = sa.select(table).where(*[table.c[name] == value for name, value in same.items()])
    row = connection.execute(asked.where(table.c.proposed_at >= since).order_by(table.c.id).limit(1)).one_or_none()
    return None if row is None else _proposal(row)


def pending_reversals(connection: sa.Connection, claim_id: str, person_id: str, *, now: datetime) -> list[Proposal]:
    """List what is proposed to take a claim back and is not over: open in time, or approved and not carried out."""
    table = schema.proposal
    since = now - timedelta(days=office_of(connection).proposal_days)
    asked = sa.select(table).where(
        table.c.kind == "reversal",
        table.c.person_id == person_id,
        sa.or_(
            sa.and_(table.c.state == "open", table.c.proposed_at >= since),
            sa.and_(table.c.state == "approved", table.c.outcome.is_(None)),
        ),
    )
    found = [_proposal(row) for row in connection.execute(asked.order_by(table.c.id))]
    return [one for one in found if one.payload.get("claim_id") == claim_id]


def _without_numbers(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Mask identity numbers in what people wrote; ids stay as they are."""
    written = {name: without_identities(str(payload[name])) for name in _WRITTEN & payload.keys() if payload[name]}
    return {**payload, **written}


def decide(
    connection: sa.Connection, proposal_id: int, *, approve: bool, actor: Actor, now: datetime, note: str = ""
) -> Proposal:
    """Approve or refuse an open proposal; whoever made it may not.

    Raises NotFoundError: unknown_proposal (none, or outside of the actor's place); AccessError: forbidden, same_person;
    ConflictError: proposal_closed, proposal_lapsed.
    """
    proposal = seen_by(actor, proposal_of(connection, proposal_id, lock=True))
    require(actor, KINDS[proposal.kind])
    if proposal.proposed_by.casefold() == actor.login.casefold():
        raise AccessError("same_person", "whoever proposed it may not decide on it; ask a colleague")
    _check_open(proposal)
    if now - proposal.proposed_at > timedelta(days=office_of(connection).proposal_days):
        raise ConflictError("proposal_lapsed", "nobody decided in time, so that the proposal lapsed; propose it again")
    return _close(connection, proposal, "approved" if approve else "refused", actor, now, note)


def withdraw(connection: sa.Connection, proposal_id: int, *, actor: Actor, now: datetime, note: str = "") -> Proposal:
    """Take one's own open proposal back. Raises AccessError (`not_yours`), ConflictError (`proposal_closed`)."""
    proposal = seen_by(actor, proposal_of(connection, proposal_id, lock=True))
    if proposal.proposed_by != actor.login:
        raise AccessError("not_yours", "only whoever made a proposal may withdraw it; refuse it instead")
    _check_open(proposal)
    return _close(connection, proposal, "withdrawn", actor, now, note)


def finish(connection: sa.Connection, proposal_id: int, outcome: str) -> Proposal:
    """Write down what became of an approved proposal, in the transaction that carries it out; it can be done once.

    Raises ConflictError: proposal_not_approved, proposal_used.
    """
    proposal = proposal_of(connection, proposal_id, lock=True)
    if proposal.state != "approved":
        raise ConflictError("proposal_not_approved", "only an approved proposal is carried out; let a colleague decide")
    if proposal.outcome is not None:
        raise ConflictError("proposal_used", "this proposal was carried out already; propose anew what is due now")
    table = schema.proposal
    connection.execute(table.update().where(table.c.id == proposal.id).values(outcome=outcome))
    return proposal_of(connection, proposal_id)


def proposal_of(connection: sa.Connection, proposal_id: int, *, lock: bool = False) -> Proposal:
    """Find a proposal. Raises NotFoundError (`unknown_proposal`)."""
    asked = sa.select(schema.proposal).where(schema.proposal.c.id == proposal_id)
    row = connection.execute(asked.with_for_update() if lock else asked).one_or_none()
    if row is None:
        raise _unknown()
    return _proposal(row)


def seen_by(actor: Actor, proposal: Proposal) -> Proposal:
    """Give the proposal if the actor sees its place. Raises NotFoundError (`unknown_proposal`)."""
    if not sees(actor, proposal.place):
        raise _unknown()
    return proposal


def list_proposals(
    connection: sa.Connection,
    actor: Actor,
    *,
    state: str | None = None,
    kind: str | None = None,
    person_id: str | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[Proposal]:
    """List what was proposed in the actor's place, the latest first; `before` is the id from which to go on."""
    table = schema.proposal
    found = sa.select(table).where(table.c.place.startswith(place_prefix(actor.place), autoescape=True))
    same = {"state": state, "kind": kind, "person_id": person_id}
    found = found.where(*[table.c[name] == value for name, value in same.items() if value is not None])
    if before is not None:
        found = found.where(table.c.id < before)
    return [_proposal(row) for row in connection.execute(found.order_by(table.c.id.desc()).limit(limit))]


def _check_open(proposal: Proposal) -> None:
    if proposal.state != "open":
        raise ConflictError("proposal_closed", f"the proposal is {proposal.state} already; nothing is left to decide")


def _close(
    connection: sa.Connection, proposal: Proposal, state: State, actor: Actor, now: datetime, note: str
) -> Proposal:
    said = without_identities(note.strip()) or None
    values = {"state": state, "decided_by": actor.login, "decided_at": now, "note": said}
    table = schema.proposal
    connection.execute(table.update().where(table.c.id == proposal.id).values(**values))
    detail = f"proposal={proposal.id} kind={proposal.kind} {state}"
    audit.record(connection, actor, "decide_proposal", person_id=proposal.person_id, detail=detail, now=now)
    return proposal_of(connection, proposal.id)


def _unknown() -> NotFoundError:
    return NotFoundError("unknown_proposal", "there is no such proposal in your place; look at the list of proposals")


def _proposal(row: Any) -> Proposal:
    return Proposal(**{**row._mapping, "payload": json.loads(row.payload)})
