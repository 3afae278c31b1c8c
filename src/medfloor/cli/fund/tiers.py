"""Be `medfloor fund tiers`: one tier or several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from medfloor.fund.tiers import Members


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--tier", "tiers", multiple=True, metavar="NAME=CONTRIBUTION,RATIO", help="From low to high; at least 2.")
@click.option("--members", metavar="FILE", help="residence, income, cost, share (.csv, .parquet); default: made up.")
@click.option("--population", metavar="DIR", help="A folder with people, claims, households: members are counted.")
@click.option("--year", type=click.IntRange(1900, 2200), help="The year of the claims, where there are several.")
@click.option("--subsidy", type=float, help="Yuan a member; default 700.")
@click.option("--choose", type=click.Choice(["utility", "logit"]), default="utility", show_default=True)
@click.option("--aversion", type=float, default=2.0, show_default=True, help="Relative risk aversion (utility).")
@click.option("--scale", type=float, default=150.0, show_default=True, help="Yuan (logit): smaller, sharper.")
@click.option("--response", type=float, default=0.0, show_default=True, help="Cost rises so with ten points of ratio.")
@click.option("--rounds", type=int, default=10, show_default=True, help="Years in which each tier pays for itself.")
@click.option("--out", multiple=True, metavar="DIR|FILE", help="Folder for everything, or .html .md .json .csv "
              ".parquet .xlsx .svg .png .pdf; may be given again.")  # fmt: skip
@click.option("--lang", type=click.Choice(["zh", "en"]), default="en", show_default=True, help="Language.")
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Hold one tier against several: choice, adverse selection, cost of lifting the low tier, reverse subsidy.

    Without arguments: a made-up low and high tier, and made-up members by residence, fifth of income and health. Shows
    town and country before they were joined, free choice in one purse, and one tier for all, with net transfers.

    \b
    Examples:
      medfloor fund tiers
      medfloor fund tiers --tier low=400,0.55 --tier high=800,0.75 --choose logit
      medfloor fund tiers --members members.csv --out tiers --lang zh
      medfloor fund tiers --population county

    Exit codes: 0 done, 1 done and the fund pays more than it takes under free choice, 2 nothing could be done.
    """
    from medfloor.fund.tiers import Choosing, read_tiers, tiering

    if asked["out"]:  # Else nothing of files and charts is loaded.
        from medfloor.reports.fund_sharing import check_sharing, write_sharing

        check_sharing(asked["out"])
    choosing = Choosing(asked["choose"], **{name: asked[name] for name in ("aversion", "scale", "response", "rounds")})
    found = tiering(
        read_tiers(asked["tiers"]) if asked["tiers"] else None,
        _members(asked),
        subsidy=asked["subsidy"],
        choosing=choosing,
    )
    lang = asked["lang"]
    click.echo(found.text(lang))
    for path in asked["out"]:
        written = write_sharing(found, path, lang)
        click.echo(f"{path}: {', '.join(one.name for one in written)}", err=True)
    ctx.exit(1 if found.value("balance", "choice") < 0 else 0)


def _members(asked: dict[str, Any]) -> Members | None:
    from medfloor.errors import UsageError
    from medfloor.fund.tiers import counted_members, members_file

    if asked["members"] and asked["population"]:
        raise UsageError("needs_no_population", "give --members or --population, not both")
    if asked["population"]:
        return counted_members(asked["population"], year=asked["year"])
    if asked["year"]:
        raise UsageError("needs_population", "--year needs a population; add --population DIR")
    return members_file(asked["members"]) if asked["members"] else None
