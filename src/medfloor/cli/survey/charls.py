"""Be `medfloor survey charls`."""

from __future__ import annotations

from typing import Any

import click

from medfloor.cli.survey.telling import answer, lines_of, waves_of


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("file", type=click.Path())
@click.option("--out", required=True, type=click.Path(), help="Folder for the panels and the report.")
@click.option("--waves", metavar="YEAR,...", help="Which of 2011, 2013, 2015, 2018; default: all that the file has.")
@click.option("--prices", type=int, metavar="YEAR", help="Bring all money to the prices of this year.")
@click.option("--layout", type=click.Path(), help="Other names of variables: a TOML file like the shipped one.")
@click.option(
    "--form", type=click.Choice(["parquet", "csv"]), default="parquet", show_default=True, help="Format of the panels."
)
@click.option("--lang", type=click.Choice(["zh", "en"]), default="en", show_default=True, help="Language.")
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Read the harmonised CHARLS (H_CHARLS_D_Data.dta): people of 45 and older, 2011 to 2018.

    CHARLS may not be passed on; get it from its office. `medfloor survey example charls` makes a file to try this with.

    \b
    Examples:
      medfloor survey charls H_CHARLS_D_Data.dta --out panel
      medfloor survey charls H_CHARLS_D_Data.dta --out panel --waves 2015,2018 --prices 2011

    Exit codes: 0 done, 1 done but some rows were refused, 2 nothing could be done.
    """
    from medfloor.intake.charls import read_charls
    from medfloor.layouts import read_layout

    layout = read_layout(asked["layout"]) if asked["layout"] else None
    survey = read_charls(asked["file"], waves=waves_of(asked["waves"]), prices=asked["prices"], layout=layout)
    answer(ctx, survey, asked, lines=lines_of(survey, asked["prices"]))
