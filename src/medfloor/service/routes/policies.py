"""Routes of policies: list, show, check, compare. Only policies of the library and the office's own can be named."""

from __future__ import annotations

import re
import tempfile
from operator import itemgetter
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi import Path as InPath

from medfloor.errors import NotFoundError, PolicyError
from medfloor.policy.load import PolicySet, list_policies, load_policy
from medfloor.service import policy_files
from medfloor.service.access import Acting, need
from medfloor.service.bodies.fields import Language
from medfloor.service.bodies.policies import (
    ADDRESS_PATTERN,
    ChangeAnswer,
    CheckAnswer,
    CheckBody,
    DiffAnswer,
    FindingAnswer,
    PoliciesAnswer,
    PolicyAnswer,
    PolicyListed,
    VersionAnswer,
)
from medfloor.service.bodies.problems import problems
from medfloor.service.paging import Cursor, Limit, page_of
from medfloor.service.policy_texts import write_policy
from medfloor.service.running import Running, running

router = APIRouter(prefix="/api/v1/policies", tags=["policies 政策"])

Reader = Annotated[Acting, Depends(need("read_policies"))]
Run = Annotated[Running, Depends(running)]
Address = Annotated[
    str, InPath(pattern=ADDRESS_PATTERN, max_length=128, description="Such as cn/beijing@2024-01-01. 政策地址")
]
Named = Annotated[
    str, Query(pattern=ADDRESS_PATTERN, max_length=128, description="A policy, one version of it. 政策地址")
]


@router.get("", responses=problems(), summary="List policies", description="列出内置政策和本机构所用政策。")
def list_all(_acting: Reader, run: Run, cursor: Cursor = None, limit: Limit = 100) -> PoliciesAnswer:
    """Give every shipped policy with the dates of its versions, and say which one the office uses."""
    used = run.books.law.policies if run.books is not None else None
    address = used.address.partition("@")[0] if used else None
    listed = [
        PolicyListed(address=name, versions=days, in_use=name == address)
        for name, days in list_policies()
        if re.fullmatch(ADDRESS_PATTERN, name)
    ]
    if used is not None and not any(one.in_use for one in listed):
        days = [version.from_ for version in used.versions]
        listed.append(PolicyListed(address="office", versions=days, in_use=True))
    page, following = page_of("policies", list(enumerate(listed, 1)), itemgetter(0), cursor, limit)
    return PoliciesAnswer(policies=[one for _, one in page], next=following)


@router.post(
    "/check", responses=problems(404), summary="Check a policy", description="检查政策：错误、缺漏与疑点，含行号。"
)
def check_policy(body: CheckBody, acting: Reader, run: Run) -> CheckAnswer:
    """Check a policy of the library, one with a reform over it, or a policy given as text."""
    from medfloor.policy.check import check, count_severities

    with tempfile.TemporaryDirectory(prefix="medfloor-check-") as folder:
        try:
            reforms = [] if body.reform is None else [write_policy(Path(folder) / "reform.yaml", body.reform)]
            if body.text is not None:
                address = str(write_policy(Path(folder) / "policy.yaml", body.text))
            else:
                address = source_of(body.address or "", run)
            findings = check(address, reforms)
        except (RecursionError, ValueError, ArithmeticError, TypeError, KeyError):
            raise PolicyError("policy_syntax", "the text cannot be read as a policy; see docs/policies.md") from None
        except PolicyError as error:
            told = policy_files.without_folder(_without(error.message, folder), run.settings.jobs_folder)
            raise PolicyError(error.code, told) from None
        counts = count_severities(findings)
        return CheckAnswer(
            errors=counts["error"],
            warnings=counts["warning"],
            notices=counts["notice"],
            findings=[
                FindingAnswer(
                    code=one.code,
                    severity=one.severity,
                    path=one.path,
                    line=one.line,
                    file=one.file.name,
                    message=_without(one.message(acting.language), folder),
                )
                for one in findings
            ],
        )


