"""Be `medfloor survey example`: made-up files of a survey."""

from __future__ import annotations

from typing import Any

import click

from medfloor.cli.survey.telling import waves_of
from medfloor.words import say


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("survey", type=click.Choice(["cfps", "charls"]))
@click.option("--out", required=True, type=click.Path(), help="Folder for the files.")
@click.option("--seed", required=True, type=int, help="The same seed gives the same values.")
@click.option(
    "--scale", type=float, default=0.1, show_default=True, help="1 is 14,797 households (CHARLS: 10,000); at most 3."
)
@click.option("--waves", metavar="YEAR,...|YEAR-YEAR", help="Which waves to write; default: all.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["dta", "sav", "xpt", "csv", "parquet"]),
    default="dta",
    show_default=True,
    help="Format of the files.",
)
@click.option("--english", is_flag=True, help="CFPS: put an e before the names of files, as the English release does.")
@click.option("--capitals", is_flag=True, help="Write the names of columns in capitals, as some releases do.")
@click.option("--lang", type=click.Choice(["zh", "en"]), default="en", show_default=True, help="Language.")
def command(**asked: Any) -> None:
    """Write made-up files in exactly the layout of CFPS or of the harmonised CHARLS, with known truth.

    Nothing in them is data of these surveys or fitted to data. CFPS: truth.json tells the effects of the made-up policy
    on those under it, and how often each code for missing was written. CHARLS: one file; truth_people.csv and
    truth_households.csv hold what a reader should find.

    \b
    Examples:
      medfloor survey example cfps --out made-up --seed 1
      medfloor survey example cfps --out made-up --seed 1 --scale 1 --waves 2012-2018
      medfloor survey example charls --out made-up --seed 1

    Exit codes: 0 done, 2 nothing could be done.
    """
    (_cfps if asked["survey"] == "cfps" else _charls)(asked, waves_of(asked["waves"]), asked["lang"])


def _cfps(asked: dict[str, Any], waves: list[int] | None, lang: str) -> None:
    from medfloor.synthetic.cfps import write_cfps
    from medfloor.synthetic.cfps_world import WAVES

    made = write_cfps(
        asked["out"],
        seed=asked["seed"],
        scale=asked["scale"],
        waves=WAVES if waves is None else waves,
        form=asked["form"],
        english=asked["english"],
        capitals=asked["capitals"],
    )
    click.echo(say("surveys.made", lang, n=len(made.files), folder=asked["out"], seed=asked["seed"]))
    click.echo(say("surveys.synthetic", lang))
    click.echo(say("surveys.truth", lang))


def _charls(asked: dict[str, Any], waves: list[int] | None, lang: str) -> None:
    from medfloor.errors import UsageError
    from medfloor.synthetic.charls import WAVES, write_charls

    if asked["english"]:
        raise UsageError("only_for_cfps", "--english is for cfps; the harmonised CHARLS has one name. Leave it out.")
    made = write_charls(
        asked["out"],
        seed=asked["seed"],
        scale=asked["scale"],
        waves=WAVES if waves is None else waves,
        form=asked["form"],
        capitals=asked["capitals"],
    )
    counts = {name: f"{made.truth[name]:,}" for name in ("people", "households")}
    click.echo(say("surveys.made_charls", lang, file=made.path, seed=asked["seed"], **counts))
    click.echo(say("surveys.synthetic_charls", lang))
    click.echo(say("surveys.truth_charls", lang))
