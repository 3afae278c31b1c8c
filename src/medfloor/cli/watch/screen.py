"""Be `medfloor watch screen`: households at risk, out of files or of the office's own store."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medfloor.cli.opened import database_option, lang_option, local_actor, moment, opened

if TYPE_CHECKING:
    import polars as pl

    from medfloor.intake.registers import RegisterFiles
    from medfloor.reports.watch_screening import Screened
    from medfloor.store.engine import Store
    from medfloor.watch import Rules, Screening

_FILES = ("people", "households", "settlements", "previous", "spells", "claims")
_DAY = click.DateTime(["%Y-%m-%d"])


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--people", metavar="FILE", help="People: person_id, household_id, enrolment.")
@click.option("--households", metavar="FILE", help="Households: size, income of the year before, consumption, food.")
@click.option("--settlements", metavar="FILE", help="What medfloor settle wrote, of the year (and the year before).")
@click.option("--previous", metavar="FILE", help="Settlements of the year before, where they are a file apart.")
@click.option("--spells", metavar="FILE", help="Dated statuses (dibao, tekun, ...).")
@click.option("--claims", metavar="FILE", help="Claims, for care that is expected and not seen.")
@click.option("--known", multiple=True, metavar="FILE|DIR",
              help="Earlier alerts: raised no second time; the last folder is enough.")  # fmt: skip
@click.option("--year", type=click.IntRange(1990, 2200), help="Benefit year.  [default: the last of the settlements]")
@click.option("--as-of", type=_DAY, help="Day up to which to look.  [default: the last settlement of the year]")
@click.option("--claims-until", type=_DAY, help="Day up to which claims are complete.  [default: the last claim]")
@click.option("--place", default="cn", show_default=True, metavar="CODE|cn|cn/...", help="Whose rules.")
@click.option("--rules", "file", metavar="FILE", help="Rules of your own (TOML), laid over the shipped ones.")
@click.option("--out", metavar="DIR", help="Folder for alerts, absent, households, rejected, known and the record.")
@click.option("--format", "kind", type=click.Choice(["csv", "parquet"]), default="csv", show_default=True,
              help="Of the tables.")  # fmt: skip
@click.option("--page", type=click.IntRange(1, 1000), metavar="N", help="Tell the N most urgent households in words.")
@click.option("--one", metavar="HOUSEHOLD", help="Tell one household in words, and write nothing.")
@click.option("--list", "listed", is_flag=True, help="List the rules with values, sources and trust, and stop.")
@click.option("--office", is_flag=True, help="Screen the office's own register and ledger instead of files.")
@click.option("--pending", is_flag=True, help="With --office: only households with settlements not yet looked at.")
@click.option("--engine", type=click.Choice(["auto", "spark"]), default="auto", show_default=True,
              help="On this machine, or on a Spark cluster; they give the same.")  # fmt: skip
@click.option("--spark-master", metavar="ADDRESS",
              help="With --engine spark: spark://host:7077, local[2], ...; default: spark-submit's, SPARK_MASTER, "
              "local[*].")  # fmt: skip
@database_option
@lang_option
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Screen a register and a year's settlements for households at risk.

    Files are CSV or Parquet (or folders of Parquet files, by place and month) in the columns of the data contract (ours
    or the platform's), money in yuan: what medfloor synthesise and medfloor settle wrote is taken as it is. An alert
    says why in yuan and words, and with what it would not have fired. Absent care stands in a file of its own. Rows
    that cannot be used are kept with a reason. Prints counts that name nobody; households stand in the files of --out,
    and on the terminal with --page or --one.

    With --office the office's register and ledger are screened as of today, alerts are kept there, and each household
    without an open case gets one. The same again raises no second alert.

    \b
    Examples:
      medfloor watch screen --people people.csv --households households.csv --settlements settled.csv --out may
      medfloor watch screen --people people.csv --households households.csv --settlements settled.csv \\
        --spells spells.csv --claims claims.csv --known may --as-of 2025-06-30 --out june --lang zh
      medfloor watch screen --list --place 520102
      medfloor watch screen --office --out today --page 10
      medfloor watch screen --people people/ --households households.parquet --settlements settled/ --out june \\
        --engine spark --spark-master spark://head:7077

    Exit codes: 0 done, 1 done but rows were refused, 2 nothing could be done.
    """
    from medfloor.errors import UsageError

    _days(asked)
    office = asked["office"] or asked["pending"]
    given = [name for name in (*_FILES, "known") if asked[name]]
    if asked["database"] and not office:
        raise UsageError("files_or_office", "--database goes with --office; add it, or leave --database out")
    if asked["spark_master"] and asked["engine"] != "spark":
        raise UsageError("spark_not_asked", "--spark-master is for --engine spark; give both, or neither")
    if asked["listed"]:
        _list(asked)
        return
    if asked["engine"] == "spark":
        _check_spark(asked, office=office)
    if office and given:
        raise UsageError("files_or_office", f"--office screens the store and takes no --{given[0]}; give one of both")
    if office:
        _office(ctx, asked)
        return
    missing = [name for name in ("people", "households", "settlements") if not asked[name]]
    if missing:
        raise click.UsageError(f"--{missing[0]} is missing; name its file, or give --office or --list", ctx)
    if not asked["out"] and not asked["one"] and not asked["page"]:
        raise click.UsageError("--out is missing; name a folder, or give --page N or --one HOUSEHOLD", ctx)
    if asked["engine"] == "spark":
        _on_spark(ctx, asked)
    _files(ctx, asked)


