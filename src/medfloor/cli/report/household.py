"""Be `medfloor report household`: a letter to a family about its settled claims."""

from __future__ import annotations

from typing import Any

import click

from medfloor.cli.report.asking import asks_for_a_report, check_outs, day_of, write


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("claim_ids", nargs=-1, required=True, metavar="CLAIM_ID...")
@click.option("--claims", required=True, type=click.Path(), help="The claims that were settled (.csv or .parquet).")
@click.option("--people", required=True, type=click.Path(), help="Who they are: one row a person.")
@click.option("--spells", type=click.Path(), help="Dated statuses, one row an interval.")
@click.option(
    "--policy", required=True, metavar="NAME[@DATE]|FILE", help="The law: cn/beijing, cn/beijing@2023-01-01, a file."
)
@click.option("--reform", "reforms", multiple=True, metavar="FILE", help="Apply a reform first; may be given again.")
@click.option("--opening", type=click.Path(), help="Accumulators that an earlier run closed with.")
@click.option("--name", default="", metavar="TEXT", help="Whom the letter addresses.")
@click.option("--sender", default="", metavar="TEXT", help="The office that writes.")
@click.option("--address", default="", metavar="TEXT", help="Where the office is.")
@click.option("--telephone", default="", metavar="TEXT", help="The office's telephone.")
@asks_for_a_report
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Write to a family in plain words: who paid what by which article, what is left, what help there is, where to ask.

    CLAIM_ID is one bill, or several of the same family. The diagnosis is not printed. A character of a name that no
    font here has is printed as 〓, and said.

    \b
    Example:
      medfloor report household c17 --claims claims.csv --people people.csv --spells spells.csv \\
        --policy cn/beijing --name 王小明 --lang zh --out letter.pdf

    Exit codes: 0 written, 1 written, but a bill was refused (the letter says why), 2 no such claim, or a file or policy
    that cannot be used.
    """
    from medfloor.reports.family_letter import Sender, family_letter
    from medfloor.settlement.explain import explain

    check_outs(asked["outs"], [asked[name] for name in ("claims", "people", "spells", "opening", "policy")])
    told = [
        explain(one, asked["claims"], asked["people"], asked["spells"], asked["policy"], asked["opening"],
                reforms=asked["reforms"])
        for one in dict.fromkeys(asked["claim_ids"])
    ]  # fmt: skip
    sender = Sender(asked["name"], asked["sender"], asked["address"], asked["telephone"])
    write(family_letter(told, sender, made=day_of(asked["made"]), lang=asked["lang"]), asked["outs"], asked["lang"])
    ctx.exit(1 if any(one.refusal is not None for one in told) else 0)
