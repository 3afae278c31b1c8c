"""Be `medfloor register import`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medfloor.cli.opened import database_option, keyring, keys_option, local_actor, moment, opened
from medfloor.words import knows, say

if TYPE_CHECKING:
    from medfloor.store.engine import Store
    from medfloor.store.imports import ImportReport

KINDS = ["people", "households", "enrolments", "spells"]


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--kind", required=True, type=click.Choice(KINDS), help="What the file lists.")
@click.option("--source", required=True, metavar="DEPARTMENT", help="Who sent it: civil_affairs, office, ...")
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), help="The day for which the department vouches.")
@click.option("--full", is_flag=True, help="The list is whole: who is missing ends on that day.")
@click.option("--place", metavar="CODE", help="The place for which the list is whole.  [default: the office's]")
@click.option("--group", metavar="STATUS", help="The status of a list without a column of it: dibao, tekun, ...")
@click.option("--code", "codes", multiple=True, metavar="CODE=STATUS", help="A place's own code of a status.")
@click.option("--policy", metavar="NAME[@DATE]|FILE", help="The law that says what enrolling costs.")
@click.option("--dry-run", is_flag=True, help="Say what would change, and keep nothing.")
@click.option("--lang", type=click.Choice(["zh", "en"]), default="en", show_default=True)
@database_option
@keys_option
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Take FILE in: CSV (UTF-8 or GBK), .xlsx or Parquet, with our names of columns, the platform's or Chinese ones.

    The same file again changes nothing. Empty cells erase nothing. Rows that are refused are kept enciphered.

    \b
    Example:
      medfloor register import dibao.csv --kind spells --source civil_affairs --as-of 2026-11-01

    Exit codes: 0 done, 1 done but some rows were refused, 2 nothing could be done.
    """
    from medfloor.errors import UsageError
    from medfloor.store.imports import import_file

    codes = {}
    for text in asked["codes"]:
        code, mark, status = text.partition("=")
        if not mark or not code or not status:
            raise UsageError("bad_choice", f"--code is CODE=STATUS, such as 7019=dibao, not {text!r}")
        codes[code] = status
    as_of: datetime | None = asked["as_of"]
    ring = keyring(asked["keys"])
    with opened(asked["database"]) as store:
        report = import_file(
            store, asked["kind"], asked["file"], asked["source"],
            actor=local_actor("county_clerk"), now=moment(), keyring=ring,
            as_of=None if as_of is None else as_of.date(),
            full=asked["full"], place=asked["place"], group=asked["group"], codes=codes, policy=asked["policy"],
            dry_run=asked["dry_run"],
        )  # fmt: skip
        arrears = _settled_again(store, report)
    for line in told(report, asked["lang"]):
        click.echo(line)
    if arrears:
        click.echo(say("register.arrears", asked["lang"], n=f"{arrears:,}"))
    ctx.exit(1 if report.rejected else 0)


def _settled_again(store: Store, report: ImportReport) -> int:
    """Settle the claims of who is touched again under the office's policy, and count the arrears found."""
    import sqlalchemy as sa

    from medfloor.store import schema
    from medfloor.store.office import office_of

    if not report.touched or report.repeated or report.import_id is None:
        return 0
    with store.reading() as connection:
        settled = connection.execute(sa.select(schema.claim.c.id).limit(1)).first()
        policy = office_of(connection).policy
    if settled is None or not policy:
        return 0
    from medfloor.store.books import Books
    from medfloor.store.resettle import resettle_after

    books = Books.of(store, policy)
    return len(resettle_after(books, report.touched, actor=local_actor("county_clerk"), now=moment()))


def told(report: ImportReport, lang: str) -> list[str]:
    """Tell what became of a file, in a few lines."""
    head = "repeated" if report.repeated else "tried" if report.import_id is None else "done"
    lines = [
        say(
            f"register.import_{head}",
            lang,
            id=report.import_id,
            kind=report.kind,
            source=report.source,
            day=report.as_of,
        )
    ]
    if report.columns:
        pairs = ", ".join(f"{given} = {ours}" if given != ours else given for given, ours in report.columns.items())
        lines.append(say("register.columns", lang, pairs=pairs))
    for key, names in (("ignored", report.ignored), ("not_taken", report.not_taken)):
        if names:
            lines.append(say(f"register.{key}", lang, names=", ".join(names)))
    counts = {name: f"{getattr(report, name):,}" for name in ("rows_in", "accepted", "rejected")}
    lines.append(say("register.counts", lang, **counts))
    changes = {name: f"{getattr(report, name):,}" for name in ("added", "changed", "unchanged", "ended")}
    lines.append(say("register.changes", lang, **changes))
    for reason, count in sorted(report.reasons.items()):
        lines.append(f"  {reason}  {count:,}  {reason_in_words(reason, lang)}".rstrip())
    for key, count in (
        ("conflicts", report.conflicts),
        ("held_back", report.held_back),
        ("touched", len(report.touched)),
    ):
        if count:
            lines.append(say(f"register.{key}", lang, n=f"{count:,}"))
    return lines


def reason_in_words(reason: str, lang: str) -> str:
    """Say a reason in words where the catalogue has some."""
    return say(f"register.reason_{reason}", lang) if knows(f"register.reason_{reason}", lang) else ""
