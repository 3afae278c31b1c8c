"""Be `medfloor ledger statement`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from medfloor.cli.ledger.asking import language_option, open_books, policy_option
from medfloor.cli.opened import database_option, local_actor, moment, opened
from medfloor.words import knows, say

if TYPE_CHECKING:
    from medfloor.store.engine import Store
    from medfloor.store.statements import Statement


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("month", metavar="[YYYY-MM]", required=False)
@click.option("--provider", metavar="ID", help="Only this facility; *people is the list of manual reimbursement.")
@click.option("--fund", metavar="TIER", help="Only this fund: basic, critical_illness, assistance, ...")
@click.option("--draw", is_flag=True, help="Draw the month's statements; drawn again they are the same.")
@click.option("--early", is_flag=True, help="Draw although the month is not over.")
@click.option("--agree", is_flag=True, help="Write down that the facility agreed.")
@click.option("--note", help="The document by which it agreed.")
@click.option("--clear", is_flag=True, help="Clear what was agreed: one balanced entry a fund.")
@click.option("--on", type=click.DateTime(["%Y-%m-%d"]), help="The day of payment.  [default: today]")
@click.option("--lines", is_flag=True, help="List the entries behind the statement.")
@click.option("--pending", is_flag=True, help="Show what stands on no statement yet.")
@click.option("--check", is_flag=True, help="Count every statement again from its entries.")
@click.option("--out", type=click.Path(), help="Also write what is shown: .csv, .xlsx or .parquet.")
@policy_option
@language_option
@database_option
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Show, draw, agree or clear the monthly statements: what each facility advanced for each fund.

    An entry belongs to the month in which it was posted; what comes after a statement stands on the next one.

    \b
    Examples:
      medfloor ledger statement 2024-03 --draw
      medfloor ledger statement 2024-03 --provider H1 --lines --out h1.xlsx
      medfloor ledger statement 2024-03 --provider H1 --agree --note "letter 7"
      medfloor ledger statement 2024-03 --provider H1 --clear

    Exit codes: 0 done, 1 a statement is not what its entries come to (--check), 2 nothing could be done.
    """
    from medfloor.cli.ledger.printed import check_out
    from medfloor.errors import UsageError

    wanted = [name for name in ("draw", "agree", "clear", "lines", "pending", "check") if asked[name]]
    if len(wanted) > 1:
        raise UsageError("half_asked", f"--{wanted[0]} and --{wanted[1]} are two things; ask for one after the other")
    month, provider = asked["month"], asked["provider"]
    if wanted and wanted[0] not in ("pending", "check") and month is None:
        raise UsageError("half_asked", f"--{wanted[0]} needs a month, such as 2024-03")
    if wanted and wanted[0] in ("agree", "clear", "lines") and provider is None:
        raise UsageError("half_asked", f"--{wanted[0]} needs a facility; name it with --provider")
    check_out(asked["out"])
    if wanted == ["clear"]:
        from medfloor.store.statements import clear

        with open_books(asked["database"], asked["policy"]) as books:
            day: datetime | None = asked["on"]
            found = clear(
                books, provider, month, fund=asked["fund"], on=day and day.date(), actor=_actor(), now=moment()
            )
        _tell(found, asked)
        return
    with opened(asked["database"]) as store:
        if wanted == ["lines"]:
            _tell_lines(store, asked)
        elif wanted == ["pending"]:
            _tell_pending(store, asked)
        elif wanted == ["check"]:
            ctx.exit(_check(store, asked["lang"]))
        else:
            _tell(_statements(store, wanted, asked), asked)


def _statements(store: Store, wanted: list[str], asked: dict[str, Any]) -> list[Statement]:
    from medfloor.store.statements import agree, draw, statements

    month, provider, fund = asked["month"], asked["provider"], asked["fund"]
    if wanted == ["draw"]:
        found = draw(store, month, provider_id=provider, early=asked["early"], actor=_actor(), now=moment())
        return [one for one in found if fund in (None, one.fund)]
    if wanted == ["agree"]:
        return agree(store, provider, month, fund=fund, note=asked["note"], actor=_actor(), now=moment())
    with store.reading() as connection:
        return statements(connection, month=month, provider_id=provider, fund=fund)


def _tell(found: list[Statement], asked: dict[str, Any]) -> None:
    lang = asked["lang"]
    names = ("month", "provider", "fund", "claims", "reversals", "amount_fen", "difference_fen", "state")
    rows = [
        [one.month, _provider(one.provider_id, lang), _fund(one.fund, lang), one.claims, one.reversals, one.amount_fen,
         one.difference_fen, say(f"clearing.state_{one.state}", lang)]
        for one in found
    ]  # fmt: skip
    _show(names, rows, asked, sum(one.amount_fen for one in found), say("clearing.statements", lang))


def _tell_pending(store: Store, asked: dict[str, Any]) -> None:
    from medfloor.store.statements import pending

    lang = asked["lang"]
    with store.reading() as connection:
        found = pending(connection, provider_id=asked["provider"])
    names = ("provider", "fund", "claims", "reversals", "amount_fen", "difference_fen")
    rows = [
        [_provider(one.provider_id, lang), _fund(one.fund, lang), one.claims, one.reversals, one.amount_fen,
         one.difference_fen]
        for one in found
    ]  # fmt: skip
    _show(names, rows, asked, sum(one.amount_fen for one in found), say("clearing.pending", lang))


def _tell_lines(store: Store, asked: dict[str, Any]) -> None:
    from medfloor.store import audit
    from medfloor.store.statements import lines_of

    lang, fund = asked["lang"], asked["fund"]
    with store.writing() as connection:
        found = lines_of(connection, asked["provider"], asked["month"], fund=fund)
        people = dict.fromkeys(one.person_id for one in found)
        audit.record_many(connection, _actor(), "read_person", people, now=moment(), detail="statement")
    names = ("claim", "person", "kind", "settled_date", "amount_fen", "own_fen")
    rows: list[list[Any]] = [
        [one.claim_id, one.person_id, say(f"clearing.entry_{one.kind}", lang), one.settled_date.isoformat(),
         one.pay_fen if fund is None else one.amount_fen[fund], one.own_fen]
        for one in found
    ]  # fmt: skip
    _show(names, rows, asked, sum(row[4] for row in rows), say("clearing.lines", lang))


def _check(store: Store, lang: str) -> int:
    from medfloor.store.statements import doubtful, statements

    with store.reading() as connection:
        found, count = doubtful(connection), len(statements(connection))
    for one, code in found:
        click.echo(f"{one.month} {one.provider_id} {one.fund}: {say(f'clearing.check_{code}', lang)}")
    click.echo(say("clearing.checked", lang, n=count, wrong=len(found)))
    return 1 if found else 0


def _show(names: tuple[str, ...], rows: list[list[Any]], asked: dict[str, Any], total: int, title: str) -> None:
    from medfloor.cli.ledger.printed import tell, write
    from medfloor.money import group_yuan

    lang = asked["lang"]
    if not rows:
        click.echo(say("clearing.nothing", lang))
    else:
        tell(names, rows, lang)
        click.echo(say("clearing.together", lang, total=group_yuan(total)))
    if asked["out"]:
        write(names, rows, asked["out"], title, lang)


def _provider(provider_id: str, lang: str) -> str:
    key = f"clearing.provider_{provider_id.removeprefix('*')}"
    return say(key, lang) if provider_id.startswith("*") and knows(key, lang) else provider_id


def _fund(fund: str, lang: str) -> str:
    key = f"tier.{fund}"
    return say(key, lang) if knows(key, lang) else fund


def _actor() -> Any:
    return local_actor("fund_supervisor")
