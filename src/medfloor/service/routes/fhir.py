"""Routes of FHIR R4: settle a Claim, read ClaimResponse, ExplanationOfBenefit, Patient and Coverage."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Body, Depends, Header, Path, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from medfloor import __version__
from medfloor.errors import InputError, MedfloorError, NotFoundError
from medfloor.periods import OFFICE_ZONE
from medfloor.service import fhir, national, persons, settling
from medfloor.service.access import Acting, anyone, need
from medfloor.service.bodies.fields import KEY_PATTERN
from medfloor.service.bodies.people import PersonAnswer, YearAnswer
from medfloor.service.bodies.problems import problems
from medfloor.service.bodies.settlements import ClaimBody, Settlement
from medfloor.service.looking import RevealReason, look, person_of_claim, reason_of, whole_identity, within
from medfloor.service.problems import RETRY_SECONDS, as_ours, status_of
from medfloor.service.running import Running, running

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class FhirRoute(APIRoute):
    """Answer errors as an OperationOutcome, under the status of HTTP that ours would have."""

    def get_route_handler(self) -> Handler:
        """Wrap the handler of the route."""
        inner = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await inner(request)
            except Exception as error:
                ours = _as_ours(error)
                request.scope["state"]["problem"] = ours.code
                return _failed(ours)

        return handle


router = APIRouter(prefix="/fhir", tags=["fhir FHIR R4 接口"], route_class=FhirRoute)

Run = Annotated[Running, Depends(running)]
Settler = Annotated[Acting, Depends(need("settle"))]
Reader = Annotated[Acting, Depends(need("read_settlements"))]
ResourceId = Annotated[str, Path(pattern=r"^[A-Za-z0-9.-]{1,64}$", description="Id of the resource. 资源编号")]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=KEY_PATTERN,
        max_length=128,
        description="Without it the claim's identifier. 幂等键",
    ),
]

_OUTCOME: dict[str, Any] = {
    "title": "OperationOutcome",
    "type": "object",
    "required": ["resourceType", "issue"],
    "properties": {"resourceType": {"type": "string"}, "issue": {"type": "array", "items": {"type": "object"}}},
    "examples": [fhir.operation_outcome("no_such_claim", "the ledger has no such claim; check its id", status=404)],
}


def _responses(kind: str, *statuses: int) -> dict[int | str, dict[str, Any]]:
    """Declare a resource as answer, and OperationOutcome for every problem."""
    declared: dict[int | str, dict[str, Any]] = {
        status: {
            "description": told["description"],
            "content": {fhir.MEDIA_TYPE: {"schema": _OUTCOME}, **told["content"]},
        }
        for status, told in problems(*statuses).items()
    }
    schema = {
        "type": "object",
        "required": ["resourceType"],
        "properties": {"resourceType": {"type": "string", "enum": [kind]}},
        "description": f"A {kind} of FHIR R4.",
    }
    declared[200] = {"description": f"The {kind}. 资源", "content": {fhir.MEDIA_TYPE: {"schema": schema}}}
    return declared


@router.get(
    "/metadata",
    dependencies=[Depends(anyone)],
    responses=_responses("CapabilityStatement"),
    summary="What this server speaks",
    description="能力声明。",
)
def metadata(run: Run) -> Response:
    """Give the CapabilityStatement."""
    return _resource(fhir.capability(run.clock(), __version__))


@router.post(
    "/Claim",
    responses=_responses("ClaimResponse", 404, 409),
    summary="Settle a Claim",
    description="提交 Claim 结算（use=claim）或试算（use=predetermination），返回 ClaimResponse。",
)
async def create_claim(
    resource: Annotated[dict[str, Any], Body(openapi_examples={"stay": {"summary": "A stay", "value": fhir.EXAMPLE}})],
    acting: Settler,
    run: Run,
    idempotency_key: Key = None,
) -> Response:
    """Settle a Claim, or with use predetermination say what it would be paid."""
    claim, use = await run_in_threadpool(fhir.claim_from, resource)
    if use != "claim":
        found = await settling.preview(run, acting, claim)
        return _resource(await run_in_threadpool(fhir.claim_response, claim, found, use=use, now=acting.now))
    settled = await settling.settle(run, acting, claim, idempotency_key or f"fhir:{claim.claim_id}")
    answer = await run_in_threadpool(fhir.claim_response, claim, settled, use=use, now=settled.posted_at)
    return _resource(answer)


@router.get(
    "/ClaimResponse/{resource_id}",
    responses=_responses("ClaimResponse", 404),
    summary="Read a ClaimResponse",
    description="查询结算应答。",
)
def read_response(resource_id: ResourceId, acting: Reader, run: Run) -> Response:
    """Give the ClaimResponse of a claim that was settled; one that was taken back is cancelled."""
    claim, settled = settling.find(run, acting, fhir.plain_id(resource_id))
    return _resource(fhir.claim_response(claim, settled, use="claim", now=settled.posted_at))


@router.get(
    "/ExplanationOfBenefit/{resource_id}",
    responses=_responses("ExplanationOfBenefit", 404),
    summary="Read an ExplanationOfBenefit",
    description="查询待遇说明，含年度累计。",
)
def read_explanation(resource_id: ResourceId, acting: Reader, run: Run) -> Response:
    """Give the ExplanationOfBenefit of a claim, with what the year has used."""
    books = settling.books_of(run)
    claim_id = fhir.plain_id(resource_id)

    def work(connection: sa.Connection) -> tuple[tuple[ClaimBody, Settlement, YearAnswer], list[str]]:
        whose = [person_of_claim(connection, acting, claim_id)]
        claim, settled = settling.settlement_of(connection, books, claim_id)
        return (
            claim,
            settled,
            persons.year_answer(connection, claim.person_id, settled.benefit_year, settling.tiers_of(run)),
        ), whose

    claim, settled, year = look(run, acting, "read_settlement", work)
    return _resource(fhir.explanation_of_benefit(claim, settled, year=year, now=settled.posted_at))


@router.get(
    "/Patient/{resource_id}",
    responses=_responses("Patient", 404),
    summary="Read a Patient",
    description="查询人员，姓名与证件号脱敏。",
)
def read_patient(
    resource_id: ResourceId,
    acting: Annotated[Acting, Depends(need("read_person"))],
    run: Run,
    reveal_reason: RevealReason = None,
) -> Response:
    """Give a Patient; name and identity number are masked unless a reason is given by who may see them."""
    person_id = fhir.plain_id(resource_id)
    reason = reason_of(reveal_reason)
    whole = None if reason is None else whole_identity(run, acting, person_id, reason)
    return _resource(fhir.patient(_person(run, acting, person_id), whole=whole))


@router.get(
    "/Coverage/{resource_id}",
    responses=_responses("Coverage", 404),
    summary="Read a Coverage",
    description="查询某年度参保。",
)
def read_coverage(
    resource_id: ResourceId, acting: Annotated[Acting, Depends(need("read_person"))], run: Run
) -> Response:
    """Give the Coverage `<person>-<year>`: the enrolment of a person in a benefit year."""
    person_id, _, year = fhir.plain_id(resource_id).rpartition("-")
    if not person_id or not (year.isdigit() and len(year) == 4):
        raise _no_coverage()
    found = fhir.coverage(_person(run, acting, person_id), int(year))
    if found is None:
        raise _no_coverage()
    return _resource(found)


def _person(run: Running, acting: Acting, person_id: str) -> PersonAnswer:
    today = acting.now.astimezone(OFFICE_ZONE).date()

    def work(connection: sa.Connection) -> tuple[PersonAnswer, list[str]]:
        whose = within(connection, acting, [person_id])
        return persons.person_answer(
            connection, run.keyring, person_id, day=today, known_at=None, now=acting.now
        ), whose

    return look(run, acting, "read_person", work)


def _no_coverage() -> NotFoundError:
    return NotFoundError("no_coverage", "there is no such enrolment; a Coverage is <person>-<year>")


def _resource(resource: dict[str, Any]) -> Response:
    return Response(national.encode(resource), media_type=fhir.MEDIA_TYPE)


def _as_ours(error: Exception) -> MedfloorError:
    if isinstance(error, RequestValidationError):
        return InputError("fhir_resource", "the request is no resource of FHIR R4 as this server reads them")
    return as_ours(error)


def _failed(error: MedfloorError) -> Response:
    status = status_of(error)
    headers = {"Cache-Control": "no-store"}
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="medfloor"'
    if error.code in RETRY_SECONDS:
        headers["Retry-After"] = str(RETRY_SECONDS[error.code])
    body = fhir.operation_outcome(error.code, error.message, status=status)
    return Response(national.encode(body), status, headers, fhir.MEDIA_TYPE)
