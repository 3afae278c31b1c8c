"""Hold what the office decided once: place, policy, when it takes two pairs of eyes, how long things are kept."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from medfloor.errors import UsageError
from medfloor.store import audit, schema
from medfloor.store.roles import Actor, require


@dataclass(frozen=True, slots=True)
class Office:
    """Be the office's settings, each with its default.

    The terms of retention are this program's own defaults and no law: an office sets those that its province asks for.
    """

    place: str = ""
    """Division code of the office."""

    policy: str = ""
    """Address of the policy by which it settles, such as cn/beijing or a path."""

    name: str = ""
    """How the office is called on pages and statements."""

    watch_place: str = "cn"
    """Whose rules bind alerts and cases, written from the country down: cn, cn/hainan (docs/watch-cases.md)."""

    reversal_limit_fen: int = 500_000
    """A reversal that moves more takes two pairs of eyes."""

    proposal_days: int = 30
    """A proposal that nobody decided for so long has lapsed."""

    session_idle_minutes: int = 30
    """A browser session ends when nothing was asked for so long."""

    session_hours: int = 10
    """A browser session ends at the latest after so long."""

    token_days: int = 90
    """A token for programs ends after so long, unless it is given another end."""

    lockout_failures: int = 5
    """After so many wrong passwords in a row an account is locked."""

    lockout_minutes: int = 15
    """For so long."""

    fund_reserve_fen: int = 0
    """What the residents' fund held at the last closing of its books, in fen; 0: the office has not said."""

    smallest_cell: int = 5
    """De-identified exports show no group of fewer people."""

    retain_rejects_days: int = 180
    """Refused rows of imports (enciphered) and their differences are kept so long."""

    retain_sessions_days: int = 180
    """Ended sessions are kept so long."""

    retain_jobs_days: int = 90
    """Results of jobs are kept so long."""

    retain_case_years: int = 10
    """What was written into a case is deleted so long after it ended; its steps stay."""

    retain_person_years: int = 30
    """A person's name, identity number and birth date are deleted so long after the last tie with the office."""


_MADE_UP = "made_up"
_LEAST = {"smallest_cell": 2, "reversal_limit_fen": 0, "fund_reserve_fen": 0}


def office_of(connection: sa.Connection) -> Office:
    """Read the settings; what was never decided has its default."""
    known = {field.name: field.type for field in fields(Office)}
    rows = connection.execute(sa.select(schema.setting.c.name, schema.setting.c.value))
    decided = {name: int(value) if known[name] == "int" else value for name, value in rows if name in known}
    return replace(Office(), **decided)  # type: ignore[arg-type]


def decide_setting(connection: sa.Connection, name: str, value: object, *, actor: Actor, now: datetime) -> Office:
    """Decide one setting, and give all.

    Raises UsageError: unknown_setting, bad_setting; AccessError (`forbidden`).
    """
    require(actor, "manage_settings")
    text = str(_checked(name, value))
    table = schema.setting
    row: dict[str, Any] = {"value": text, "changed_by": actor.login, "changed_at": now}
    if not connection.execute(table.update().where(table.c.name == name).values(**row)).rowcount:
        connection.execute(table.insert().values(name=name, **row))
    audit.record(connection, actor, "decide_setting", detail=f"{name}={text}", now=now)
    return office_of(connection)


@dataclass(frozen=True, slots=True)
class MadeUp:
    """Say that everything in a store is invented: the moment of its own clock, and the real moment, of its making."""

    office: datetime
    real: datetime

    def clock(self, real: datetime) -> datetime:
        """Give the moment in the made-up office at a real moment; both go on at the same pace."""
        return self.office + (real - self.real)


def mark_made_up(connection: sa.Connection, *, office: datetime, real: datetime) -> None:
    """Mark a store as invented, for good; its pages say so. Every backup carries the mark along."""
    row = {"value": f"{office.isoformat()}|{real.isoformat()}", "changed_by": "demo", "changed_at": office}
    connection.execute(schema.setting.insert().values(name=_MADE_UP, **row))


def made_up(connection: sa.Connection) -> MadeUp | None:
    """Give the mark of an invented store; None for an office that is real."""
    table = schema.setting
    text = connection.execute(sa.select(table.c.value).where(table.c.name == _MADE_UP)).scalar()
    if text is None:
        return None
    office, _, real = text.partition("|")
    return MadeUp(datetime.fromisoformat(office), datetime.fromisoformat(real))


def _checked(name: str, value: object) -> str | int:
    kinds = {field.name: field.type for field in fields(Office)}
    if name not in kinds:
        raise UsageError("unknown_setting", f"there is no setting {name}; there are {', '.join(kinds)}")
    if kinds[name] == "str":
        text = str(value).strip()
        if name == "place" and text and not (text.isascii() and text.isdigit() and 2 <= len(text) <= 12):
            raise UsageError("bad_setting", "place is a division code of 2 to 12 digits, such as 150981")
        if name == "watch_place" and not re.fullmatch(r"[a-z]{2}(/[a-z0-9_-]{1,32}){0,4}", text):
            raise UsageError("bad_setting", "watch_place is written from the country down, such as cn or cn/hainan")
        return text
    least = _LEAST.get(name, 1)
    try:
        number = int(str(value))
    except ValueError:
        number = least - 1
    if not least <= number <= 10**15:
        raise UsageError("bad_setting", f"{name} is a whole number of at least {least}")
    return number
