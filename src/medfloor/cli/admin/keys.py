"""Be `medfloor admin keys`: new, rotate, check."""

from __future__ import annotations

import os
from pathlib import Path

import click

from medfloor.cli.opened import database_option, keyring, keys_option, lang_option, local_actor, moment, opened
from medfloor.words import say

_FINDINGS = 1


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Make, rotate and check the keys with which names and identity numbers are enciphered.

    \b
    Examples:
      medfloor admin keys new medfloor.keys
      medfloor admin keys check
      medfloor admin keys rotate
    """


@command.command()
@click.argument("file", type=click.Path(path_type=Path))
@lang_option
def new(file: Path, lang: str) -> None:
    """Write fresh keys to FILE, which only you may read; a file that is there is never overwritten.

    \b
    Example:
      medfloor admin keys new medfloor.keys
    """
    from medfloor.store.keys import new_keys, write_keys

    ring = new_keys()
    write_keys(file, ring)
    click.echo(say("admin.keys_written", lang, path=file, key=ring.active))


@command.command()
@keys_option
@database_option
@lang_option
@click.pass_context
def check(ctx: click.Context, keys: Path | None, database: str | None, lang: str) -> None:
    """Read everything that is enciphered, and say what the keys cannot read. Exit code 1 where there is such a thing.

    \b
    Example:
      medfloor admin keys check
    """
    from medfloor.store.rotation import check_keys

    ring = keyring(keys)
    with opened(database) as store:
        report = check_keys(store, ring)
    click.echo(say("admin.keys_active", lang, key=ring.active, n=len(ring.secrets)))
    for key, values in sorted(report.values.items()):
        told = "admin.keys_missing" if key in report.missing else "admin.keys_values"
        click.echo(say(told, lang, key=key, n=values))
    if ring.coming is not None:
        click.echo(say("admin.keys_unfinished", lang))
    if report.lookups_of_other_keys:
        click.echo(say("admin.keys_not_found", lang, n=report.lookups_of_other_keys))
    if report.broken:
        click.echo(say("admin.keys_broken", lang, n=report.broken))
    if ring.coming is not None or not report.whole:
        ctx.exit(_FINDINGS)
    click.echo(say("admin.keys_whole", lang))


@command.command()
@keys_option
@database_option
@lang_option
def rotate(keys: Path | None, database: str | None, lang: str) -> None:
    """Make a fresh key and write everything anew under it; stop the service first, and take a backup.

    When it is interrupted, run it again: it goes on with the same key. The old key stays in the file, because older
    backups need it.

    \b
    Example:
      medfloor admin keys rotate
    """
    from medfloor.errors import UsageError
    from medfloor.store import audit
    from medfloor.store.keys import DEFAULT_FILE, KEYS, KEYS_FILE, write_keys
    from medfloor.store.rotation import rotate as rotate_all

    if keys is None and not os.environ.get(KEYS_FILE) and os.environ.get(KEYS):
        raise UsageError("keys_not_a_file", f"the keys stand in {KEYS}; put them into a file and name it with --keys")
    path = Path(keys or os.environ.get(KEYS_FILE) or DEFAULT_FILE)
    ring = keyring(path).with_coming()
    with opened(database) as store:
        # The new key is safe on the disk before anything in the store depends on it.
        write_keys(path, ring, replace_file=True)
        done = rotate_all(store, ring)
        write_keys(path, ring.turned(), replace_file=True)
        detail = f"values={done} key={ring.coming}"
        store.attempt(lambda c: audit.record(c, local_actor(), "rotate_keys", detail=detail, now=moment()))
    click.echo(say("admin.keys_rotated", lang, n=done, key=ring.coming, path=path))
