"""Routes of settlements: preview, settle, settle many, take back, correct, look up, explain."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Response
from starlette.concurrency import run_in_threadpool

from medfloor.errors import UsageError
from medfloor.service import settling
from medfloor.service.access import Acting, need
from medfloor.service.bodies.fields import ID_PATTERN, KEY_PATTERN, Language
from medfloor.service.bodies.problems import problems
from medfloor.service.bodies.settlements import (
    BatchAnswer,
    BatchBody,
    ClaimBody,
    CorrectionBody,
    ExplanationAnswer,
    Preview,
    Proposed,
    Refused,
    Reversal,
    ReversalBody,
    Settlement,
    SettlementBody,
)
from medfloor.service.running import Running, running
from medfloor.service.straight import SETTLER, Straight
from medfloor.store import ledger

router = APIRouter(prefix="/api/v1/settlements", tags=["settlements 结算"])

Run = Annotated[Running, Depends(running)]
Settler = Annotated[Acting, Depends(SETTLER)]
Reader = Annotated[Acting, Depends(need("read_settlements"))]
ClaimId = Annotated[str, Path(pattern=ID_PATTERN, max_length=64, description="The claim. 就诊ID")]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=KEY_PATTERN,
        max_length=128,
        description="The same key again gives the same answer and posts nothing. 幂等键",
    ),
]


@router.post(
    "/preview",
    responses=problems(404, 409),
    summary="Preview a settlement",
    description="预结算：试算各层次支付，不留存。",
)
async def preview(body: ClaimBody, acting: Settler, run: Run) -> Preview:
    """Say what a claim would be paid now. Nothing is recorded but who asked."""
    return await settling.preview(run, acting, body)


async def settle(body: SettlementBody, acting: Settler, run: Run, idempotency_key: Key = None) -> Response:
    """Settle a claim through every tier, in one transaction; the answer comes after the commit."""
    settled = await settling.settle(run, acting, body, idempotency_key or body.request_key)
    return Response(settled.model_dump_json(), media_type="application/json")


router.add_api_route(
    "",
    settle,
    methods=["POST"],
    responses=problems(404, 409),
    response_model=Settlement,
    summary="Settle a claim",
    description="结算：一次计算各层次支付并记账。请求键相同则返回原结果；写入成功后才应答。",
    route_class_override=Straight,  # it does the same, and comes here where anything is unusual
)


@router.post(
    "/batch",
    responses=problems(404, 409),
    summary="Settle many claims",
    description="批量结算：逐条独立，互不影响；拒收的单据附原因。",
)
async def settle_batch(body: BatchBody, acting: Settler, run: Run) -> BatchAnswer:
    """Settle up to 1,000 claims; each is settled or refused by itself, and the answers stand in their order."""
    answers = await settling.settle_many(run, acting, [(one, one.request_key) for one in body.claims])
    books = settling.books_of(run)
    results: list[Settlement | Refused] = [
        Refused(claim_id=claim.claim_id, reason=answer.code, detail=answer.error.message)
        if isinstance(answer, ledger.Refused)
        else settling.settlement_after(claim, answer, books)
        for claim, answer in answers
    ]
    refused = sum(isinstance(one, Refused) for one in results)
    return BatchAnswer(settled=len(results) - refused, refused=refused, results=results)


@router.get("/{claim_id}", responses=problems(404), summary="Look up a settlement", description="查询一次结算的现状。")
def show(claim_id: ClaimId, acting: Reader, run: Run) -> Settlement:
    """Give a settlement as it stands: after differences, or taken back."""
    return settling.find(run, acting, claim_id)[1]


@router.post(
    "/{claim_id}/reversal",
    responses={
        **problems(404, 409),
        202: {"model": Proposed, "description": "A second person must decide first. 超过限额，须复核"},
    },
    response_model=Reversal,
    summary="Take a settlement back",
    description="冲正：以新分录取消结算，并重算其后的单据。超过本机构限额时生成复核申请（202）。",
)
async def reverse(
    claim_id: ClaimId,
    body: ReversalBody,
    acting: Annotated[Acting, Depends(need("reverse"))],
    run: Run,
    idempotency_key: Key = None,
) -> Response:
    """Take a settlement back by a new entry; what follows it in the year is settled again."""
    done = await settling.reverse(
        run, acting, claim_id, reason=body.reason, key=idempotency_key or body.request_key, on=body.on
    )
    return Response(done.model_dump_json(), 202 if isinstance(done, Proposed) else 200, media_type="application/json")


@router.post(
    "/{claim_id}/correction",
    responses=problems(404, 409),
    summary="Correct a settlement",
    description="更正：冲正原结算并以新单据号重新结算，同一事务内完成。",
)
async def correct(
    claim_id: ClaimId,
    body: CorrectionBody,
    acting: Annotated[Acting, Depends(need("correct"))],
    run: Run,
    idempotency_key: Key = None,
) -> Settlement:
    """Take a settlement back and settle another claim, with an id of its own, in its stead."""
    await settling.check_place(run, acting, [body.claim.person_id])
    if body.claim.claim_id == claim_id:
        raise UsageError("same_claim_id", "the corrected claim needs an id of its own; the old one keeps its entries")
    key = idempotency_key or body.request_key
    return await run_in_threadpool(settling.correct, run, acting, claim_id, body.claim, reason=body.reason, key=key)


@router.get(
    "/{claim_id}/explanation",
    responses=problems(404),
    summary="Explain a settlement",
    description="结算说明：逐层次说明扣除、比例、支付及依据条款。",
)
def explain(
    claim_id: ClaimId,
    acting: Reader,
    run: Run,
    lang: Annotated[Language | None, Query(description="Language; the account's where it is missing. 语言")] = None,
) -> ExplanationAnswer:
    """Say tier by tier what was deducted, at which rate, what was paid and which article says so."""
    from medfloor.service.explaining import explained

    language = lang or acting.language
    told, text = explained(run, acting, claim_id, language)
    data: dict[str, Any] = told
    return ExplanationAnswer.model_validate({"claim_id": claim_id, "lang": language, "text": text, "data": data})
