"""Be `medfloor measure by-tier`."""

from __future__ import annotations

from typing import Any

import click

from medfloor.cli.measure.asking import (
    answer,
    asks_for_a_cluster,
    asks_for_a_table,
    on_cluster,
    percents,
    progress_bar,
    read,
)

_AMOUNTS = ("consumption", "food", "housing", "utilities", "size", "adults", "children")
_NEEDS = {
    "nonfood": ["food"],
    "who": ["food", "size"],
    "europe": ["food", "housing", "utilities", "adults", "children"],
    "sdg": ["size"],
}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--settlements",
    required=True,
    type=click.Path(),
    help="What `medfloor settle` wrote: total and pay_<tier> by claim, yuan.",
)
@click.option(
    "--people", type=click.Path(), help="person_id and household_id; not needed if settlements have household_id."
)
@click.option(
    "--of",
    "what",
    type=click.Choice(["catastrophic", "impoverishing", "concentration", "inequality", "poverty", "progressivity"]),
    default="catastrophic",
    show_default=True,
    help="What is measured; concentration: of own spending; inequality: Gini index of consumption less spending; "
    "poverty: in consumption less spending; progressivity: of own spending, over consumption.",
)
@click.option(
    "--tiers", metavar="TIER,...", help="Tiers in their order; a+b joins two. Default: all, in the order of columns."
)
@click.option("--besides", metavar="COLUMN", help="What a household spends on health outside the claims.")
@click.option("--year", type=int, help="Benefit year, if the settlements have several.")
@click.option(
    "--unknown",
    type=click.Choice(["refuse", "leave_out"]),
    default="refuse",
    show_default=True,
    help="What to do with claims of people whose household is not in TABLE.",
)
@click.option(
    "--definition",
    type=click.Choice(["budget", "nonfood", "who", "europe", "sdg"]),
    help="catastrophic: see `medfloor measure catastrophic`. Default: budget.",
)
@click.option("--thresholds", metavar="Z,...", help="catastrophic: such as 10%,25%; default: the definition's own.")
@click.option(
    "--line",
    "lines",
    multiple=True,
    metavar="LINE",
    help="impoverishing: 2995, a column, median:0.6, cn-2010@2018. poverty: one fixed line.",
)
@click.option("--sign", type=click.Choice([">", ">=", "<", "<="]), help="Does exactly the threshold (line) count?")
@click.option("--ppp", type=float, help="Lines in dollars, and sdg: currency units for one international dollar.")
@click.option(
    "--days", type=float, default=365, show_default=True, help="Days that the table's amounts cover (365: a year)."
)
@asks_for_a_cluster
@asks_for_a_table()
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Measure before insurance and after each tier: what each takes off, and at what price.

    TABLE has one row a household: household_id, consumption, size (and what the measure needs), in the currency of the
    settlements. Own spending is the total of the claims of a household less what the tiers so far have paid.

    \b
    Examples:
      medfloor measure by-tier households.csv --settlements settled.csv --people people.csv
      medfloor measure by-tier households.csv --settlements settled.csv --people people.csv \\
        --of impoverishing --line cn-2010@2020 --tiers basic,critical_illness+assistance --figure steps.svg
    """
    from medfloor.measures.tiers import by_tier

    options, columns = _options(asked)
    sized = asked["what"] != "catastrophic" or asked["unit"] == "person"
    required = ["household_id", "consumption", *_NEEDS.get(asked["definition"] or "", []), *columns]
    required += ["size"] if sized else []
    on_top = [asked["besides"]] if asked["besides"] else []
    given = read(asked, numbers=[*_AMOUNTS, *columns, *on_top], labels=["household_id"], required=[*required, *on_top])
    measure, tiers = _of(asked["what"], options), asked["tiers"].split(",") if asked["tiers"] else None
    settlements, people = _added(asked, tiers) if on_cluster(asked) else _whole(asked)
    result = by_tier(
        given.micro.accepted,
        settlements,
        **measure,
        people=people,
        tiers=tiers,
        besides=asked["besides"],
        year=asked["year"],
        unknown=asked["unknown"],
        **given.common,
        progress=progress_bar("replicates"),
    )
    answer(ctx, given, result)


def _options(asked: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Gather the options of the measure, and the columns that are lines."""
    from medfloor.measures.capacity import SocietalLine
    from medfloor.measures.lines import read_line

    options: dict[str, Any] = {name: asked[name] for name in ("definition", "sign") if asked[name]}
    if asked["thresholds"]:
        options["thresholds"] = percents(asked["thresholds"])
    if asked["definition"] == "sdg" and asked["ppp"]:
        options["sdg"] = SocietalLine.of(2017, ppp=asked["ppp"], days=asked["days"])
    columns: list[str] = []
    if asked["lines"]:
        lines = [read_line(one, ppp=asked["ppp"], days=asked["days"]) or one for one in asked["lines"]]
        columns = [one for one in lines if isinstance(one, str)]
        options["line"] = lines
    return options, columns


