"""Be `medfloor watch exchange`: lists that go to other departments, and the answers that come back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medfloor.cli.opened import database_option, keyring, keys_option, lang_option, local_actor, moment, opened

if TYPE_CHECKING:
    from medfloor.store.answers import Answered
    from medfloor.store.exchange import Exchange, Sending
    from medfloor.store.exchange_terms import Terms

_SETTINGS = {"help_option_names": ["-h", "--help"]}
_DAY = click.DateTime(["%Y-%m-%d"])
_ROLE = "assistance_officer"
_MOST = 20


@click.group(context_settings=_SETTINGS)
def command() -> None:
    """Send lists to other departments with only the columns that a purpose needs, and take their answers in.

    Each sending has a manifest (purpose, legal ground, columns, hash, term of keeping) and stands in the audit. An
    answer changes neither the register nor a benefit.

    \b
    Examples:
      medfloor watch exchange send --department civil_affairs --out to_civil_affairs
      medfloor watch exchange receive answer.csv --lang zh
      medfloor watch exchange list
      medfloor watch exchange show 3 --answers
    """


@command.command(context_settings=_SETTINGS)
@click.option("--department", metavar="NAME", help="civil_affairs, rural_revitalisation, ... (--purposes lists them).")
@click.option("--purpose", metavar="NAME", help="What for.  [default: the department's only one]")
@click.option("--out", metavar="DIR", help="Folder for the list and its manifest; made if missing, private.")
@click.option("--as-of", type=_DAY, help="Day on which alerts must be running.  [default: today]")
@click.option("--year", type=click.IntRange(1990, 2200), help="Benefit year of the amounts.  [default: of that day]")
@click.option("--place", default="", metavar="CODE", help="Only people of this division code.")
@click.option("--household", "households", multiple=True, metavar="ID", help="Only this household; may be repeated.")
@click.option("--terms", metavar="FILE", help="Purposes and grounds of your own (TOML), laid over the shipped ones.")
@click.option("--purposes", is_flag=True, help="List what may be sent to whom, on which ground, and stop.")
@database_option
@keys_option
@lang_option
def send(**asked: Any) -> None:
    """Make the list of a purpose: the people of households with alerts that the purpose is about.

    Writes list_N.csv, which holds names and numbers where the purpose needs them and only its owner may read, and
    list_N.json, the manifest, which names nobody. The list is not enciphered: hand it over on a trusted channel.

    \b
    Examples:
      medfloor watch exchange send --purposes --lang zh
      medfloor watch exchange send --department civil_affairs --out out --lang zh
      medfloor watch exchange send --department rural_revitalisation --place 150981102 --terms ours.toml --out out

    Exit codes: 0 done, 2 nothing could be done.
    """
    from medfloor.store.exchange import send as send_list
    from medfloor.store.exchange_terms import all_terms, terms_of

    if asked["purposes"]:
        for one in all_terms(file=asked["terms"]):
            _tell_terms(one, asked["lang"])
        return
    for name in ("department", "out"):
        if not asked[name]:
            raise click.UsageError(f"--{name} is missing; or list what may be sent with --purposes")
    terms = terms_of(asked["department"], asked["purpose"], file=asked["terms"])
    folder = _private_folder(asked["out"])
    ring = keyring(asked["keys"])
    with opened(asked["database"]) as store:
        sending = send_list(
            store, ring, terms, actor=local_actor(_ROLE), now=moment(), lang=asked["lang"], place=asked["place"],
            as_of=None if asked["as_of"] is None else asked["as_of"].date(), year=asked["year"],
            households=asked["households"] or None,
        )  # fmt: skip
    _tell_sending(sending, terms, asked["lang"])
    _write(folder, sending.exchange_id, sending.content, sending.manifest, asked["lang"])


@command.command(context_settings=_SETTINGS)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--exchange", "exchange_id", type=int, metavar="N", help="The list.  [default: by the references]")
@click.option("--as-of", type=_DAY, help="The day for which the department vouches.  [default: today]")
@click.option("--open-cases", is_flag=True, help="Open a case for confirmed households that never had one.")
@database_option
@keys_option
@lang_option
@click.pass_context
def receive(ctx: click.Context, /, file: Path, **asked: Any) -> None:
    """Take FILE in: the list with the answer filled in (CSV in UTF-8 or GBK, .xlsx, Parquet).

    Rows are matched by their reference. Refused with a reason are rows that answer none that was sent, rows of another
    list, and rows whose name or number is not the one that was sent. The same file again changes nothing. Confirmed
    answers are written into open cases as alerts, never as decisions.

    \b
    Example:
      medfloor watch exchange receive answer.csv --as-of 2026-06-01 --lang zh

    Exit codes: 0 done, 1 done but some rows were refused, 2 nothing could be done.
    """
    from medfloor.store.answers import receive as take_in

    ring = keyring(asked["keys"])
    as_of = None if asked["as_of"] is None else asked["as_of"].date()
    with opened(asked["database"]) as store:
        done = take_in(
            store, ring, file, actor=local_actor(_ROLE), now=moment(), exchange_id=asked["exchange_id"], as_of=as_of,
            open_cases=asked["open_cases"],
        )  # fmt: skip
    _tell_answered(done, asked["lang"])
    ctx.exit(1 if done.rejected else 0)


@command.command("list", context_settings=_SETTINGS)
@click.option("--department", metavar="NAME", help="Only lists for this department.")
@database_option
@lang_option
def list_(**asked: Any) -> None:
    """List what was sent: to whom, what for, how many rows, how many answered, until when it is kept.

    \b
    Example:
      medfloor watch exchange list --department civil_affairs

    Exit codes: 0 done, 2 nothing could be done.
    """
    from medfloor.periods import OFFICE_ZONE
    from medfloor.store.exchange import exchanges

    lang = asked["lang"]
    found: list[Exchange] = []
    with opened(asked["database"]) as store, store.reading() as connection:
        while some := exchanges(connection, local_actor(_ROLE), department=asked["department"],
                                after=found[-1].exchange_id if found else 0):  # fmt: skip
            found += some
    today = moment().astimezone(OFFICE_ZONE).date()
    rows = [
        [
            str(one.exchange_id), _department(one.department, lang), one.purpose, str(one.as_of), f"{one.rows:,}",
            f"{one.answered:,}",
            str(one.keep_until) if one.keep_until >= today else f"{one.keep_until} {_say('over', lang)}",
            one.sent_by, one.sent_at.astimezone(OFFICE_ZONE).strftime("%Y-%m-%d %H:%M"),
        ]
        for one in found
    ]  # fmt: skip
    names = ("id", "department", "purpose", "as_of", "rows", "answered", "keep_until", "sent_by", "sent_at")
    _tell_table(names, rows, lang, right=(0, 4, 5))


@command.command(context_settings=_SETTINGS)
@click.argument("number", type=int)
@click.option("--answers", is_flag=True, help="List the last answer to each row, with what differs from the register.")
@click.option("--again", metavar="DIR", help="Write the list once more, byte by byte as it was sent.")
@database_option
@keys_option
@lang_option
@click.pass_context
def show(ctx: click.Context, /, number: int, **asked: Any) -> None:
    """Show the list NUMBER: its manifest, and with --answers what came back. Names and numbers are not shown.

    \b
    Examples:
      medfloor watch exchange show 3
      medfloor watch exchange show 3 --answers --lang zh

    Exit codes: 0 done, 1 done and an answer differs from the register or a row was refused, 2 nothing could be done.
    """
    from medfloor.store.answers import answers_of, refused_of
    from medfloor.store.exchange import exchange_of, retold, sent_again

    lang, actor = asked["lang"], local_actor(_ROLE)
    folder = _private_folder(asked["again"]) if asked["again"] else None
    wrong = 0
    with opened(asked["database"]) as store:
        with store.reading() as connection:
            one, manifest = exchange_of(connection, number, actor)
        _tell_manifest(one, retold(manifest, lang), lang)
        if asked["answers"]:
            ring = keyring(asked["keys"])
            with store.writing() as connection:
                answers = answers_of(connection, ring, number, actor, now=moment())
                refused = refused_of(connection, number, actor)
            wrong = len(refused) + sum(row["differs"] is not None for row in answers)
            _tell_answers(answers, refused, lang)
        if folder is not None:
            content, manifest = sent_again(store, keyring(asked["keys"]), number, actor=actor, now=moment())
            _write(folder, number, content, manifest, lang)
    ctx.exit(1 if wrong else 0)


# --- Files ------------------------------------------------------------------------------------------------------------


def _private_folder(name: str) -> Path:
    """Make a folder that only its owner may look into, before anything is sent. Raises OutputError (`cannot_write`)."""
    from medfloor.errors import OutputError

    folder = Path(name)
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise OutputError("cannot_write", f"{folder} cannot be made: {error.strerror}; name another folder") from None
    return folder


def _write(folder: Path, number: int, content: bytes, manifest: Any, lang: str) -> None:
    """Write list and manifest, each whole or not at all; the list for its owner alone."""
    import os

    from medfloor.intake.files import write_bytes
    from medfloor.reports.plain import json_of

    paths = [folder / f"list_{number}.csv", folder / f"list_{number}.json"]
    # Made first, so that what replaces it takes over that only its owner may read it.
    os.close(os.open(paths[0], os.O_CREAT | os.O_WRONLY, 0o600))
    os.chmod(paths[0], 0o600)
    write_bytes(content, paths[0])
    write_bytes(json_of(dict(manifest)), paths[1])
    columns = ", ".join(one["title"] for one in manifest["columns"])
    click.echo(_say("files", lang, columns=columns))
    for path in paths:
        click.echo(f"  {path}")
    click.echo(_say("plain", lang))


# --- On the terminal --------------------------------------------------------------------------------------------------


def _tell_terms(one: Terms, lang: str) -> None:
    from medfloor.words import say

    columns = ", ".join(say(f"exchange_column.{name}", lang) for name in one.columns)
    click.echo(_say("purposes", lang, department=one.department, purpose=one.purpose, title=one.title(lang),
                    columns=columns, days=one.term_days))  # fmt: skip
    for ground in one.grounds:
        trust = say(f"watch_trust.{ground.trust}", lang)
        click.echo(f"  {_say('ground', lang, text=ground.text, source=ground.source, trust=trust)}")


def _tell_sending(one: Sending, terms: Terms, lang: str) -> None:
    said = {"id": one.exchange_id, "department": _department(terms.department, lang), "purpose": terms.title(lang)}
    click.echo(_say("sent", lang, **said))
    click.echo(_say("sent_rows", lang, rows=f"{one.rows:,}", households=f"{one.households:,}", day=one.keep_until))
    for name in ("without_number", "outside"):
        if getattr(one, name):
            click.echo(_say(name, lang, n=f"{getattr(one, name):,}"))
    for ground in one.manifest["grounds"]:
        told = {"text": ground["text"], "source": ground["source"], "trust": ground["trust_text"]}
        click.echo(_say("ground", lang, **told))
    if terms.unread:
        click.echo(_say("unread", lang))


def _tell_manifest(one: Exchange, manifest: dict[str, Any], lang: str) -> None:
    said = {"id": one.exchange_id, "department": _department(one.department, lang), "purpose": manifest["purpose_text"]}
    click.echo(_say("sent", lang, **said))
    columns = ", ".join(f"{column['title']} ({column['why']})" for column in manifest["columns"])
    click.echo(_say("manifest_columns", lang, columns=columns))
    for ground in manifest["grounds"]:
        told = {"text": ground["text"], "source": ground["source"], "trust": ground["trust_text"]}
        click.echo(_say("ground", lang, **told))
    click.echo(_say("manifest_hash", lang, hash=one.content_hash))
    click.echo(manifest["duty"])


def _tell_answered(done: Answered, lang: str) -> None:
    from medfloor.words import say

    key = "repeated" if done.repeated else "received"
    click.echo(_say(key, lang, answer=done.answer_id, id=done.exchange_id))
    names = ("rows_in", "added", "changed", "unchanged", "unanswered", "rejected")
    click.echo(_say("counts", lang, **{name: f"{getattr(done, name):,}" for name in names}))
    for reason, count in sorted(done.reasons.items()):
        click.echo(f"  {reason}  {count:,}")
    for row, column in done.echoes[:_MOST]:
        click.echo(_say("echo", lang, row=row, column=say(f"exchange_column.{column}", lang)))
    if len(done.echoes) > _MOST:
        click.echo(_say("more_echoes", lang, n=f"{len(done.echoes) - _MOST:,}"))
    if not done.repeated:
        click.echo(_say("cases", lang, noted=done.noted, opened=done.opened, without=done.without_case))
    click.echo(_say("no_verdict", lang))


def _tell_answers(answers: list[dict[str, Any]], refused: list[dict[str, Any]], lang: str) -> None:
    from medfloor.words import knows, say

    names = ("row", "person_id", "household_id", "result", "status", "decision", "measure", "day", "differs")
    rows = []
    for one in answers:
        told = dict(one)
        told["result"] = _say(f"result_{one['result']}", lang) if one["result"] else ""
        if one["status"] and knows(f"group.{one['status']}", lang):
            told["status"] = say(f"group.{one['status']}", lang)
        told["differs"] = _say(f"differs_{one['differs']}", lang) if one["differs"] else ""
        rows.append([str(told[name] or "") for name in names])
    _tell_table(names, rows, lang, right=(0,))
    if refused:
        click.echo(f"\n{_say('refused', lang)}")
        shown = [[str(one[name] or "") for name in ("row", "reason", "detail")] for one in refused]
        _tell_table(("row", "reason", "detail"), shown, lang, right=(0,))


def _tell_table(names: tuple[str, ...], rows: list[list[str]], lang: str, *, right: tuple[int, ...]) -> None:
    from medfloor.terminal import aligned

    if not rows:
        click.echo(_say("nothing", lang))
        return
    for line in aligned([[_say(f"head_{name}", lang) for name in names], *rows], right=right):
        click.echo(line)


def _department(name: str, lang: str) -> str:
    from medfloor.words import knows, say

    return say(f"exchange_department.{name}", lang) if knows(f"exchange_department.{name}", lang) else name


def _say(name: str, lang: str, /, **values: object) -> str:
    from medfloor.words import say

    return say(f"exchange.{name}", lang, **values)
