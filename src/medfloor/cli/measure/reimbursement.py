"""Be `medfloor measure reimbursement`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from medfloor.cli.measure.asking import (
    Asked,
    answer,
    asks_for_a_cluster,
    asks_for_a_table,
    percents,
    progress_bar,
    read,
    read_cases,
    refuse_cluster,
)

if TYPE_CHECKING:
    from medfloor.measures import Result

_NUMBERS = ["total", "reimbursed", "oop", "in_scope", "income", "size"]
_SETTLED = ["pay_total", "own_total"]
_FLAGS = ["hospitalised", "major_disease", "chronic_disease"]


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--part",
    "parts",
    type=click.Choice(["rates", "ratios", "own", "income"]),
    multiple=True,
    help="Only this part; may be given again. Default: all that the table has columns for.",
)
@click.option("--edges", default="50%,75%,90%", show_default=True, metavar="Z,...", help="Of reimbursement bands.")
@click.option("--income-edges", default="50%,75%,90%", show_default=True, metavar="Z,...", help="Of income bands.")
@click.option(
    "--closed",
    type=click.Choice(["left", "right"]),
    default="left",
    show_default=True,
    help="Does a ratio of exactly 50 % belong to 50-75 % (left) or below (right)?",
)
@click.option("--percentiles", default="0.25,0.75,0.9", show_default=True, metavar="P,...", help="Of own payments.")
@click.option(
    "--report",
    type=click.Choice(["seed-004"]),
    help="Tables 1 and 2 and figures 1 to 5 of the study of poor households in Hubei and Jiangxi, as one answer.",
)
@click.option(
    "--registered", default="registered", show_default=True, metavar="COLUMN", help="seed-004: the two groups."
)
@click.option(
    "--definition",
    type=click.Choice(["budget", "nonfood", "who", "europe", "sdg"]),
    default="nonfood",
    show_default=True,
    help="seed-004: what catastrophic spending is 40 % of.",
)
@asks_for_a_cluster
@asks_for_a_table()
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Measure reimbursement ratios, their bands, own payments, their share of income, and rates of illness.

    Whatever the table has columns for: hospitalised, major_disease, chronic_disease (yes/no); total with reimbursed or
    oop (or pay_total and own_total, as `medfloor settle` writes them; settlements that were taken back are left out);
    in_scope; income. With --by, differences between groups are tested. Rows with an income of zero or below are a band
    of their own.

    The report seed-004 needs registered, the three yes/no columns, total, reimbursed, oop (all that the household paid
    for health), income, consumption and food; it holds each group against the national values that the study printed.

    \b
    Examples:
      medfloor measure reimbursement settlements.csv
      medfloor measure reimbursement stays.csv --by region
      medfloor measure reimbursement stays.csv --map total=bill,oop=paid --part ratios --closed right
      medfloor measure reimbursement households.csv --report seed-004 --lang zh
    """
    if asked["report"]:
        refuse_cluster(asked, "--report, whose rows are households")
        _report(ctx, asked)
        return
    from medfloor.cli.measure.platform import in_our_names
    from medfloor.measures.reimbursement import PARTS, reimbursement

    asked["mapping"] = in_our_names(asked["table"], asked["mapping"], asked["by"])
    given = read_cases(
        asked,
        numbers=[*_NUMBERS, *_SETTLED],
        labels=[*_FLAGS, "person_id"],
        matched=_matched,
    )
    result = reimbursement(
        given.table,
        parts=asked["parts"] or PARTS,
        edges=percents(asked["edges"]) or (),
        income_edges=percents(asked["income_edges"]) or (),
        closed=asked["closed"],
        percentiles=percents(asked["percentiles"]) or (),
        **given.common,
        progress=progress_bar("replicates"),
    )
    answer(ctx, given, result, figure="bands" if "reimbursement_band" in result.rows["statistic"] else None)


def _matched(names: Sequence[str]) -> tuple[str, list[str]]:
    """Name the columns by which `reimbursement` finds settlements that were taken back: the total, and what was paid.

    What was reimbursed counts before the patient's own, and a settlement's names only where a table has neither.
    """
    paid = [name for name in ("reimbursed", "oop", *_SETTLED) if name in names][:1]
    return "total" if paid else "", paid


def _report(ctx: click.Context, asked: dict[str, Any]) -> None:
    from medfloor.measures.seed_004 import seed_004

    further = {"europe": ["housing", "utilities", "adults", "children"], "who": ["size"], "sdg": ["size"]}
    needed = ["oop", "consumption", *(["food"] if asked["definition"] in ("nonfood", "who", "europe") else [])]
    needed += further.get(asked["definition"], [])
    asked = {**asked, "by": (*asked["by"], asked["registered"])}
    given = read(
        asked,
        numbers=[*_NUMBERS, *needed],
        labels=_FLAGS,
        required=["total", "reimbursed", "income", *_FLAGS, *needed],
    )
    results = seed_004(
        given.micro.accepted,
        registered=asked["registered"],
        definition=asked["definition"],
        edges=percents(asked["edges"]) or (),
        closed=asked["closed"],
        design=given.design,
    )
    _draw(asked, results)
    answer(ctx, Asked(given.micro, given.design, {**asked, "figure": None}), *results)


_DRAWN: dict[str, tuple[Literal["groups", "bands"], str]] = {
    "seed_004_table_1": ("groups", "chronic_disease_prevalence"),
    "seed_004_figure_1": ("groups", "hospitalisation_rate"),
    "seed_004_figure_2": ("groups", "catastrophic_incidence"),
    "seed_004_figures_3_4": ("bands", "reimbursement_band"),
    "seed_004_table_2": ("groups", "own_mean"),
    "seed_004_figure_5": ("bands", "income_band"),
}
"""Which kind of figure shows which statistic of each part of the report."""


def _draw(asked: dict[str, Any], results: list[Result]) -> None:
    """Draw each part of the report into a file of its own: NAME.svg becomes NAME.table_1.svg and so on."""
    from medfloor.reports import write_figure

    if not asked["figure"]:
        return
    path = Path(asked["figure"])
    for result in results:
        if result.measure in _DRAWN:
            kind, statistic = _DRAWN[result.measure]
            place = path.with_suffix(f".{result.measure.removeprefix('seed_004_')}{path.suffix}")
            write_figure(result, place, asked["lang"], kind=kind, statistic=statistic)
