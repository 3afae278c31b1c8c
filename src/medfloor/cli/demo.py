"""Be `medfloor demo`: settle the shipped sample under Beijing's rules and show what came out."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from medfloor.cli.summary import say_summary, tier_name
from medfloor.money import group_yuan
from medfloor.terminal import aligned
from medfloor.words import say

SAMPLE = Path(__file__).parents[1] / "sample" / "beijing"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--out", default="medfloor-demo", show_default=True, type=click.Path(file_okay=False), help="Folder to write to."
)
@click.option(
    "--lang", type=click.Choice(["zh", "en"]), default="en", show_default=True, help="Language of the output."
)
def command(out: str, lang: str) -> None:
    """Settle a shipped sample of made-up people under Beijing's real rules.

    \b
    Example:
      medfloor demo --lang zh
    """
    from medfloor.intake import read_table
    from medfloor.settlement.chunks import Files, settle_files

    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("claims", "people", "spells"):
        shutil.copyfile(SAMPLE / f"{name}.csv", folder / f"{name}.csv")
    files = Files(
        claims=str(folder / "claims.csv"),
        people=str(folder / "people.csv"),
        spells=str(folder / "spells.csv"),
        out=str(folder / "settlements.csv"),
        trace=str(folder / "trace.csv"),
        closing=str(folder / "closing.csv"),
    )
    tally = settle_files(files, "cn/beijing")
    click.echo(say("demo.synthetic", lang))
    click.echo(say("demo.legend", lang))
    click.echo()
    tiers = list(tally.paid_fen)
    heads = [say(f"demo.{key}", lang) for key in ("claim", "total", "in_scope")]
    heads += [*(tier_name(tier, lang) for tier in tiers), say("demo.self", lang), say("demo.what", lang)]
    rows = [heads]
    for row in read_table(files.out).sort("claim_id").iter_rows(named=True):
        amounts = [row["total"], row["in_scope"], *(row[f"pay_{tier}"] for tier in tiers), row["own_total"]]
        rows.append([row["claim_id"], *(group_yuan(_fen(amount)) for amount in amounts), row["case"]])
    for line in aligned(rows, right=range(1, len(heads) - 1)):
        click.echo(line)
    click.echo()
    say_summary(tally, "cn/beijing", lang)
    click.echo(say("demo.next", lang))
    tables = f"--claims {files.claims} --people {files.people} --spells {files.spells}"
    click.echo(f"  medfloor explain C02 {tables} --policy cn/beijing --lang {lang}")
    click.echo(f"  medfloor policy show cn/beijing@2024-01-01 --lang {lang}")


def _fen(text: str) -> int:
    from medfloor.money import parse_fen

    return parse_fen(text)