def _days(asked: dict[str, Any]) -> None:
    for name in ("as_of", "claims_until"):
        asked[name] = None if asked[name] is None else asked[name].date()


def _rules(asked: dict[str, Any], on: date) -> Rules:
    from medfloor.watch import load_rules

    return load_rules(asked["file"] or asked["place"], on=on)


# --- From files -------------------------------------------------------------------------------------------------------


def _files(ctx: click.Context, asked: dict[str, Any]) -> None:
    from dataclasses import replace

    from medfloor.intake.registers import read_known
    from medfloor.reports.watch_screening import check_folder
    from medfloor.watch import Register, screen

    known, inputs, groups = _beforehand(asked)
    read = _read(asked, groups, asked["year"])
    chosen = asked["year"] is None or asked["as_of"] is None
    year, as_of = _when(read.settlements, asked)
    if read.wave is not None and asked["year"] is None:
        read = _read(asked, groups, year)
    if asked["out"]:
        check_folder(asked["out"], asked["kind"], as_of, inputs)
    rules = _rules(asked, as_of)
    register = Register(read.people, read.households, read.spells, read.claims)
    earlier = read_known(known)
    found = screen(register, read.settlements, rules, year=year, as_of=as_of, known_alerts=earlier,
                   claims_until=asked["claims_until"])  # fmt: skip
    if asked["one"]:
        _tell_one(_of_household(found, asked["one"]), earlier, asked["lang"])
        return
    screened = replace(_screened(asked, read, found, rules, year, as_of, chosen), known=earlier)
    _tell(screened, asked)
    ctx.exit(1 if screened.rejected.height else 0)


def _beforehand(asked: dict[str, Any]) -> tuple[list[Path], list[Any], list[str]]:
    """Check the folder before anything is read; give the files of alerts, all inputs, and the statuses of the rules."""
    from medfloor.reports.watch_screening import check_folder

    known = [file for one in asked["known"] for file in _alerts_of(one)]
    inputs = [asked[name] for name in _FILES] + known + list(asked["known"]) + [asked["file"]]
    if asked["out"]:
        check_folder(asked["out"], asked["kind"], asked["as_of"], inputs)
    # Statuses that rules name are known; which they are is not a matter of the day, so that any later one does.
    groups = sorted({one for rule in _rules(asked, date(2200, 1, 1)).rules for one in rule.listed("groups")})
    return known, inputs, groups


def _read(asked: dict[str, Any], groups: list[str], year: int | None) -> RegisterFiles:
    from medfloor.intake.registers import read_register_files

    return read_register_files(**{name: asked[name] for name in _FILES}, groups=groups, year=year)


def _alerts_of(known: str) -> list[Path]:
    """List the files of alerts that a folder of an earlier screening holds, those known to it too; a file is itself."""
    from medfloor.errors import InputError

    place = Path(known)
    if not place.is_dir():
        return [place]
    found = [place / f"{name}.{kind}" for name in ("alerts", "absent", "known") for kind in ("csv", "parquet")]
    found = [one for one in found if one.is_file()]
    if not found:
        raise InputError("file_not_found", f"{known} holds no alerts of a screening; name its folder or a file")
    return found


def _when(settlements: pl.DataFrame, asked: dict[str, Any]) -> tuple[int, date]:
    """Give year and day: what was asked for, else the last benefit year, and the last day on which it was settled."""
    from medfloor.errors import UsageError

    year, as_of = asked["year"], asked["as_of"]
    if year is None and as_of is not None:
        year = as_of.year
    if year is None:
        year = settlements["benefit_year"].max()
    if as_of is None:
        as_of = settlements.filter(settlements["benefit_year"] == year)["settled_date"].max() if year else None
    if year is None or as_of is None:
        which = "no settlement" if year is None else f"no settlement of {year}"
        raise UsageError("no_settlements", f"--settlements has {which} that can be used; give --year and --as-of")
    return int(year), as_of


