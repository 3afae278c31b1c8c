"""Carry out what a second pair of eyes approved: reversals in the ledger, statuses in the register, signatures.

A proposal is carried out once. What must follow a changed status, settling its years again, can be asked for again:
where nothing is left to do, nothing is done.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa

from medfloor.errors import ConflictError, MedfloorError
from medfloor.periods import OFFICE_ZONE
from medfloor.service import signing
from medfloor.service.access import Acting
from medfloor.service.running import Running
from medfloor.store import ledger, proposals, register, schema
from medfloor.store.history import Touched
from medfloor.store.proposals import Proposal
from medfloor.store.resettle import resettle_after


def decide(run: Running, acting: Acting, number: int, *, approve: bool, note: str) -> Proposal:
    """Decide on a proposal, and carry it out when it is approved. Raises what `store.proposals.decide` raises."""
    decided = run.store.attempt(
        lambda connection: proposals.decide(
            connection, number, approve=approve, actor=acting.actor, now=acting.now, note=note
        )
    )
    return carry_out(run, acting, decided) if approve else decided


def carry_out(run: Running, acting: Acting, proposal: Proposal) -> Proposal:
    """Carry out an approved proposal. Raises ConflictError (`proposal_not_approved`).

    What the store refuses meanwhile (a claim that was taken back already) is written down as the outcome.
    """
    if proposal.state != "approved":
        raise ConflictError("proposal_not_approved", "only an approved proposal is carried out; let a colleague decide")
    if proposal.outcome is None:
        try:
            _CARRIED[proposal.kind](run, acting, proposal)
        except MedfloorError as error:
            if error.code in ("store_busy", "store_away", "store_full", "commit_unknown"):
                raise
            _finish(run, proposal, f"failed: {error.code}")
    if proposal.kind in ("status_change", "exit") and run.books is not None and proposal.person_id is not None:
        touched = Touched(proposal.person_id, _since(proposal.payload))
        resettle_after(run.books, [touched], actor=acting.actor, now=acting.now)
    with run.store.reading() as connection:
        return proposals.proposal_of(connection, proposal.id)


def _reverse(run: Running, acting: Acting, proposal: Proposal) -> None:
    if run.books is None:
        about = "the office has chosen no policy; run medfloor admin init --policy ADDRESS"
        raise ConflictError("no_policy_chosen", about)
    asked = proposal.payload
    day = asked.get("on")
    ledger.reverse(
        run.books,
        str(asked["claim_id"]),
        # The proposal's own key: carried out twice, it takes back once.
        key=str(asked.get("key") or f"proposal:{proposal.id}"),
        reason=str(asked.get("reason") or proposal.reason),
        actor=acting.actor,
        now=acting.now,
        on=date.fromisoformat(day) if day else None,
    )
    _finish(run, proposal, "done")


def _sign(run: Running, acting: Acting, proposal: Proposal) -> None:
    """Sign an adjustment of benefits: nothing else follows, but the record must be the one that was proposed."""
    signing.record_of(proposal)
    _finish(run, proposal, "done")


def _change_status(run: Running, acting: Acting, proposal: Proposal) -> None:
    def work(connection: sa.Connection) -> None:
        # Finished first: it locks the proposal, so that of two who carry it out one does nothing.
        proposals.finish(connection, proposal.id, "done")
        _write_status(connection, acting, proposal)

    run.store.attempt(work)


def _write_status(connection: sa.Connection, acting: Acting, proposal: Proposal) -> None:
    asked = proposal.payload
    assert proposal.person_id is not None, "a status is somebody's"
    key = (proposal.person_id, str(asked["group"]))
    common: dict[str, Any] = {"actor": acting.actor, "now": acting.now, "evidence": asked.get("evidence")}
    start, last = _day(asked, "from_date"), _day(asked, "to_date")
    end = None if last is None else last + timedelta(days=1)
    if asked["action"] == "end":
        register.end(connection, "spell", key, day=end or start or _today(acting), **common)
        return
    values = {name: asked[name] for name in ("detail", "recognised_by") if name in asked}
    if "recognised_on" in asked:
        values["recognised_on"] = _day(asked, "recognised_on")
    if asked["action"] == "correct":
        first, until, kept = _recorded(connection, asked, key)
        register.retract(connection, "spell", key, start=first, end=until, **common)
        values = kept | values
        start, end = start or first, end if last is not None else until
    register.record(connection, "spell", key, values, start=start or _today(acting), end=end, **common)


def _recorded(
    connection: sa.Connection, asked: Mapping[str, Any], key: tuple[str, str]
) -> tuple[date, date | None, dict[str, Any]]:
    """Give the span and the values of the status that is to be corrected."""
    table = schema.spell
    row = connection.execute(
        sa.select(table).where(
            table.c.id == asked.get("spell"), table.c.person_id == key[0], table.c.group == key[1],
            table.c.known_to.is_(None),
        )
    ).one_or_none()  # fmt: skip
    if row is None:
        raise ConflictError("status_changed", "the status was changed meanwhile; look at it again, then propose anew")
    kept = {"detail": row.detail, "recognised_by": row.recognised_by, "recognised_on": row.recognised_on}
    return row.valid_from, row.valid_to, {name: value for name, value in kept.items() if value is not None}


def _today(acting: Acting) -> date:
    return acting.now.astimezone(OFFICE_ZONE).date()


def _day(asked: Mapping[str, Any], name: str) -> date | None:
    text = asked.get(name)
    return date.fromisoformat(text) if text else None


def _since(asked: Mapping[str, Any]) -> date:
    """Give the day from which years are settled again; settling more again than changed finds nothing."""
    if asked.get("action") == "record":
        return _day(asked, "from_date") or date(1900, 1, 1)
    return date(1900, 1, 1)


def _finish(run: Running, proposal: Proposal, outcome: str) -> None:
    def work(connection: sa.Connection) -> None:
        if proposals.proposal_of(connection, proposal.id, lock=True).outcome is None:
            proposals.finish(connection, proposal.id, outcome)

    run.store.attempt(work)


_CARRIED = {"reversal": _reverse, "status_change": _change_status, "exit": _change_status, "adjustment": _sign}
"""Kind of a proposal -> what carries it out."""
