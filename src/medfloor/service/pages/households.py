"""The page of a household: members, what the year cost and who paid, statuses, alerts, its case; and its letter."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from medfloor.service.access import Acting
from medfloor.service.bodies.fields import ID_PATTERN
from medfloor.service.explaining import household_letter
from medfloor.service.outlook import today, year_on
from medfloor.service.pages.cases import NEAR_DAYS
from medfloor.service.pages.frame import page, render
from medfloor.service.pages.shown import colour_of, tier_name
from medfloor.service.routes import alerts, households
from medfloor.service.running import Running, running
from medfloor.service.settling import tiers_of
from medfloor.store.cases import case_of_household
from medfloor.store.roles import may
from medfloor.words import say

router = APIRouter(include_in_schema=False)

ALERTS = 5

HouseholdId = Annotated[str, Path(pattern=ID_PATTERN, max_length=64)]


@router.get("/households/{household_id}")
def show(
    request: Request,
    household_id: HouseholdId,
    acting: Annotated[Acting, page("read_person")],
    run: Annotated[Running, Depends(running)],
    year: Annotated[int | None, Query(ge=1900, le=2199)] = None,
) -> Response:
    """Show a household and what a year cost it."""
    day = today(acting)
    now = day.year if run.books is None else year_on(run.books, day)
    chosen = year or now
    home = households.show(household_id, acting, run, None, chosen)
    lang = acting.language
    paid: dict[str, int] = dict.fromkeys(tiers_of(run), 0)
    for member in home.members:
        for tier, fen in member.payments_fen.items():
            paid[tier] = paid.get(tier, 0) + fen
    parts = [(colour_of(tier), tier_name(run, tier, lang), fen) for tier, fen in paid.items()]
    parts.append(("tier-self", say("split.own_total", lang), home.own_total_fen))
    return render(
        request, acting, "people/household.html", home=home, parts=parts, chosen=chosen,
        years=sorted({chosen, *range(now - 3, now + 1)}, reverse=True),
        share=home.own_total_fen / home.income_fen if home.income_fen else None,
        may_ledger=may(acting.actor, "read_settlements"), **_watched(run, acting, household_id),
    )  # fmt: skip


@router.get("/households/{household_id}/letter.pdf")
def letter(
    household_id: HouseholdId,
    acting: Annotated[Acting, page("read_settlements")],
    run: Annotated[Running, Depends(running)],
    year: Annotated[int, Query(ge=1900, le=2199)],
) -> Response:
    """Give the letter to the household about a year's claims, to print; it names nobody, and the audit keeps it."""
    from medfloor.reports.typesetting import typeset

    made = typeset(household_letter(run, acting, household_id, year=year))
    name = {"Content-Disposition": f'attachment; filename="letter-{household_id}-{year}.pdf"'}
    return Response(made.pdf, media_type="application/pdf", headers=name)


def _watched(run: Running, acting: Acting, household_id: str) -> dict[str, Any]:
    """Give the household's case and latest alerts, to those who may see them."""
    found: dict[str, Any] = {"case": None, "alerts": None, "today": today(acting), "near": NEAR_DAYS}
    if may(acting.actor, "read_cases"):
        with run.store.reading() as connection:
            file = case_of_household(connection, household_id, actor=acting.actor)
        if file is not None:
            found["case"] = file
    if may(acting.actor, "read_alerts"):
        found["alerts"] = alerts.list_all(acting, run, household_id=household_id, limit=ALERTS).items
    return found
