"""Be `medfloor watch cases`: follow households at risk, in the office's store or over a list of another system."""

from __future__ import annotations

import click

from medfloor.cli.groups import LazyGroup

COMMANDS: dict[str, str] = {
    "list": "List cases, what is due first before the others.",
    "show": "Show a case: its steps, what is due, what may follow.",
    "find": "Open the case of a household that was found.",
    "add": "Take the next step of a case.",
    "check": "Look cases over: late, let go too early, followed by nobody.",
    "notice": "Print the public notice of a case.",
}
"""Command -> its short help."""


@click.command(
    cls=LazyGroup,
    helps=COMMANDS,
    package="medfloor.cli.watch.cases",
    modules={"list": "listing"},
    context_settings={"help_option_names": ["-h", "--help"]},
)
def command() -> None:
    """Follow households at risk: list, record a step, look over, print a notice.

    An alert opens a case and decides nothing. Recognition and removal take another person than who proposed them: at
    the command line, another user of this machine.

    \b
    Examples:
      medfloor watch cases list --overdue
      medfloor watch cases find h17 --source application
      medfloor watch cases add CASE verified --income 7000 --line 7300 --labour
      medfloor watch cases check
      medfloor watch cases check cases.csv --on 2026-05-06 --lang zh
    """
