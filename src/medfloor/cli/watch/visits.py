"""Be `medfloor watch visits`: whom to visit in which week."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from medfloor.cli.opened import lang_option

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    import polars as pl


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("alerts", metavar="ALERTS")
@click.option("--capacity", type=click.IntRange(1), required=True, metavar="K", help="Visits a week.")
@click.option("--scores", metavar="FILE", help="Probabilities of `watch score` (household_id, probability).")
@click.option("--households", metavar="FILE", help="household_id and township: shares follow the households.")
@click.option("--share", type=float, metavar="F", help="Part kept for townships, 0 to 1.  [default: 0.3]")
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), help="First day.  [default: the day after the last alert]")
@click.option("--weeks", type=click.IntRange(1, 520), default=4, show_default=True, help="How many weeks to plan.")
@click.option("--method", type=click.Choice(["harm", "by_harm", "first_come"]), default="harm", show_default=True,
              help="harm: late ones first, then harm; by_harm: harm alone.")  # fmt: skip
@click.option("--place", default="cn", show_default=True, metavar="cn|cn/...", help="Whose day for visits counts.")
@click.option("--out", metavar="FILE", help="The plan, .csv or .parquet: one row a visit.")
@lang_option
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Give the week's visits to those whom they help most, each township its share.

    ALERTS is the file of alerts that `medfloor watch screen` wrote, or any table with household_id and what is known of
    township, found_on, probability, depth (yuan) and preventable. A household with several alerts waits once. Prints
    counts by week and township that name nobody; households stand in the file of --out.

    \b
    Examples:
      medfloor watch visits may/alerts.csv --capacity 40 --out plan.csv
      medfloor watch visits may/alerts.csv --capacity 40 --scores scores.csv --households households.csv \\
        --share 0.5 --weeks 8 --out plan.parquet --lang zh
      medfloor watch visits may/alerts.csv --capacity 40 --method first_come

    Exit codes: 0 done, 1 done but visits come after their day or households are left, 2 nothing could be done.
    """
    from medfloor.intake.files import check_outputs
    from medfloor.watch.capacity import VISITS, assumptions, plan_visits, queue
    from medfloor.watch.deadlines import load_case_rules

    inputs = [asked[name] for name in ("alerts", "scores", "households")]
    check_outputs([asked["out"]], inputs)
    alerts, counts = _alerts(asked)
    if alerts.is_empty() and "household_id" in alerts.columns:
        # A month without a new alert is no mistake.
        _nobody(asked, VISITS)
        return
    as_of = asked["as_of"].date() if asked["as_of"] else _first_day(alerts)
    rules = load_case_rules(asked["place"], on=as_of)
    share = assumptions()["fair_share"] if asked["share"] is None else asked["share"]
    plan = plan_visits(
        alerts, capacity=asked["capacity"], as_of=as_of, share=share, weeks=asked["weeks"], households=counts,
        method="first_come" if asked["method"] == "first_come" else "harm", rules=rules,
        overdue="by_harm" if asked["method"] == "by_harm" else "first",
    )  # fmt: skip
    waiting = queue(alerts, as_of=as_of, rules=rules)
    _tell(asked, plan, waiting, as_of, share, rules["visit_within"].value)
    _write(asked, plan)
    ctx.exit(1 if plan["late"].any() or plan.height < waiting.height else 0)


def _nobody(asked: dict[str, Any], columns: Mapping[str, Any]) -> None:
    import polars as pl

    from medfloor.words import say

    click.echo(say("watch_visits.nobody", asked["lang"], file=asked["alerts"]))
    _write(asked, pl.DataFrame(schema=dict(columns)))


def _write(asked: dict[str, Any], plan: pl.DataFrame) -> None:
    from medfloor.intake.files import write_table

    if asked["out"]:
        write_table(plan, asked["out"], money_columns=[])
        click.echo(f"{asked['out']}: {plan.height:,}", err=True)


def _alerts(asked: dict[str, Any]) -> tuple[pl.DataFrame, Mapping[str, int] | None]:
    """Read alerts, with townships and probabilities beside them; money comes in yuan and goes on in fen."""
    import polars as pl

    from medfloor.errors import InputError
    from medfloor.intake.files import read_table

    alerts = _blank(read_table(asked["alerts"], "alerts"))
    try:
        alerts = alerts.with_columns(
            (pl.col(name).cast(pl.Float64) * 100).round().cast(pl.Int64).alias(f"{name}_fen")
            for name in ("spent", "base", "allowed")
            if name in alerts.columns
        )
    except pl.exceptions.PolarsError:
        raise InputError("bad_alerts", f"{asked['alerts']}: spent, base and allowed are amounts in yuan") from None
    counts = None
    if asked["households"]:
        homes = _keyed(asked["households"], "township").unique("household_id", keep="last", maintain_order=True)
        counted = homes.group_by(pl.col("township").fill_null("")).len()
        counts = {str(name): int(count) for name, count in counted.iter_rows()}
        alerts = _beside(alerts, homes, "township")
    if asked["scores"]:
        scored = _keyed(asked["scores"], "probability")
        try:
            scored = scored.with_columns(pl.col("probability").cast(pl.Float64))
        except pl.exceptions.PolarsError:
            raise InputError("bad_alerts", f"{asked['scores']}: a probability is no number") from None
        alerts = _beside(alerts, scored.group_by("household_id").agg(pl.col("probability").max()), "probability")
    return alerts, counts


