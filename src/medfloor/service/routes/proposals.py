"""Routes of what takes two pairs of eyes. Proposals are made where the thing itself is asked; here they are decided."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query
from starlette.concurrency import run_in_threadpool

from medfloor.service import decisions, signing
from medfloor.service.access import Acting, need
from medfloor.service.bodies.fields import ID_PATTERN
from medfloor.service.bodies.problems import problems
from medfloor.service.bodies.proposals import DecisionBody, ProposalAnswer, ProposalList, WithdrawBody
from medfloor.service.paging import Cursor, Limit, cursor_of, number_of
from medfloor.service.running import Running, running
from medfloor.store import audit, proposals
from medfloor.store.proposals import KINDS, Proposal
from medfloor.store.roles import require

router = APIRouter(prefix="/api/v1/proposals", tags=["proposals 复核"])

Run = Annotated[Running, Depends(running)]
Reads = Annotated[Acting, Depends(need("read_proposals"))]
Number = Annotated[int, Path(ge=1, le=2**63 - 1)]


@router.get("", response_model=ProposalList, responses=problems())
async def list_proposals(
    acting: Reads,
    run: Run,
    state: Literal["open", "approved", "refused", "withdrawn"] | None = None,
    kind: Literal["reversal", "status_change", "exit", "adjustment"] | None = None,
    person_id: Annotated[str | None, Query(max_length=64, pattern=ID_PATTERN)] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> ProposalList:
    """List what was proposed in one's place, the latest first. 复核申请列表。"""
    before = number_of("proposals", cursor)

    def work(connection: Any) -> list[Proposal]:
        found = proposals.list_proposals(
            connection, acting.actor, state=state, kind=kind, person_id=person_id, before=before, limit=limit
        )
        _note(connection, acting, found)
        return found

    found = await run_in_threadpool(run.store.attempt, work)
    return ProposalList(
        proposals=[_answer(one) for one in found],
        next=cursor_of("proposals", found[-1].id) if len(found) == limit else None,
    )


@router.get("/{number}", response_model=ProposalAnswer, responses=problems(404))
async def look_at_proposal(number: Number, acting: Reads, run: Run) -> ProposalAnswer:
    """Give one proposal. 查看复核申请。"""

    def work(connection: Any) -> Proposal:
        found = proposals.seen_by(acting.actor, proposals.proposal_of(connection, number))
        _note(connection, acting, [found])
        return found

    return _answer(await run_in_threadpool(run.store.attempt, work))


@router.get("/{number}/record", responses=problems(404))
async def fetch_record(number: Number, acting: Reads, run: Run) -> dict[str, Any]:
    """Give the record of an adjustment that was decided, with the signature. 已签署的调整记录。"""

    def work() -> dict[str, Any]:
        with run.store.reading() as connection:
            return signing.record_of(proposals.seen_by(acting.actor, proposals.proposal_of(connection, number)))

    return await run_in_threadpool(work)


@router.post("/{number}/decision", response_model=ProposalAnswer, responses=problems(404, 409))
async def decide(number: Number, body: DecisionBody, acting: Reads, run: Run) -> ProposalAnswer:
    """Approve or refuse what a colleague proposed; what is approved is carried out at once. 复核决定。

    It takes `decide_reversal`, `decide_status` or `decide_adjustment`, by the kind of the proposal; one's own proposal
    one may not decide.
    """
    note = body.note or ""
    return _answer(await run_in_threadpool(decisions.decide, run, acting, number, approve=body.approve, note=note))


@router.post("/{number}/carry-out", response_model=ProposalAnswer, responses=problems(404, 409))
async def carry_out(number: Number, acting: Reads, run: Run) -> ProposalAnswer:
    """Carry out what was approved but not finished, for instance because the service stopped. 继续执行已批准的申请。"""

    def work() -> Proposal:
        with run.store.reading() as connection:
            found = proposals.seen_by(acting.actor, proposals.proposal_of(connection, number))
        require(acting.actor, KINDS[found.kind])
        return decisions.carry_out(run, acting, found)

    return _answer(await run_in_threadpool(work))


@router.post("/{number}/withdrawal", response_model=ProposalAnswer, responses=problems(404, 409))
async def withdraw(
    number: Number, body: WithdrawBody, acting: Annotated[Acting, Depends(need("propose"))], run: Run
) -> ProposalAnswer:
    """Take one's own open proposal back. 撤回申请。"""

    def work(connection: Any) -> Proposal:
        return proposals.withdraw(connection, number, actor=acting.actor, now=acting.now, note=body.note or "")

    return _answer(await run_in_threadpool(run.store.attempt, work))


def _note(connection: Any, acting: Acting, found: list[Proposal]) -> None:
    whose = dict.fromkeys(one.person_id for one in found if one.person_id is not None)
    audit.record_many(connection, acting.actor, "read_proposal", whose, now=acting.now, request_id=acting.request_id)


def _answer(found: Proposal) -> ProposalAnswer:
    return ProposalAnswer.model_validate(asdict(found))
