"""Routes of the national platform's dialect: one address a transaction, and one for all."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from datetime import date
from typing import Annotated, Any

import orjson
import sqlalchemy as sa
from fastapi import APIRouter, Body, Depends, Path, Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from medfloor.errors import ConflictError, InputError, MedfloorError
from medfloor.periods import OFFICE_ZONE
from medfloor.service import national, persons, settling
from medfloor.service.access import Acting, signed_in
from medfloor.service.bodies.people import PersonAnswer
from medfloor.service.bodies.problems import problems
from medfloor.service.bodies.settlements import ClaimBody, Preview, Proposed
from medfloor.service.looking import (
    RevealReason,
    look,
    no_claim,
    no_person,
    note,
    places_of,
    reason_of,
    whole_identity,
    within,
)
from medfloor.service.national import Envelope
from medfloor.service.problems import as_ours, language_of, status_of, title_of
from medfloor.service.running import Running, running
from medfloor.store import register
from medfloor.store.identity import is_identity
from medfloor.store.roles import require, sees
from medfloor.store.schema import claim, entry, posting, provider

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class NationalRoute(APIRoute):
    """Answer errors as the platform does: infcode -1 and err_msg, under the status of HTTP that ours would have."""

    def get_route_handler(self) -> Handler:
        """Wrap the handler of the route."""
        inner = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await inner(request)
            except Exception as error:
                ours = _as_ours(error)
                run: Running = request.app.state.running
                request.scope["state"]["problem"] = ours.code
                return _failed(ours, request, run, await _msgid(request))

        return handle


router = APIRouter(prefix="/api/v1/national", tags=["national 国家平台方言"], route_class=NationalRoute)

Run = Annotated[Running, Depends(running)]

NEEDS = {
    "preview": "settle", "settle": "settle", "cancel": "reverse", "undo": "reverse", "person": "read_person",
    "total": "reconcile", "detail": "reconcile", "accumulated": "read_settlements",
}  # fmt: skip
"""What each transaction needs of the one who sends it."""

_SENT: dict[str, Any] = {
    "infno": "2304", "msgid": "H11010500001202403100900000001", "mdtrtarea_admvs": "110105",
    "insuplc_admdvs": "110105", "fixmedins_code": "H11010500001", "fixmedins_name": "", "sign_no": "",
    "inf_time": "2024-03-10 09:00:00",
    "input": {
        "data": {
            "psn_no": "p1", "mdtrt_id": "2024-000123", "med_type": "21", "insutype": "390", "psn_setlway": "01",
            "acct_used_flag": "0", "mid_setl_flag": "0", "hosp_lv": "02", "begntime": "2024-03-01 08:30:00",
            "endtime": "2024-03-10 10:00:00", "dise_codg": "I21.9", "medfee_sumamt": 150000.00,
            "fulamt_ownpay_amt": 20000.00, "overlmt_selfpay": 0.00, "preselfpay_amt": 0.00,
            "inscp_scp_amt": 130000.00,
        }
    },
}  # fmt: skip
"""The message of docs/national.md."""

_ANSWERED: dict[str, Any] = {
    "infcode": 0, "inf_refmsgid": "H11010500001202403100900000001", "refmsg_time": "20240310090000123",
    "respond_time": "20240310090000145", "err_msg": "", "output": {"setlinfo": {}, "setldetail": []},
}  # fmt: skip

_ANSWER = {
    "title": "NationalAnswer", "type": "object",
    "required": ["infcode", "inf_refmsgid", "refmsg_time", "respond_time", "err_msg", "output"],
    "properties": {
        "infcode": {"type": "integer", "enum": [0, -1], "description": "0 done, -1 refused. 0 成功，-1 失败"},
        "inf_refmsgid": {"type": "string"}, "refmsg_time": {"type": "string"}, "respond_time": {"type": "string"},
        "err_msg": {"type": "string", "description": "[code] sentence. 固定代码与说明"},
        "output": {"type": "object"},
    },
    "examples": [_ANSWERED],
}  # fmt: skip


def _responses() -> dict[int | str, dict[str, Any]]:
    """Declare that refusals have the platform's envelope too."""
    content = {"application/json": {"schema": _ANSWER}}
    declared: dict[int | str, dict[str, Any]] = {
        status: {"description": told["description"], "content": {**content, **told["content"]}}
        for status, told in problems(404, 409).items()
    }
    declared[200] = {"description": "Answered. 已应答", "content": content}
    return declared


