"""Pages of policies: all of them, one in words with its sources and its curve, and two side by side."""

from __future__ import annotations

import difflib
import functools
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, get_args

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from medfloor.errors import MedfloorError, NotFoundError
from medfloor.policy.load import list_policies, load_policy
from medfloor.policy.model import Policy, Trust
from medfloor.policy.show import Entry, outline
from medfloor.policy.wording import group_name, text_of, tier_name
from medfloor.service import policy_files, reforms, trials
from medfloor.service.access import Acting
from medfloor.service.bodies.policies import ADDRESS_PATTERN
from medfloor.service.pages import bill_curve
from medfloor.service.pages.families import choices_of, family_of, told_of
from medfloor.service.pages.frame import is_part, page, render
from medfloor.service.problems import status_of, title_of
from medfloor.service.routes import policies as routes
from medfloor.service.running import Running, running
from medfloor.store.roles import may
from medfloor.tables import CARE_TYPES
from medfloor.words import LANGS, catalogue, knows, say

if TYPE_CHECKING:
    from medfloor.policy.diff import Change
    from medfloor.settlement.cliffs import Cliff
    from medfloor.simulation import Family, HouseholdCurve

router = APIRouter(include_in_schema=False)

Run = Annotated[Running, Depends(running)]
Reader = Annotated[Acting, page("read_policies")]
Address = Annotated[str, Query(pattern=ADDRESS_PATTERN, max_length=128)]
Key = Annotated[str, Query(pattern=rf"^$|{reforms.KEY}", max_length=64)]
OFFICE = "office"
TRUST: tuple[str, ...] = get_args(Trust)
CLIFFS_SHOWN = 6
SOON = 0.15
"""Seconds for which a page waits for what is being searched; then it says so, and asks again."""

_SECTIONS = {
    "prefer": "group", "group": "group", "holds": "group", "lacks": "group", "excludes": "group", "base": "pool",
    "care_type": "care_type", "facility_level": "facility_level", "area": "area", "referral": "referral",
    "scheme": "scheme", "insured_class": "insured_class", "residence": "residence", "sex": "sex", "pays": "pays",
    "per": "per", "status_day": "status_day",
}  # fmt: skip
"""Last step of a path -> the section of the catalogue that says its codes."""


@dataclass(frozen=True, slots=True)
class Listed:
    """Be one version of a policy in the list: where, from when to when, who pays, and how its numbers are trusted."""

    address: str
    place: str
    name: str
    start: date
    end: date | None
    tiers: tuple[str, ...]
    trust: tuple[tuple[str, int], ...]
    before: str
    in_use: bool


@dataclass(frozen=True, slots=True)
class Line:
    """Be one line of two policies side by side: how deep it stands, both texts, and whether they differ."""

    depth: int
    old: str
    new: str
    differs: bool
    title: bool = False


@router.get("/policies")
def list_all(request: Request, acting: Reader, run: Run) -> Response:
    """Show every policy of the library with its versions, the newest first."""
    answer = routes.list_all(acting, run, None, 500)
    rows: list[Listed] = []
    own = policy_files.kept(run.settings.jobs_folder)
    for one in answer.policies:
        if one.address == OFFICE:  # a file of the office's own
            law = routes.loaded(OFFICE, run).versions[-1]
            rows.insert(0, _row(OFFICE, law, acting.language, "", True))
            continue
        for place, start in reversed(list(enumerate(one.versions))):
            before = f"{one.address}@{one.versions[place - 1]}" if place else ""
            row = _listed(f"{one.address}@{start}", acting.language)
            rows.append(replace(row, before=before, in_use=one.in_use))
    saved = reforms.saved(run.settings)
    return render(
        request, acting, "policies/list.html", rows=rows, trusts=TRUST, shipped=reforms.shipped(), saved=saved[:20],
        kept=len(saved), own=own, may_save=may(acting.actor, "run_jobs"),
    )  # fmt: skip


@router.get("/policies/show")
def show(request: Request, acting: Reader, run: Run, of: Address) -> Response:
    """Show one version in words, each value with what it rests on, and what a bill costs under it."""
    policies = routes.loaded(of, run)
    law = policies.versions[-1]
    address = routes.pinned(of, run)
    family, fields = family_of(request.query_params, law, trials.first_day(address, law))
    curve, error = _curve(routes.source_of(address, run), law, family, fields, acting.language)
    values: dict[str, Any] = {
        "of": address, "law": law, "name": text_of(law.name, acting.language), "fields": fields,
        "choices": choices_of(law, acting.language), "told": told_of(fields, law, acting.language),
        "figure": curve, "error": error, "others": _versions(address), "trusts": _trusts(law), "own": _is_own(address),
    }  # fmt: skip
    if is_part(request):
        return render(request, acting, "policies/_curve.html", **values)
    return render(request, acting, "policies/show.html", entries=outline(law, acting.language), **values)


