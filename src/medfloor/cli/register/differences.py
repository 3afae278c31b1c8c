"""Be `medfloor register differences`."""

from __future__ import annotations

from pathlib import Path

import click

from medfloor.cli.opened import database_option, opened
from medfloor.terminal import aligned
from medfloor.words import say

SHOWN = 50


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("import_id", type=int)
@click.option("--out", type=click.Path(path_type=Path), help="Write all of them (.csv or .parquet).")
@click.option("--lang", type=click.Choice(["zh", "en"]), default="en", show_default=True)
@database_option
def command(import_id: int, out: Path | None, lang: str, database: str | None) -> None:
    """List what the import IMPORT_ID changed, person by person: before and after.

    \b
    Example:
      medfloor register differences 12 --out changed.csv
    """
    from medfloor.store.imports import differences_of

    with opened(database) as store, store.reading() as connection:
        found = differences_of(connection, import_id, limit=10_000_000 if out else SHOWN + 1)
    names = ("person_id", "kind", "field", "before", "after")
    if out is not None:
        import polars as pl

        from medfloor.intake import write_table

        write_table(
            pl.DataFrame(
                [{name: row[name] for name in names} for row in found], schema=dict.fromkeys(names, pl.String)
            ),
            out,
        )
        click.echo(say("register.written", lang, n=f"{len(found):,}", file=out))
        return
    rows = [[say(f"register.head_{name}", lang) for name in names]]
    rows += [[str(row[name] or "") for name in names] for row in found[:SHOWN]]
    for line in aligned(rows):
        click.echo(line.rstrip())
    if len(found) > SHOWN:
        click.echo(say("register.more", lang))
