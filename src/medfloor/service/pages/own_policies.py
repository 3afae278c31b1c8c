"""Pages on which an office brings a policy of its own, as a file or as text, and sees what is doubtful about it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.responses import PlainTextResponse, Response

from medfloor.errors import MedfloorError, UsageError
from medfloor.policy.model import Policy
from medfloor.service import policy_files
from medfloor.service.access import Acting
from medfloor.service.bodies.policies import CheckBody
from medfloor.service.pages.frame import go, page, render
from medfloor.service.pages.reforms import YAML, faults_of
from medfloor.service.routes import policies as routes
from medfloor.service.running import Running, running

router = APIRouter(include_in_schema=False)

Run = Annotated[Running, Depends(running)]
Reader = Annotated[Acting, page("read_policies")]
Keeper = Annotated[Acting, page("run_jobs")]
Key = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$")]


@router.get("/policies/own")
def form(request: Request, acting: Keeper) -> Response:
    """Show where a policy is brought, as a file or as text."""
    return _form(request, acting)


@router.post("/policies/own")
async def bring(request: Request, acting: Keeper, run: Run) -> Response:
    """Keep a policy that can be read and settled by, and show it; else say where in the text what is wrong."""
    async with request.form() as sent:
        file, text = sent.get("file"), sent.get("text")
        content = await sent_of(file) if isinstance(file, UploadFile) and file.filename else None

    def work() -> Response:
        given = str(text or "")
        try:
            if content is not None:
                given = _text_of(content)
            address = policy_files.keep(run.settings.jobs_folder, given, login=acting.actor.login, now=run.clock())
        except MedfloorError as error:
            faults = faults_of(error, given, acting.language, file="policy.yaml")
            return _form(request, acting, text=given, faults=faults, status=422)
        return go(f"/policies/show?of={address}", done="saved")

    return await run_in_threadpool(work)


@router.get("/policies/own/{key}/file")
def file(acting: Reader, run: Run, key: Key) -> Response:
    """Give an own policy as a file."""
    text = policy_files.text_of_own(run.settings.jobs_folder, f"own/{key}")
    named = {"Content-Disposition": f'attachment; filename="policy-{key}.yaml"'}
    return PlainTextResponse(text, media_type=YAML, headers=named)


@router.get("/policies/own/{key}/check")
def check(request: Request, acting: Reader, run: Run, key: Key) -> Response:
    """Say what the check finds wrong, missing or doubtful about an own policy, the worst first."""
    address = f"own/{key}"
    answer = routes.check_policy(CheckBody(address=address, text=None, reform=None), acting, run)
    rank = {"error": 0, "warning": 1, "notice": 2}
    law: Policy = routes.loaded(address, run).versions[-1]
    findings = sorted(answer.findings, key=lambda one: rank[one.severity])
    values: dict[str, Any] = {"law": law, "of": address, "findings": findings, "faults": [], "answer": answer}
    return render(request, acting, "policies/own_check.html", **values)


async def sent_of(file: UploadFile) -> bytes:
    """Read a file that was sent, so far as a policy may be long; one byte more tells that it is longer."""
    return await file.read(4 * policy_files.LONGEST + 1)


def _text_of(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        told = "the file is not text in UTF-8; save it as UTF-8 and send it again"
        raise UsageError("policy_encoding", told) from None


def _form(request: Request, acting: Acting, *, text: str = "", status: int = 200, **values: Any) -> Response:
    shown = {"faults": [], **values}
    return render(
        request, acting, "policies/own.html", status=status, text=text[: policy_files.LONGEST],
        longest=policy_files.LONGEST, **shown,
    )  # fmt: skip
