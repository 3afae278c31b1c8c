"""Be `medfloor simulate`: what a reform changes, for whom, and what it costs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl

    from medfloor.simulation.population import Assumed, Population


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--population",
    "populations",
    multiple=True,
    metavar="DIR",
    help="A folder with claims, people, households (and spells). Given again: another draw of the same place. "
    "Folders joined with + are the counties of one province.",
)
@click.option(
    "--fresh",
    type=click.IntRange(0, 1000),
    help="So many more populations, made up with other seeds and as many people as the first; for a made-up one only. "
    "Default: 4 beside a county that `synthesise` made of the shipped place, of 25,000 people at most; else none.",
)
@click.option("--place", metavar="FILE|NAME", help="The place of fresh populations; default: the shipped cn-2025.")
@click.option("--survey", metavar="FILE", help="A survey of people with yearly spending, instead of --population.")
@click.option("--map", "mapping", multiple=True, metavar="OURS=THEIRS,...|FILE", help="Which survey column is which.")
@click.option("--in-scope", metavar="SHARE", help="Survey: the assumed share of spending that lies in the scope.")
@click.option("--in-scope-range", metavar="LOW,HIGH", help="Survey: draws take the share between these.")
@click.option(
    "--missing-spending",
    type=click.Choice(["aside", "zero"]),
    default="aside",
    show_default=True,
    help="Survey: set households with missing spending aside, or take what is missing as zero.",
)
@click.option(
    "--rejects", type=click.Path(), help="Where rows set aside go; default: OUT.rejects.csv, if there are any."
)
@click.option("--level", default="2", show_default=True, help="Survey: the facility level of stays that tell none.")
@click.option("--visit-level", default="primary", show_default=True, help="Survey: the facility level of other care.")
@click.option("--baseline", required=True, metavar="NAME[@DATE]|FILE", help="The law as it is, such as cn/beijing.")
@click.option(
    "--baseline-reform", "baseline_reforms", multiple=True, metavar="FILE[+FILE]",
    help="A reform that belongs to the baseline: laid under it and under every reform. May be given again.",
)  # fmt: skip
@click.option(
    "--reform", "reforms", multiple=True, required=True, metavar="FILE[+FILE]", help="One scenario; may be given again."
)
@click.option("--out", required=True, type=click.Path(file_okay=False), help="The folder of the page and the tables.")
@click.option("--year", type=click.IntRange(1900, 2200), help="The year of the claims, where there are several.")
@click.option(
    "--behaviour",
    type=click.Choice(["none", "stated"]),
    default="stated",
    show_default=True,
    help="Whether use responds to its price; no response stands beside it. none: only no response.",
)
@click.option("--elasticities", type=click.Path(), help="Your own elasticities, in the form of the shipped file.")
@click.option(
    "--forgone",
    metavar="SHARE",
    help="With a response: care that people with a status forgo and that comes back if it costs nothing, as a share of "
    "what they use now. No figure was found, so as shipped none does; 0.1 assumes a tenth.",
)
@click.option(
    "--draws",
    type=click.IntRange(0, 1000),
    help="Draws of stated numbers, on the first population. Default: 10 for 25,000 people at most; else none.",
)
@click.option("--seed", type=int, default=20201123, show_default=True, help="Of draws and responses.")
@click.option(
    "--line", default="median:0.5", show_default=True, help="Poverty line: yuan a head and year, cn-2010@2020, ..."
)
@click.option(
    "--catastrophic",
    "definitions",
    multiple=True,
    metavar="DEFINITION:SHARE",
    help="Definition and threshold; may be given again. Default: nonfood:0.4 and budget:0.1.",
)
@click.option("--by", multiple=True, metavar="COLUMN", help="Protection also by this column of the households.")
@click.option(
    "--method",
    type=click.Choice(["linearised", "jackknife", "bootstrap", "none"]),
    default="linearised",
    show_default=True,
    help="Where sampling errors come from.",
)
@click.option("--replicates", type=click.IntRange(2), default=200, show_default=True, help="Of the bootstrap.")
@click.option("--no-cliffs", is_flag=True, help="Do not look for cliffs, which takes seconds for each law.")
@click.option("--households", "most", type=click.IntRange(0, 1000), default=10, show_default=True, help="To explain.")
@click.option("--lang", type=click.Choice(["zh", "en"]), default="en", show_default=True, help="Language.")
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Settle the same people under a baseline and under each reform, and report on one page what differs.

    Who pays what; catastrophic spending, poverty, concentration, before and after, with errors and paired differences;
    who gains and who loses; what it costs each fund, and what protection costs; cliffs opened and closed; the
    households most changed, explained. OUT gets page.md and page.html (one page), appendix.md and appendix.html (all
    tables), households.md, simulation.json, simulation.xlsx and each table as CSV and Parquet.

    \b
    Examples:
      medfloor synthesise --people 20000 --seed 1 --out county
      medfloor simulate --population county --baseline cn/beijing@2024-01-01 \\
        --reform examples/reforms/oop_cap.yaml --out result
      medfloor simulate --population county --fresh 19 --draws 20 \\
        --baseline county/policy.yaml --reform examples/reforms/oop_cap.yaml --out result
      medfloor simulate --population county --baseline synthetic/cn-2025 \\
        --baseline-reform examples/reforms/assistance_50.yaml \\
        --reform examples/reforms/assistance_70.yaml --out result
      medfloor simulate --survey people.csv --map inpatient=hosp,outpatient=clinic --in-scope 0.8 \\
        --baseline cn/beijing@2024-01-01 --reform cap.yaml+assistance.yaml --out result --lang zh

    Exit codes: 0 done, 1 done but claims could not be settled, or rows or households were set aside, 2 nothing could be
    done.
    """
    from medfloor.measures import Design
    from medfloor.measures.sample import design_in
    from medfloor.reports.essentials import essentials_of
    from medfloor.reports.simulation import lines_of, write_simulation
    from medfloor.simulation import simulate, stated

    populations = _populations(asked)
    design = None
    if asked["method"] != "linearised":
        from dataclasses import replace

        found: Design = design_in(populations[0].households)
        design = replace(found, method=asked["method"], replicates=asked["replicates"], seed=asked["seed"])
    behaviour = asked["behaviour"]
    forgone = _forgone(asked)
    if behaviour == "stated":
        behaviour = stated(asked["elasticities"], forgone=forgone)
    result = simulate(
        populations,
        asked["baseline"],
        asked["reforms"],
        baseline_reforms=asked["baseline_reforms"],
        behaviour=behaviour,
        draws=_draws(asked, populations[0]),
        seed=asked["seed"],
        line=_line(asked["line"]),
        by=asked["by"],
        design=design,
        cliffs=not asked["no_cliffs"],
        most=asked["most"],
        progress=_progress(),
        **_definitions(asked["definitions"]),
    )
    written = write_simulation(result, asked["out"], asked["lang"])
    for line in lines_of(essentials_of(result, asked["lang"], side_by_side=1)):
        click.echo(line)
    click.echo(f"{asked['out']}: {', '.join(path.name for path in written)}", err=True)
    if result.rejects is not None:
        _write_rejects(result.rejects, asked)
    ctx.exit(1 if result.rejects is not None or any(note.key == "simulation.refused" for note in result.notes) else 0)


