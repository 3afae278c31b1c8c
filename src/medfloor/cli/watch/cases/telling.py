"""Tell a case on a terminal: what the commands of cases share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from medfloor.money import group_yuan
from medfloor.terminal import aligned, in_columns
from medfloor.words import say

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    import sqlalchemy as sa

    from medfloor.store.cases import CaseFile
    from medfloor.store.engine import Store
    from medfloor.store.roles import Actor
    from medfloor.watch import Event

_SAID = ("category", "income_head_fen", "line_head_fen", "labour_capacity", "stable_since", "spending_solved",
         "guarantees_met", "measure", "given_by", "source", "reason")  # fmt: skip


def tell_case(connection: sa.Connection, found: CaseFile, lang: str) -> None:
    """Print where a case stands, its steps, what is due and which steps may follow."""
    from medfloor.store.cases import deadlines
    from medfloor.watch import may_follow

    case = found.case
    head = {
        "case": case.case_id, "household": case.household_id, "place": case.place,
        "state": say(f"case_state.{case.state}", lang), "round": str(case.round), "number": str(found.number),
    }  # fmt: skip
    for text in in_columns([[say(f"case_desk.head_{name}", lang), value] for name, value in head.items()]):
        click.echo(text)
    click.echo()
    names = ("number", "day", "step", "actor", "said")
    rows = [[say(f"case_desk.head_{name}", lang) for name in names]]
    for number, event in enumerate(case.events, 1):
        step = say(f"case_step.{event.kind}", lang)
        rows.append([str(number), event.day.isoformat(), step, event.actor, _said(event, lang)])
    for text in aligned(rows, right=(0,)):
        click.echo(text)
    click.echo()
    for name, due in deadlines(connection, case, on=case.events[-1].day).items():
        note = say("case_check_note.provisional", lang) if due.provisional else ""
        click.echo(f"{say(f'case_due.{name}', lang)}: {due.day}{note}")
    steps = [say(f"case_step.{kind}", lang) for kind in may_follow(case) if kind != "alerted"]
    click.echo(say("case_desk.may_follow", lang, steps=", ".join(steps)))


def note_look(
    store: Store, actor: Actor, action: str, households: Iterable[str], *, now: datetime, detail: str
) -> None:
    """Write down that somebody looked at households, for each of their members; at nobody, that somebody looked."""
    from medfloor.store import audit
    from medfloor.store.cases import members_of

    listed = list(households)

    def work(connection: sa.Connection) -> None:
        whose: list[str | None] = [*members_of(connection, listed)] or [None]
        audit.record_many(connection, actor, action, whose, now=now, detail=detail)

    store.attempt(work)


def _said(event: Event, lang: str) -> str:
    parts = [say(f"watch_signal.{signal}", lang) for signal in event.signals]
    for name in _SAID:
        value = getattr(event, name)
        if value is None or value == "":
            continue
        if name.endswith("_fen"):
            value = group_yuan(value)
        elif isinstance(value, bool):
            value = say("case_desk.yes" if value else "case_desk.no", lang)
        elif name in ("category", "source"):
            value = say(f"case_{name}.{value}", lang)
        parts.append(f"{say(f'case_desk.said_{name}', lang)} {value}")
    return "; ".join(parts)
