"""Be `medfloor admin`: set an office up, back it up, bring it back, its users, keys, settings and terms."""

from __future__ import annotations

import click

from medfloor.cli.groups import LazyGroup

COMMANDS: dict[str, str] = {
    "init": "Make tables, settings, keys and the first administrator; or bring tables up.",
    "backup": "Write the whole store into one file while others work.",
    "restore": "Bring a backup into an empty store.",
    "user": "Add, list and disable users, set passwords and roles.",
    "keys": "Make, rotate and check the keys of personal data.",
    "settings": "Show or decide what the office decides once.",
    "retention": "Say what is past its term, and delete it.",
    "export": "Write tables in which nobody can be recognised.",
}
"""Command -> its short help. The command is `command` in the module of that name."""


@click.command(
    cls=LazyGroup,
    helps=COMMANDS,
    package="medfloor.cli.admin",
    context_settings={"help_option_names": ["-h", "--help"]},
)
def command() -> None:
    """Set an office up and keep it: store, backups, users, keys, settings, terms of retention.

    \b
    Examples:
      medfloor admin init --place 150981 --policy cn/beijing
      medfloor admin user add clerk1 --role county_clerk --place 150981
      medfloor admin backup office.backup
      medfloor admin restore office.backup --database restored.db
    """