def _write_rejects(rejects: pl.DataFrame, asked: dict[str, Any]) -> None:
    from pathlib import Path

    from medfloor.intake import write_table
    from medfloor.words import say

    place = asked["rejects"] or f"{Path(asked['out'])!s}.rejects.csv"
    write_table(rejects, place)
    click.echo(say("simulation.rejects_at", asked["lang"], number=f"{rejects.height:,}", place=place), err=True)


FEW = 25_000
"""Up to so many people fresh populations and draws are cheap enough to be had unasked."""
FRESH, DRAWS = 4, 10


def _draws(asked: dict[str, Any], first: Population) -> int:
    """Give the draws asked for; unasked some, where there is something to draw and few people."""
    if asked["draws"] is not None:
        return int(asked["draws"])
    drawable = asked["behaviour"] == "stated" or asked["in_scope_range"]
    return DRAWS if drawable and first.people.height <= FEW else 0


def _unasked(asked: dict[str, Any], first: Population) -> int:
    """Give the fresh populations that come unasked: only for one whose place is known to be the shipped one."""
    import json
    from pathlib import Path

    from medfloor.synthetic import shipped_place

    if len(asked["populations"]) > 1 or not first.synthetic or first.people.height > FEW:
        return 0
    try:
        made = json.loads((Path(asked["populations"][0]) / "calibration.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0
    if not isinstance(made, dict) or made.get("counties") or made.get("years") != 1:
        return 0
    return FRESH if made.get("place_sha256") == shipped_place().digest else 0


def _forgone(asked: dict[str, Any]) -> float | None:
    from medfloor.cli.measure.asking import percents
    from medfloor.errors import UsageError

    if asked["behaviour"] == "none":
        if asked["forgone"] or asked["elasticities"]:
            raise UsageError(
                "no_response", "--forgone and --elasticities say how use responds: leave --behaviour none out"
            )
        return None
    shares = percents(asked["forgone"])
    if shares is not None and len(shares) != 1:
        raise UsageError("bad_share", "--forgone is one share, such as 0.1")
    return shares[0] if shares else None


def _populations(asked: dict[str, Any]) -> list[Population]:
    from medfloor.errors import UsageError
    from medfloor.simulation import read_population

    if bool(asked["populations"]) == bool(asked["survey"]):
        raise UsageError("no_people", "give --population DIR (one or several) or --survey FILE, not both")
    if asked["survey"]:
        if asked["fresh"]:
            raise UsageError("not_made_up", "--fresh makes up populations of a place; a survey has no such place")
        return [_survey(asked)]
    found = [read_population(one, year=asked["year"]) for one in asked["populations"]]
    return [*found, *_fresh(found[0], asked)]


def _fresh(first: Population, asked: dict[str, Any]) -> Iterator[Population]:
    from medfloor.cli.synthesise import _place
    from medfloor.errors import UsageError
    from medfloor.simulation import fresh_populations

    number = _unasked(asked, first) if asked["fresh"] is None else asked["fresh"]
    if number and not first.synthetic:
        raise UsageError(
            "not_made_up", f"--fresh makes up more populations of a place, and {first.name} is not made up"
        )
    return fresh_populations(number, first.people.height, seed=asked["seed"], place=_place(asked["place"]))


_NUMBERS = (
    "inpatient", "outpatient", "stays", "age", "year", "size", "adults", "children", "income", "consumption", "food",
    "housing", "utilities", "weight", "fpc", "oop_outside",
)  # fmt: skip
_LABELS = (
    "household_id", "person_id", "sex", "residence", "scheme", "group", "facility_level", "stratum", "psu", "region",
)  # fmt: skip


def _survey(asked: dict[str, Any]) -> Population:
    from pathlib import Path

    import polars as pl

    from medfloor.errors import UsageError
    from medfloor.intake import read_microdata
    from medfloor.simulation import population_of_survey

    if not asked["in_scope"]:
        raise UsageError(
            "no_assumption", "a survey does not say what lies in the insurance's scope; assume it: --in-scope 0.8"
        )
    read = read_microdata(
        asked["survey"], mapping=asked["mapping"], numbers=_NUMBERS, labels=_LABELS,
        required=["household_id", "consumption"],
    )  # fmt: skip
    unreadable = None
    if read.rejects.height:
        # Read once more as text, so that refused rows stand under our names and their households are known.
        plain = read.rejects.drop("reason", "detail")
        again = read_microdata(plain, mapping=asked["mapping"], labels=(*_LABELS, *_NUMBERS)).accepted
        unreadable = again.cast(pl.String).with_columns(read.rejects["reason"], read.rejects["detail"])
    return population_of_survey(read.accepted, _assumed(asked), name=Path(asked["survey"]).stem, unreadable=unreadable)


def _assumed(asked: dict[str, Any]) -> Assumed:
    from medfloor.cli.measure.asking import percents
    from medfloor.errors import UsageError
    from medfloor.simulation import Assumed

    share = percents(asked["in_scope"]) or []
    ends = percents(asked["in_scope_range"])
    if len(share) != 1 or (ends is not None and len(ends) != 2):
        raise UsageError("bad_share", "--in-scope is one share, --in-scope-range two: 0.8 and 0.7,0.9")
    low, high = ends or (None, None)
    return Assumed(
        share[0], low, high, level=asked["level"], visit_level=asked["visit_level"], missing=asked["missing_spending"]
    )


def _line(text: str) -> Any:
    from medfloor.measures.lines import read_line

    return read_line(text) or text


def _definitions(asked: tuple[str, ...]) -> dict[str, Any]:
    from medfloor.cli.measure.asking import percents
    from medfloor.errors import UsageError

    found = []
    for one in asked:
        name, _, share = one.partition(":")
        shares = percents(share) if share else None
        if not shares or len(shares) != 1:
            raise UsageError("bad_threshold", f"{one!r} is not a definition and a threshold; write nonfood:0.4")
        found.append((name, shares[0]))
    return {"definitions": found} if found else {}


def _progress() -> Any:
    from medfloor.cli.measure.asking import progress_bar

    return progress_bar("simulating") if sys.stderr.isatty() else None