@router.get("/diff", responses=problems(404), summary="Compare two policies", description="比较两个政策版本的差异。")
def diff(before: Named, after: Named, acting: Reader, run: Run, lang: Language | None = None) -> DiffAnswer:
    """Say what changed from one policy to another; an address without a date means its last version."""
    from medfloor.policy.diff import diff_policies

    old, new = (loaded(one, run).versions[-1] for one in (before, after))
    changes = diff_policies(old, new, lang or acting.language)
    return DiffAnswer(
        before=before,
        after=after,
        changes=[
            ChangeAnswer(kind=c.kind, path=c.path, when=c.when, old=c.old, new=c.new, source=c.source) for c in changes
        ],
    )


@router.get(
    "/{address:path}",
    responses=problems(404),
    summary="Show a policy in words",
    description="以文字说明政策，各数值附出处。",
)
def show_policy(address: Address, acting: Reader, run: Run, lang: Language | None = None) -> PolicyAnswer:
    """Show each version of a policy in words, with the source of every value."""
    from medfloor.policy.show import show

    language = lang or acting.language
    versions = []
    for version in loaded(address, run).versions:
        name: Any = version.name
        versions.append(
            VersionAnswer(
                id=version.id,
                name=name.zh if language == "zh" else name.en,
                from_date=version.from_,
                to_date=version.to,
                tiers=[tier.id for tier in version.tiers],
                text=show(version, language),
            )
        )
    return PolicyAnswer(address=address, versions=versions)


def loaded(address: str, run: Running) -> PolicySet:
    """Load a policy of the library, or the office's own. Raises NotFoundError: no_policy_chosen, policy_not_found."""
    if address == "office":
        return _in_use(run)
    if address.startswith("own/"):
        return policy_files.load_own(run.settings.jobs_folder, address)
    return load_policy(known(address, run))


def known(address: str, run: Running) -> str:
    """Give an address of the library; nothing else can be named. Raises NotFoundError (`policy_not_found`)."""
    place, at, day = address.partition("@")
    if place == "office" and run.books is not None:
        place = run.books.law.policies.address.partition("@")[0]
    if place not in {name for name, _ in list_policies()}:
        raise NotFoundError(
            "policy_not_found", "there is no such policy in the library; GET /api/v1/policies lists them"
        )
    return f"{place}{at}{day}"


def pinned(address: str, run: Running) -> str:
    """Give the address of one version that stays what it is: of the library with its day, or own/<hash>.

    `office` becomes the policy in use; where that is a file, its law is kept as it was read.
    Raises NotFoundError: no_policy_chosen, policy_not_found.
    """
    place = address.partition("@")[0]
    if place.startswith("own/"):
        policy_files.source_of(run.settings.jobs_folder, place)
        return place
    if place == "office":
        used = _in_use(run)
        if used.address.partition("@")[0] not in {name for name, _ in list_policies()}:
            return policy_files.snapshot(run.settings.jobs_folder, used.versions[-1])
    found = known(address, run)
    return found if "@" in found else f"{found}@{load_policy(found).versions[-1].from_}"


def source_of(address: str, run: Running) -> str:
    """Give what `load_policy` takes for an address. Raises NotFoundError: no_policy_chosen, policy_not_found."""
    if address.startswith("own/"):
        return policy_files.source_of(run.settings.jobs_folder, address)
    if address == "office":
        return policy_files.source_of(run.settings.jobs_folder, pinned(address, run))
    return known(address, run)


def _in_use(run: Running) -> PolicySet:
    if run.books is None:
        raise NotFoundError(
            "no_policy_chosen", "the office has chosen no policy; run medfloor admin init --policy ADDRESS"
        )
    return run.books.law.policies


def _without(text: str, folder: str) -> str:
    """Take the folder of the server out of a message."""
    return text.replace(f"{folder}/", "")
