"""Be `medfloor measure burden`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from medfloor.cli.measure.asking import answer, asks_for_a_cluster, asks_for_a_table, percents, progress_bar, read_cases

if TYPE_CHECKING:
    from medfloor.measures import Result

_SHOWN = {
    "cross": ("cross_cases", "cross_share", "odds_ratio", "pearson_chi2", "rao_scott_f"),
    "change": ("change_cases", "change_share"),
}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--reference",
    metavar="mean|median|NUMBER|COLUMN",
    help="What relative risk is measured against: the mean or median cost of all cases, a number, or a column such as "
    "income. There is no default, because it decides who is at high risk.",
)
@click.option("--total", default="total", show_default=True, metavar="COLUMN", help="Cost before any compensation.")
@click.option(
    "--tiers",
    metavar="COLUMN,...",
    help="What each tier paid, in order; default: all columns pay_<tier> in the table's order, except pay_total.",
)
@click.option("--oop", metavar="COLUMN", help="What was left in the end; what the tiers do not explain is a last tier.")
@click.option("--safe", default="0.8", show_default=True, metavar="SHARE", help="Burden reduction of the safe zone.")
@click.option("--safe-open", is_flag=True, help="A burden reduction of exactly that share is not yet safe.")
@click.option(
    "--risk-cut", type=float, default=1.0, show_default=True, help="Relative risk from which a case is at high risk."
)
@click.option(
    "--show",
    type=click.Choice(["all", "summary", "cross", "change"]),
    default="all",
    show_default=True,
    help="Everything, only the measures by tier, only the table of risk before by zone after, or only risk before by "
    "risk after.",
)
@asks_for_a_cluster
@asks_for_a_table()
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Measure what each tier of compensation takes off the burden of cases: burden reduction, relative risk, safe zone.

    TABLE has one row a case (a claim, a stay): the cost, and what each tier paid, as `medfloor settle` writes them
    (under our names or the national platform's). Cases without cost are counted and left out, and so are settlements
    that were taken back. The definitions are this project's own; the answer states them.

    \b
    Examples:
      medfloor measure burden settlements.csv --reference mean
      medfloor measure burden settlements.csv --reference income --risk-cut 0.4 --by disease
      medfloor measure burden stays.csv --total bill --oop paid --reference 20000 --show cross
    """
    from medfloor.cli.measure.platform import in_our_names
    from medfloor.measures.burden import burden

    reference, column = _reference(asked["reference"])
    tiers = asked["tiers"].split(",") if asked["tiers"] else None
    needed = [asked["total"], *(tiers or []), *([asked["oop"]] if asked["oop"] else []), *([column] if column else [])]
    asked["mapping"] = in_our_names(asked["table"], asked["mapping"], [*needed, *asked["by"]])
    payments = [] if tiers else _payments(asked["table"], asked["mapping"])
    given = read_cases(
        asked,
        numbers=[*needed, *payments, "size"],
        labels=["person_id"],
        required=needed,
        matched=lambda _: (asked["total"], tiers or payments),
        used=needed,
    )
    shares = percents(asked["safe"]) or [0.8]
    result = burden(
        given.table,
        reference=reference,
        total=asked["total"],
        tiers=tiers,
        oop=asked["oop"],
        safe=shares[0],
        safe_closed=not asked["safe_open"],
        risk_cut=asked["risk_cut"],
        **given.common,
        progress=progress_bar("replicates"),
    )
    answer(ctx, given, _only(result, asked["show"]))


def _reference(text: str | None) -> tuple[Any, str | None]:
    """Read the reference: mean, median, a number, or the name of a column."""
    if text is None or text in ("mean", "median"):
        return text, None
    try:
        return float(text), None
    except ValueError:
        return text, text


def _payments(place: str, mapping: tuple[str, ...]) -> list[str]:
    """Name the columns of payments, so that they are read as numbers: those of the table, and those that are mapped."""
    from pathlib import Path

    from medfloor.intake import read_microdata, scan_table
    from medfloor.intake.mapping import read_mapping

    if Path(place).suffix.lower() in (".csv", ".parquet") or Path(place).is_dir():
        names: tuple[str, ...] = scan_table(place).names
    else:
        names = tuple(read_microdata(place).accepted.columns)
    every = dict.fromkeys([*names, *(link.ours for link in read_mapping(list(mapping)).values())])
    return [name for name in every if name.startswith("pay_") and name != "pay_total"]


def _only(result: Result, shown: str) -> Result:
    import polars as pl

    if shown == "all":
        return result
    other = [name for names in _SHOWN.values() for name in names]
    wanted = ~pl.col("statistic").is_in(other) if shown == "summary" else pl.col("statistic").is_in(_SHOWN[shown])
    return replace(result, rows=result.rows.filter(wanted))
