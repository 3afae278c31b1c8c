"""Be `medfloor admin backup`."""

from __future__ import annotations

from pathlib import Path

import click

from medfloor.cli.opened import database_option, lang_option, local_actor, moment, opened
from medfloor.words import say


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("out", metavar="OUT", type=click.Path(path_type=Path))
@database_option
@lang_option
def command(out: Path, database: str | None, lang: str) -> None:
    """Write the whole store into the file OUT, while others go on working.

    The file shows one moment, is checked before it gets its name, and only you may read it. An old file is never
    overwritten. The keys are not in it; keep a copy of the keys file elsewhere.

    \b
    Example:
      medfloor admin backup "office-$(date +%F).backup"
    """
    from medfloor.store import audit
    from medfloor.store.backup import back_up

    now = moment()
    with opened(database) as store:
        manifest = back_up(store, out, now=now)
        detail = f"rows={manifest.rows}"
        store.attempt(lambda connection: audit.record(connection, local_actor(), "back_up", detail=detail, now=now))
    told = {"rows": manifest.rows, "tables": len(manifest.tables), "bytes": f"{out.stat().st_size:,}"}
    click.echo(say("admin.backup_done", lang, path=out, **told))
    if manifest.keys:
        click.echo(say("admin.backup_keys", lang, keys=", ".join(manifest.keys)))
