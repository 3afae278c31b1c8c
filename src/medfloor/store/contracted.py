"""Give what the office knows for prevention: who is of which age, who signed with a family doctor, who is ill."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl
import sqlalchemy as sa

from medfloor.store.history import believed, holding
from medfloor.store.roles import Actor, place_prefix
from medfloor.store.schema import claim, entry, person_fact, spell

_PEOPLE = {"person_id": pl.String, "birth_date": pl.Date, "family_doctor": pl.Boolean}
_CLAIMS = {
    "person_id": pl.String, "care_type": pl.String, "start_date": pl.Date, "diagnosis": pl.String,
    "total_fen": pl.Int64,
}  # fmt: skip
_SPELLS = {"person_id": pl.String, "group": pl.String, "from_date": pl.Date, "to_date": pl.Date}


@dataclass(frozen=True, slots=True, eq=False)
class Contracted:
    """Be people, care and statuses of a year as `watch.prevention.prevention_of` takes them; nobody's name is in it."""

    people: pl.DataFrame
    claims: pl.DataFrame
    spells: pl.DataFrame


def contracted(
    connection: sa.Connection, actor: Actor, *, year: int, day: date, illnesses: Collection[str]
) -> Contracted:
    """Give the living people of the actor's place at the end of a year (or on `day`, if that is earlier).

    `claims` are the year's stays, without what was taken back, and one row of other care a person and diagnosis that
    begins with one of `illnesses`: it says who is ill and since when. It holds no amount: nothing asks for it.
    """
    last = min(date(year, 12, 31), day)
    fact = person_fact
    mine = [believed(fact, None), holding(fact, last), fact.c.deceased_on.is_(None)]
    if actor.place:
        mine.append(fact.c.place.startswith(place_prefix(actor.place), autoescape=True))
    people = _frame(connection, sa.select(*(fact.c[name] for name in _PEOPLE)).where(*mine), _PEOPLE)
    here = sa.select(fact.c.person_id).where(*mine)
    back, again = entry.alias("back"), entry.alias("again")
    gone = sa.exists().where(
        back.c.claim_id == claim.c.claim_id,
        back.c.kind == "reversal",
        ~sa.exists().where(
            again.c.claim_id == back.c.claim_id, again.c.kind == "reinstatement", again.c.number > back.c.number
        ),
    )
    stays = sa.select(*(claim.c[name] for name in _CLAIMS)).where(
        claim.c.care_type == "inpatient",
        claim.c.start_date.between(date(year, 1, 1), last),
        claim.c.person_id.in_(here),
        ~gone,
    )
    care = [_frame(connection, stays, _CLAIMS)]
    if illnesses:
        code = sa.func.upper(claim.c.diagnosis)
        ill = sa.select(
            claim.c.person_id, sa.literal(""), sa.func.min(claim.c.start_date), claim.c.diagnosis, sa.literal(0)
        ).where(
            sa.or_(*(code.startswith(one, autoescape=True) for one in sorted(illnesses))),
            claim.c.start_date <= last,
            claim.c.person_id.in_(here),
            ~gone,
        )
        care.append(_frame(connection, ill.group_by(claim.c.person_id, claim.c.diagnosis), _CLAIMS))
    held = sa.select(spell.c.person_id, spell.c.group, spell.c.valid_from, spell.c.valid_to).where(
        believed(spell, None), spell.c.valid_from <= last, spell.c.person_id.in_(here)
    )
    spells = _frame(connection, held, _SPELLS).with_columns(
        # The store's last day is the first on which it no longer held.
        pl.col("to_date").dt.offset_by("-1d")
    )
    return Contracted(people, pl.concat(care), spells)


def _frame(connection: sa.Connection, asked: sa.Select[Any], kinds: Mapping[str, Any]) -> pl.DataFrame:
    rows = [tuple(row) for row in connection.execute(asked).all()]
    return pl.DataFrame(rows, schema=kinds, orient="row")
