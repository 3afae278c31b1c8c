"""Be `medfloor survey cfps`."""

from __future__ import annotations

from typing import Any

import click

from medfloor.cli.survey.telling import answer, lines_of, waves_of


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("folder", type=click.Path())
@click.option("--out", required=True, type=click.Path(), help="Folder for the panels and the report.")
@click.option("--waves", metavar="YEAR,...|YEAR-YEAR", help="Which waves; default: all with a famecon file.")
@click.option(
    "--link",
    type=click.Choice(["household", "respondent", "balanced"]),
    default="household",
    show_default=True,
    help="What panel_id links: core households, those who answered, or core households that are in every wave.",
)
@click.option("--prices", type=int, metavar="YEAR", help="Bring all money to the prices of this year.")
@click.option("--layout", type=click.Path(), help="Other names of variables: a TOML file like the shipped one.")
@click.option(
    "--form", type=click.Choice(["parquet", "csv"]), default="parquet", show_default=True, help="Format of the panels."
)
@click.option("--lang", type=click.Choice(["zh", "en"]), default="en", show_default=True, help="Language.")
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Read the China Family Panel Studies (CFPS), 2010 to 2022, from a folder with its files as they were downloaded.

    Files are known by their names: any release, with or without the English e, Stata, SAS or SPSS, capitals or not.
    CFPS may not be passed on; get it from its office. `medfloor survey example cfps` makes files to try this with.

    \b
    Examples:
      medfloor survey cfps CFPS --out panel
      medfloor survey cfps CFPS --out panel --waves 2012-2018 --link balanced --prices 2010
      medfloor measure catastrophic panel/households.parquet --by wave

    Exit codes: 0 done, 1 done but some rows were refused, 2 nothing could be done.
    """
    from medfloor.intake.cfps import read_cfps
    from medfloor.layouts import read_layout

    survey = read_cfps(
        asked["folder"],
        waves=waves_of(asked["waves"]),
        link=asked["link"],
        prices=asked["prices"],
        layout=read_layout(asked["layout"]) if asked["layout"] else None,
    )
    answer(ctx, survey, asked, lines=lines_of(survey, asked["prices"]))
