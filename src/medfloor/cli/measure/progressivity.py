"""Be `medfloor measure progressivity`."""

from __future__ import annotations

from typing import Any

import click

from medfloor.cli.measure.asking import answer, asks_for_a_table, progress_bar, read


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--payment",
    default="oop",
    show_default=True,
    metavar="COLUMN,...",
    help="What is paid; several columns are measured one by one and together.",
)
@click.option(
    "--income", default="consumption", show_default=True, metavar="COLUMN", help="What there is before it is paid."
)
@click.option(
    "--rank-by",
    type=click.Choice(["person", "household"]),
    help="Divide both by size (person) or not; default: person for consumption and income, if there is size.",
)
@click.option("--bands", type=click.IntRange(2), help="Equals before payment: so many quantile groups of income.")
@click.option("--band-width", type=float, help="Equals before payment: bands of income as wide as this.")
@asks_for_a_table()
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Measure who bears payments (Kakwani), and what they do to inequality (Reynolds-Smolensky, V - H - R).

    \b
    Examples:
      medfloor measure progressivity survey.csv --payment oop --income consumption
      medfloor measure progressivity survey.csv --payment premium,oop --by residence --against urban
      medfloor measure progressivity survey.csv --bands 100 --lang zh
    """
    from medfloor.errors import UsageError
    from medfloor.measures.progressivity import progressivity

    payments = [one.strip() for one in asked["payment"].split(",") if one.strip()]
    if asked["bands"] and asked["band_width"] is not None:
        raise UsageError("bad_bands", "give --bands or --band-width, not both")
    needed = [*payments, asked["income"]]
    given = read(asked, numbers=[*needed, "size"], required=needed)
    result = progressivity(
        given.micro.accepted,
        payment=payments,
        income=asked["income"],
        rank_by=asked["rank_by"],
        bands=asked["bands"],
        band_width=asked["band_width"],
        **given.common,
        progress=progress_bar("replicates"),
    )
    answer(ctx, given, result)
