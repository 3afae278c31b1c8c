"""Look at people and claims: only within the place of who asks, and never without a trace in the audit.

A person outside of the place is answered like one that does not exist (404), and the attempt is written down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from typing import Annotated, NoReturn, TypeVar
from urllib.parse import unquote

import sqlalchemy as sa
from fastapi import Header

from medfloor.errors import NotFoundError, UsageError
from medfloor.service.access import Acting
from medfloor.service.running import Running
from medfloor.store import audit
from medfloor.store.register import Identity, identity_of
from medfloor.store.roles import place_prefix, require, sees
from medfloor.store.schema import claim, household, person, person_fact

Answer = TypeVar("Answer")


class _OutsideError(Exception):
    """Say that people exist, but outside of the place of who asks; `told` is what is answered if they did not."""

    def __init__(self, person_ids: Sequence[str | None], told: NotFoundError) -> None:
        super().__init__()
        self.person_ids, self.told = person_ids, told


def look(
    run: Running,
    acting: Acting,
    action: str,
    work: Callable[[sa.Connection], tuple[Answer, Iterable[str]]],
    *,
    detail: str | None = None,
) -> Answer:
    """Read with `work`, which gives the answer and whose data it holds; write down who looked, then give the answer.

    Raises what `work` raises; NotFoundError where it asked for somebody outside of the place, the same as if nobody
    were there.
    """
    try:
        with run.store.reading() as connection:
            answer, seen = work(connection)
            whose = list(dict.fromkeys(seen))
    except _OutsideError as error:
        note(run, acting, "outside_place", error.person_ids, detail=action)
        raise error.told from None
    if whose or detail:
        note(run, acting, action, whose or [None], detail=detail)
    return answer


def note(
    run: Running, acting: Acting, action: str, person_ids: Iterable[str | None], *, detail: str | None = None
) -> None:
    """Write down that somebody looked at people, or tried to."""
    listed = list(person_ids)
    run.store.attempt(
        lambda connection: audit.record_many(
            connection, acting.actor, action, listed, now=acting.now, detail=detail, request_id=acting.request_id
        )
    )


def whole_identity(run: Running, acting: Acting, person_id: str, reason: str) -> Identity:
    """Give the whole name and identity number of a person; who asked, when and why is written down before it is read.

    Raises AccessError (`forbidden`), NotFoundError (`no_such_person`), UsageError (`no_reason`).
    """
    require(acting.actor, "reveal_identity")
    if not reason.strip():
        raise UsageError("no_reason", "say why the whole identity is needed; the reason is kept with who asked")

    def check(connection: sa.Connection) -> tuple[None, list[str]]:
        within(connection, acting, [person_id])
        return None, []

    look(run, acting, "reveal_identity", check)
    note(run, acting, "reveal_identity", [person_id], detail=reason)
    with run.store.reading() as connection:
        return identity_of(connection, run.keyring, person_id)


def reason_of(header: str | None) -> str | None:
    """Read the header Reveal-Reason, in which other than ASCII is percent-encoded.

    >>> reason_of("%E9%80%80%E6%AC%BE"), reason_of(None)
    ('退款', None)
    """
    return None if header is None else "".join(c for c in unquote(header) if c.isprintable())[:500]


RevealReason = Annotated[
    str | None,
    Header(
        alias="Reveal-Reason",
        max_length=2000,
        pattern=r"^[ -~]+$",
        description="Why the whole identity is needed, percent-encoded; without it name and number are masked. "
        "查看完整证件号的理由（百分号编码）",
    ),
]
"""The header by which the dialects ask for a whole identity; it takes the permission `reveal_identity`."""


def within(connection: sa.Connection, acting: Acting, person_ids: Iterable[str]) -> list[str]:
    """Give the people if all of them are within the place of who asks.

    Raises NotFoundError (`no_such_person`) for one that is not in the register; one outside is found out by `look`.
    """
    wanted = list(dict.fromkeys(person_ids))
    places = places_of(connection, wanted)
    if any(one not in places for one in wanted):
        raise no_person()
    outside = [one for one in wanted if not sees(acting.actor, places[one])]
    if outside:
        raise _OutsideError(outside, no_person())
    return wanted


def refuse_outside(person_ids: Sequence[str | None], told: NotFoundError) -> NoReturn:
    """Answer `told`, as if nothing were there, and let `look` write down that people outside were asked for."""
    raise _OutsideError(person_ids, told)


def person_of_claim(connection: sa.Connection, acting: Acting, claim_id: str) -> str:
    """Give whose a claim is, if that is somebody within the place of who asks.

    Raises NotFoundError (`no_such_claim`); a claim of somebody outside is told from none only in the audit.
    """
    found: str | None = connection.execute(sa.select(claim.c.person_id).where(claim.c.claim_id == claim_id)).scalar()
    if found is None:
        raise no_claim()
    if not sees(acting.actor, places_of(connection, [found]).get(found, "")):
        raise _OutsideError([found], no_claim())
    return found


def places_of(connection: sa.Connection, person_ids: Sequence[str]) -> dict[str, str]:
    """Give the place of each person that is in the register: that of the latest days that are known now."""
    rows = connection.execute(
        sa.select(person.c.person_id, person_fact.c.place)
        .select_from(
            person.outerjoin(
                person_fact, sa.and_(person_fact.c.person_id == person.c.person_id, person_fact.c.known_to.is_(None))
            )
        )
        .where(person.c.person_id.in_(list(person_ids)))
        .order_by(person.c.person_id, person_fact.c.valid_from)
    )
    return {one: place or "" for one, place in rows}


def in_place(column: sa.ColumnElement[str], acting: Acting) -> sa.ColumnElement[bool]:
    """Give the condition under which a column of person ids names somebody within the place of who asks."""
    prefix = place_prefix(acting.actor.place)
    if not prefix:
        return sa.true()
    # Whoever moved away is no longer one's own: the latest days count, as in `places_of`.
    later = person_fact.alias("later")
    mine = sa.select(person_fact.c.person_id).where(
        person_fact.c.known_to.is_(None),
        person_fact.c.place.startswith(prefix, autoescape=True),
        ~sa.exists().where(
            later.c.person_id == person_fact.c.person_id,
            later.c.known_to.is_(None),
            later.c.valid_from > person_fact.c.valid_from,
        ),
    )
    return column.in_(mine)


def household_place(connection: sa.Connection, household_id: str, day: date) -> str:
    """Give the place that the register says of a household on a day; empty where it says none."""
    table = household
    found = connection.execute(
        sa.select(table.c.place)
        .where(
            table.c.household_id == household_id,
            table.c.known_to.is_(None),
            table.c.valid_from <= day,
            sa.or_(table.c.valid_to.is_(None), table.c.valid_to > day),
        )
        .limit(1)
    ).scalar()
    return found or ""


def no_person() -> NotFoundError:
    """Say that there is no such person, whether it is so or the person is outside."""
    return NotFoundError("no_such_person", "the register has no such person; check the id, or add the person first")


def no_claim() -> NotFoundError:
    """Say that there is no such claim; the id is not said again, for it came from outside."""
    return NotFoundError("no_such_claim", "the ledger has no such claim; check its id")
