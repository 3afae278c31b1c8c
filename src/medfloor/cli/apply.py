"""Be `medfloor apply`: the yearly assistance that households apply for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from medfloor.settlement.applied import Applications


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("claims", type=click.Path())
@click.option("--people", required=True, type=click.Path(), help="Who they are, with their household_id.")
@click.option("--households", required=True, type=click.Path(), help="Those that apply: household_id, size, income.")
@click.option("--spells", type=click.Path(), help="Dated statuses, one row an interval.")
@click.option("--policy", required=True, metavar="NAME[@DATE]|FILE", help="The law, such as cn/beijing.")
@click.option("--reform", "reforms", multiple=True, metavar="FILE", help="Apply a reform first; may be given again.")
@click.option("--year", required=True, type=click.IntRange(1900, 2200), help="The year of the costs and of the income.")
@click.option("--commercial", type=click.Path(), help="What commercial insurers paid: household_id, amount.")
@click.option("--out", required=True, type=click.Path(), help="Where the result goes, one row a household.")
@click.option("--rejects", type=click.Path(), help="Where claims go that could not be settled, with their reasons.")
@click.option(
    "--lang", type=click.Choice(["zh", "en"]), default="en", show_default=True, help="Language of the summary."
)
@click.pass_context
def command(
    ctx: click.Context,
    claims: str,
    people: str,
    households: str,
    spells: str | None,
    policy: str,
    reforms: tuple[str, ...],
    year: int,
    commercial: str | None,
    out: str,
    rejects: str | None,
    lang: str,
) -> None:
    """Work out what households may apply for on the burden of a year's CLAIMS.

    The claims of the year are settled through every tier first. What stays with the patients in the pools that the
    policy names, less what commercial insurers paid (column commercial_paid of the households, or --commercial), is the
    household's burden. Conditions that an office checks by hand are listed and not decided.

    \b
    Example:
      medfloor apply claims.csv --people people.csv --households households.csv --spells spells.csv \\
        --policy cn/beijing --year 2023 --out assistance.csv

    Exit codes: 0 done, 1 done but claims were refused or a household could not be decided, 2 nothing could be done.
    """
    from medfloor.intake import check_outputs, write_table
    from medfloor.settlement.applied import apply_yearly

    inputs = (claims, people, households, spells, commercial, *reforms)
    check_outputs((out, rejects), inputs)
    found = apply_yearly(claims, people, households, spells, policy, year=year, reforms=reforms, commercial=commercial)
    write_table(found.fen, out, inputs=inputs)
    if rejects is not None:
        write_table(found.rejected, rejects, inputs=inputs)
    _say(found, out, rejects, lang)
    undecided = (found.fen["passed"] == "unknown").any()
    ctx.exit(1 if found.rejected.height or undecided else 0)


def _say(found: Applications, out: str, rejects: str | None, lang: str) -> None:
    """Print the summary: households by reason, money, and what is left to check by hand."""
    from medfloor.money import group_yuan
    from medfloor.terminal import in_columns
    from medfloor.words import say

    click.echo(say("apply.title", lang, name=getattr(found.applied.name, lang), id=found.policy.id, year=found.year))
    click.echo(say("apply.counted", lang, claims=f"{found.claims_counted:,}", households=f"{found.fen.height:,}"))
    rows = []
    for reason in found.fen["reason"].unique(maintain_order=True):
        part = found.fen.filter(found.fen["reason"] == reason)
        burden, worth = int(part["burden_fen"].sum()), int(part["assistance_fen"].sum() or 0)
        rows.append((say(f"apply.{reason}", lang), f"{part.height:,}", group_yuan(burden), group_yuan(worth)))
    heads = tuple(say(f"apply.head_{name}", lang) for name in ("reason", "households", "burden", "assistance"))
    for line in in_columns([heads, *rows], right=(1, 2, 3)):
        click.echo(f"  {line}")
    if found.rules.monthly_line_fen is not None:
        click.echo(say("apply.line", lang, line=group_yuan(found.rules.monthly_line_fen)))
    if found.rejected.height:
        click.echo(say("apply.rejected", lang, n=f"{found.rejected.height:,}"))
    if found.applied.conditions:
        click.echo(say("apply.by_hand", lang))
        for condition in found.applied.conditions:
            click.echo(f"  - {getattr(condition.name, lang)}")
    click.echo(say("apply.written", lang, path=out))
    if rejects is not None:
        click.echo(say("apply.written", lang, path=rejects))
