"""Be `medfloor measure consistency`."""

from __future__ import annotations

from typing import Any

import click

from medfloor.cli.measure.asking import Asked, answer, asks_for_a_table, check_places, say


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("table", type=click.Path(), required=False)
@click.option("--percent", metavar="P", help="One percentage as it was printed, such as 12.55 or 15.80.")
@click.option("--of", "n", type=int, metavar="N", help="What it is a percentage of.")
@click.option("--decimals", type=click.IntRange(0, 6), help="How many decimals were printed; default: those written.")
@click.option(
    "--rounding",
    type=click.Choice(["any", "half-up", "half-even", "truncation"]),
    default="any",
    show_default=True,
    help="How the printer rounded; any: one of them suffices.",
)
@asks_for_a_table(table=False, measured=False)
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Ask whether a printed percentage can be k of n, and which k make it. Ends with 1 if one cannot.

    TABLE has the columns percent and n, one row a printed percentage, and optionally label, and part_of: the label of
    the row that this row is a part of, so that the total is asked too. A row that lacks percent or n is left out and
    counted.

    \b
    Examples:
      medfloor measure consistency --percent 12.55 --of 417
      medfloor measure consistency printed.csv --lang zh
      medfloor measure consistency printed.csv --rounding half-up --out checked.csv
    """
    from medfloor.errors import UsageError
    from medfloor.measures.consistency import consistency

    one = asked["percent"] is not None or asked["n"] is not None
    if one == (asked["table"] is not None) or (one and None in (asked["percent"], asked["n"])):
        raise UsageError("nothing_to_check", "give a TABLE with columns percent and n, or both --percent P and --of N")
    check_places(asked)
    if one:
        asks = {"percent": [asked["percent"]], "n": [asked["n"]]}
        result = consistency(asks, decimals=asked["decimals"], rounding=asked["rounding"])
        say(asked, result)
    else:
        from medfloor.intake import read_microdata
        from medfloor.measures import Design

        micro = read_microdata(
            asked["table"],
            mapping=asked["mapping"],
            numbers=["n"],
            labels=["label", "percent", "part_of"],
            required=["percent", "n"],
        )
        result = consistency(micro.accepted, decimals=asked["decimals"], rounding=asked["rounding"])
        answer(ctx, Asked(micro, Design(), asked), result)
    if result.special["impossible"] or result.special.get("impossible_totals"):
        ctx.exit(1)
