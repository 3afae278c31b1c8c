"""Ask for jobs and look at what they found: one way for the laboratory, the fund, and measures and studies.

Each subject has its own address (`/laboratory/7`), which stays: a page shows what the job kept and computes nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Path, Request
from pydantic import TypeAdapter, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, Response

from medfloor.errors import ConflictError, NotFoundError, StoreError
from medfloor.service import jobs, reforms, signing
from medfloor.service.access import Acting
from medfloor.service.bodies.jobs import FILE_PATTERN, JobBody
from medfloor.service.pages.frame import go, is_part, page, render
from medfloor.service.problems import field_errors, status_of, title_of
from medfloor.service.results import downloads_of, file_of, shown_of
from medfloor.service.routes import jobs as routes
from medfloor.service.running import Running, running
from medfloor.store.roles import may
from medfloor.words import say

Run = Annotated[Running, Depends(running)]
Asker = Annotated[Acting, page("run_jobs")]
Number = Annotated[int, Path(ge=1, le=2**53)]
Name = Annotated[str, Path(max_length=64)]

ROWS = 20
LONG = 40
"""Tables of more rows are folded on a page."""

_BODY: TypeAdapter[Any] = TypeAdapter(JobBody)
_DATA = re.compile(FILE_PATTERN)
_TYPES = {
    "svg": "image/svg+xml", "pdf": "application/pdf", "parquet": "application/vnd.apache.parquet",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Subject:
    """Be a part of the menu whose pages are jobs: its path and name, and the kinds of jobs that belong to it."""

    name: str
    kinds: tuple[str, ...]

    @property
    def path(self) -> str:
        """Give its address."""
        return f"/{self.name}"


SUBJECTS = (
    Subject("laboratory", ("simulate", "optimise")),
    Subject("fund", ("project", "contrast", "backtest", "pool", "adjust", "supervise")),
    Subject("measures", ("measure", "study")),
)


def add_routes(router: APIRouter, subject: Subject) -> None:
    """Add the routes of a job under the path of a subject: look, end, ask again, fetch a file."""

    @router.get(f"{subject.path}/{{number}}")
    async def show(request: Request, number: Number, acting: Asker, run: Run) -> Response:
        """Show how far a job is, or what it found."""
        return await run_in_threadpool(show_job, request, acting, run, subject, number)

    @router.post(f"{subject.path}/{{number}}/cancel")
    async def cancel(number: Number, acting: Asker, run: Run) -> Response:
        """End a job that waits or runs."""
        await run_in_threadpool(find, run, acting, subject, number)
        try:
            await routes.cancel_job(number, acting, run)
        except ConflictError:
            return go(f"{subject.path}/{number}")  # it ended meanwhile, which its page says
        return go(f"{subject.path}/{number}", done="job_cancelled")

    @router.post(f"{subject.path}/{{number}}/retry")
    async def retry(number: Number, acting: Asker, run: Run) -> Response:
        """Put a job that failed or was ended into the queue again."""
        await run_in_threadpool(find, run, acting, subject, number)
        try:
            await routes.retry_job(number, acting, run)
        except ConflictError:
            return go(f"{subject.path}/{number}")
        return go(f"{subject.path}/{number}", done="job_again")

    @router.get(f"{subject.path}/{{number}}/files/{{name}}")
    async def fetch(number: Number, name: Name, acting: Asker, run: Run) -> Response:
        """Give a figure to look at, or a workbook, PDF or table to download."""
        row = await run_in_threadpool(find, run, acting, subject, number)
        if row["state"] != "done":
            raise NotFoundError("no_file", "the job has no such file")
        file = file_of(run.jobs.folder_of(number), name)
        figure = file.suffix == ".svg"
        return FileResponse(
            file, filename=f"{subject.name}-{number}-{name}", media_type=_TYPES[file.suffix[1:]],
            content_disposition_type="inline" if figure else "attachment",
        )  # fmt: skip


async def ask(
    request: Request, acting: Acting, run: Running, subject: Subject, told: Mapping[str, Any]
) -> Response | dict[str, str]:
    """Ask for the job that a form describes and go to its page; or give the errors, by field (form: of all)."""
    try:
        body = _BODY.validate_python(dict(told))
    except ValidationError as error:
        wrong = {}
        for one in field_errors(error.errors(), acting.language):
            # A field's place begins with the kind of the job; what is of no field is of the form.
            place = str(one["field"]).partition(".")[2].split(".")[0] or "form"
            wrong[place] = _words_of(one, acting.language)
        return wrong
    if body.kind not in subject.kinds:
        raise NotFoundError("no_job", "this page asks for no such job")
    try:
        answer = await routes.ask_job(body, acting, run)
    except NotFoundError as error:
        if error.code != "policy_not_found":
            raise
        name = "baseline" if hasattr(body, "baseline") else "policy"
        return {name: say("result_page.no_policy", acting.language)}
    except (ConflictError, StoreError) as error:
        return {"form": title_of(error.code, status_of(error), acting.language)}
    return go(f"{subject.path}/{answer.id}")


def _words_of(wrong: Mapping[str, str], lang: str) -> str:
    """Say what is wrong with a field to a person: patterns and objects are for programs."""
    if wrong["code"] == "dict_type":
        return say("result_page.not_pairs", lang)
    raw = wrong["code"] == "string_pattern_mismatch" and "^" in wrong["message"]
    return say("result_page.pattern", lang) if raw else wrong["message"]


@dataclass(frozen=True, slots=True)
class Filled:
    """Be the forms of a subject as somebody left them: what stands in the fields, which was sent, what is wrong."""

    asked: Mapping[str, Any]
    kind: str
    errors: Mapping[str, str] = field(default_factory=dict)


async def sent(request: Request, first: Mapping[str, str], kinds: Sequence[str]) -> tuple[str, dict[str, str]]:
    """Read a form: which one was sent (the first of `kinds` unless it says), and the text of each field of `first`."""
    form = await request.form()
    kind = str(form.get("kind") or "")
    told = {name: str(form.get(name, value)).strip() for name, value in first.items()}
    return kind if kind in kinds else kinds[0], told


def show_forms(
    request: Request, acting: Acting, run: Running, subject: Subject, filled: Filled, **values: Any
) -> Response:
    """Show the forms of a subject with what was typed, what is wrong with it (422), and the jobs that were kept."""
    known = {"jobs": listed(run, subject), "tables": data_of(run, folders=False), **values}
    return render(
        request, acting, f"results/{subject.name}.html", status=422 if filled.errors else 200, subject=subject,
        asked=filled.asked, kind=filled.kind, errors=filled.errors, folders=data_of(run, folders=True), **known,
    )  # fmt: skip


def listed(run: Running, subject: Subject, *, before: int | None = None) -> list[dict[str, Any]]:
    """List the jobs of a subject, the newest first."""
    with run.store.reading() as connection:
        rows = jobs.newest(connection, before=before, limit=ROWS, kinds=subject.kinds)
    return [_told(row) for row in rows]


def data_of(run: Running, *, folders: bool) -> list[str]:
    """List the folders, or the tables, of the office's data folder whose names a job may be given."""
    place = run.settings.data_folder
    if place is None or not place.is_dir():
        return []
    found = [one for one in place.iterdir() if _DATA.match(one.name) and one.is_dir() == folders]
    return sorted(one.name for one in found if folders or one.suffix in (".csv", ".parquet", ".xlsx", ".dta", ".sav"))


