"""Be `medfloor admin export`."""

from __future__ import annotations

from pathlib import Path

import click

from medfloor.cli.opened import database_option, keyring, keys_option, lang_option, local_actor, moment, opened
from medfloor.words import say


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--purpose", required=True, metavar="TEXT", help="What it is for; another one gives other pseudonyms.")
@click.option("--place", metavar="CODE", default="", help="Only what lies within this division code.  [default: all]")
@click.option("--format", "ending", type=click.Choice(["parquet", "csv"]), default="parquet", show_default=True)
@database_option
@keys_option
@lang_option
def command(
    folder: Path, purpose: str, place: str, ending: str, database: str | None, keys: Path | None, lang: str
) -> None:
    """Write people, spells, claims and cases into FOLDER without names, numbers, days, villages and small groups.

    \b
    Example:
      medfloor admin export for-the-university --purpose "study of 2025"
    """
    from medfloor.intake.files import write_table
    from medfloor.store import audit
    from medfloor.store.export import export_deidentified

    ring = keyring(keys)
    with opened(database) as store:
        actor = local_actor("analyst", place)
        with store.reading() as connection:
            export = export_deidentified(connection, ring, purpose=purpose, actor=actor)
        detail = " ".join(f"{name}={count}" for name, count in export.counts.items())
        store.attempt(lambda c: audit.record(c, local_actor(), "export", detail=detail, now=moment()))
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in (
        ("people", export.people),
        ("spells", export.spells),
        ("claims", export.claims),
        ("cases", export.cases),
    ):
        write_table(frame, folder / f"{name}.{ending}")
    for name, count in export.counts.items():
        click.echo(say(f"admin.export_{name}", lang, n=count))
