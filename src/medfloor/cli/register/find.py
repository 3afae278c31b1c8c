"""Be `medfloor register find`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from medfloor.cli.opened import database_option, keyring, keys_option, local_actor, moment, opened


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@database_option
@keys_option
def command(database: str | None, keys: Path | None) -> None:
    """Find a person by identity number, and print the id.

    The number is asked for, or read from standard input: what stands on a command line can be seen by others.

    \b
    Example:
      medfloor register find < number.txt
    """
    from medfloor.errors import NotFoundError
    from medfloor.store import audit
    from medfloor.store.register import find

    if sys.stdin.isatty():
        number = click.prompt("identity number", err=True, type=str)
    else:
        number = sys.stdin.readline().strip()
    ring = keyring(keys)
    with opened(database) as store, store.writing() as connection:
        person_id = find(connection, ring, number)
        audit.record(connection, local_actor("county_clerk"), "find_person", now=moment(), person_id=person_id)
    if person_id is None:
        raise NotFoundError(
            "no_such_person", "the register has nobody of this identity number; check it, or import the person"
        )
    click.echo(person_id)
