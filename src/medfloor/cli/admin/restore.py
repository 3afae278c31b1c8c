"""Be `medfloor admin restore`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from medfloor.cli.opened import lang_option, opened
from medfloor.words import say

if TYPE_CHECKING:
    from medfloor.store.backup import Manifest


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--database", metavar="NEW", help="The empty store: a new SQLite file, or postgresql://... [required]")
@click.option("--check", "only_check", is_flag=True, help="Only read the backup and compare it with its manifest.")
@lang_option
def command(file: Path, database: str | None, only_check: bool, lang: str) -> None:
    """Bring the backup FILE into an empty store, of either kind, all of it or nothing.

    What is then in the store is read again and compared with the backup's manifest, row by row.

    \b
    Examples:
      medfloor admin restore office.backup --database restored.db
      medfloor admin restore office.backup --check
    """
    from medfloor.store.backup import restore, verify_backup

    if only_check:
        manifest = verify_backup(file)
        click.echo(say("admin.backup_whole", lang, path=file, **_told(manifest)))
        return
    if not database:
        raise click.UsageError("name the empty store with --database")
    with opened(database, checked=False) as store:
        manifest = restore(store, file)
    click.echo(say("admin.restored", lang, **_told(manifest)))
    click.echo(say("admin.verify_next", lang))


def _told(manifest: Manifest) -> dict[str, object]:
    return {"rows": manifest.rows, "tables": len(manifest.tables), "at": manifest.made_at}