@router.post(
    "/{infno}",
    responses=_responses(),
    summary="Send a message of the national platform",
    description="国家平台报文：1101、2206-2208、2303-2305、2601、3201、3202、5206。msgid 即请求键，重发不会重复结算。",
)
async def send(
    infno: Annotated[str, Path(pattern=r"^[0-9]{4}$", description="The transaction. 交易编号")],
    message: Annotated[dict[str, Any], Body(openapi_examples={"settle": {"summary": "2304", "value": _SENT}})],
    acting: Annotated[Acting, Depends(signed_in)],
    run: Run,
    reveal_reason: RevealReason = None,
) -> Response:
    """Carry a message out: envelope in, envelope out; docs/national.md says which fields."""
    envelope = national.read_envelope(message, infno)
    require(acting.actor, NEEDS[envelope.does])
    if envelope.does == "person":
        output = await run_in_threadpool(_person_output, run, acting, envelope, reason_of(reveal_reason))
    else:
        output = await _DOES[envelope.does](run, acting, envelope)
    answered = national.answer(envelope, output, received=acting.now, now=run.clock())
    return Response(national.encode(answered), media_type="application/json")


async def _preview(run: Running, acting: Acting, envelope: Envelope) -> dict[str, Any]:
    body = await run_in_threadpool(_claim, run, envelope)
    found = await settling.preview(run, acting, body)
    return national.setl_output(envelope, body, found, scheme=await _scheme_of(run, body), now=acting.now)


async def _settle(run: Running, acting: Acting, envelope: Envelope) -> dict[str, Any]:
    body = await run_in_threadpool(_claim, run, envelope)
    settled = await settling.settle(run, acting, body, envelope.request_key)
    scheme = await _scheme_of(run, body)
    return national.setl_output(envelope, body, settled, scheme=scheme, now=settled.posted_at)


async def _cancel(run: Running, acting: Acting, envelope: Envelope) -> dict[str, Any]:
    claim_id = national.id_of(envelope.data, "mdtrt_id")
    person_id = national.id_of(envelope.data, "psn_no")
    body, before = await run_in_threadpool(settling.find, run, acting, claim_id, action="reverse")
    if before.person_id != person_id:
        raise no_claim()
    if national.text_of(envelope.data, "setl_id") not in (None, claim_id):
        raise no_claim()
    done = await settling.reverse(run, acting, claim_id, reason=envelope.infno, key=envelope.request_key)
    if isinstance(done, Proposed):
        raise _waits(done)
    taken = Preview.model_validate(before.model_dump(include=set(Preview.model_fields)))
    return national.cancel_output(envelope, taken, scheme=await _scheme_of(run, body), now=done.posted_at)


async def _undo(run: Running, acting: Acting, envelope: Envelope) -> dict[str, Any]:
    """Take back what a message did whose answer the hospital never got: a settlement, or the taking back of one."""
    person_id, does, key = national.undone_by(envelope)
    claim_id = await run_in_threadpool(_claim_under, run, key, person_id, does)
    if does == "cancel":
        require(acting.actor, "settle")
        await run_in_threadpool(
            settling.reinstate, run, acting, claim_id, reason=envelope.infno, key=envelope.request_key
        )
        return {}
    done = await settling.reverse(run, acting, claim_id, reason=envelope.infno, key=envelope.request_key)
    if isinstance(done, Proposed):
        raise _waits(done)
    return {}


def _claim_under(run: Running, key: str, person_id: str, does: str) -> str:
    """Give the claim that a message settled or took back. Raises NotFoundError (`no_such_claim`) if it did neither."""
    kind = {"settle": "settlement", "cancel": "reversal"}[does]
    with run.store.reading() as connection:
        found = connection.execute(
            sa.select(claim.c.claim_id)
            .join(entry, entry.c.claim_id == claim.c.claim_id)
            .where(entry.c.request_key == key, entry.c.kind == kind, claim.c.person_id == person_id)
        ).scalar()
    if found is None:
        raise no_claim()
    return str(found)


def _waits(done: Proposed) -> ConflictError:
    return ConflictError(
        "needs_second_person", f"above the office's limit: proposal {done.proposal} waits for a second person"
    )


