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
@click.option("--serve", is_flag=True, help="Serve the whole office of a made-up county, with its pages.")
@click.option(
    "--folder", default="medfloor-office", show_default=True, type=click.Path(file_okay=False, path_type=Path),
    help="With --serve: where the made-up office is kept.",
)  # fmt: skip
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="With --serve; 0: any.")
@click.option(
    "--people", type=click.IntRange(1_000, 100_000), default=2_000, show_default=True,
    help="With --serve: how many made-up people.",
)  # fmt: skip
@click.option("--open", "opens", is_flag=True, help="With --serve: open the browser.")
@click.pass_context
def command(
    ctx: click.Context, /, out: str, lang: str, serve: bool, folder: Path, port: int, people: int, opens: bool
) -> None:
    """Settle a shipped sample of made-up people under Beijing's real rules.

    With --serve: fill an office of a made-up county (people, a year of settled claims, arrears, statements, households
    at risk with their cases) and serve its pages to this machine alone, until Ctrl-C. Run again it goes on with the
    same folder.

    \b
    Examples:
      medfloor demo --lang zh
      medfloor demo --serve --open --lang zh

    Exit codes: 0 done, 2 misuse (port taken, folder holds something else), 3 the service could not start.
    """
    if serve:
        from medfloor.cli.demo_office import serve_demo

        ctx.exit(0 if serve_demo(folder, people=people, port=port, lang=lang, opens=opens) else 3)
    _settle_sample(out, lang)


def _settle_sample(out: str, lang: str) -> None:
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
