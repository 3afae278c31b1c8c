"""Routes of households: a household with its members and what a year cost them."""

from __future__ import annotations

from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Path, Query

from medfloor.errors import NotFoundError
from medfloor.periods import OFFICE_ZONE
from medfloor.service import persons
from medfloor.service.access import Acting, need
from medfloor.service.bodies.fields import ID_PATTERN, Day
from medfloor.service.bodies.people import HouseholdAnswer
from medfloor.service.bodies.problems import problems
from medfloor.service.looking import household_place, look, places_of
from medfloor.service.running import Running, running
from medfloor.store.register import household_on
from medfloor.store.roles import sees

router = APIRouter(prefix="/api/v1/households", tags=["households 家庭"])


@router.get(
    "/{household_id}",
    responses=problems(404),
    summary="Look up a household",
    description="家庭信息、成员及其年度费用与支付。",
)
def show(
    household_id: Annotated[str, Path(pattern=ID_PATTERN, max_length=64, description="The household. 家庭编号")],
    acting: Annotated[Acting, Depends(need("read_person"))],
    run: Annotated[Running, Depends(running)],
    day: Annotated[Day | None, Query(description="The day of its members; today where it is missing. 查询日")] = None,
    year: Annotated[int | None, Query(ge=1900, le=2200, description="Benefit year; that of the day. 待遇年度")] = None,
) -> HouseholdAnswer:
    """Give a household, the members within the place of who asks, and the sums of their benefit year."""
    when = day or acting.now.astimezone(OFFICE_ZONE).date()

    def work(connection: sa.Connection) -> tuple[HouseholdAnswer, list[str]]:
        home = household_on(connection, household_id, when)
        places = places_of(connection, home.members)
        mine = [one for one in home.members if sees(acting.actor, places.get(one, ""))]
        if not mine and not sees(acting.actor, household_place(connection, household_id, when)):
            raise NotFoundError("no_such_household", "the register has no such household on that day; check its number")
        answer = persons.household_answer(connection, run.keyring, household_id, mine, day=when, year=year or when.year)
        return answer, mine

    return look(run, acting, "read_household", work)
