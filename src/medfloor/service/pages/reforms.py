"""Pages of reforms: write one beside a policy, see at once what is wrong with it and what it would do, and keep it."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, Response

from medfloor.errors import MedfloorError, NotFoundError, PolicyError, UsageError
from medfloor.service import policy_files, reforms, trials
from medfloor.service.access import Acting
from medfloor.service.bodies.policies import ADDRESS_PATTERN, CheckBody, FindingAnswer
from medfloor.service.pages import bill_curve
from medfloor.service.pages.families import choices_of, family_of, told_of
from medfloor.service.pages.frame import go, is_part, page, render
from medfloor.service.pages.policies import offered, worded
from medfloor.service.problems import status_of, title_of
from medfloor.service.routes import policies as routes
from medfloor.service.running import Running, running
from medfloor.store.roles import may
from medfloor.words import say

router = APIRouter(include_in_schema=False)

Run = Annotated[Running, Depends(running)]
Reader = Annotated[Acting, page("read_policies")]
Keeper = Annotated[Acting, page("run_jobs")]
Address = Annotated[str, Query(pattern=rf"^$|{ADDRESS_PATTERN}", max_length=128)]
Start = Annotated[str, Query(pattern=rf"^$|{reforms.KEY}", max_length=64)]
Key = Annotated[str, Path(pattern=reforms.KEY)]
USUAL = "synthetic/cn-2025"
YAML = "application/yaml"
_PLACE = re.compile(r"^(?P<file>\S+?\.ya?ml)(?:, line (?P<line>\d+))?: (?P<said>.*)$", re.DOTALL)
_SAID = (
    (
        "no_path",
        re.compile(
            r"change '(?P<path>.*?)': nothing is called '(?P<name>.*?)' there; (?:did you mean (?P<near>.*?)\? )?"
            r"known: (?P<known>.*?)\. `"
        ),
    ),
    ("no_key", re.compile(r"(?P<path>.*?): unknown key '(?P<name>.*?)'(?:; the nearest known key is (?P<near>.*))?$")),
    ("no_number", re.compile(r"(?P<path>.*?): '?(?P<name>.*?)'? is not a number")),
)
"""What a policy's reader says of a wrong name, told apart so that it is said in the reader's language."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Be something wrong with a reform: where in the text (0: nowhere in it), in words, and the program's own words."""

    line: int
    column: int
    said: str
    detail: str = ""
    excerpt: str = ""


@router.get("/policies/reforms/new")
def new(request: Request, acting: Reader, run: Run, over: Address = "", start: Start = "") -> Response:
    """Show the editor, with a reform to start from."""
    begun = reforms.find(run.settings, start) if start else _first()
    over = over or begun.over or USUAL
    address = routes.pinned(over, run)
    trials.warm(routes.source_of(address, run))
    values = {name: value for name, value in request.query_params.items() if name in _FAMILY}
    return _editor(request, acting, run, address, begun.text, values, start=begun.key)


@router.post("/policies/reforms/try")
async def attempt(request: Request, acting: Reader, run: Run) -> Response:
    """Check a reform and try it on a family and on the sample; a script asks for that part alone."""
    form = _text_of(await request.form())
    return await run_in_threadpool(_attempt, request, acting, run, form)


@router.post("/policies/reforms/check")
async def check(request: Request, acting: Reader, run: Run) -> Response:
    """Say what is doubtful about the law that a reform makes; what the policy had before is counted, not told."""
    form = _text_of(await request.form())
    return await run_in_threadpool(_check, request, acting, run, form)


@router.post("/policies/reforms/file")
async def take(request: Request, acting: Reader) -> Response:
    """Give the text back as a file; nothing is kept."""
    form = _text_of(await request.form())
    return _file(reforms.normal(form["text"]), f"reform-{reforms.key_of(form['text'])}")


@router.post("/policies/reforms/save")
async def save(request: Request, acting: Keeper, run: Run) -> Response:
    """Keep a reform that can be laid over its policy, under the hash of its text."""
    form = _text_of(await request.form())

    def work() -> Response:
        address = _address(form.get("over", ""), run)
        text = form["text"]
        try:
            _check_length(text)
            trials.reformed(routes.source_of(address, run), text)
            kept = reforms.keep(run.settings, text, address, login=acting.actor.login, now=run.clock())
        except MedfloorError as error:
            faults = faults_of(error, text, acting.language)
            return _editor(request, acting, run, address, text, form, status=422, values={"faults": faults})
        return go(f"/policies/reforms/{kept.key}", done="saved")

    return await run_in_threadpool(work)