async def _accumulated(run: Running, acting: Acting, envelope: Envelope) -> dict[str, Any]:
    person_id = national.id_of(envelope.data, "psn_no")
    text = national.text_of(envelope.data, "cum_ym") or national.text_of(envelope.data, "year")
    year = int(text[:4]) if text and text[:4].isdigit() else acting.now.astimezone(OFFICE_ZONE).year
    if not 1990 <= year <= 2200:
        raise InputError("national_field", "cum_ym: a year from 1990 to 2200 is needed")

    def work(connection: sa.Connection) -> tuple[dict[str, Any], list[str]]:
        whose = within(connection, acting, [person_id])
        found = register.known(connection, [person_id])[person_id].person(date(year, 1, 1))
        answer = persons.year_answer(connection, person_id, year, settling.tiers_of(run))
        return national.accumulated_output(answer, scheme=found.scheme), whose

    return await run_in_threadpool(look, run, acting, "read_year", work)


async def _total(run: Running, acting: Acting, envelope: Envelope) -> dict[str, Any]:
    theirs = national.totals_from(envelope.data)
    rows = await run_in_threadpool(_our_rows, run, acting, envelope)
    ours = national.Totals(
        sum(1 if row["kind"] == "settled" else -1 for row in rows.values() if row["kind"] != "taken_back"),
        sum(row["total_fen"] for row in rows.values()),
        sum(row["fund_fen"] for row in rows.values()),
    )
    return national.total_output(ours, theirs)


async def _detail(run: Running, acting: Acting, envelope: Envelope) -> dict[str, Any]:
    theirs = national.rows_from(envelope.data)
    ours = await run_in_threadpool(_our_rows, run, acting, envelope)
    return national.detail_output(_differences(ours, theirs))


_DOES: dict[str, Callable[[Running, Acting, Envelope], Coroutine[Any, Any, dict[str, Any]]]] = {
    "preview": _preview, "settle": _settle, "cancel": _cancel, "undo": _undo, "accumulated": _accumulated,
    "total": _total, "detail": _detail,
}  # fmt: skip


def _claim(run: Running, envelope: Envelope) -> ClaimBody:
    """Make our claim, with the level that the register of facilities gives and the policy's own codes."""
    books = settling.books_of(run)
    codes = books.law.policies.versions[-1].codes
    level = None
    if envelope.fixmedins_code is not None and national.text_of(envelope.data, "hosp_lv") is None:
        with run.store.reading() as connection:
            level = connection.execute(
                sa.select(provider.c.level).where(provider.c.provider_id == envelope.fixmedins_code)
            ).scalar()
    return national.claim_from(envelope, provider_level=level, med_type=codes.med_type, hosp_lv=codes.hosp_lv)


async def _scheme_of(run: Running, body: ClaimBody) -> str:
    def work() -> str:
        with run.store.reading() as connection:
            found = register.known(connection, [body.person_id]).get(body.person_id)
        return found.person(body.start_date).scheme if found else "resident"

    return await run_in_threadpool(work)


def _person_output(run: Running, acting: Acting, envelope: Envelope, reason: str | None) -> dict[str, Any]:
    number = national.text_of(envelope.data, "certno")
    if number is None and national.text_of(envelope.data, "mdtrt_cert_type") == "02":
        number = national.text_of(envelope.data, "mdtrt_cert_no")
    asked_id = national.text_of(envelope.data, "psn_no")
    if number is None and asked_id is None:
        raise InputError("national_field", "certno: an identity number is needed (mdtrt_cert_type 02), or psn_no")
    today = acting.now.astimezone(OFFICE_ZONE).date()

    def work(connection: sa.Connection) -> tuple[PersonAnswer, list[str]]:
        one = register.find(connection, run.keyring, number) if number is not None else asked_id
        if one is None:
            raise no_person()
        whose = within(connection, acting, [one])
        found = persons.person_answer(connection, run.keyring, one, day=today, known_at=None, now=acting.now)
        return found, whose

    person = look(run, acting, "read_person", work)
    whole = None if reason is None else whole_identity(run, acting, person.person_id, reason)
    return national.person_output(person, year=today.year, whole=whole)