def _keyed(path: str, column: str) -> pl.DataFrame:
    import polars as pl

    from medfloor.errors import InputError
    from medfloor.intake.files import read_table

    frame = _blank(read_table(path, column))
    for name in ("household_id", column):
        if name not in frame.columns:
            raise InputError("missing_column", f"{path} has no column {name}; it has {', '.join(frame.columns)}")
    kind = pl.String if column == "township" else frame.schema[column]
    return frame.select(pl.col("household_id").cast(pl.String), pl.col(column).cast(kind))


def _beside(alerts: pl.DataFrame, other: pl.DataFrame, column: str) -> pl.DataFrame:
    """Put a column beside alerts, in the place of one that they have; what the other lacks is empty."""
    import polars as pl

    from medfloor.errors import InputError

    if "household_id" not in alerts.columns:
        raise InputError("missing_column", "the alerts have no column household_id; give those of `watch screen`")
    left = alerts.drop(column, strict=False).with_columns(pl.col("household_id").cast(pl.String))
    return left.join(other, on="household_id", how="left", maintain_order="left")


def _blank(frame: pl.DataFrame) -> pl.DataFrame:
    import polars as pl

    texts = [name for name, kind in frame.schema.items() if kind == pl.String]
    return frame.with_columns(pl.col(name).str.strip_chars().replace("", None) for name in texts)


def _first_day(alerts: pl.DataFrame) -> date:
    """Give the day after the last alert."""
    from datetime import date, timedelta

    import polars as pl

    from medfloor.errors import InputError

    for name in ("as_of", "found_on"):
        if name in alerts.columns:
            days = alerts[name]
            last = (days.str.to_date("%Y-%m-%d", strict=False) if days.dtype == pl.String else days).max()
            if isinstance(last, date):
                return last + timedelta(days=1)
    raise InputError("missing_column", "the alerts have no day in as_of or found_on; give the first day with --as-of")


def _tell(
    asked: dict[str, Any], plan: pl.DataFrame, waiting: pl.DataFrame, as_of: date, share: float, days: int
) -> None:
    import polars as pl

    from medfloor.terminal import aligned
    from medfloor.words import say

    lang = asked["lang"]

    def word(name: str, **values: object) -> str:
        return say(f"watch_visits.{name}", lang, **values)

    method = say(f"watch_visits_method.{asked['method']}", lang)
    click.echo(
        word("head", waiting=f"{waiting.height:,}", day=as_of, capacity=asked["capacity"], method=method,
             share=f"{share:.0%}")
    )  # fmt: skip
    rows = [[word(name) for name in ("week", "from_date", "visits", "late", "harm")]]
    weeks = plan.group_by("week", "from_date").agg(
        pl.len().alias("visits"), pl.col("late").sum(), pl.col("expected_harm").sum()
    )
    for one in weeks.sort("week").iter_rows():
        rows.append([str(one[0]), str(one[1]), f"{one[2]:,}", f"{one[3]:,}", f"{one[4]:,.0f}"])
    click.echo("\n" + "\n".join([word("by_week"), *aligned(rows, [0, 2, 3, 4])]))
    if waiting["township"].n_unique() > 1:
        given = plan.group_by("township").agg(pl.len().alias("given"), (pl.col("reason") == "share").sum())
        towns = waiting.group_by("township").len("waiting").join(given, on="township", how="left").fill_null(0)
        rows = [[word(name) for name in ("township", "waiting", "given", "floor")]]
        for town, count, planned, own in towns.sort("township").iter_rows():
            rows.append([town or word("nowhere"), f"{count:,}", f"{planned:,}", f"{own:,}"])
        click.echo("\n" + "\n".join([word("by_township"), *aligned(rows, [1, 2, 3])]))
    said = []
    late, left = int(plan["late"].sum()), waiting.height - plan.height
    if left:
        said.append(word("left", left=f"{left:,}", weeks=asked["weeks"]))
    if late:
        said.append(word("overdue", late=f"{late:,}", days=days))
    click.echo(
        "\n" + "\n".join([*said, word("names"), word("assumed", file="watch/capacity.toml"), word("order_only")])
    )