@router.get("/policies/reforms/{key}")
def show(request: Request, acting: Reader, run: Run, key: Key) -> Response:
    """Show a shipped or a saved reform: its text, what it changes, and where to go on with it."""
    found = reforms.find(run.settings, key)
    error, changes = "", []
    address = ""
    try:
        address = _address(found.over or USUAL, run)
        changes = _changes(address, run, found.text, acting.language)
    except MedfloorError as problem:
        error = title_of(problem.code, status_of(problem), acting.language)
    return render(
        request, acting, "policies/reform.html", reform=found, over=address, changes=changes, error=error,
        title=found.title(acting.language),
    )  # fmt: skip


@router.get("/policies/reforms/{key}/file")
def file(acting: Reader, run: Run, key: Key) -> Response:
    """Give a reform as a file."""
    found = reforms.find(run.settings, key)
    return _file(found.text, found.key if found.shipped else f"reform-{found.key}")


_FAMILY = ("family", "status", "age", "care", "level", "area", "share", "bill", "income", "size", "high")


def _attempt(request: Request, acting: Acting, run: Running, form: dict[str, str]) -> Response:
    address = _address(form.get("over", ""), run)
    text = form["text"]
    law = routes.loaded(address, run).versions[-1]
    family, fields = family_of(form, law, trials.first_day(address, law))
    values: dict[str, Any] = {"faults": [], "trial": None, "figure": None}
    try:
        _check_length(text)
        tried = trials.attempt(routes.source_of(address, run), text, family)
    except MedfloorError as error:
        values["faults"] = faults_of(error, text, acting.language)
    else:
        names = {tier: said[acting.language] for tier, said in tried.names.items()}
        values |= {"trial": tried, "names": names, "told": told_of(fields, law, acting.language)}
        if tried.family is not None:
            values["figure"] = bill_curve.figure_of(tried.family.curve, names, acting.language)
        for name, problem in (("family_error", tried.family_error), ("sample_error", tried.sample_error)):
            values[name] = "" if problem is None else title_of(problem.code, status_of(problem), acting.language)
            values[f"{name}_detail"] = "" if problem is None else _without(problem.message, run)
    if is_part(request):
        return render(request, acting, "policies/_effect.html", **values, fields=fields, later=True, over=address)
    if not values["faults"]:
        values |= _findings(acting, run, address, text)
    return _editor(request, acting, run, address, text, form, values=values)


def _check(request: Request, acting: Acting, run: Running, form: dict[str, str]) -> Response:
    address = _address(form.get("over", ""), run)
    values: dict[str, Any] = {"faults": [], "findings": [], "before": 0}
    try:
        _check_length(form["text"])
        values |= _findings(acting, run, address, form["text"])
    except MedfloorError as error:
        values["faults"] = faults_of(error, form["text"], acting.language)
    return render(request, acting, "policies/_findings.html", **values)


def _findings(acting: Acting, run: Running, address: str, text: str) -> dict[str, Any]:
    """Check the law that a reform makes, and leave out what was found in the policy before."""
    answer = routes.check_policy(CheckBody(address=address, text=None, reform=text), acting, run)
    before = _known_findings(routes.source_of(address, run), acting.language)
    fresh = [one for one in answer.findings if _same(one) not in before]
    rank = {"error": 0, "warning": 1, "notice": 2}
    fresh.sort(key=lambda one: rank[one.severity])
    return {"findings": fresh, "before": len(answer.findings) - len(fresh)}


@functools.lru_cache(maxsize=16)
def _known_findings(source: str, lang: str) -> frozenset[tuple[str, str, str]]:
    from medfloor.policy.check import check as checked

    return frozenset((one.code, one.path, one.message(lang)) for one in checked(source))


def _same(one: FindingAnswer) -> tuple[str, str, str]:
    return one.code, one.path, one.message


def _changes(address: str, run: Running, text: str, lang: str) -> list[Any]:
    from medfloor.policy.diff import diff_policies

    after = trials.reformed(routes.source_of(address, run), text)
    return [worded(one, after, lang) for one in diff_policies(routes.loaded(address, run).versions[-1], after, lang)]


def _without(message: str, run: Running) -> str:
    return policy_files.without_folder(message, run.settings.jobs_folder)


