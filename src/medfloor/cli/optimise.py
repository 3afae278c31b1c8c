"""Be `medfloor optimise`: the best package that a budget can buy."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from medfloor.simulation import Population


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--population", required=True, metavar="DIR", help="A folder with claims, people, households (spells).")
@click.option("--baseline", required=True, metavar="NAME[@DATE]|FILE", help="The law as it is, such as cn/beijing.")
@click.option(
    "--baseline-reform", "baseline_reforms", multiple=True, metavar="FILE[+FILE]",
    help="A reform that belongs to the baseline: laid under it and under every package. May be given again.",
)  # fmt: skip
@click.option("--vary", required=True, metavar="FILE", help="The numbers that may move, with bounds (TOML or YAML).")
@click.option(
    "--budget", "budgets", required=True, multiple=True, metavar="[TIER=]YUAN|same",
    help="What all tiers may pay a year for these people; again with TIER= (or TIER+TIER=) to limit a fund."
)  # fmt: skip
@click.option(
    "--minimise", required=True, type=click.Choice(["headcount", "gap", "overshoot", "poverty-gap"]), help="The aim."
)
@click.option("--candidates", multiple=True, metavar="FILE[+FILE]", help="A reform to set beside; may be given again.")
@click.option("--year", type=click.IntRange(1900, 2200), help="The year of the claims, where there are several.")
@click.option("--evaluations", "looks", type=int, default=2_000, show_default=True, help="How many packages to try.")
@click.option("--seed", type=int, default=20201123, show_default=True, help="Of the search and the fresh populations.")
@click.option(
    "--fresh", type=click.IntRange(0, 1000), help="Populations to make up and settle the winners on; default 20 for a "
    "made-up population and 0 for another."
)  # fmt: skip
@click.option("--fresh-people", type=click.IntRange(1_000), default=20_000, show_default=True, help="People in each.")
@click.option(
    "--beside", type=click.IntRange(0), help="Made-up people to search on with those given, and twice as many to "
    "choose on; default so many that they are 100,000 with those given where the population is made up, else 0."
)  # fmt: skip
@click.option("--place", metavar="FILE|NAME", help="The place of these made-up people; default: the shipped cn-2025.")
@click.option("--elasticities", type=click.Path(), help="Your own elasticities, in the form of the shipped file.")
@click.option("--catastrophic", metavar="DEFINITION:SHARE", default="nonfood:0.4", show_default=True)
@click.option("--ppp", type=float, help="Definition sdg: yuan that buy one international dollar of 2017.")
@click.option("--line", type=float, help="Poverty line, yuan a head and year; default: half the median consumption.")
@click.option("--out", type=click.Path(file_okay=False), help="Folder for the page, figure, tables and reforms.")
@click.option("--lang", type=click.Choice(["zh", "en"]), default="en", show_default=True, help="Language.")
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Find the package of named numbers that protects best within a budget.

    Prints the winners for the aim asked for, for the other aims and for their balance, the status quo and the
    candidates beside them, always with headcount, overshoot, gap and poverty gap; the front of packages that no other
    one tried beats; how the winners stand up on fresh populations and when use responds to its price; and which bounds
    bind. OUT gets page.md, front.svg, optimum.json, the tables, and each winner as a reform file.

    \b
    Examples:
      medfloor synthesise --people 20000 --seed 1 --out county
      medfloor optimise --population county --baseline county/policy.yaml \\
        --vary examples/optimise/resident.toml --budget same --minimise headcount --out best
      medfloor simulate --population county --baseline county/policy.yaml \\
        --reform best/best_headcount.yaml --out result

    Exit codes: 0 done, 1 done but a winner does not stand up, the status quo is not beaten in the aim asked for, or
    claims were left out, 2 nothing could be done.
    """
    from medfloor.reports.packages import write_optimum
    from medfloor.simulation import read_population, stated
    from medfloor.simulation.budget import optimise
    from medfloor.simulation.limits import read_budget

    population = read_population(asked["population"], year=asked["year"])
    definition, threshold = _definition(asked["catastrophic"])
    found = optimise(
        population,
        asked["baseline"],
        asked["vary"],
        budget=read_budget(asked["budgets"]),
        minimise=asked["minimise"],
        candidates=asked["candidates"],
        baseline_reforms=asked["baseline_reforms"],
        looks=asked["looks"],
        seed=asked["seed"],
        beside=_beside(population, asked, _BESIDE),
        choosing=_beside(population, asked, _CHOOSING),
        fresh=_fresh(population, asked),
        behaviour=stated(asked["elasticities"]),
        definition=definition,
        threshold=threshold,
        line=asked["line"],
        ppp=asked["ppp"],
        progress=_progress(),
    )
    for line in found.lines(asked["lang"]):
        click.echo(line)
    if asked["out"]:
        written = write_optimum(found, asked["out"], asked["lang"])
        click.echo(f"{asked['out']}: {', '.join(path.name for path in written)}", err=True)
    refused = any(note.key == "simulation.refused" for note in found.notes)
    ctx.exit(1 if found.warnings or refused else 0)


def _definition(text: str) -> tuple[Any, float]:
    from medfloor.cli.measure.asking import percents
    from medfloor.errors import UsageError
    from medfloor.measures.catastrophic import DEFINITIONS

    name, _, share = text.partition(":")
    shares = percents(share) if share else None
    if not shares or len(shares) != 1:
        raise UsageError("bad_threshold", f"{text!r} is not a definition and a threshold; write nonfood:0.4")
    if name not in DEFINITIONS:
        raise UsageError("no_such_definition", f"there is no definition {name!r}; use {', '.join(DEFINITIONS)}")
    return name, shares[0]


def _fresh(population: Population, asked: dict[str, Any]) -> Iterator[Population]:
    from medfloor.cli.synthesise import _place
    from medfloor.simulation.budget import fresh_populations

    number = asked["fresh"]
    if number is None:
        number = 20 if population.synthetic or asked["place"] else 0
    return fresh_populations(number, asked["fresh_people"], seed=asked["seed"], place=_place(asked["place"]))


_BESIDE, _CHOOSING = 4, 5
"""Roles of made-up people, which give them other seeds than the fresh ones have."""
_IN_ALL = 100_000
"""People that a search sees unless told otherwise: on fewer, the luck of some households decides a headcount."""


def _beside(population: Population, asked: dict[str, Any], role: int) -> Iterator[Population]:
    """Make up people to search on (or to choose on) beside those given: one population, or none."""
    from medfloor.cli.synthesise import _place
    from medfloor.simulation.budget import fresh_populations

    people = asked["beside"]
    if people is None:
        made_up = population.synthetic or asked["place"]
        people = max(0, _IN_ALL - population.people.height) if made_up else 0
    people = max(people, _FEWEST) if people else 0
    # Few packages are chosen among, so that many people cost little.
    number = (2 if role == _CHOOSING else 1) if people else 0
    return fresh_populations(number, people, seed=asked["seed"], place=_place(asked["place"]), role=role)


_FEWEST = 1_000
"""The fewest people that a place can be made up of."""


def _progress() -> Any:
    from medfloor.cli.measure.asking import progress_bar

    return progress_bar("searching") if sys.stderr.isatty() else None
