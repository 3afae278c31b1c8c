"""Be `medfloor report`: printed reports as PDF, HTML and Excel."""

from __future__ import annotations

import click

from medfloor.cli.groups import LazyGroup

COMMANDS: dict[str, str] = {
    "county": "A county's yearly protection report, from its files or the office's store.",
    "policy": "A policy brief: what reforms change, for whom, at what cost.",
    "study": "A study as it would be printed.",
    "household": "A letter to a family: who paid what, what is left, what help there is.",
}
"""Command -> its short help. The command is `command` in the module of that name."""


@click.command(
    cls=LazyGroup,
    helps=COMMANDS,
    package="medfloor.cli.report",
    noun="report",
    context_settings={"help_option_names": ["-h", "--help"]},
)
def command() -> None:
    """Print reports: PDF, HTML and Excel with the same numbers, in Chinese or English.

    Tables and figures are numbered, each with its definition and source. The same inputs and --date give the same
    file. PDF is tagged for screen readers (PDF/UA-1).

    \b
    Examples:
      medfloor report county county --name 示范县 --date 2026-03-01 --lang zh --out report.pdf
      medfloor report policy --population county --baseline county/policy.yaml \\
        --reform examples/reforms/oop_cap.yaml --out brief.pdf
      medfloor report household c17 --claims claims.csv --people people.csv --policy cn/beijing --out letter.pdf
    """