@router.get("/policies/cliffs")
def cliffs(
    request: Request, acting: Reader, run: Run, of: Address,
    care: Annotated[str, Query(pattern="^[a-z_]{1,32}$")] = "inpatient",
) -> Response:  # fmt: skip
    """Say in words where the law makes a jump: for one more fen, or for one status more or less."""
    policies = routes.loaded(of, run)
    address = routes.pinned(of, run)
    if care not in CARE_TYPES:
        raise NotFoundError("no_such_route", "there is no such kind of care")
    found: Sequence[Cliff] = ()
    error, searching = "", False
    try:
        found = _search(routes.source_of(address, run), care).result(timeout=SOON)
    except TimeoutError:
        searching = True
    except MedfloorError as problem:
        error = title_of(problem.code, status_of(problem), acting.language)
    values: dict[str, Any] = {
        "of": address, "care": care, "cares": CARE_TYPES, "found": [one.text(acting.language) for one in found],
        "most": CLIFFS_SHOWN, "error": error, "searching": searching,
        "name": text_of(policies.versions[-1].name, acting.language),
    }  # fmt: skip
    return render(request, acting, "policies/_cliffs.html" if is_part(request) else "policies/cliffs.html", **values)


@router.get("/policies/compare")
def compare(
    request: Request, acting: Reader, run: Run, before: Address = "", after: Address = "", reform: Key = ""
) -> Response:
    """Show what changed from one version to another, or by a reform, and both in words side by side."""
    if not before or not after:
        first = routes.list_all(acting, run, None, 500).policies[0]
        before = before or f"{first.address}@{first.versions[0]}"
        after = after or f"{first.address}@{first.versions[-1]}"
    old_set, new_set = routes.loaded(before, run), routes.loaded(after, run)
    before, after = routes.pinned(before, run), routes.pinned(after, run)
    earlier, later = routes.source_of(before, run), routes.source_of(after, run)
    old, new, chosen = old_set.versions[-1], new_set.versions[-1], None
    error: MedfloorError | None = None
    _, fields = family_of(request.query_params, old, trials.first_day(before, old))
    family, _ = family_of(fields, old, trials.first_day(after, new))
    beside: HouseholdCurve | MedfloorError | None = None
    if reform:
        chosen = reforms.find(run.settings, reform)
        try:
            new, beside = trials.reformed_and_curve(later, chosen.text, family, high=float(fields["high"]))
        except MedfloorError as problem:
            error = problem
    changes, lines = _differences(old, new, acting.language)
    curve, curve_error = _two_curves(earlier, later, beside or error, (old, new), fields, acting.language)
    return render(
        request, acting, "policies/compare.html", before=before, after=after, reform=reform, chosen=chosen,
        old=old, new=new, changes=changes, lines=lines, versions=offered(run, acting.language),
        shipped=reforms.shipped(), saved=reforms.saved(run.settings)[:50], fields=fields,
        choices=choices_of(old, acting.language),
        told=told_of(fields, old, acting.language), figure=curve, curve_error=curve_error,
        error=error and title_of(error.code, status_of(error), acting.language), detail=error.message if error else "",
    )  # fmt: skip


def _differences(old: Policy, new: Policy, lang: str) -> tuple[list[Any], list[Line]]:
    from medfloor.policy.diff import diff_policies

    changes = [worded(one, new, lang) for one in diff_policies(old, new, lang)]
    return changes, list(_side_by_side(outline(old, lang), outline(new, lang)))


def worded(change: Change, law: Policy, lang: str) -> Change:
    """Say the codes of a change, such as statuses and kinds of care, in words."""
    if change.source:  # a number, which is in words
        return change
    section = _SECTIONS.get(change.path.rpartition("/")[2], "")
    if not section:
        return change
    between = say("list.between", lang)

    def said(text: str | None) -> str | None:
        if text is None:
            return None
        codes = text.split(between)
        return between.join(
            group_name(law, one, lang) if section == "group" else _code(section, one, lang) for one in codes
        )

    return replace(change, old=said(change.old), new=said(change.new))


def _code(section: str, code: str, lang: str) -> str:
    key = f"{section}.{code}"
    return say(key, lang) if knows(key, lang) and "{" not in catalogue(lang)[key] else code


def _side_by_side(old: Sequence[Entry], new: Sequence[Entry]) -> Iterator[Line]:
    """Put the statements of two policies beside each other; what stands in both is matched in its order."""
    left, right = list(_flat(old)), list(_flat(new))
    matcher = difflib.SequenceMatcher(None, left, right, autojunk=False)
    for kind, i, j, k, m in matcher.get_opcodes():
        if kind == "equal":
            yield from (Line(depth, text, text, False, title) for depth, text, title in left[i:j])
            continue
        most = max(j - i, m - k)
        for step in range(most):
            one = left[i + step] if i + step < j else None
            two = right[k + step] if k + step < m else None
            depth, _, title = one or two or (0, "", False)
            yield Line(depth, one[1] if one else "", two[1] if two else "", True, title)


