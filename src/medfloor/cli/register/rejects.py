"""Be `medfloor register rejects`."""

from __future__ import annotations

from pathlib import Path

import click

from medfloor.cli.opened import database_option, keyring, keys_option, local_actor, moment, opened
from medfloor.cli.register.importing import reason_in_words
from medfloor.words import say

SHOWN = 50


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("import_id", type=int)
@click.option("--out", type=click.Path(path_type=Path), help="Write the rows as they came (.csv), to be mended.")
@click.option("--lang", type=click.Choice(["zh", "en"]), default="en", show_default=True)
@database_option
@keys_option
def command(import_id: int, out: Path | None, lang: str, database: str | None, keys: Path | None) -> None:
    """List the rows that the import IMPORT_ID refused: row of the file, reason, detail.

    With --out the rows are deciphered and written as they came, with reason and detail behind them, to be mended and
    sent again; this is written down. The file holds names and identity numbers.

    \b
    Example:
      medfloor register rejects 12 --out mend.csv
    """
    from medfloor.store import audit
    from medfloor.store.imports import rejects_of

    with opened(database) as store, store.writing() as connection:
        ring = keyring(keys) if out is not None else None
        found = rejects_of(connection, import_id, keyring=ring, limit=10_000_000 if out else SHOWN + 1)
        if out is not None:
            detail = f"rows refused by import {import_id}"
            audit.record(connection, local_actor("county_clerk"), "reveal_identity", now=moment(), detail=detail)
    if out is None:
        for row in found[:SHOWN]:
            click.echo(
                f"{row['row']}  {row['reason']}  {row['detail']}  {reason_in_words(row['reason'], lang)}".rstrip()
            )
        if len(found) > SHOWN:
            click.echo(say("register.more", lang))
        return
    import polars as pl

    from medfloor.intake import write_table

    names = list(dict.fromkeys(name for row in found for name in row["cells"]))
    table = [
        {
            **{name: _text(row["cells"].get(name)) for name in names},
            "refused": row["reason"],
            "refused_detail": row["detail"],
        }
        for row in found
    ]
    write_table(
        pl.DataFrame(table, schema=dict.fromkeys([*names, "refused", "refused_detail"], pl.String)),
        out,
        money_columns=[],
    )
    click.echo(say("register.written", lang, n=f"{len(found):,}", file=out))


def _text(cell: object) -> str | None:
    return None if cell is None else str(cell)
