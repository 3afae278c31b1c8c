"""Be `medfloor measure resources`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from medfloor.cli.measure.asking import answer, asks_for_a_table, progress_bar, read


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--of", default="doctors", show_default=True, metavar="COLUMN", help="The resource: doctors, beds, yuan.")
@click.option("--people", default="population", show_default=True, metavar="COLUMN", help="Who lives there.")
@click.option("--area", metavar="COLUMN", help="Also against area, with agglomeration degrees (HRAD, PAD).")
@click.option("--norm", type=float, help="What --per people should have: places below, people there, what lacks.")
@click.option("--per", type=float, default=1000.0, show_default=True, help="People that density and norm speak of.")
@click.option("--place", metavar="COLUMN", help="Also one row a place; the column has its name.")
@click.option(
    "--supply",
    type=click.Path(),
    metavar="FILE",
    help="Facilities with the resource; then access by the two-step floating catchment area. TABLE and FILE need lon "
    "and lat, or x_km and y_km.",
)
@click.option("--map-supply", multiple=True, metavar="OURS=THEIRS,...|FILE", help="--supply: which column is which.")
@click.option("--radius", type=float, metavar="KM", help="--supply: how far people go.")
@click.option("--decay", type=click.Choice(["gaussian"]), help="--supply: weights that fall with distance.")
@asks_for_a_table()
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Measure how doctors, beds and spending lie between places: Gini, Theil, agglomeration, what lacks to a norm.

    TABLE has one row a place. Its rows are taken to be all places, so that there are no standard errors, unless
    --weight, --strata, --psu, --fpc or another --method says that they are a sample. --unit does not apply.

    \b
    Examples:
      medfloor measure resources counties.csv --of doctors --norm 2.59 --by residence
      medfloor measure resources counties.csv --of beds --area area_km2 --by province --place county
      medfloor measure resources villages.csv --supply clinics.csv --radius 10 --decay gaussian --place village
    """
    if asked["unit"]:
        raise click.UsageError("--unit does not apply: rows are places, not households.", ctx)
    if asked["supply"]:
        _catchment(ctx, asked)
        return
    from medfloor.measures.resources import resources

    columns = [asked["of"], asked["people"], *([asked["area"]] if asked["area"] else [])]
    names = [asked["place"]] if asked["place"] else []
    given = read(asked, numbers=columns, labels=names, required=[*columns, *names])
    drawn = any(asked[name] for name in ("weight", "strata", "psu", "fpc")) or asked["method"] != "linearised"
    result = resources(
        given.micro.accepted,
        resource=asked["of"],
        people=asked["people"],
        area=asked["area"],
        norm=asked["norm"],
        per=asked["per"],
        place=asked["place"],
        by=given.by,
        against=asked["against"],
        design=given.design if drawn and asked["method"] != "none" else None,
        progress=progress_bar("replicates"),
    )
    answer(ctx, given, result)


def _catchment(ctx: click.Context, asked: dict[str, Any]) -> None:
    from medfloor.intake import read_microdata, write_table
    from medfloor.measures.catchment import two_step_floating_catchment
    from medfloor.words import say

    if asked["radius"] is None:
        raise click.UsageError("Missing option '--radius': how many kilometres people go to a facility.", ctx)
    where = ["lon", "lat", "x_km", "y_km"]
    names = [asked["place"]] if asked["place"] else []
    given = read(asked, numbers=[asked["people"], *where], labels=names, required=[asked["people"], *names])
    supply = read_microdata(
        asked["supply"], mapping=asked["map_supply"], numbers=[asked["of"], *where], required=[asked["of"]]
    )
    result = two_step_floating_catchment(
        supply.accepted,
        given.micro.accepted,
        radius_km=asked["radius"],
        decay=asked["decay"],
        resource=asked["of"],
        people=asked["people"],
        per=asked["per"],
        place=asked["place"],
    )
    if supply.rejects.height:
        place = f"{Path(asked['supply']).with_suffix('')}.rejects.csv"
        write_table(supply.rejects, place)
        counts = {"rejected": f"{supply.rejects.height:,}", "rows": f"{supply.rows_in:,}"}
        click.echo(say("asking.facilities", asked["lang"], **counts, place=place), err=True)
    answer(ctx, given, result)
    if supply.rejects.height:
        ctx.exit(1)
