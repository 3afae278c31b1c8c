"""Be `medfloor survey`: one command a survey, each in its own module of this folder."""

from __future__ import annotations

import click

from medfloor.cli.groups import LazyGroup

SURVEYS: dict[str, str] = {
    "cfps": "Read the China Family Panel Studies from a folder with its files.",
    "charls": "Read the harmonised CHARLS.",
    "map": "Read any survey by a mapping file.",
    "example": "Write made-up files in the layout of CFPS or CHARLS, to try things with.",
}
"""Command -> its short help. The command is `command` in the module of that name (map: mapped)."""


@click.command(
    cls=LazyGroup,
    helps=SURVEYS,
    package="medfloor.cli.survey",
    modules={"map": "mapped"},
    context_settings={"help_option_names": ["-h", "--help"]},
)
def command() -> None:
    """Read CFPS, CHARLS or any survey to panels of households and people, with a report of what was found.

    The panels are tables for `medfloor measure`: households.parquet, people.parquet, and rejects.csv where rows were
    refused; the folder report holds files, columns, codes, dropped, links and poverty_lines as CSV.

    \b
    Examples:
      medfloor survey cfps CFPS --out panel --waves 2012-2018
      medfloor survey charls H_CHARLS_D_Data.dta --out panel
      medfloor survey map survey.dta --map survey.toml --out panel --missing -1,-2,-8
      medfloor survey example cfps --out made-up --seed 1
    """
