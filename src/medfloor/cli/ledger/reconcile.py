"""Be `medfloor ledger reconcile`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from medfloor.cli.ledger.asking import language_option, open_books, policy_option
from medfloor.cli.opened import database_option, keyring, keys_option, local_actor, moment, opened
from medfloor.money import group_yuan
from medfloor.words import knows, say

if TYPE_CHECKING:
    from medfloor.store.bills import Bill
    from medfloor.store.books import Books
    from medfloor.store.engine import Store
    from medfloor.store.reconciliation import Item

WAYS = ["settled", "reversed", "agreed", "their_error"]


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("file", type=click.Path(), required=False)
@click.option("--provider", metavar="ID", help="The facility.")
@click.option("--month", metavar="YYYY-MM", help="The month, by the day of posting.")
@click.option("--open", "only_open", is_flag=True, help="List only what waits to be resolved.")
@click.option("--resolve", type=int, metavar="NUMBER", help="Resolve this item ...")
@click.option("--as", "way", type=click.Choice(WAYS), help="... in this way.")
@click.option("--note", help="Why; needed for agreed and their_error.")
@click.option("--claim", metavar="FILE", type=click.Path(), help="Claims in which the missing one is, to settle it.")
@click.option("--ours", type=click.Choice(["total", "detail"]), help="Show our side as the platform's 3201 or 3202.")
@click.option("--out", type=click.Path(), help="Also write what is shown: .csv, .xlsx or .parquet.")
@policy_option
@language_option
@database_option
@keys_option
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Compare a hospital's FILE of a month with the ledger, list what differs, and resolve it item by item.

    FILE is CSV, Excel or Parquet with claim_id and pay_total, or mdtrt_id and fund_pay_sumamt; own_total, total and
    reversed are compared where they are there. The same file again changes nothing.

    \b
    Examples:
      medfloor ledger reconcile theirs.csv --provider H1 --month 2024-03
      medfloor ledger reconcile --provider H1 --open
      medfloor ledger reconcile --resolve 12 --as their_error --note "they mend it in April"
      medfloor ledger reconcile --provider H1 --month 2024-03 --ours detail --out ours.csv

    Exit codes: 0 done and nothing open, 1 done and items are open or rows were refused, 2 nothing could be done.
    """
    from medfloor.cli.ledger.printed import check_out
    from medfloor.errors import UsageError

    if (asked["resolve"] is None) != (asked["way"] is None):
        raise UsageError("half_asked", "--resolve and --as belong together: which item, in which way")
    if asked["resolve"] is not None and (asked["file"] or asked["ours"]):
        raise UsageError("half_asked", "resolve items after the file was compared, in a command of its own")
    if (asked["file"] or asked["ours"]) and not (asked["provider"] and asked["month"]):
        raise UsageError("half_asked", "name the facility with --provider and the month with --month")
    check_out(asked["out"], [one for one in (asked["file"], asked["claim"]) if one])
    if asked["resolve"] is not None:
        with open_books(asked["database"], asked["policy"]) as books:
            _resolve(books, asked)
        return
    with opened(asked["database"]) as store:
        if asked["ours"]:
            _tell_ours(store, asked)
            return
        ctx.exit(_compare(store, asked) if asked["file"] else _list(store, asked))


def _compare(store: Store, asked: dict[str, Any]) -> int:
    from medfloor.store.reconciliation import reconcile

    lang = asked["lang"]
    found = reconcile(
        store, asked["file"], asked["provider"], asked["month"], actor=_actor(), now=moment(),
        keyring=keyring(asked["keys"]),
    )  # fmt: skip
    if found.again:
        click.echo(say("clearing.again", lang, number=found.import_id))
    click.echo(say("clearing.rows", lang, rows=found.rows, matched=found.matched, rejected=found.rejected))
    for reason, count in sorted(found.reasons.items()):
        click.echo(f"  {reason}  {count:,}")
    ours, theirs = group_yuan(found.ours_fen), group_yuan(found.theirs_fen)
    click.echo(say("clearing.sides", lang, ours=ours, theirs=theirs, by=group_yuan(found.ours_fen - found.theirs_fen)))
    _tell_items(list(found.items), asked)
    return 1 if found.open or found.rejected else 0


