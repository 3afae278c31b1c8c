"""Explain settled claims to who may see them: one claim as data and in words, a household's year as a letter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from medfloor.errors import NotFoundError
from medfloor.periods import OFFICE_ZONE
from medfloor.service.access import Acting
from medfloor.service.looking import look, person_of_claim, places_of
from medfloor.service.running import Running
from medfloor.service.settling import books_of
from medfloor.store.explaining import Scene, claims_of_year, scene_of
from medfloor.store.office import office_of
from medfloor.store.register import household_on
from medfloor.store.roles import sees

if TYPE_CHECKING:
    from medfloor.reports.printing import Printout
    from medfloor.settlement.explanation import BillLine


def explained(run: Running, acting: Acting, claim_id: str, language: str) -> tuple[dict[str, Any], str]:
    """Explain a claim as data and in words.

    Raises NotFoundError (`no_such_claim`), ConflictError (`cannot_explain`) where the year was settled by another law
    than the one in use.
    """
    from medfloor.settlement.explain import render

    books = books_of(run)

    def work(connection: sa.Connection) -> tuple[Scene, list[str]]:
        whose = [person_of_claim(connection, acting, claim_id)]
        return scene_of(connection, claim_id), whose

    told = look(run, acting, "explain", work).explained(claim_id, books.law)
    return told.to_dict(), render(told, language)


def household_letter(run: Running, acting: Acting, household_id: str, *, year: int) -> Printout:
    """Write the letter to a household about the claims of a benefit year, of the members within the caller's place.

    It names nobody: names are enciphered, and need a reason of their own to be read.

    Raises NotFoundError (`no_such_household`, `no_claims` where none of the year stands), ConflictError
    (`cannot_explain`).
    """
    from medfloor.reports.family_letter import Sender, family_letter, to_explain

    books = books_of(run)
    day = acting.now.astimezone(OFFICE_ZONE).date()

    def work(connection: sa.Connection) -> tuple[tuple[str, list[BillLine], list[tuple[str, Scene]]], list[str]]:
        members = household_on(connection, household_id, day).members
        places = places_of(connection, members)
        mine = [one for one in members if sees(acting.actor, places.get(one, ""))]
        if not mine:
            raise NotFoundError("no_such_household", "the register has no such household on that day; check its number")
        lines = claims_of_year(connection, mine, year)
        scenes = [(one, scene_of(connection, one)) for one in to_explain(lines)]
        return (office_of(connection).name, lines, scenes), mine

    office, lines, scenes = look(run, acting, "print_letter", work, detail=f"benefit year {year}")
    if not scenes:
        raise NotFoundError("no_claims", f"no claim of the household stands in {year}; choose another year")
    told = [scene.explained(claim_id, books.law) for claim_id, scene in scenes]
    return family_letter(told, Sender(office=office), made=day, lang=acting.language, listed=lines)
