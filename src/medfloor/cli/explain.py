"""Be `medfloor explain`: one settled claim in words, tier by tier."""

from __future__ import annotations

import json

import click


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("claim_id")
@click.option("--claims", required=True, type=click.Path(), help="The claims that were settled (.csv or .parquet).")
@click.option("--people", required=True, type=click.Path(), help="Who they are: one row a person.")
@click.option("--spells", type=click.Path(), help="Dated statuses, one row an interval.")
@click.option(
    "--policy", required=True, metavar="NAME[@DATE]|FILE", help="The law: cn/beijing, cn/beijing@2023-01-01, a file."
)
@click.option("--reform", "reforms", multiple=True, metavar="FILE", help="Apply a reform first; may be given again.")
@click.option("--opening", type=click.Path(), help="Accumulators that an earlier run closed with.")
@click.option(
    "--lang", type=click.Choice(["zh", "en"]), default="en", show_default=True, help="Language of the output."
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print JSON for programs: codes, amounts, and texts in both languages."
)
@click.pass_context
def command(
    ctx: click.Context,
    claim_id: str,
    claims: str,
    people: str,
    spells: str | None,
    policy: str,
    reforms: tuple[str, ...],
    opening: str | None,
    lang: str,
    as_json: bool,
) -> None:
    """Explain how CLAIM_ID was settled: each tier's working, the articles, and what did not apply.

    Only the rows of the claim's person (or household) are settled, by the plain reference engine. The diagnosis is not
    printed.

    \b
    Examples:
      medfloor explain c17 --claims claims.csv --people people.csv --policy cn/beijing
      medfloor explain c17 --claims claims.csv --people people.csv --spells spells.csv \\
        --policy cn/beijing --lang zh

    Exit codes: 0 explained, 1 the row was refused (its reason is printed), 2 no such claim, or a file or policy that
    cannot be used.
    """
    from medfloor.settlement.explain import explain, render

    told = explain(claim_id, claims, people, spells, policy, opening, reforms=reforms)
    if as_json:
        click.echo(json.dumps(told.to_dict(), ensure_ascii=False, indent=1))
    else:
        click.echo(render(told, lang), nl=False)
    if told.refusal is not None:
        ctx.exit(1)
