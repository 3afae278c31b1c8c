"""Be `medfloor watch cases add`."""

from __future__ import annotations

from typing import Any

import click

from medfloor.cli.opened import database_option, keyring, keys_option, lang_option, local_actor, moment, opened
from medfloor.money import parse_fen

STEPS = [
    "verified", "published", "objected", "answered", "recognised", "helped", "visited", "risk_stable", "relapsed",
    "removed", "refused", "re_entered",
]  # fmt: skip
_PLAIN = (
    "reason", "category", "labour_capacity", "spending_solved", "guarantees_met", "measure", "given_by", "source",
)  # fmt: skip


def _fen(ctx: click.Context, option: click.Parameter, value: str | None) -> int | None:
    """Read yuan as fen."""
    try:
        return None if value is None else parse_fen(value)
    except ValueError as error:
        raise click.BadParameter(f"{error}; write yuan as 7300 or 7300.50", ctx, option) from None


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("case_id", metavar="CASE")
@click.argument("kind", metavar="STEP", type=click.Choice(STEPS))
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="The day of the step.  [default: today]")
@click.option("--reason", help="For the file; kept enciphered and never published.")
@click.option("--category", type=click.Choice(["unstable", "edge", "sudden"]), help="Kind of household.")
@click.option("--income", metavar="YUAN", callback=_fen, help="Income a head and year.")
@click.option("--line", metavar="YUAN", callback=_fen, help="The line it is held against, a head and year.")
@click.option("--labour/--no-labour", "labour_capacity", default=None, help="Somebody of the household can work.")
@click.option("--stable-since", type=click.DateTime(["%Y-%m-%d"]), help="Since when the income has been stable.")
@click.option("--spending-solved/--spending-open", default=None, help="Large rigid spending is solved.")
@click.option("--guarantees-met/--guarantees-open", default=None, help="Schooling, care, housing, water are secure.")
@click.option("--measure", help="What was given.")
@click.option("--by", "given_by", help="By whom.")
@click.option("--source", type=click.Choice(["application", "cadre", "department"]), help="Who found it again.")
@click.option("--expected", type=int, metavar="NUMBER", help="The number of the last step that you saw.")
@lang_option
@database_option
@keys_option
def command(**asked: Any) -> None:
    """Take STEP into CASE, if the rule of the office's place allows it on its day.

    What a step must say depends on it: verified and visited say --income, --line and --labour; helped --measure and
    --by; recognised --category; risk_stable --income, --line, --stable-since, --spending-solved, --guarantees-met;
    objected, answered, relapsed and refused --reason. Nobody decides what they verified or published.

    \b
    Steps: verified, published, objected, answered, recognised, helped, visited, risk_stable, relapsed, removed,
    refused, re_entered.

    \b
    Examples:
      medfloor watch cases add CASE verified --income 7000 --line 7300 --labour
      medfloor watch cases add CASE published --category edge
      medfloor watch cases add CASE helped --measure "temporary help" --by "civil affairs"

    Exit codes: 0 done, 2 nothing could be done.
    """
    from medfloor.cli.watch.cases.telling import note_look, tell_case
    from medfloor.store.books import Books
    from medfloor.store.cases import add_event, day_of
    from medfloor.store.office import office_of
    from medfloor.store.resettle import resettle_after
    from medfloor.watch import Event

    ring, actor, now = keyring(asked["keys"]), local_actor("assistance_officer"), moment()
    said = {name: asked[name] for name in _PLAIN if asked[name] is not None}
    said |= {f"{name}_head_fen": asked[name] for name in ("income", "line") if asked[name] is not None}
    if asked["stable_since"] is not None:
        said["stable_since"] = asked["stable_since"].date()
    event = Event(asked["kind"], asked["day"].date() if asked["day"] else day_of(now), actor.login, **said)
    with opened(asked["database"]) as store:
        made = add_event(store, ring, asked["case_id"], event, actor=actor, now=now, expected=asked["expected"])
        with store.reading() as connection:
            policy = office_of(connection).policy
        if made.touched and policy:
            # Recognition is a status from its day on: what was settled since then is settled again.
            resettle_after(Books.of(store, policy), made.touched, actor=actor, now=now)
        told = f"case={made.case.case_id} {event.kind}"
        note_look(store, actor, "step_case", [made.case.household_id], now=now, detail=told)
        with store.reading() as connection:
            tell_case(connection, made, asked["lang"])
