"""Keep who looked at whom and who did what; what is written here is never changed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from medfloor.store import schema
from medfloor.store.identity import is_identity, mask_identity
from medfloor.store.roles import Actor

DETAIL_LENGTH = 2_000
"""So many characters of a detail are kept."""

_NUMBER = re.compile(r"(?<![0-9A-Za-z])[0-9]{15}(?:[0-9]{2}[0-9Xx])?(?![0-9A-Za-z])")


@dataclass(frozen=True, slots=True)
class Trace:
    """Be one line of the audit."""

    id: int
    at: datetime
    by: str
    action: str
    person_id: str | None
    detail: str | None
    request_id: str | None


def record(
    connection: sa.Connection,
    actor: Actor,
    action: str,
    *,
    now: datetime,
    person_id: str | None = None,
    detail: str | None = None,
    request_id: str | None = None,
) -> None:
    """Write down that an actor did something, in the transaction in which it was done.

    `action` is a stable name such as `settle` or `read_person`. A detail holds no name, no identity number and no
    diagnosis; a resident's number that slips in is masked.
    """
    record_many(connection, actor, action, [person_id], now=now, detail=detail, request_id=request_id)


def record_many(
    connection: sa.Connection,
    actor: Actor,
    action: str,
    person_ids: Iterable[str | None],
    *,
    now: datetime,
    detail: str | None = None,
    request_id: str | None = None,
) -> None:
    """Write down the same for many people: who is listed was looked at."""
    told = None if detail is None else _NUMBER.sub(_masked, detail)[:DETAIL_LENGTH]
    rows = [
        {"at": now, "by": actor.login, "action": action, "person_id": one, "detail": told, "request_id": request_id}
        for one in person_ids
    ]
    if rows:
        connection.execute(schema.audit.insert(), rows)


def traces(
    connection: sa.Connection,
    *,
    person_id: str | None = None,
    by: str | None = None,
    action: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[Trace]:
    """List lines of the audit, the latest first; `until` is not included, `before` is the id from which to go on."""
    table = schema.audit
    found = sa.select(table)
    same = {"person_id": person_id, "by": by, "action": action}
    found = found.where(*[table.c[name] == value for name, value in same.items() if value is not None])
    if since is not None:
        found = found.where(table.c.at >= since)
    if until is not None:
        found = found.where(table.c.at < until)
    if before is not None:
        found = found.where(table.c.id < before)
    return [Trace(**row._mapping) for row in connection.execute(found.order_by(table.c.id.desc()).limit(limit))]


def _masked(found: re.Match[str]) -> str:
    return mask_identity(found[0]) if is_identity(found[0]) else found[0]