def _our_rows(run: Running, acting: Acting, envelope: Envelope) -> dict[str, dict[str, Any]]:
    """Give our side of a facility's period, by claim: settled in it, or taken back; both in it come to nothing."""
    if envelope.fixmedins_code is None:
        raise InputError("national_field", "fixmedins_code: the facility is needed")
    first, last = national.period_of(envelope.data)
    with run.store.reading() as connection:
        funds = sa.func.sum(
            sa.case((posting.c.party.startswith("fund:", autoescape=True), posting.c.amount_fen), else_=0)
        )
        rows = connection.execute(
            sa.select(entry.c.kind, claim.c.claim_id, claim.c.person_id, claim.c.total_fen, funds.label("fund_fen"))
            .join(claim, claim.c.claim_id == entry.c.claim_id)
            .join(posting, posting.c.entry_id == entry.c.id, isouter=True)
            .where(
                claim.c.provider_id == envelope.fixmedins_code,
                entry.c.settled_date.between(first, last),
                entry.c.kind.in_(("settlement", "correction", "reinstatement", "reversal")),
            )
            .group_by(entry.c.id, entry.c.kind, claim.c.claim_id, claim.c.person_id, claim.c.total_fen)
            .order_by(entry.c.id)
        ).all()
        places = places_of(connection, list({row.person_id for row in rows}))
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        if not sees(acting.actor, places.get(row.person_id, "")):
            continue
        sign = -1 if row.kind == "reversal" else 1
        one = found.setdefault(
            row.claim_id,
            {
                "claim_id": row.claim_id,
                "person_id": row.person_id,
                "total_fen": 0,
                "fund_fen": 0,
                "kind": "taken_back",
                "count": 0,
            },
        )
        one["total_fen"] += sign * row.total_fen
        one["fund_fen"] += int(row.fund_fen or 0)
        one["count"] += sign
        one["kind"] = {1: "settled", 0: "taken_back", -1: "reversed"}[one["count"]]
    note(run, acting, "reconcile", dict.fromkeys(one["person_id"] for one in found.values()), detail=envelope.infno)
    return found


def _differences(ours: dict[str, dict[str, Any]], theirs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Compare claim by claim; the hospital's rows of one claim are summed, those it took back count below zero."""
    given: dict[str, dict[str, Any]] = {}
    for row in theirs:
        sign = -1 if row["reversed"] and row["total_fen"] > 0 else 1
        one = given.setdefault(row["claim_id"], {**row, "total_fen": 0, "fund_fen": 0})
        one["total_fen"] += sign * row["total_fen"]
        one["fund_fen"] += sign * row["fund_fen"]
    rows = []
    for claim_id, one in given.items():
        mine = ours.get(claim_id)
        if mine is None:
            if one["total_fen"] or one["fund_fen"]:
                rows.append({"claim_id": claim_id, "person_id": one["person_id"], "memo": "医保无此记录"})
        elif (mine["total_fen"], mine["fund_fen"]) != (one["total_fen"], one["fund_fen"]):
            rows.append({**mine, "reversed": mine["kind"] != "settled", "memo": "金额不一致"})
    for claim_id, mine in ours.items():
        if claim_id not in given and mine["kind"] != "taken_back":
            rows.append({**mine, "reversed": mine["kind"] == "reversed", "memo": "医院无此记录"})
    return rows


def _as_ours(error: Exception) -> MedfloorError:
    from fastapi.exceptions import RequestValidationError

    if isinstance(error, RequestValidationError):
        return InputError("national_envelope", "the message is no JSON object with infno, msgid and input")
    return as_ours(error)


async def _msgid(request: Request) -> str:
    """Give the number of the message that is refused, if it can be read."""
    try:
        message = orjson.loads(await request.body())
    except (orjson.JSONDecodeError, ClientDisconnect):
        return ""
    found = message.get("msgid") if isinstance(message, dict) else None
    if not isinstance(found, str) or not re.fullmatch(national.MSGID_PATTERN, found):
        return ""
    return "" if is_identity(found) else found  # whoever mistakes the field must not find the number in an error


def _failed(error: MedfloorError, request: Request, run: Running, msgid: str) -> Response:
    status = status_of(error)
    language = language_of(request.scope)
    title = title_of(error.code, status, language)
    now = run.clock()
    body = national.failure(msgid, error.code, f"{title}：{error.message}", received=now, now=now)
    headers = {
        "Cache-Control": "no-store",
        **({"WWW-Authenticate": 'Bearer realm="medfloor"'} if status == 401 else {}),
    }
    return Response(national.encode(body), status, headers, "application/json")
