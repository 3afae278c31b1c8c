"""Pages of arrears: what is owed to people and by them, each with its steps, and the next one."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from medfloor.service.access import Acting
from medfloor.service.bodies.clearing import StepBody
from medfloor.service.pages.frame import go, page, render
from medfloor.service.pages.office import fields_of, tried
from medfloor.service.paging import Cursor
from medfloor.service.routes import arrears
from medfloor.service.running import Running, running
from medfloor.store.arrears import NEXT, STATES
from medfloor.store.roles import may

router = APIRouter(include_in_schema=False)

Run = Annotated[Running, Depends(running)]
Reader = Annotated[Acting, page("read_arrears")]
Number = Annotated[int, Path(ge=1, le=2**53)]
ROWS = 60


@router.get("/office/arrears")
def list_arrears(
    request: Request,
    acting: Reader,
    run: Run,
    state: Annotated[str, Query(max_length=12)] = "",
    year: Annotated[str, Query(max_length=4, pattern=r"^((19|20|21)[0-9]{2})?$")] = "",
    cursor: Cursor = None,
) -> Response:
    """List arrears in the order in which they were found."""
    chosen: Any = state if state in STATES else None
    found = arrears.list_all(acting, run, chosen, None, int(year) if year else None, cursor, ROWS)
    return render(
        request, acting, "office/arrears.html", rows=found.items, following=found.next, begun=bool(cursor),
        state=chosen or "", year=year, states=STATES,
    )  # fmt: skip


@router.get("/office/arrears/{number}")
def show_arrear(request: Request, number: Number, acting: Reader, run: Run) -> Response:
    """Show an arrear with its steps, and what may follow."""
    return _arrear(request, acting, run, number, None)


@router.post("/office/arrears/{number}")
async def step(
    request: Request, number: Number, acting: Annotated[Acting, page("handle_arrears")], run: Run
) -> Response:
    """Take the next step; paying and returning are posted to the ledger."""
    fields = await fields_of(request)

    def work() -> Any:
        said = {name: fields[name] for name in ("state", "on", "note") if fields.get(name)}
        return arrears.step(number, StepBody.model_validate(said), acting, run)

    _, problem = await tried(work, acting.language)
    if problem is not None:
        return await run_in_threadpool(_arrear, request, acting, run, number, problem)
    return go(f"/office/arrears/{number}", done="recorded")


def _arrear(request: Request, acting: Acting, run: Running, number: int, problem: dict[str, Any] | None) -> Response:
    one = arrears.show(number, acting, run)
    fits = "paid" if one.amount_fen > 0 else "returned"
    following = [state for state in NEXT[one.state] if state in ("notified", "closed", fits)]
    return render(
        request, acting, "office/arrear.html", status=problem["status"] if problem else 200, one=one, problem=problem,
        following=following if may(acting.actor, "handle_arrears") else [],
    )  # fmt: skip