def texts_of(run: Running, keys: Iterable[str]) -> list[str]:
    """Give the texts of reforms that were ticked; one that is gone is left out."""
    texts = []
    for key in keys:
        try:
            texts.append(reforms.find(run.settings, key).text)
        except NotFoundError:
            continue
    return texts


def whole_number(text: object) -> object:
    """Read a whole number of a form; what is none stays as it is, and the body says so.

    >>> whole_number(" 2,000 "), whole_number("many"), whole_number("")
    (2000, 'many', '')
    """
    plain = str(text).replace(",", "").replace("，", "").strip()
    return int(plain) if plain.lstrip("-").isdecimal() and len(plain) < 20 else text


def number(text: object) -> object:
    """Read a number of a form; what is none stays as it is, and the body says so.

    >>> number("0.5"), number("half")
    (0.5, 'half')
    """
    try:
        return float(str(text).replace(",", "").strip())
    except ValueError:
        return text


def pairs(text: str) -> object:
    """Read NAME=VALUE, one a line or apart by commas; what cannot be read stays as text, and the body says so.

    >>> pairs("growth.long_run=4, reserve.start=6"), pairs(""), pairs("4")
    ({'growth.long_run': 4.0, 'reserve.start': 6.0}, {}, '4')
    """
    found: dict[str, Any] = {}
    for one in text.replace("\n", ",").replace("，", ",").split(","):
        if not one.strip():
            continue
        name, sign, value = one.partition("=")
        if not sign:
            return text
        found[name.strip()] = number(value)
    return found


