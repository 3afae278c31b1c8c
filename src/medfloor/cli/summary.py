"""Print what a run did: rows and money in, settled and refused, what each tier paid, and where the files are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from medfloor.money import group_yuan
from medfloor.terminal import in_columns
from medfloor.words import knows, say

if TYPE_CHECKING:
    from medfloor.settlement.chunks import Tally


def say_summary(tally: Tally, policy: str, lang: str) -> None:
    """Print the summary of a settlement on stdout."""
    click.echo(say("summary.title", lang, policy=policy))
    rows = [
        ("", say("summary.rows", lang), say("summary.money", lang)),
        (say("summary.in", lang), f"{tally.rows_in:,}", group_yuan(tally.money_in_fen)),
        (say("summary.settled", lang), f"{tally.settled:,}", group_yuan(tally.money_settled_fen)),
        (say("summary.rejected", lang), f"{tally.rejected:,}", group_yuan(tally.money_rejected_fen)),
    ]
    if tally.reversals:
        rows.append((say("summary.reversed", lang), f"{tally.reversals:,}", group_yuan(-tally.money_taken_back_fen)))
    for line in in_columns(rows, right=(1, 2)):
        click.echo(f"  {line}")
    click.echo(say("summary.who_pays", lang))
    whole = tally.money_settled_fen - tally.money_taken_back_fen
    shares = [(tier_name(tier, lang), paid) for tier, paid in tally.paid_fen.items()]
    shares.append((say("summary.patient", lang), tally.own_fen))
    shares.append((say("summary.together", lang), whole))
    lines = [(name, group_yuan(paid), f"{100 * paid / whole:.2f} %" if whole else "-") for name, paid in shares]
    for line in in_columns(lines, right=(1, 2)):
        click.echo(f"  {line}")
    if tally.reasons:
        click.echo(say("summary.reasons", lang))
        for line in in_columns([(name, f"{n:,}") for name, n in sorted(tally.reasons.items())], right=(1,)):
            click.echo(f"  {line}")
    if tally.differences:
        values = {"n": f"{tally.differences:,}", "owed": group_yuan(tally.owed_fen), "owes": group_yuan(tally.owes_fen)}
        click.echo(say("summary.differences", lang, **values))
    click.echo(say("summary.files", lang))
    for line in in_columns([(say(f"summary.file_{kind}", lang), path) for kind, path in tally.files]):
        click.echo(f"  {line}")


def tier_name(tier: str, lang: str) -> str:
    """Name a tier as people do, or by its id where the catalogue does not know it."""
    return say(f"tier.{tier}", lang) if knows(f"tier.{tier}") else tier
