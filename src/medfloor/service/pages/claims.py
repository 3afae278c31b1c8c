"""Pages of claims: the split, why it is so, the entries of the ledger; take back, correct, print the slip."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Path, Request
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from medfloor.errors import ConflictError, MedfloorError
from medfloor.service import settling
from medfloor.service.access import Acting
from medfloor.service.bodies.fields import ID_PATTERN, new_key
from medfloor.service.bodies.people import PersonAnswer
from medfloor.service.bodies.settlements import ClaimBody, CorrectionBody, Proposed, ReversalBody, Settlement
from medfloor.service.explaining import explained
from medfloor.service.looking import look, person_of_claim
from medfloor.service.outlook import today
from medfloor.service.pages.frame import go, is_part, page, render
from medfloor.service.pages.shown import claim_from, form_of, parts_of, why_not
from medfloor.service.persons import claim_entries, person_answer
from medfloor.service.problems import field_errors, status_of, title_of
from medfloor.service.routes import settlements
from medfloor.service.running import Running, running
from medfloor.store.office import office_of
from medfloor.store.proposals import pending_reversals
from medfloor.store.roles import may
from medfloor.tables import AREAS, CARE_TYPES, FACILITY_LEVELS, REFERRALS

router = APIRouter(include_in_schema=False)

Run = Annotated[Running, Depends(running)]
Reader = Annotated[Acting, page("read_settlements")]
ClaimId = Annotated[str, Path(pattern=ID_PATTERN, max_length=64)]

CHOICES = {
    "care_type": CARE_TYPES, "facility_level": FACILITY_LEVELS, "area": AREAS, "referral": REFERRALS,
    "paid_by": ("facility", "person"),
}  # fmt: skip


@router.get("/claims/{claim_id}")
def show(request: Request, claim_id: ClaimId, acting: Reader, run: Run) -> Response:
    """Show a claim: who pays, why, and what stands in the ledger."""
    return _shown(request, acting, run, claim_id)


@router.get("/claims/{claim_id}/explanation")
def explain(request: Request, claim_id: ClaimId, acting: Reader, run: Run) -> Response:
    """Explain a claim article by article: as a part of a page that is open, or on the claim's own page."""
    if not is_part(request):
        return go(f"/claims/{claim_id}#why")
    return render(request, acting, "people/_explanation.html", **_explanation(run, acting, claim_id))


@router.get("/claims/{claim_id}/slip")
def slip(request: Request, claim_id: ClaimId, acting: Reader, run: Run) -> Response:
    """Give the settlement slip, to print and to hand over; names are masked."""
    body, settled, person, _ = _read(run, acting, claim_id, "print_slip")
    with run.store.reading() as connection:
        office = office_of(connection).name
    return render(
        request, acting, "people/slip.html", claim=body, settled=settled, person=person, office=office,
        parts=_parts(run, acting, settled), printed=acting.now, **_explanation(run, acting, claim_id),
    )  # fmt: skip


@router.post("/claims/{claim_id}/reversal")
async def reverse(
    request: Request, claim_id: ClaimId, acting: Annotated[Acting, page("reverse")], run: Run
) -> Response:
    """Take a claim back; above the office's limit it becomes a proposal."""
    form = await request.form()
    given = {"reason": str(form.get("reason") or "").strip(), "request_key": str(form.get("request_key") or "")}
    try:
        body = ReversalBody.model_validate(given)
        done = await settling.reverse(run, acting, claim_id, reason=body.reason, key=body.request_key)
    except ValidationError as error:
        why = field_errors(error.errors(include_url=False), acting.language)[0]["message"]
        return await run_in_threadpool(_shown, request, acting, run, claim_id, status=422, error=why, reason=given)
    except ConflictError as error:
        why = title_of(error.code, status_of(error), acting.language)
        return await run_in_threadpool(_shown, request, acting, run, claim_id, status=409, error=why, reason=given)
    return go(f"/claims/{claim_id}", done="proposed" if isinstance(done, Proposed) else "reversed")


@router.get("/claims/{claim_id}/correction")
def correction(request: Request, claim_id: ClaimId, acting: Annotated[Acting, page("correct")], run: Run) -> Response:
    """Show the form that corrects a claim: the claim as it is, under an id of its own."""
    body, settled, _, _ = _read(run, acting, claim_id, "read_settlement")
    fields = form_of(body) | {"claim_id": _next_id(claim_id), "reason": "", "request_key": new_key()}
    return _correcting(request, acting, run, claim_id, fields, {}, state=settled.state)