def _of(what: str, options: dict[str, Any]) -> dict[str, Any]:
    """Give the measure with its options; two are functions of the room, which find own spending and what it leaves."""
    from functools import partial

    from medfloor.errors import UsageError
    from medfloor.measures import poverty, progressivity
    from medfloor.measures.lines import Line

    known = {"poverty": ("line", "sign"), "progressivity": ()}
    if what not in known:
        return {"of": what, **options}
    wrong = [name for name in options if name not in known[what]]
    if wrong:
        raise UsageError("no_such_option", f"{what} by tier takes no --{wrong[0]}")
    if what == "progressivity":
        return {"of": progressivity}
    lines = options.get("line", ())
    if len(lines) != 1 or not isinstance(lines[0], (Line, str)):
        raise UsageError("no_line", "poverty by tier needs one fixed line: --line, such as 2995 or cn-2010@2018")
    return {"of": partial(poverty, of="net"), **options, "line": lines[0]}


def _settlements(path: str) -> dict[str, Any]:
    """Say what is read of the settlements."""
    from medfloor.cli.measure.platform import in_our_names
    from medfloor.intake import scan_table
    from medfloor.intake.mapping import read_mapping

    mapping = in_our_names(path, ())
    names = [*scan_table(path, "settlements").names, *(link.ours for link in read_mapping(list(mapping)).values())]
    return {
        "numbers": ["total", *(name for name in names if name.startswith("pay_"))],
        "labels": ["person_id", "household_id", "benefit_year"],
        "required": ["total"],
        "mapping": mapping,
    }


_PEOPLE: dict[str, Any] = {"labels": ["person_id", "household_id"], "required": ["person_id", "household_id"]}


def _whole(asked: dict[str, Any]) -> tuple[Any, Any]:
    """Read settlements and people, of which every row must be readable: sums over a part of them would be wrong."""
    from medfloor.intake import read_microdata
    from medfloor.measures.stages import unreadable

    made: list[Any] = []
    for path, how in ((asked["settlements"], _settlements), (asked["people"], lambda _: _PEOPLE)):
        if path is None:
            made.append(None)
            continue
        micro = read_microdata(path, **how(path))
        if micro.rejects.height:
            raise unreadable(micro.rejects.height, micro.rows_in, path, micro.rejects["detail"][0])
        made.append(micro.accepted)
    return made[0], made[1]


def _added(asked: dict[str, Any], tiers: list[str] | None) -> tuple[Any, None]:
    """Let a cluster add up the settlements by household."""
    from medfloor.measures.cluster import Wanted, add_up

    people = Wanted(asked["people"], **_PEOPLE) if asked["people"] else None
    settlements = Wanted(asked["settlements"], **_settlements(asked["settlements"]))
    where = {"master": asked["spark_master"], "beside": asked["out"]}
    return add_up(settlements, people, tiers=tiers, year=asked["year"], **where), None