def _list(store: Store, asked: dict[str, Any]) -> int:
    from medfloor.store.reconciliation import items

    with store.reading() as connection:
        state = "open" if asked["only_open"] else None
        found = items(connection, provider_id=asked["provider"], month=asked["month"], state=state)
    _tell_items(found, asked)
    return 1 if any(one.state == "open" for one in found) else 0


def _resolve(books: Books, asked: dict[str, Any]) -> None:
    from medfloor.store.reconciliation import resolve

    bill = None if asked["claim"] is None else _bill(books, asked)
    one = resolve(books, asked["resolve"], asked["way"], note=asked["note"], bill=bill, actor=_actor(), now=moment())
    way = say(f"clearing.way_{one.resolution}", asked["lang"])
    click.echo(say("clearing.resolved", asked["lang"], number=one.id, claim=one.claim_id, way=way))


def _bill(books: Books, asked: dict[str, Any]) -> Bill | None:
    """Find the claim of the item in a file of claims."""
    from medfloor.intake import read_claims
    from medfloor.store.bills import bills_of
    from medfloor.store.reconciliation import item_of

    codes = books.law.policies.versions[-1].codes
    read = read_claims(asked["claim"], med_type=codes.med_type, hosp_lv=codes.hosp_lv)
    bills, _ = bills_of(read.accepted, books.law.dimensions.columns)
    with books.store.reading() as connection:
        wanted = item_of(connection, asked["resolve"]).claim_id
    return next((one for one in bills if one.claim_id == wanted), None)


def _tell_items(found: list[Item], asked: dict[str, Any]) -> None:
    from medfloor.cli.ledger.printed import tell, write

    lang = asked["lang"]
    names = ("id", "month", "claim", "what", "ours_fen", "theirs_fen", "detail", "state", "note")
    rows = [
        [
            one.id, one.month, one.claim_id, say(f"clearing.kind_{one.kind}", lang), one.ours_fen, one.theirs_fen,
            _detail(one.detail, lang), say(f"clearing.way_{one.resolution or one.state}", lang), one.note,
        ]
        for one in found
    ]  # fmt: skip
    if rows:
        tell(names, rows, lang)
    else:
        click.echo(say("clearing.nothing_differs", lang))
    if asked["out"]:
        write(names, rows, asked["out"], say("clearing.items", lang), lang)


def _detail(detail: str | None, lang: str) -> str | None:
    """Put the code of a detail, or the names of amounts in it, into words."""
    if detail is None:
        return None
    if knows(f"clearing.detail_{detail}", lang):
        return say(f"clearing.detail_{detail}", lang)
    parts = [one.partition(" ") for one in detail.split("; ")]
    return "; ".join(f"{say(f'clearing.amount_{name}', lang)} {rest}" for name, _, rest in parts)


def _tell_ours(store: Store, asked: dict[str, Any]) -> None:
    """Show our side under the platform's names, amounts in plain yuan as it sends them."""
    from medfloor.cli.ledger.printed import tell, write
    from medfloor.store.reconciliation import national_detail, national_total

    with store.reading() as connection:
        total = asked["ours"] == "total"
        ask = national_total if total else national_detail
        said: Any = ask(connection, asked["provider"], asked["month"])
    found = [said] if total else said
    names = tuple(found[0]) if found else ("mdtrt_id", "fund_pay_sumamt")
    rows = [[value if isinstance(value, int) else str(value) for value in one.values()] for one in found]
    tell(names, rows, asked["lang"])
    if asked["out"]:
        write(names, rows, asked["out"], f"320{1 if total else 2}", asked["lang"])


def _actor() -> Any:
    return local_actor("county_clerk")
