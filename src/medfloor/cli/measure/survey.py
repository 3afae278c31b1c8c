"""Be `medfloor measure survey`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from medfloor.cli.measure.asking import answer, asks_for_a_table, given_among, percents, progress_bar, read

if TYPE_CHECKING:
    import polars as pl

    from medfloor.cli.measure.asking import Asked
    from medfloor.measures import Result

_ESTIMATES = ["mean", "total", "proportion", "ratio", "quantile", "crosstab", "design"]


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--estimate",
    type=click.Choice(_ESTIMATES),
    default="mean",
    show_default=True,
    help="What to estimate; crosstab tests rows against columns, design says what the design looks like and costs.",
)
@click.option(
    "--value", "values", multiple=True, metavar="COLUMN", help="What of; mean, total, quantile: again for more."
)
@click.option("--over", metavar="COLUMN", help="ratio: the column below the line.")
@click.option("--category", metavar="TEXT", help="proportion: of this category only.")
@click.option("--rows", metavar="COLUMN", help="crosstab: the classes of the rows.")
@click.option("--columns", metavar="COLUMN", help="crosstab: the classes of the columns.")
@click.option(
    "--share",
    type=click.Choice(["all", "row", "column"]),
    default="all",
    show_default=True,
    help="crosstab: what a cell is a share of.",
)
@click.option(
    "--probabilities", default="0.25,0.5,0.75", show_default=True, metavar="P,...", help="quantile: such as 0.5 or 50%."
)
@click.option(
    "--rule",
    type=click.Choice(["inverse", "midpoint"]),
    default="inverse",
    show_default=True,
    help="quantile: where the distribution is flat, the lower value (R) or the middle (Stata).",
)
@click.option(
    "--interval",
    type=click.Choice(["logit", "wilson", "beta", "wald", "arcsine"]),
    default="logit",
    show_default=True,
    help="proportion: the interval; beta is Korn and Graubard's.",
)
@click.option(
    "--deff",
    type=click.Choice(["replacement", "population"]),
    default="replacement",
    show_default=True,
    help="What the design effect is against: a simple draw with replacement, or from the population of the weights.",
)
@asks_for_a_table()
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Estimate means, totals, proportions, ratios and quantiles with the errors of the survey's design.

    An expression is a column of the mapping: --map log_income=ln(income) --value log_income.

    \b
    Examples:
      medfloor measure survey schools.csv --value api00 --weight pw --strata stype --fpc fpc
      medfloor measure survey survey.dta --estimate proportion --value insured --by residence --against rural
      medfloor measure survey survey.csv --estimate quantile --value income --probabilities 10%,50%,90%
      medfloor measure survey survey.csv --estimate crosstab --rows residence --columns insured
    """
    _check(ctx, asked)
    chosen, values = asked["estimate"], list(asked["values"])
    if chosen in ("proportion", "crosstab"):
        labels = [asked["rows"], asked["columns"]] if chosen == "crosstab" else values
        given = read(asked, numbers=["size"], labels=labels, required=labels)
    else:
        numbers = [*values, *([asked["over"]] if asked["over"] else [])]
        given = read(asked, numbers=[*numbers, "size"], required=numbers)
    answer(ctx, given, _estimated(chosen, values, asked, given))


_BELONGS = {
    "over": ("ratio",),
    "category": ("proportion",),
    "interval": ("proportion",),
    "rows": ("crosstab",),
    "columns": ("crosstab",),
    "share": ("crosstab",),
    "probabilities": ("quantile",),
    "rule": ("quantile",),
    "deff": ("mean", "total", "ratio", "proportion", "quantile"),
    "values": ("mean", "total", "ratio", "proportion", "quantile"),
}
"""The estimates that an option is for; the others would take no notice of it."""


def _check(ctx: click.Context, asked: dict[str, Any]) -> None:
    """Say what an estimate needs."""
    chosen, number = asked["estimate"], len(asked["values"])
    for name in given_among(ctx, _BELONGS):
        if chosen not in _BELONGS[name]:
            ctx.fail(
                f"--{name.removesuffix('s') if name == 'values' else name} is for --estimate "
                f"{' or '.join(_BELONGS[name])}, not {chosen}"
            )
    if chosen in ("mean", "total", "quantile") and not number:
        ctx.fail(f"--estimate {chosen} needs --value COLUMN")
    if chosen in ("proportion", "ratio") and number != 1:
        ctx.fail(f"--estimate {chosen} needs --value COLUMN, once")
    if chosen == "ratio" and not asked["over"]:
        ctx.fail("--estimate ratio needs --over COLUMN, the column below the line")
    if chosen == "crosstab" and not (asked["rows"] and asked["columns"]):
        ctx.fail("--estimate crosstab needs --rows COLUMN and --columns COLUMN")
    if chosen == "crosstab" and asked["by"]:
        ctx.fail("--estimate crosstab has no --by; its groups are --rows and --columns")
    if chosen == "design" and asked["against"]:
        ctx.fail("--estimate design has no --against: it has no errors to compare with")


def _estimated(chosen: str, values: list[str], asked: dict[str, Any], given: Asked) -> Result:
    from medfloor.measures import survey
    from medfloor.measures.crosstab import crosstab

    table, common = given.micro.accepted, dict(given.common)
    if chosen == "design":
        del common["against"]
        return survey.design_summary(table, **common)
    common["progress"] = progress_bar("replicates")
    if chosen == "crosstab":
        del common["by"], common["against"]
        return crosstab(table, rows=asked["rows"], columns=asked["columns"], share=asked["share"], **common)
    common["deff"] = asked["deff"]
    if chosen == "ratio":
        return survey.ratio(table, value=values[0], over=asked["over"], **common)
    if chosen == "proportion":
        interval = None if asked["interval"] == "logit" else asked["interval"]
        table = _with_numbers(table, values[0]) if asked["category"] is None else table
        return survey.proportion(table, value=values[0], category=asked["category"], interval=interval, **common)
    if chosen == "quantile":
        probabilities = percents(asked["probabilities"]) or []
        return survey.quantile(table, value=values, probabilities=probabilities, rule=asked["rule"], **common)
    return (survey.mean if chosen == "mean" else survey.total)(table, value=values, **common)


def _with_numbers(table: pl.DataFrame, name: str) -> pl.DataFrame:
    """Take categories that are written 0 and 1 for what they are, so that one share comes out."""
    import polars as pl

    if set(table[name].drop_nulls().unique().to_list()) <= {"0", "1"}:
        return table.with_columns(pl.col(name).cast(pl.Float64))
    return table
