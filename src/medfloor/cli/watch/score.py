"""Be `medfloor watch score`: how likely each household is to fall next year, and why."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import click

from medfloor.cli.watch.reading import check_year, read_model, read_years, register_options, rules_of

if TYPE_CHECKING:
    import polars as pl

    from medfloor.watch.risk import Model


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("model", metavar="MODEL")
@register_options
@click.option("--year", required=True, type=click.IntRange(1990, 2200), help="Year of the features.")
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), help="Day up to which to look.  [default: 31 December]")
@click.option("--out", required=True, metavar="FILE", help="Where the scores go (.csv or .parquet).")
@click.option("--reasons", type=click.IntRange(0), default=5000, show_default=True, metavar="N",
              help="Give the first N households their reasons.")  # fmt: skip
@click.option("--lang", type=click.Choice(["zh", "en"]), default="en", show_default=True, help="Language.")
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Score households by MODEL: the probability of falling next year, a rank, the official rule, three reasons.

    The features are worked out as in training, from what was known on the day. Writes household_id, probability, rank,
    rule_alert (the official rule finds it too), rule_ratio (own payments over its line), reason_1 to reason_3, and
    the own payments with which it would not be alerted (unless: of the model at its capacity; rule_unless).
    A score says whom to visit first; it takes nothing away and decides nothing. Prints counts that name nobody.

    \b
    Examples:
      medfloor watch score model.json --people people.csv --households waves.csv --settlements settled.csv \\
        --year 2025 --out scores.csv
      medfloor watch score model.json --people people.csv --households waves.csv --settlements settled.csv \\
        --spells spells.csv --claims claims.csv --year 2025 --as-of 2025-12-31 --lang zh --out scores.parquet

    Exit codes: 0 done, 1 done but rows were refused, 2 nothing could be done.
    """
    from medfloor.errors import UsageError
    from medfloor.intake.files import check_outputs, write_table
    from medfloor.watch.features import features
    from medfloor.words import say

    year, lang = asked["year"], asked["lang"]
    day = date(year, 12, 31) if asked["as_of"] is None else asked["as_of"].date()
    if day.year != year:
        raise UsageError("bad_day", f"--as-of {day} is no day of {year}; features are those of one year up to a day")
    inputs = [asked[name] for name in ("model", "people", "households", "spells", "claims", "file")]
    check_outputs([asked["out"]], [*inputs, *asked["settlements"]])
    model = read_model(asked["model"])
    read = read_years(asked)
    check_year(read.settlements, year, day)
    rules = rules_of(asked, str(model.target.get("place", "cn")))(day)
    lag = int(model.target.get("income_lag", 0))
    found = features(read.register, read.settlements, rules, year=year, as_of=day, income_lag=lag)
    if found.is_empty():
        raise UsageError("no_rows", f"no household is known on {day}; see --households and its column wave")
    scores = _scored(model, found, asked["reasons"], lang)
    write_table(scores, asked["out"], money_columns=[])
    said = {"households": f"{scores.height:,}", "day": day, "mean": f"{100 * float(model.score(found).mean()):.2f}"}
    click.echo(say("watch_score.scored", lang, alerts=f"{int(scores['rule_alert'].sum()):,}", **said))
    capacity = model.judged.get("capacity")
    if capacity:
        visited = min(52 * int(capacity), scores.height)
        both = int(scores.head(visited)["rule_alert"].sum())
        click.echo(say("watch_score.first", lang, visited=f"{visited:,}", capacity=capacity, both=f"{both:,}"))
    if (day.month, day.day) != (12, 31):
        click.echo(say("watch_score.partial", lang, day=day))
    if read.rejected.height:
        click.echo(say("watch_train.refused", lang, rows=f"{read.rejected.height:,}"))
    if read.synthetic or model.synthetic:
        click.echo(say("watch_train.synthetic", lang))
    click.echo(say("watch_train.decides", lang))
    ctx.exit(1 if read.rejected.height else 0)


def _scored(model: Model, found: pl.DataFrame, most: int, lang: str) -> pl.DataFrame:
    """Put households in the order of their probability; those with the same one in that of their ids."""
    import polars as pl

    from medfloor.watch.reason_codes import line_at, reasons, unless

    rows = found.with_columns(pl.Series("probability", model.score(found)))
    rows = rows.sort("probability", "household_id", descending=[True, False])
    first, capacity = rows.head(most), int(model.judged.get("capacity") or 0)
    told = reasons(model, first, lang)
    if capacity and first.height:
        line = line_at(rows["probability"], 52 * capacity)
        told = told.join(unless(model, first, line, lang), on="household_id", how="left", maintain_order="left")
    ranked = rows.select(
        "household_id",
        "probability",
        pl.int_range(1, pl.len() + 1).alias("rank"),
        (pl.col("rule_score") > 1).fill_null(value=False).cast(pl.Int8).alias("rule_alert"),
        pl.col("rule_score").round(4).alias("rule_ratio"),
    )
    return ranked.join(told, on="household_id", how="left", maintain_order="left")