def _flat(entries: Sequence[Entry], depth: int = 0) -> Iterator[tuple[int, str, bool]]:
    for one in entries:
        # Documents are listed on each policy's own page.
        if (
            depth == 0
            and one.title
            and one.entries
            and any(e.entries and "http" in e.entries[0].text for e in one.entries)
        ):
            continue
        yield depth, one.text.removeprefix("* "), one.title
        yield from _flat(one.entries, depth + 1)


def _curve(
    source: str, law: Policy, family: Any, fields: dict[str, str], lang: str
) -> tuple[bill_curve.Figure | None, str]:
    """Lay out the curve of a policy; where it cannot settle such a bill, say why."""
    try:
        found = _borne(source, family, float(fields["high"]))
    except MedfloorError as error:
        return None, title_of(error.code, status_of(error), lang)
    return bill_curve.figure_of(found, names_of(law, lang), lang), ""


def _two_curves(
    before: str,
    after: str,
    beside: HouseholdCurve | MedfloorError | None,
    laws: tuple[Policy, Policy],
    fields: dict[str, str],
    lang: str,
) -> tuple[bill_curve.Figure | None, str]:
    """Lay out the payers under the first law, and the own part under the second (`beside`, if known) beside it."""
    law, new = laws
    high = float(fields["high"])
    try:
        if isinstance(beside, MedfloorError):
            raise beside
        first, _ = family_of(fields, law, trials.first_day(before, law))
        second, _ = family_of(fields, law, trials.first_day(after, new))
        one = _borne(before, first, high)
        other = beside or _borne(after, second, high)
    except MedfloorError as error:
        return None, title_of(error.code, status_of(error), lang)
    return bill_curve.figure_of(one, names_of(law, lang), lang, other=other), ""


def names_of(law: Policy, lang: str) -> dict[str, str]:
    """Name the tiers of a law as it does itself."""
    return {tier.id: tier_name(law, tier.id, lang) for tier in law.tiers}


@functools.lru_cache(maxsize=256)
def _listed(address: str, lang: str) -> Listed:
    return _row(address, load_policy(address).versions[-1], lang, "", False)


def _row(address: str, law: Policy, lang: str, before: str, in_use: bool) -> Listed:
    tiers = tuple(tier_name(law, tier.id, lang) for tier in law.tiers)
    name = text_of(law.name, lang)
    return Listed(address, address.partition("@")[0], name, law.from_, law.to, tiers, _trusts(law), before, in_use)


def _trusts(law: Policy) -> tuple[tuple[str, int], ...]:
    """Count the numbers of a policy by how far they can be trusted."""
    from medfloor.policy.numbers import ground_of, numbers_of

    counts: Counter[str] = Counter(ground_of(law, number).trust for number in numbers_of(law))
    return tuple((one, counts.get(one, 0)) for one in TRUST)


@functools.lru_cache(maxsize=256)
def _search(source: str, care: str) -> Future[tuple[Cliff, ...]]:
    # It takes seconds, and nobody's page waits so long. A source never changes its law while the service runs: it is a
    # version of the library, or a file named by its hash.
    def search() -> tuple[Cliff, ...]:
        from medfloor.settlement.cliffs import search_cliffs

        return search_cliffs(load_policy(source), care_types=[care]).cliffs

    return _searcher().submit(search)


@functools.cache
def _searcher() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="cliffs")


@functools.lru_cache(maxsize=64)
def _borne(source: str, family: Family, high: float) -> HouseholdCurve:
    # The same for ever, as `_search`.
    from medfloor.simulation import household

    return household(family, source, high=high, points=trials.POINTS)


def warm() -> None:
    """Read the library while nobody waits yet: the first page of policies would take a second otherwise."""

    def read() -> None:
        for address in every():
            for lang in LANGS:
                _listed(address, lang)

    threading.Thread(target=read, name="library", daemon=True).start()


def _versions(address: str) -> list[str]:
    """List the other versions of the same place."""
    place = address.partition("@")[0]
    return [one for one in every() if one.partition("@")[0] == place and one != address]


@functools.cache
def every() -> tuple[str, ...]:
    """List the versions of the library, the made-up county's first: those to compare and to lay a reform over."""
    names = [f"{name}@{day}" for name, days in list_policies() for day in days]
    return tuple(sorted(names, key=lambda one: (not one.startswith("synthetic/"), one)))


def offered(run: Running, lang: str) -> list[tuple[str, str]]:
    """List the policies that a form offers with what each is called: the office's own, and those of the library."""
    found = {one.address: text_of(one.law.name, lang) for one in policy_files.kept(run.settings.jobs_folder)}
    if run.books is not None and _is_own(used := routes.pinned(OFFICE, run)):
        found = {used: text_of(routes.loaded(OFFICE, run).versions[-1].name, lang)} | found
    return [*((one, f"{name} · {one}") for one, name in found.items()), *((one, one) for one in every())]


def _is_own(address: str) -> bool:
    return address.startswith("own/")
