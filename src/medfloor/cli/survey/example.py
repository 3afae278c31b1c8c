"""Be `medfloor survey example`: made-up files of a survey."""

from __future__ import annotations

from typing import Any

import click

from medfloor.cli.survey.telling import waves_of
from medfloor.words import say


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("survey", type=click.Choice(["cfps"]))
@click.option("--out", required=True, type=click.Path(), help="Folder for the files.")
@click.option("--seed", required=True, type=int, help="The same seed gives the same values.")
@click.option("--scale", type=float, default=0.1, show_default=True, help="1 is 14,797 households in 2010; at most 3.")
@click.option("--waves", metavar="YEAR,...|YEAR-YEAR", help="Which waves to write; default: all, 2010 to 2022.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["dta", "sav", "xpt", "csv", "parquet"]),
    default="dta",
    show_default=True,
    help="Format of the files.",
)
@click.option("--english", is_flag=True, help="Put an e before the names of files, as the English release does.")
@click.option("--capitals", is_flag=True, help="Write the names of columns in capitals, as some releases do.")
@click.option("--lang", type=click.Choice(["zh", "en"]), default="en", show_default=True, help="Language.")
def command(**asked: Any) -> None:
    """Write made-up files in exactly the layout of CFPS, with known truth.

    Nothing in them is data of CFPS or fitted to data. truth.json tells the effects of the made-up policy on those under
    it, and how often each code for missing was written.

    \b
    Examples:
      medfloor survey example cfps --out made-up --seed 1
      medfloor survey example cfps --out made-up --seed 1 --scale 1 --waves 2012-2018

    Exit codes: 0 done, 2 nothing could be done.
    """
    from medfloor.synthetic.cfps import write_cfps
    from medfloor.synthetic.cfps_world import WAVES

    waves = waves_of(asked["waves"])
    made = write_cfps(
        asked["out"],
        seed=asked["seed"],
        scale=asked["scale"],
        waves=WAVES if waves is None else waves,
        form=asked["form"],
        english=asked["english"],
        capitals=asked["capitals"],
    )
    lang = asked["lang"]
    click.echo(say("surveys.made", lang, n=len(made.files), folder=asked["out"], seed=asked["seed"]))
    click.echo(say("surveys.synthetic", lang))
    click.echo(say("surveys.truth", lang))