def _of_household(found: Screening, household_id: str) -> Screening:
    """Take the part of one household out of the screening of all, so that both say the same."""
    from dataclasses import replace

    import polars as pl

    from medfloor.errors import UsageError

    mine = pl.col("household_id") == household_id
    if found.households.filter(mine).is_empty():
        raise UsageError("no_such_household", f"the register has no household {household_id!r}")
    return replace(
        found, alerts=found.alerts.filter(mine), households=found.households.filter(mine),
        suppressed=found.suppressed.filter(mine),
    )  # fmt: skip


def _screened(
    asked: dict[str, Any],
    read: RegisterFiles,
    found: Screening,
    rules: Rules,
    year: int,
    as_of: date,
    chosen: bool,
) -> Screened:
    import polars as pl

    from medfloor.intake.registers import is_made_up
    from medfloor.reports.watch_screening import Screened
    from medfloor.watch.screening import money_of

    rejected = pl.concat([read.rejected, found.rejected], how="diagonal")
    money = money_of(read, found, year=year, as_of=as_of)
    return Screened(
        found, rules, year, as_of, rejected, read.rows, money, _hashes(asked), chosen=chosen,
        synthetic=is_made_up(read.people), wave=read.wave, statuses=read.spells is not None,
    )  # fmt: skip


def _hashes(asked: dict[str, Any]) -> dict[str, str]:
    from medfloor.reports.watch_screening import sha256_of

    return {Path(asked[name]).name: sha256_of(asked[name]) for name in _FILES if asked[name]}


# --- From files on a cluster ------------------------------------------------------------------------------------------


def _check_spark(asked: dict[str, Any], *, office: bool) -> None:
    from medfloor.errors import UsageError

    if office:
        raise UsageError(
            "not_with_spark",
            "--office does not go with --engine spark: the office's store lies on one machine. Leave --engine out.",
        )
    if asked["one"]:
        raise UsageError(
            "not_with_spark",
            "--one does not go with --engine spark, which writes a whole screening. Leave --engine out, or give --out "
            "and look the household up in its files.",
        )
    if not asked["out"]:
        raise UsageError(
            "not_with_spark",
            "--engine spark needs --out: the machines write parts beside it. Name a folder on the disk that all see.",
        )


def _on_spark(ctx: click.Context, asked: dict[str, Any]) -> None:
    from medfloor.intake.registers import read_known
    from medfloor.reports.watch_screening import Screened, check_folder
    from medfloor.watch.spark import run_on_spark

    known, inputs, groups = _beforehand(asked)
    earlier = read_known(known)  # what is wrong with files is told before Spark starts
    with run_on_spark(
        {name: asked[name] for name in _FILES}, groups, beside=asked["out"], master=asked["spark_master"]
    ) as tables:
        chosen = asked["year"] is None or asked["as_of"] is None
        # A day that is given says the year, too.
        year, as_of = _when(tables.days(), asked) if asked["as_of"] is None else (asked["year"], asked["as_of"])
        year = as_of.year if year is None else year
        check_folder(asked["out"], asked["kind"], as_of, inputs)
        rules = _rules(asked, as_of)
        found = tables.screen(
            rules, year=year, as_of=as_of, known_alerts=earlier, claims_until=asked["claims_until"]
        )  # fmt: skip
        screened = Screened(
            found.screening, rules, year, as_of, found.screening.rejected, found.rows, found.money, _hashes(asked),
            chosen=chosen, synthetic=found.made_up, wave=found.wave, statuses=bool(asked["spells"]), known=earlier,
            households=found.households,
        )  # fmt: skip
        _tell(screened, asked)
    ctx.exit(1 if screened.rejected.height else 0)


# --- From the office --------------------------------------------------------------------------------------------------


def _office(ctx: click.Context, asked: dict[str, Any]) -> None:
    from medfloor.errors import UsageError
    from medfloor.periods import OFFICE_ZONE
    from medfloor.reports.watch_screening import Screened, check_folder
    from medfloor.store.cases import case_rules
    from medfloor.store.watching import screen_office

    if asked["one"]:
        raise UsageError(
            "files_or_office", "--one tells a household out of files; the office's are told by watch cases"
        )
    now = moment()
    as_of = asked["as_of"] or now.astimezone(OFFICE_ZONE).date()
    year = asked["year"] or as_of.year
    with opened(asked["database"]) as store:
        if asked["pending"]:
            ctx.exit(_pending(store, asked))
        if asked["out"]:
            check_folder(asked["out"], asked["kind"], as_of, ())
        with store.reading() as connection:
            place = case_rules(connection, on=as_of).place
        own = asked["file"] or (asked["place"] if asked["place"] != "cn" else place)
        rules = _rules({**asked, "file": None, "place": own}, as_of)
        done = screen_office(store, rules, year=year, as_of=as_of, actor=local_actor("county_clerk"), now=now,
                             claims_until=asked["claims_until"])  # fmt: skip
    found = done.screening
    screened = Screened(found, rules, year, as_of, found.rejected)
    _tell(screened, asked)
    said = {"run": str(done.run), "opened": f"{len(done.opened):,}", "added": f"{len(done.added):,}"}
    click.echo(_say("kept", asked["lang"], **said))
    ctx.exit(1 if found.rejected.height else 0)