@router.post("/claims/{claim_id}/correction")
async def correct(
    request: Request, claim_id: ClaimId, acting: Annotated[Acting, page("correct")], run: Run
) -> Response:
    """Take a claim back and settle the one of the form in its stead."""
    form = {name: str(value) for name, value in (await request.form()).items()}
    columns = settling.books_of(run).law.dimensions.columns
    body, fields, errors = claim_from(form, columns, acting.language)
    status = 422
    if body is not None:
        try:
            whole = CorrectionBody.model_validate(
                {"claim": body, "reason": fields.get("reason", ""), "request_key": fields.get("request_key", "")}
            )
            await settlements.correct(claim_id, whole, acting, run)
        except ValidationError as error:
            for one in field_errors(error.errors(include_url=False), acting.language):
                errors.setdefault(one["field"], one["message"])
        except MedfloorError as error:
            if error.code == "no_such_claim":
                raise
            status = status_of(error)
            errors["form"] = why_not(error, status, acting.language)
        else:
            return go(f"/claims/{body.claim_id}", done="settled")
    return await run_in_threadpool(_correcting, request, acting, run, claim_id, fields, errors, status=status)


def _correcting(
    request: Request, acting: Acting, run: Running, claim_id: str, fields: dict[str, str], errors: dict[str, str], *,
    status: int = 200, state: str = "settled",
) -> Response:  # fmt: skip
    return render(
        request, acting, "people/correction.html", status=status, claim_id=claim_id, fields=fields, errors=errors,
        choices=CHOICES, columns=settling.books_of(run).law.dimensions.columns, state=state,
    )  # fmt: skip


def _shown(
    request: Request, acting: Acting, run: Running, claim_id: str, *, status: int = 200, error: str = "",
    reason: dict[str, str] | None = None,
) -> Response:  # fmt: skip
    body, settled, person, entries = _read(run, acting, claim_id, "read_settlement")
    with run.store.reading() as connection:
        limit = office_of(connection).reversal_limit_fen
        pending = pending_reversals(connection, claim_id, body.person_id, now=acting.now)
    return render(
        request, acting, "people/claim.html", status=status, claim=body, settled=settled, person=person,
        entries=entries, parts=_parts(run, acting, settled), error=error,
        reason=(reason or {}).get("reason", ""),
        request_key=(reason or {}).get("request_key") or new_key(),
        may_reverse=may(acting.actor, "reverse"), may_correct=may(acting.actor, "correct"),
        pending=pending, may_proposals=may(acting.actor, "read_proposals"),
        over_limit=settled.pay_total_fen > limit, limit=limit, **_explanation(run, acting, claim_id),
    )  # fmt: skip


def _read(
    run: Running, acting: Acting, claim_id: str, action: str
) -> tuple[ClaimBody, Settlement, PersonAnswer, list[Any]]:
    """Read a claim, its settlement, whose it is (masked) and its entries, with one trace."""
    books = settling.books_of(run)

    def work(
        connection: sa.Connection,
    ) -> tuple[tuple[ClaimBody, Settlement, PersonAnswer, list[Any]], list[str]]:
        person_id = person_of_claim(connection, acting, claim_id)
        body, settled = settling.settlement_of(connection, books, claim_id)
        person = person_answer(connection, run.keyring, person_id, day=today(acting), known_at=None, now=acting.now)
        return (body, settled, person, claim_entries(connection, claim_id)), [person_id]

    return look(run, acting, action, work)


def _parts(run: Running, acting: Acting, settled: Settlement) -> Any:
    return parts_of(run, settled.payments_fen, settled.own_in_scope_fen, settled.own_outside_fen, acting.language)


def _explanation(run: Running, acting: Acting, claim_id: str) -> dict[str, Any]:
    """Explain, or say why it cannot be explained any more."""
    try:
        told, text = explained(run, acting, claim_id, acting.language)
    except ConflictError as error:
        return {"told": None, "text": "", "why_not": title_of(error.code, 409, acting.language), "of": claim_id}
    since = date.fromisoformat(told["policy"]["from_date"])
    return {"told": told, "text": text, "why_not": "", "of": claim_id, "since": since}


def _next_id(claim_id: str) -> str:
    """Give an id for what takes a claim's place.

    >>> _next_id("c1"), _next_id("c1-2"), len(_next_id("c" * 64))
    ('c1-2', 'c1-3', 64)
    """
    head, mark, number = claim_id.rpartition("-")
    if mark and head and number.isdigit() and len(number) < 3:
        return f"{head}-{int(number) + 1}"[-64:]
    return f"{claim_id[:62]}-2"
