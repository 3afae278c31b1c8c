"""Be `medfloor fund pool`: who shares the risk, and who pays for whom."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from medfloor.fund.places import Places


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--places", metavar="FILE", help="Places of yours, .csv, .parquet or .toml; default: made-up counties.")
@click.option("--population", "folders", multiple=True, metavar="DIR", help="A population as one place; give several.")
@click.option("--contribution", type=float, help="Of a population's member, yuan; default: the nation's, 400.")
@click.option("--subsidy", type=float, help="Of a population's member, yuan; default: the nation's, 793 (derived).")
@click.option("--year", type=click.IntRange(1900, 2200), help="The year of a population's claims, where several.")
@click.option("--share", type=float, default=0.1, show_default=True, help="Share of income to the adjustment fund.")
@click.option("--months", type=float, default=0.0, show_default=True, help="Reserve of each county, months of payment.")
@click.option("--common", type=float, default=0.05, show_default=True, help="Spread of the shock that all share.")
@click.option("--use-response", type=float, default=0.0, show_default=True, help="Payments rise so with one purse.")
@click.option("--hazard", type=float, default=0.0, show_default=True, help="... so where others would pay every yuan.")
@click.option("--lines", default="0.02,0.05", show_default=True, help="Overspending to tell probabilities of.")
@click.option("--sizes", default="1000,10000,100000,400000,4000000", show_default=True, help="Pool sizes, members.")
@click.option("--draws", type=int, default=10_000, show_default=True, help="How many years to draw.")
@click.option("--seed", type=int, default=20201123, show_default=True, help="The same seed gives the same numbers.")
@click.option("--out", multiple=True, metavar="DIR|FILE", help="Folder for everything, or .html .md .json .csv "
              ".parquet .xlsx .svg .png .pdf; may be given again.")  # fmt: skip
@click.option("--lang", type=click.Choice(["zh", "en"]), default="en", show_default=True, help="Language.")
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Pool counties: probability of ruin by pool size, designs of pooling, transfers between places by income.

    Without places: twelve made-up counties in three cities. Designs: each county its own purse, equal benefits only, an
    adjustment fund, one purse a city, one purse in all. Payments have their exact distribution; designs draw from it.

    \b
    Examples:
      medfloor fund pool
      medfloor fund pool --share 0.2 --months 3 --use-response 0.03 --hazard 0.05
      medfloor fund pool --places places.csv --out pooling --lang zh

    Exit codes: 0 done, 1 done and one purse in all is more likely short than not, 2 nothing could be done.
    """
    from medfloor.fund.pooling import Terms, pool

    if asked["out"]:  # Else nothing of files and charts is loaded.
        from medfloor.reports.fund_sharing import check_sharing, write_sharing

        check_sharing(asked["out"])
    lines, sizes = _numbers(asked["lines"], "lines"), _numbers(asked["sizes"], "sizes")
    names = ("share", "months", "common", "use_response", "hazard", "draws", "seed")
    terms = Terms(lines=tuple(lines), **{name: asked[name] for name in names})
    found = pool(_places(asked), terms, sizes=sizes)
    lang = asked["lang"]
    click.echo(found.text(lang))
    for path in asked["out"]:
        written = write_sharing(found, path, lang)
        click.echo(f"{path}: {', '.join(one.name for one in written)}", err=True)
    response = "asked" if "asked" in found.total["response"] else "none"
    ctx.exit(1 if found.value("ruin_most", "province", response) > 0.5 else 0)


def _numbers(text: str, name: str) -> list[float]:
    from medfloor.errors import UsageError

    try:
        return [float(one) for one in text.split(",")]
    except ValueError:
        raise UsageError("bad_lines", f"--{name} {text} are no numbers; write them apart by commas") from None


def _places(asked: dict[str, Any]) -> Places:
    from medfloor.errors import UsageError
    from medfloor.fund.places import counted_places, places_file, shipped_counties

    if asked["places"] and asked["folders"]:
        raise UsageError("needs_no_population", "give --places or --population, not both")
    for name in ("contribution", "subsidy", "year"):
        if not asked["folders"] and asked[name] is not None:
            raise UsageError("needs_population", f"--{name} needs a population; add --population DIR, or leave it out")
    if asked["places"]:
        return places_file(asked["places"])
    if asked["folders"]:
        folders = [Path(one) for one in asked["folders"]]
        told = {name: asked[name] for name in ("contribution", "subsidy", "year")}
        return counted_places(folders, **told)
    return shipped_counties()
