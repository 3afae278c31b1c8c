"""Propose and sign the yearly adjustment of benefits: one proposes what a job worked out, another decides and signs.

The table of steps proposes and a person decides. The record that is signed is kept whole in the proposal, so that the
signature stays when the job's files are gone; its digest tells whether it is still the one that was worked out.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from medfloor.errors import ConflictError, NotFoundError
from medfloor.periods import OFFICE_ZONE
from medfloor.service import jobs
from medfloor.service.access import Acting
from medfloor.service.running import Running
from medfloor.store import proposals
from medfloor.store.proposals import Proposal
from medfloor.store.roles import require

RECORD = "decision.json"
"""The record among the files of a job, as `medfloor fund adjust --out` writes it."""

_MOST = 500
"""So many proposals of adjustments are looked through, the latest first; there are a few a year."""


def propose(run: Running, acting: Acting, number: int, *, reason: str) -> Proposal:
    """Propose for decision what a job worked out; the same again while it is open gives the same proposal.

    Raises NotFoundError (`no_job`, `no_record`), AccessError (`forbidden`), ConflictError (`adjustment_decided`) and
    what `store.proposals.propose` raises.
    """

    def work(connection: sa.Connection) -> Proposal:
        row = jobs.find(connection, number)
        require(acting.actor, "run_jobs")
        file = run.jobs.folder_of(number) / RECORD
        if row["kind"] != "adjust" or row["state"] != "done" or not file.is_file():
            raise NotFoundError("no_record", "the job has no record to sign; ask for an adjustment of benefits first")
        record = json.loads(file.read_text(encoding="utf-8"))
        for one in of_digest(connection, acting, record["digest"]):
            if one.state == "open":
                return one
            if one.state != "withdrawn":
                raise ConflictError("adjustment_decided", "this adjustment was decided already; work out a new one")
        payload = {"job": number, "digest": record["digest"], "record": record}
        return proposals.propose(connection, "adjustment", payload, reason=reason, actor=acting.actor, now=acting.now)

    return run.store.attempt(work)


def of_job(run: Running, acting: Acting, number: int) -> Sequence[Proposal]:
    """Give what was proposed from a job's record, the latest first; nothing for who may not read proposals."""
    file = run.jobs.folder_of(number) / RECORD
    if not file.is_file():
        return ()
    digest = json.loads(file.read_text(encoding="utf-8"))["digest"]
    with run.store.reading() as connection:
        return of_digest(connection, acting, digest)


def of_digest(connection: sa.Connection, acting: Acting, digest: str) -> list[Proposal]:
    """Give the proposals of a record, whichever job worked it out, the latest first."""
    found = proposals.list_proposals(connection, acting.actor, kind="adjustment", limit=_MOST)
    return [one for one in found if one.payload["digest"] == digest]


def record_of(proposal: Proposal) -> dict[str, Any]:
    """Give the record with the decision signed into it.

    Raises NotFoundError (`no_record`) for another kind, or where nobody decided yet; InputError (`record_changed`).
    """
    from medfloor.fund.adjustment import sign

    if proposal.kind != "adjustment" or proposal.state not in ("approved", "refused") or proposal.decided_at is None:
        raise NotFoundError("no_record", "there is no signed record: it is no adjustment, or nobody decided yet")
    day = proposal.decided_at.astimezone(OFFICE_ZONE).date()
    return sign(
        proposal.payload["record"], by=str(proposal.decided_by), on=day.isoformat(),
        accepted=proposal.state == "approved", note=proposal.note or "",
    )  # fmt: skip
