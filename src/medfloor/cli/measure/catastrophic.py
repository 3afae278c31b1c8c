"""Be `medfloor measure catastrophic`."""

from __future__ import annotations

from typing import Any

import click

from medfloor.cli.measure.asking import answer, asks_for_a_table, given_among, percents, progress_bar, read


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--definition",
    type=click.Choice(["budget", "nonfood", "who", "europe", "sdg"]),
    default="budget",
    show_default=True,
    help="What spending is compared with: all consumption, consumption less food, WHO's capacity to pay, WHO Europe's "
    "basic needs, SDG 3.8.2 of 2025.",
)
@click.option("--compare-definitions", is_flag=True, help="All definitions side by side, with an agreement table.")
@click.option("--thresholds", metavar="Z,...", help="Such as 0.1,0.25 or 10%,25%; default: the definition's own.")
@click.option(
    "--sign", type=click.Choice([">", ">="]), help="Does exactly the threshold count? Default: the definition's."
)
@click.option(
    "--quantiles", type=click.IntRange(2, 100), help="Also by quantile group of consumption, 5 for quintiles."
)
@click.option(
    "--rank-by", type=click.Choice(["person", "household"]), help="Rank by consumption a head, or a household."
)
@click.option(
    "--beyond",
    type=float,
    default=1.0,
    show_default=True,
    help="Ratio of households without capacity, in the overshoot.",
)
@click.option(
    "--impoverishment",
    is_flag=True,
    help="who, europe, sdg: also who is poor before and after paying, by the definition's own line, and at risk.",
)
@click.option(
    "--near",
    type=float,
    default=1.2,
    show_default=True,
    help="At risk: after payments below this multiple of the line.",
)
@click.option("--band", metavar="LOW-HIGH", help="Percentiles of the reference band: 45-55 (who), 25-35 (europe).")
@click.option("--band-ends/--no-band-ends", default=None, help="Do households at the band's ends belong to it?")
@click.option("--unweighted-band", is_flag=True, help="Find the band's percentiles without weights.")
@click.option("--no-min-rule", is_flag=True, help="who: subtract subsistence also where actual food is less.")
@click.option("--exponent", type=float, default=0.56, show_default=True, help="who: of the equivalence scale.")
@click.option(
    "--base", type=click.Choice(["2011", "2017", "2021"]), default="2017", show_default=True, help="sdg: PPP base year."
)
@click.option(
    "--ppp", type=float, default=1.0, show_default=True, help="sdg: currency units for one international dollar."
)
@click.option(
    "--days", type=float, default=1.0, show_default=True, help="sdg: days that the table's amounts cover (365: a year)."
)
@asks_for_a_table()
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Count households whose health spending takes more than a share of what they can pay.

    Needs oop and consumption; nonfood and who also food; europe also food, housing, utilities, adults and children;
    who, sdg and --unit person also size. Households without capacity are counted, never dropped.

    \b
    Examples:
      medfloor measure catastrophic survey.csv --thresholds 10%,25% --quantiles 5
      medfloor measure catastrophic survey.dta --map oop=med,food=foodexp --definition who --by residence
      medfloor measure catastrophic survey.csv --compare-definitions --ppp 4.18 --days 365
    """
    from medfloor.measures.capacity import EuropeRule, SocietalLine, WhoRule
    from medfloor.measures.catastrophic import catastrophic
    from medfloor.measures.definitions import compare_definitions

    _check(ctx, asked)
    needs = {
        "nonfood": ["food"],
        "who": ["food", "size"],
        "europe": ["food", "housing", "utilities", "adults", "children"],
    }
    required = ["oop", "consumption", *needs.get(asked["definition"], [])]
    if asked["compare_definitions"]:
        required = ["oop", "consumption"]
    numbers = ["oop", "consumption", "food", "housing", "utilities", "size", "adults", "children"]
    given = read(asked, numbers=numbers, required=required)
    band = _band(asked["band"])
    ends: dict[str, Any] = {} if asked["band_ends"] is None else {"inclusive": asked["band_ends"]}
    banded = ({"band": band} if band else {}) | ends | {"weighted": not asked["unweighted_band"]}
    rules: dict[str, Any] = {
        "who": WhoRule(**banded, actual_food=not asked["no_min_rule"], exponent=asked["exponent"]),
        "europe": EuropeRule(**banded),
        "sdg": SocietalLine.of(int(asked["base"]), ppp=asked["ppp"], days=asked["days"]),
    }
    progress = progress_bar("replicates")
    if asked["compare_definitions"]:
        compared = compare_definitions(given.micro.accepted, **rules, **given.common, progress=progress)
        answer(ctx, given, compared)
        return
    result = catastrophic(
        given.micro.accepted,
        definition=asked["definition"],
        thresholds=percents(asked["thresholds"]),
        sign=asked["sign"],
        quantiles=asked["quantiles"] or 0,
        rank_by=asked["rank_by"],
        beyond=asked["beyond"],
        impoverishment=asked["impoverishment"],
        near=asked["near"],
        **rules,
        **given.common,
        progress=progress,
    )
    answer(ctx, given, result, figure="quantiles" if asked["quantiles"] else None)


_BELONGS = {
    "band": ("who", "europe"),
    "band_ends": ("who", "europe"),
    "unweighted_band": ("who", "europe"),
    "no_min_rule": ("who",),
    "exponent": ("who",),
    "base": ("sdg",),
    "ppp": ("sdg",),
    "days": ("sdg",),
    "impoverishment": ("who", "europe", "sdg"),
}
"""The definitions that an option is for; for others it would say nothing."""

_ONE_DEFINITION = ("definition", "thresholds", "sign", "quantiles", "rank_by", "beyond", "impoverishment", "near")


def _check(ctx: click.Context, asked: dict[str, Any]) -> None:
    """Refuse options that another definition would take no notice of."""
    if asked["compare_definitions"]:
        for name in given_among(ctx, _ONE_DEFINITION):
            ctx.fail(f"--{name.replace('_', '-')} does not go with --compare-definitions: each keeps its own standard")
        return
    for name in given_among(ctx, _BELONGS):
        if asked["definition"] not in _BELONGS[name]:
            ctx.fail(f"--{name.replace('_', '-')} is for --definition {' or '.join(_BELONGS[name])} only")


def _band(text: str | None) -> tuple[float, float] | None:
    from medfloor.errors import UsageError

    if text is None:
        return None
    try:
        low, high = (float(one) / 100 for one in text.split("-"))
    except ValueError:
        raise UsageError("bad_band", f"--band {text!r} is not two percentiles; write 45-55") from None
    return low, high