def _editor(
    request: Request, acting: Acting, run: Running, address: str, text: str, form: Mapping[str, str], *,
    start: str = "", status: int = 200, values: dict[str, Any] | None = None,
) -> Response:  # fmt: skip
    law = routes.loaded(address, run).versions[-1]
    _, fields = family_of(form, law, trials.first_day(address, law))
    given = {name: form.get(name, "") for name in _FAMILY}
    found = {"faults": [], "trial": None, "figure": None, "findings": None, "before": 0, "told": ""} | (values or {})
    return render(
        request, acting, "policies/editor.html", status=status, over=address, text=text, start=start, fields=fields,
        given=given, choices=choices_of(law, acting.language), shipped=reforms.shipped(),
        saved=reforms.saved(run.settings)[:50], policies=offered(run, acting.language),
        may_save=may(acting.actor, "run_jobs"),
        unfit=_unfit(address), longest=reforms.LONGEST, later=False, people=trials.SAMPLE_PEOPLE, **found,
    )  # fmt: skip


def faults_of(error: MedfloorError, text: str, lang: str, *, file: str = "reform.yaml") -> list[Fault]:
    """Say where in the text what is wrong; a message may name several places, one a line."""
    if not isinstance(error, PolicyError):
        return [Fault(0, 0, title_of(error.code, status_of(error), lang), error.message)]
    found = []
    for part in error.message.split("\n"):
        told = _PLACE.match(part)
        if told is None:
            found.append(Fault(0, 0, title_of(error.code, status_of(error), lang), part))
            continue
        line = int(told["line"] or 0) if told["file"] == file else 0
        line, column, excerpt = _spot(text, line, syntax=error.code == "policy_syntax")
        found.append(Fault(line, column, _words(error.code, told["said"], lang), told["said"], excerpt))
    return found


def _words(code: str, said: str, lang: str) -> str:
    for name, pattern in _SAID:
        told = pattern.match(said)
        if told is not None:
            parts = told.groupdict(default="")
            near = say("policy_fault.near", lang, near=parts["near"]) if parts.get("near") else ""
            return say(f"policy_fault.{name}", lang, **{"path": "", "known": "", **parts, "near": near})
    return title_of(code, 422, lang)


def _spot(text: str, line: int, *, syntax: bool) -> tuple[int, int, str]:
    """Give line, column and the text of the line; of a fault of YAML itself the column at which it cannot go on."""
    lines = text.splitlines()
    if not 1 <= line <= len(lines):
        return line if line == len(lines) + 1 else 0, 1 if line == len(lines) + 1 else 0, ""
    column = len(lines[line - 1]) - len(lines[line - 1].lstrip()) + 1
    if syntax:
        from ruamel.yaml import YAML as Reader
        from ruamel.yaml.error import MarkedYAMLError, YAMLError

        try:
            Reader(typ="safe", pure=True).load(text)
        except MarkedYAMLError as error:
            if error.problem_mark is not None and error.problem_mark.line + 1 == line:
                column = error.problem_mark.column + 1
        except (YAMLError, ValueError):
            pass
    return line, column, lines[line - 1].strip()[:160]


def _address(over: str, run: Running) -> str:
    """Give the address of one version of a policy. Raises NotFoundError (`policy_not_found`)."""
    if not re.fullmatch(ADDRESS_PATTERN, over):
        raise NotFoundError("policy_not_found", "there is no such policy in the library")
    return routes.pinned(over, run)


@functools.lru_cache(maxsize=64)
def _unfit(address: str) -> frozenset[str]:
    """List the shipped reforms that are written for other places; what fits an own policy is seen by trying."""
    place = address.partition("@")[0]
    if place.startswith("own/"):
        return frozenset()
    written = {one.key: {other.partition("@")[0] for other in one.others} for one in reforms.shipped()}
    return frozenset(key for key, places in written.items() if places and place not in places)


def _first() -> reforms.Reform:
    return next(one for one in reforms.shipped() if one.key == "oop_cap")


def _check_length(text: str) -> None:
    if not text.strip():
        raise UsageError("reform_length", "the text is empty")
    if len(text) > reforms.LONGEST:
        raise UsageError("reform_length", f"a reform has at most {reforms.LONGEST:,} characters")


def _text_of(form: Mapping[str, Any]) -> dict[str, str]:
    return {"text": "", "over": ""} | {name: str(value) for name, value in form.items() if isinstance(value, str)}


def _file(text: str, name: str) -> Response:
    named = {"Content-Disposition": f'attachment; filename="{name}.yaml"'}
    return PlainTextResponse(text, media_type=YAML, headers=named)
