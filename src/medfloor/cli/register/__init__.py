"""Be `medfloor register`: who is insured and who is poor, as departments say it, twice dated."""

from __future__ import annotations

import click

from medfloor.cli.groups import LazyGroup

COMMANDS: dict[str, str] = {
    "import": "Take a department's file in: people, households, enrolments, statuses.",
    "show": "Show a person on a day, as it was known at a moment.",
    "find": "Find a person by identity number.",
    "differences": "List what an import changed.",
    "rejects": "List the rows that an import refused, with reasons.",
    "list": "List imports, the insured poor, the poor who are not enrolled, departments.",
}
"""Command -> its short help."""


@click.command(
    cls=LazyGroup,
    helps=COMMANDS,
    package="medfloor.cli.register",
    modules={"import": "importing", "list": "listing"},
    context_settings={"help_option_names": ["-h", "--help"]},
)
def command() -> None:
    """Keep the register of people, households, enrolments and statuses.

    \b
    Examples:
      medfloor register import people.csv --kind people --source office
      medfloor register import dibao.xlsx --kind spells --source civil_affairs --group dibao --full --as-of 2026-11-01
      medfloor register show p1 --day 2026-06-30
      medfloor register list not-enrolled --day 2026-11-01
    """
