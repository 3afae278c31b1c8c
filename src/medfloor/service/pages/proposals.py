"""Pages of what takes two pairs of eyes: list, look, decide, take back, carry out."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, get_args

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from medfloor.service.access import Acting
from medfloor.service.bodies.proposals import DecisionBody, WithdrawBody
from medfloor.service.pages.frame import go, page, render
from medfloor.service.pages.office import fields_of, tried
from medfloor.service.paging import Cursor
from medfloor.service.routes import proposals
from medfloor.service.running import Running, running
from medfloor.store.proposals import KINDS
from medfloor.store.roles import may

router = APIRouter(include_in_schema=False)

Run = Annotated[Running, Depends(running)]
Reader = Annotated[Acting, page("read_proposals")]
Number = Annotated[int, Path(ge=1, le=2**63 - 1)]
State = Literal["open", "approved", "refused", "withdrawn"]
ROWS = 50


@router.get("/office/proposals")
async def list_proposals(
    request: Request,
    acting: Reader,
    run: Run,
    state: Annotated[str, Query(max_length=12)] = "",
    kind: Annotated[str, Query(max_length=16)] = "",
    cursor: Cursor = None,
) -> Response:
    """List what was proposed, the latest first."""
    states, kinds = get_args(State), tuple(KINDS)
    chosen: Any = state if state in states else None
    sort: Any = kind if kind in kinds else None
    found = await proposals.list_proposals(acting, run, chosen, sort, None, cursor, ROWS)
    return render(
        request, acting, "office/proposals.html", rows=found.proposals, following=found.next, begun=bool(cursor),
        state=chosen or "", kind=sort or "", states=states, kinds=kinds,
    )  # fmt: skip


@router.get("/office/proposals/{number}")
async def show_proposal(request: Request, number: Number, acting: Reader, run: Run) -> Response:
    """Show a proposal, who may decide on it, and what became of it."""
    return await _proposal(request, acting, run, number, None)


@router.get("/office/proposals/{number}/record")
async def fetch_record(number: Number, acting: Reader, run: Run) -> Response:
    """Give the signed record of an adjustment to download."""
    found = await proposals.fetch_record(number, acting, run)
    text = json.dumps(found, ensure_ascii=False, indent=1) + "\n"
    named = {"Content-Disposition": f'attachment; filename="adjustment-{number}.json"'}
    return Response(text, media_type="application/json", headers=named)


@router.post("/office/proposals/{number}/decision")
async def decide(request: Request, number: Number, acting: Reader, run: Run) -> Response:
    """Approve or refuse what a colleague proposed."""
    fields = await fields_of(request)

    async def work() -> Any:
        body = DecisionBody(approve=fields.get("decision") == "approve", note=fields.get("note") or None)
        return await proposals.decide(number, body, acting, run)

    return await _after(request, acting, run, number, work, "decided")


@router.post("/office/proposals/{number}/carry-out")
async def carry_out(request: Request, number: Number, acting: Reader, run: Run) -> Response:
    """Carry out what was approved but not finished."""

    async def work() -> Any:
        return await proposals.carry_out(number, acting, run)

    return await _after(request, acting, run, number, work, "recorded")


@router.post("/office/proposals/{number}/withdrawal")
async def withdraw(request: Request, number: Number, acting: Annotated[Acting, page("propose")], run: Run) -> Response:
    """Take one's own proposal back."""
    fields = await fields_of(request)

    async def work() -> Any:
        return await proposals.withdraw(number, WithdrawBody(note=fields.get("note") or None), acting, run)

    return await _after(request, acting, run, number, work, "recorded")


async def _after(request: Request, acting: Acting, run: Running, number: int, work: Any, done: str) -> Response:
    _, problem = await tried(work, acting.language)
    if problem is not None:
        return await _proposal(request, acting, run, number, problem)
    return go(f"/office/proposals/{number}", done=done)


async def _proposal(
    request: Request, acting: Acting, run: Running, number: int, problem: dict[str, Any] | None
) -> Response:
    one = await proposals.look_at_proposal(number, acting, run)
    mine = one.proposed_by.casefold() == acting.actor.login.casefold()
    decides = may(acting.actor, KINDS[one.kind])
    return render(
        request, acting, "office/proposal.html", status=problem["status"] if problem else 200, one=one,
        problem=problem, mine=mine, decides=decides, may_withdraw=mine and may(acting.actor, "propose"),
    )  # fmt: skip
