"""Pages that look ahead: prevention and family doctors, the card of the model of risk, and what has moved since."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from medfloor.errors import AccessError, ConflictError, InputError, NotFoundError, UsageError
from medfloor.service import following, foresight
from medfloor.service.access import Acting
from medfloor.service.pages.frame import go, page
from medfloor.service.pages.watch_parts import render_watch
from medfloor.service.problems import status_of, title_of
from medfloor.service.running import Running, running
from medfloor.store.roles import may
from medfloor.watch.evidence import PROGRAMMES, shipped_evidence
from medfloor.watch.prevention import Prevention

router = APIRouter(include_in_schema=False)

Run = Annotated[Running, Depends(running)]
Reader = Annotated[Acting, page("read_person")]
Counter = Annotated[Acting, page("read_case_counts")]
Year = Annotated[str, Query(max_length=8)]
YEARS = 5
"""So many years back can be chosen."""


@router.get("/watch/prevention")
def prevention(
    request: Request, acting: Reader, run: Run, year: Year = "", programme: Annotated[str, Query(max_length=16)] = ""
) -> Response:
    """Show who should be contracted and is, the hours it takes, stays that were avoidable, and what it may save."""
    years = _years(acting)
    asked = _asked(year, years)
    chosen = programme if programme in PROGRAMMES else PROGRAMMES[0]
    values: dict[str, Any] = {"found": None, "error": "", "at": None}
    status = 200
    if asked is None:
        status = 422
    else:
        try:
            told = foresight.prevention_in(run, acting, year=asked, programme=chosen)
            values = {"found": told.found, "error": "", "at": told.at}
        except InputError as error:
            # A year without stays is no fault of who asks; a table that cannot be read is, and is named.
            values["error"] = "" if error.code == "empty_file" else _why(error, acting)
            status = 200 if error.code == "empty_file" else 422
    found: Prevention | None = values["found"]
    return render_watch(
        request, acting, "watch/prevention.html", status=status, years=years, year=asked, typed=year,
        programme=chosen, programmes=PROGRAMMES, sections=found.sections(acting.language) if found else [],
        evidence=shipped_evidence(), tables=foresight.TABLES, there=foresight.tables_of(run),
        key=next((row for row in found.coverage.to_dicts() if row["group"] == "key"), None) if found else None,
        **values,
    )  # fmt: skip


@router.post("/watch/prevention")
async def prevention_anew(request: Request, acting: Reader, run: Run) -> Response:
    """Forget what was worked out, so that the page works it out from the store as it is now."""
    await request.form()
    foresight.forget(run, "prevention")
    return go("/watch/prevention", done="anew")


@router.get("/watch/prevention/{name}.svg")
def prevention_figure(
    name: str, acting: Reader, run: Run, year: Year = "", programme: Annotated[str, Query(max_length=16)] = ""
) -> Response:
    """Draw a figure of the page of prevention."""
    asked = _asked(year, _years(acting))
    if name not in ("coverage", "effect") or asked is None or programme not in PROGRAMMES:
        raise NotFoundError("no_file", "there is no such figure")
    found = foresight.prevention_in(run, acting, year=asked, programme=programme).found
    return _figure(name, found, acting.language)


@router.get("/watch/risk")
def risk(request: Request, acting: Counter, run: Run) -> Response:
    """Show the card of the model that the office keeps, with who signed; or say how one comes to be kept."""
    card, error, status = None, "", 200
    try:
        card = foresight.card_in(run)
    except (InputError, ConflictError, UsageError) as refused:
        error, status = _why(refused, acting), status_of(refused)
    parts = card.parts(acting.language) if card else []
    return render_watch(
        request, acting, "watch/risk.html", status=status, card=card, parts_of=parts, error=error,
        signed=bool(card and any(one["accepted"] and one["new_hash"] == card.model.hash for one in card.signatures)),
        judged=bool(card and card.model.judged.get("figures")), folder=run.settings.data_folder is not None,
        may_drift=card is not None and _may_drift(acting, run),
    )  # fmt: skip


@router.get("/watch/risk/drift")
def drift(request: Request, acting: Reader, run: Run, year: Year = "") -> Response:
    """Hold the office's households of a year against those that the model was judged on."""
    card = _card_for_drift(acting, run)
    years = _years(acting)[1:]
    asked, found, error, status = _asked(year, years), None, "", 200
    if asked is None:
        status = 422
    else:
        try:
            found = foresight.drift_in(run, acting, card.model, year=asked)
        except (InputError, UsageError) as refused:
            error, status = _why(refused, acting), 422
    return render_watch(
        request, acting, "watch/drift.html", status=status, card=card, years=years, year=asked, typed=year, found=found,
        error=error, tables=found.found.tables(acting.language) if found else [],
        said=[one.say(acting.language) for one in found.found.said()] if found else [],
    )  # fmt: skip


@router.post("/watch/risk/drift")
async def drift_anew(request: Request, acting: Reader, run: Run) -> Response:
    """Forget what was worked out, so that the page holds the store as it is now against the model."""
    await request.form()
    foresight.forget(run, "drift")
    return go("/watch/risk/drift", done="anew")


@router.get("/watch/risk/{name}.svg")
def risk_figure(name: str, acting: Counter, run: Run, year: Year = "") -> Response:
    """Draw a figure of the card, or of what has moved."""
    if name == "drift":
        card = _card_for_drift(acting, run)
        asked = _asked(year, _years(acting)[1:])
        if asked is not None:
            return _figure(name, foresight.drift_in(run, acting, card.model, year=asked).found, acting.language)
    elif name in ("calibration", "capacity"):
        kept = foresight.card_in(run)
        if kept is not None and kept.model.judged.get("figures"):
            return _figure(name, kept, acting.language)
    raise NotFoundError("no_file", "there is no such figure")


def _card_for_drift(acting: Acting, run: Running) -> Any:
    if not _may_drift(acting, run):
        raise AccessError("forbidden", "what has moved is counted by township: it takes the permission to see people")
    card = foresight.card_in(run)
    if card is None:
        raise NotFoundError("no_file", "the office keeps no model")
    return card


def _may_drift(acting: Acting, run: Running) -> bool:
    """Say whether somebody may see small counts of all townships."""
    return may(acting.actor, "read_person") and foresight.is_of_whole_office(run, acting)


def _years(acting: Acting) -> list[int]:
    now = following.today(acting).year
    return list(range(now, now - YEARS, -1))


def _asked(text: str, years: list[int]) -> int | None:
    """Read the year that was asked for: the first of the list where none was; None for one that there is not."""
    if not text.strip():
        return years[0]
    return int(text) if text.isascii() and text.isdecimal() and int(text) in years else None


def _why(error: Any, acting: Acting) -> str:
    return title_of(error.code, status_of(error), acting.language)


def _figure(name: str, found: Any, lang: str) -> Response:
    headers = {"Cache-Control": "private, no-cache", "Content-Language": lang, "Vary": "Cookie, Accept-Language"}
    return Response(foresight.figure_of(name, found, lang), media_type="image/svg+xml", headers=headers)