def _pending(store: Store, asked: dict[str, Any]) -> int:
    """Work off the households with settlements that nobody looked at yet, until none is left."""
    from medfloor.store.watching import work_pending

    households = alerts = 0
    while True:
        done = work_pending(store, actor=local_actor("county_clerk"), now=moment())
        households, alerts = households + done.households, alerts + done.alerts
        if not done.left or not done.entries:
            break
    if households:
        click.echo(_say("pending", asked["lang"], n=f"{households:,}", alerts=f"{alerts:,}"))
    else:
        click.echo(_say("queue_empty", asked["lang"]))
    return 0


# --- On the terminal --------------------------------------------------------------------------------------------------


def _tell(one: Screened, asked: dict[str, Any]) -> None:
    from medfloor.reports.watch_screening import count_tables, foot_lines, head_lines, page_lines, write_screening
    from medfloor.terminal import aligned

    lang = asked["lang"]
    # Before a word is said: whoever reads only the first lines (`| head`) closes the terminal's end.
    written = write_screening(one, asked["out"], kind=asked["kind"], lang=lang) if asked["out"] else ()
    for line in head_lines(one, lang):
        click.echo(line)
    for title, rows, right in count_tables(one, lang):
        click.echo(f"\n{title}")
        for line in aligned(rows, right=right):
            click.echo(line)
    click.echo()
    for line in foot_lines(one, lang):
        click.echo(line)
    if asked["page"]:
        click.echo()
        for line in page_lines(one.screening, asked["page"], lang):
            click.echo(line)
    if asked["out"]:
        click.echo(f"\n{_say('files', lang)}")
        for path in written:
            click.echo(f"  {path}")


def _tell_one(found: Screening, known: pl.DataFrame | None, lang: str) -> None:
    from medfloor.reports.watch_screening import page_lines
    from medfloor.words import say

    for line in page_lines(found, 1, lang):
        click.echo(line)
    # Silent until the day that the earlier alert says, not the one that an alert of today would say.
    until = {} if known is None else {
        (row["household_id"], row["signal"]): row["suppressed_until"]
        for row in known.sort("suppressed_until", nulls_last=False).iter_rows(named=True)
    }  # fmt: skip
    for row in found.suppressed.iter_rows(named=True):
        title = say(f"watch_signal.{row['signal']}", lang)
        click.echo(_say("silent", lang, title=title, day=until[row["household_id"], row["signal"]]))
    if not found.alerts.height and not found.suppressed.height:
        click.echo(_say("nothing", lang))
    click.echo(_say("no_verdict", lang))


def _list(asked: dict[str, Any]) -> None:
    """List every rule with its numbers, and the lines of money, each with its source and how far it is trusted."""
    from medfloor.periods import OFFICE_ZONE
    from medfloor.words import say

    lang = asked["lang"]
    rules = _rules(asked, asked["as_of"] or moment().astimezone(OFFICE_ZONE).date())
    for rule in rules.rules:
        state = _say("rule_on" if rule.on else "rule_off", lang)
        title = f"{rule.signal} ({say(f'watch_signal.{rule.signal}', lang)})"
        click.echo(_say("rule", lang, title=title, state=state, day=rule.version, window=rule.window_days))
        for one in rule.values.values():
            told = {"name": one.name, "value": f"{one.value:g}", "unit": say(f"watch_unit.{one.unit}", lang)}
            trust, source = say(f"watch_trust.{one.trust}", lang), rules.sources.get(one.source, one.source)
            click.echo(f"  {_say('value', lang, **told, trust=trust, source=source)}")
            if one.quote:
                click.echo(f"    “{one.quote}”")
    for line in rules.lines:
        trust, source = say(f"watch_trust.{line.trust}", lang), rules.sources.get(line.source, line.source)
        told = {"name": say(f"watch_line.{line.name}", lang), "year": str(line.year), "place": line.place}
        click.echo(_say("line", lang, **told, yuan=f"{line.fen / 100:,.0f}", trust=trust, source=source))


def _say(name: str, lang: str, /, **values: object) -> str:
    from medfloor.words import say

    return say(f"watch_screen.{name}", lang, **values)
