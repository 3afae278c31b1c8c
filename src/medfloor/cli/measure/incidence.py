"""Be `medfloor measure incidence`."""

from __future__ import annotations

from typing import Any

import click

from medfloor.cli.measure.asking import answer, asks_for_a_table, progress_bar, read


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--benefit", metavar="COLUMN", help="What was got; default: benefit, unless it is worked out as below.")
@click.option("--total", metavar="COLUMN", help="Benefit = --total less --oop: what care cost less what was paid.")
@click.option("--oop", "oop", metavar="COLUMN", help="Goes with --total.")
@click.option("--use", metavar="COLUMN", help="Benefit = --use times --unit-subsidy less --fee.")
@click.option("--unit-subsidy", metavar="NUMBER|COLUMN", help="Public money for each use.")
@click.option("--fee", metavar="COLUMN", help="All that the user paid for the use.")
@click.option("--floor", is_flag=True, help="Take a benefit below zero for zero.")
@click.option(
    "--rank", metavar="COLUMN", help="What orders rows from poor to rich; default: consumption, without --contribution."
)
@click.option(
    "--rank-by",
    type=click.Choice(["person", "household"]),
    help="Divide the rank by size (person) or not; default: person for consumption and income, if there is size.",
)
@click.option("--quantiles", type=click.IntRange(2, 100), help="Quantile groups of the rank; default: 5.")
@click.option("--contribution", metavar="COLUMN", help="Measure net transfers instead: benefit less contribution.")
@click.option("--subsidy", metavar="COLUMN", help="What a third party paid in for them, also taken off.")
@click.option("--per-head", is_flag=True, help="Net transfers: divide amounts by size, and count people.")
@asks_for_a_table()
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Measure who gets the benefit of public money, by quantile; with --contribution, who pays for whom.

    Net transfers come for all and for each group of --by (residence, region, place), with shares of contributions and
    of benefits: a group whose share of benefits is less pays for others (the reverse subsidy, where it is the poorer).

    \b
    Examples:
      medfloor measure incidence survey.csv --benefit reimbursed --rank consumption
      medfloor measure incidence survey.csv --use visits --unit-subsidy 120 --fee fees
      medfloor measure incidence people.csv --total cost --oop oop --contribution premium --by residence
      medfloor measure incidence people.csv --contribution premium --subsidy grant --rank income --quantiles 5 --lang zh
    """
    from medfloor.measures.incidence import Benefit, incidence, net_transfer

    subsidy, column = _number_or_column(asked["unit_subsidy"])
    ways = {name: asked[name] for name in ("benefit", "total", "oop", "use", "fee")}
    if not any(ways.values()) and subsidy is None:
        ways["benefit"] = "benefit"
    benefit = Benefit(**ways, unit_subsidy=subsidy, floor=asked["floor"])
    benefit.columns()
    rank = asked["rank"] or (None if asked["contribution"] else "consumption")
    named = [*ways.values(), column, rank, asked["contribution"], asked["subsidy"]]
    needed = [name for name in named if name]
    given = read(asked, numbers=[*needed, "size"], required=needed)
    common = {**given.common, "rank": rank, "rank_by": asked["rank_by"], "progress": progress_bar("replicates")}
    if not asked["contribution"]:
        answer(
            ctx, given, incidence(given.micro.accepted, benefit=benefit, quantiles=asked["quantiles"] or 5, **common)
        )
        return
    result = net_transfer(
        given.micro.accepted,
        benefit=benefit,
        contribution=asked["contribution"],
        subsidy=asked["subsidy"],
        quantiles=asked["quantiles"] or 0,
        per_head=asked["per_head"],
        **common,
    )
    answer(ctx, given, result)


def _number_or_column(text: str | None) -> tuple[float | str | None, str | None]:
    """Read a number, or the name of a column; the second is the column, if it is one."""
    if text is None:
        return None, None
    try:
        return float(text), None
    except ValueError:
        return text, text
