"""Be `medfloor watch cases check`."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import click

from medfloor.cli.opened import database_option, lang_option, local_actor, moment, opened
from medfloor.words import say

if TYPE_CHECKING:
    import polars as pl


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("file", metavar="[FILE]", required=False)
@click.option("--households", metavar="FILE", help="Incomes known now: household_id, income_head, line_head (yuan).")
@click.option("--on", type=click.DateTime(["%Y-%m-%d"]), help="As of this day.  [default: today]")
@click.option("--place", metavar="NAME", default="cn", show_default=True, help="Whose rules bind FILE, as cn/hainan.")
@click.option("--rules", metavar="FILE", help="Rules of your own, laid over the shipped ones (TOML).")
@click.option("--out", metavar="FILE", help="Also write the findings: .csv or .parquet, money in yuan.")
@click.option("--page", type=click.IntRange(0), default=20, show_default=True, help="So many findings are told.")
@lang_option
@database_option
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Look cases over, of the office's store or of a FILE of another system, and list what is wrong.

    Finds visits, decisions and help that are late; refusals without a visit; removals that came too soon, without help,
    with nobody who can work or under the line; and households under the line that nobody follows.

    FILE is CSV or Parquet with case_id, household_id and state, and where known place, round, category, found_on,
    verified_on, published_on, recognised_on, refused_on, measures, first_measure_on, stable_since, removed_on,
    labour_capacity, income_head and line_head (yuan a head and year). Nothing is written to any store.

    \b
    Examples:
      medfloor watch cases check
      medfloor watch cases check cases.csv --on 2026-05-06 --out findings.csv
      medfloor watch cases check cases.csv --households incomes.csv --place cn/hainan --lang zh

    Exit codes: 0 nothing found; 1 something found, or rows refused; 2 nothing could be done.
    """
    from medfloor.errors import UsageError
    from medfloor.intake.files import check_outputs
    from medfloor.periods import OFFICE_ZONE

    only_files = [f"--{name}" for name in ("households", "rules") if asked[name]]
    if asked["file"] is None and only_files:
        raise UsageError("half_asked", f"{only_files[0]} goes with a FILE of cases; the office's store has its own")
    check_outputs([asked["out"]], [asked["file"], asked["households"], asked["rules"]])
    day = asked["on"].date() if asked["on"] else moment().astimezone(OFFICE_ZONE).date()
    if asked["file"] is None:
        found, refused = _of_office(asked["database"], day), 0
    else:
        found, refused = _of_file(asked, day)
    _tell(found, day, asked)
    ctx.exit(1 if found.height or refused else 0)


def _of_office(database: str | None, day: date) -> pl.DataFrame:
    """Give the findings over the office's store; it is written down who looked."""
    from medfloor.cli.watch.cases.telling import note_look
    from medfloor.store.cases import check_office

    actor, now = local_actor("auditor"), moment()
    with opened(database) as store:
        with store.reading() as connection:
            found = check_office(connection, actor, on=day)
        homes = found["household_id"].to_list()
        note_look(store, actor, "check_cases", homes, now=now, detail=f"findings={found.height}")
    return found


def _of_file(asked: dict[str, Any], day: date) -> tuple[pl.DataFrame, int]:
    """Give the findings over a file, and how many rows were refused."""
    from medfloor.intake.case_list import read_case_list, read_incomes
    from medfloor.watch import check_cases, load_case_rules, shipped_calendar

    lang = asked["lang"]
    read = read_case_list(asked["file"])
    known = read_incomes(asked["households"]) if asked["households"] else None
    rules = load_case_rules(asked["place"], on=day, path=asked["rules"])
    found = check_cases(
        read.accepted, rules, shipped_calendar(), on=day, households=None if known is None else known.accepted
    )
    refused = 0
    for table in (read, known):
        if table is None:
            continue
        click.echo(say("case_desk.rows", lang, rows=table.rows_in, refused=table.bad.height))
        for reason, count in table.bad.group_by("reason").len().sort("reason").iter_rows():
            click.echo(f"  {reason}  {count:,}")
        refused += table.bad.height
    return found, refused


def _tell(found: pl.DataFrame, day: date, asked: dict[str, Any]) -> None:
    from medfloor.intake.files import write_table
    from medfloor.terminal import aligned
    from medfloor.watch import say_finding
    from medfloor.watch.quality import CHECKS

    lang = asked["lang"]
    counts = dict(found.group_by("check").len().iter_rows())
    click.echo(say("case_desk.found" if found.height else "case_desk.nothing", lang, n=found.height, day=day))
    if found.height:
        rows = [[say("case_desk.head_check", lang), say("case_desk.head_count", lang)]]
        rows += [[say(f"case_desk.check_{name}", lang), f"{counts[name]:,}"] for name in CHECKS if name in counts]
        for text in aligned(rows, right=(1,)):
            click.echo(text)
    for row in found.head(asked["page"]).iter_rows(named=True):
        click.echo(f"{row['case_id'] or '-'}  {row['household_id']}  {say_finding(row, lang)}")
    if found.height > asked["page"]:
        click.echo(say("case_desk.more", lang, n=found.height - asked["page"]))
    if asked["out"]:
        write_table(found, asked["out"])
        click.echo(f"{asked['out']}: {found.height:,}", err=True)