def find(run: Running, acting: Acting, subject: Subject, number: int) -> sa.RowMapping:
    """Give a job of a subject that one may look at.

    Raises NotFoundError (`no_job`), also for a job of another subject; AccessError (`forbidden`) for leads.
    """
    with run.store.reading() as connection:
        row = jobs.find(connection, number)
        if row["kind"] not in subject.kinds:
            raise NotFoundError("no_job", f"there is no job {number} here")
        if row["kind"] == "supervise":
            routes.may_ask(connection, acting, row["kind"], json.loads(row["parameters"]))
    return row


def show_job(
    request: Request,
    acting: Acting,
    run: Running,
    subject: Subject,
    number: int,
    problem: Mapping[str, Any] | None = None,
) -> Response:
    """Show how far a job is, or what it found; `problem` says what was refused about it."""
    row = find(run, acting, subject, number)
    folder, lang = run.jobs.folder_of(number), acting.language
    found = shown_of(folder, lang) if row["state"] == "done" else None
    values: dict[str, Any] = {
        "signing": _signing(run, acting, number) if found and row["kind"] == "adjust" else None, "problem": problem,
        "subject": subject, "job": _told(row), "found": found, "long": LONG,
        "downloads": downloads_of(folder, lang) if found else [],
        "why": _why(row, lang),
    }  # fmt: skip
    # When it is over, the whole page is shown anew: its title and its headings change.
    part = is_part(request) and row["state"] in ("waiting", "running")
    template = "results/_far.html" if part else "results/result.html"
    response = render(request, acting, template, status=problem["status"] if problem else 200, **values)
    if is_part(request) and not part:
        response.headers["HX-Refresh"] = "true"
    return response


def _signing(run: Running, acting: Acting, number: int) -> dict[str, Any]:
    """Give what was proposed from an adjustment, and whether one may propose it still."""
    reads = may(acting.actor, "read_proposals")
    found = signing.of_job(run, acting, number) if reads else ()
    there = (run.jobs.folder_of(number) / signing.RECORD).is_file()
    stands = any(one.state != "withdrawn" for one in found)
    return {"proposals": found, "reads": reads, "there": there,
            "may": there and not stands and may(acting.actor, "propose")}  # fmt: skip


def _why(row: sa.RowMapping, lang: str) -> str:
    """Say in words why a job failed; of a bug the code names the kind, which is for who mends it."""
    code = (row["message"] or "").partition(":")[0]
    return title_of(code, 500 if code == "bug_inside" else 422, lang) if row["state"] == "failed" and code else ""


def _told(row: sa.RowMapping) -> dict[str, Any]:
    """Give what pages say of a job."""
    asked = json.loads(row["parameters"])
    what = asked.get("measure") or asked.get("study") or row["kind"]
    names = ("id", "kind", "state", "progress", "created_by", "created_at", "started_at", "finished_at", "message")
    return {name: row[name] for name in names} | {"asked": asked, "what": what}
