"""Be `medfloor resettle`: after a backdated recognition, who is owed and who owes."""

from __future__ import annotations

from typing import Any

import click

from medfloor.money import group_yuan
from medfloor.terminal import aligned
from medfloor.words import say

SHOWN = 20


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("claims", type=click.Path(), required=False)
@click.option("--claims", "claims_option", type=click.Path(), hidden=True)
@click.option("--people", required=True, type=click.Path(), help="Who they are: CSV or Parquet.")
@click.option("--spells-before", required=True, type=click.Path(), help="The statuses as they were known when settled.")
@click.option("--spells-after", required=True, type=click.Path(), help="The statuses as they are known now.")
@click.option("--policy", required=True, metavar="NAME[@DATE]|FILE", help="The law: cn/beijing, a file.")
@click.option("--reform", "reforms", multiple=True, metavar="FILE", help="Apply a reform first; may be given again.")
@click.option("--opening", type=click.Path(), help="Accumulators that an earlier run closed with.")
@click.option("--out", type=click.Path(), help="Where the changed claims go (.csv or .parquet), one row a claim.")
@click.option("--people-out", type=click.Path(), help="Where the sums go, one row a person and year.")
@click.option("--rejects", type=click.Path(), help="Where refused rows go; default: OUT.rejects, if there are any.")
@click.option(
    "--lang", type=click.Choice(["zh", "en"]), default="en", show_default=True, help="Language of the report."
)
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Report who is owed or owes (应补, 应退) after statuses were corrected.

    CLAIMS are settled under both lists of statuses; each claim whose payments differ is listed with both.

    \b
    Example:
      medfloor resettle claims.csv --people people.csv --spells-before old.csv --spells-after new.csv \\
        --policy cn/beijing --out changes.csv

    Exit codes: 0 done, 1 done but some rows were refused, 2 nothing could be done.
    """
    from contextlib import ExitStack
    from pathlib import Path

    from medfloor.errors import UsageError
    from medfloor.intake import TableWriter, check_outputs
    from medfloor.settlement.resettle import resettle

    claims = asked["claims"] or asked["claims_option"]
    if not claims:
        raise UsageError("missing_claims", "name the file of claims: medfloor resettle CLAIMS --people ...")
    inputs = [claims, asked["people"], asked["spells_before"], asked["spells_after"], asked["opening"]]
    rejects = asked["rejects"]
    if rejects is None and asked["out"]:
        out = Path(asked["out"])
        rejects = str(out.with_name(f"{out.stem}.rejects{out.suffix}"))
    given = [f for f in inputs if f]
    check_outputs([f for f in (asked["out"], asked["people_out"], rejects) if f], given)
    found = resettle(
        claims, asked["people"], asked["spells_before"], asked["spells_after"], asked["policy"],
        reforms=asked["reforms"], opening=asked["opening"],
    )  # fmt: skip
    refused = found.rejected
    outputs: list[tuple[str | None, Any, list[str] | None]] = [
        (asked["out"], found.claims, None),
        (asked["people_out"], found.people, None),
    ]
    # Refused rows of an earlier run do not stay beside this one's changes.
    writes_rejects = bool(rejects and (refused.height or asked["rejects"] or Path(rejects).exists()))
    outputs.append((rejects if writes_rejects else None, refused, []))
    with ExitStack() as stack:
        writers = []
        for path, frame, money in outputs:
            if path:
                writers.append(stack.enter_context(TableWriter(path, money_columns=money)))
                writers[-1].append(frame)
        for writer in writers:
            writer.finish()
    _report(found.people, asked)
    if refused.height:
        click.echo(f"{say('summary.rejected', asked['lang'])}: {refused.height:,}")
        for reason, count in sorted(refused["reason"].value_counts().iter_rows()):
            click.echo(f"  {reason}  {count:,}")
    for key, path in (("file_differences", asked["out"]), ("file_rejects", rejects if writes_rejects else None)):
        if path:
            click.echo(f"{say(f'summary.{key}', asked['lang'])}: {path}")
    ctx.exit(1 if refused.height else 0)


def _report(people: Any, asked: dict[str, Any]) -> None:
    """Print the people who are owed or owe, the largest first, and the sums."""
    lang = asked["lang"]
    values = {"policy": asked["policy"], "before": asked["spells_before"], "after": asked["spells_after"]}
    click.echo(say("resettle.title", lang, **values))
    if people.height == 0:
        click.echo(say("resettle.none", lang))
        return
    names = ("person", "year", "claims", "before", "after", "difference", "direction")
    rows = [[say(f"resettle.head_{name}", lang) for name in names]]
    ordered = people.sort(people["difference_fen"].abs(), descending=True)
    for row in ordered.head(SHOWN).iter_rows(named=True):
        money = [group_yuan(row[name]) for name in ("before_fen", "after_fen", "difference_fen")]
        direction = "" if row["direction"] == "none" else say(f"resettle.{row['direction']}", lang)
        rows.append([row["person_id"], str(row["benefit_year"]), str(row["claims"]), *money, direction])
    for line in aligned(rows, right=(1, 2, 3, 4, 5)):
        click.echo(line)
    if people.height > SHOWN:
        click.echo(say("resettle.more", lang, n=people.height - SHOWN))
    gains = people.filter(people["difference_fen"] > 0)["difference_fen"]
    losses = people.filter(people["difference_fen"] < 0)["difference_fen"]
    sums = {
        "owed": group_yuan(int(gains.sum())),
        "n_owed": gains.len(),
        "owes": group_yuan(-int(losses.sum())),
        "n_owes": losses.len(),
    }
    click.echo(say("resettle.sum", lang, **sums))
