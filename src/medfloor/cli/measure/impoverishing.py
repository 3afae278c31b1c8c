"""Be `medfloor measure impoverishing`."""

from __future__ import annotations

from typing import Any

import click

from medfloor.cli.measure.asking import answer, asks_for_a_table, progress_bar, read


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--line",
    "lines",
    multiple=True,
    metavar="LINE",
    help="What a person needs in the table's period; may be given again. A number, a column, median:0.6, mean:50%, "
    "cn-2010@2018, wb-2.15, wb-3.00, societal-2017, ... (--list-lines shows the published ones).",
)
@click.option("--year", type=int, help="cn- lines: year of the survey's prices.")
@click.option("--ppp", type=float, help="wb- and societal lines: currency units for one international dollar.")
@click.option(
    "--days", type=float, default=365, show_default=True, help="Days that the table's amounts cover (365: a year)."
)
@click.option(
    "--sign", type=click.Choice(["<", "<="]), default="<", show_default=True, help="Is one exactly at the line poor?"
)
@click.option(
    "--near",
    type=float,
    default=1.2,
    show_default=True,
    help="At risk: after payments below this multiple of the line.",
)
@click.option("--floor-net", is_flag=True, help="Count a negative net consumption (spending above all) as zero.")
@click.option(
    "--bandwidth",
    default="population",
    show_default=True,
    metavar="RULE",
    help="Estimated lines: the kernel's width, population, sample or a number.",
)
@click.option("--list-lines", is_flag=True, help="Show the published lines, with source and trust, and end.")
@asks_for_a_table(table=False)
@click.argument("table", required=False, type=click.Path())
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Count who is poor before and after paying for health (因病致贫).

    Needs oop, consumption and size, amounts a household and period. People are counted unless --unit household.
    --figure draws Pen's parade.

    \b
    Examples:
      medfloor measure impoverishing survey.csv --line 2995 --by residence
      medfloor measure impoverishing survey.dta --map oop=med,consumption=totexp --line cn-2010 --year 2018
      medfloor measure impoverishing survey.csv --line wb-2.15 --line wb-3.65 --ppp 4.2 --figure parade.svg
      medfloor measure impoverishing survey.csv --line median:0.5 --method bootstrap
    """
    if asked["list_lines"]:
        _say_lines(asked["lang"])
        return
    if asked["table"] is None:
        raise click.UsageError("Missing argument 'TABLE'.", ctx)
    if not asked["lines"]:
        raise click.UsageError("Missing option '--line'; for example --line 2995, --line median:0.5.", ctx)
    from medfloor.measures.impoverishing import impoverishing
    from medfloor.measures.lines import read_line

    lines: list[Any] = [
        read_line(one, year=asked["year"], ppp=asked["ppp"], days=asked["days"]) or one for one in asked["lines"]
    ]
    columns = [one for one in lines if isinstance(one, str)]
    needs = ["oop", "consumption", "size"]
    given = read(asked, numbers=[*needs, *columns], required=[*needs, *columns])
    result = impoverishing(
        given.micro.accepted,
        line=lines,
        sign=asked["sign"],
        near=asked["near"],
        floor_net=asked["floor_net"],
        bandwidth=width_of(asked["bandwidth"]),
        **given.common,
        progress=progress_bar("replicates"),
    )
    answer(ctx, given, result)


def width_of(text: str) -> Any:
    """Read a bandwidth: the name of a rule, or a number."""
    try:
        return float(text)
    except ValueError:
        return text


def _say_lines(lang: str) -> None:
    from medfloor.measures.lines import poverty_lines
    from medfloor.terminal import aligned
    from medfloor.words import say

    heads = [say(f"lines.{name}", lang) for name in ("name", "year", "value", "trust", "source")]
    rows = [
        [line.name, str(line.year), f"{line.value:,.2f}", say(f"trust.{line.trust}", lang), line.source]
        for line in poverty_lines()
    ]
    for row in aligned([heads, *rows], right=(1, 2)):
        click.echo(row)
    click.echo(say("lines.units", lang))
