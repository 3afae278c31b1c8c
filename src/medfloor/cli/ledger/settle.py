"""Be `medfloor ledger settle`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click

from medfloor.cli.ledger.asking import language_option, open_books, policy_option
from medfloor.cli.opened import database_option, local_actor, moment
from medfloor.words import say

if TYPE_CHECKING:
    from medfloor.store.books import Books
    from medfloor.store.ledger import Posted, Refused, Request

AT_ONCE = 200
"""How many claims go into one transaction."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("claims", type=click.Path())
@policy_option
@click.option("--rejects", type=click.Path(), help="Where refused rows go (.csv): claim_id, reason, detail.")
@language_option
@database_option
@click.pass_context
def command(
    ctx: click.Context, claims: str, policy: str | None, rejects: str | None, lang: str, database: str | None
) -> None:
    """Settle a file of claims (CSV or Parquet, our columns or the national platform's) into the ledger.

    Each claim_id is settled once: the same file again changes nothing. Rows that reverse another take it back.

    \b
    Example:
      medfloor ledger settle claims.csv --rejects refused.csv

    Exit codes: 0 done, 1 done but some rows were refused, 2 nothing could be done.
    """
    from medfloor.intake import check_outputs, read_claims
    from medfloor.money import group_yuan
    from medfloor.store.bills import bills_of
    from medfloor.store.ledger import Request

    if rejects:
        check_outputs([rejects], [claims])
    with open_books(database, policy) as books:
        codes = books.law.policies.versions[-1].codes
        read = read_claims(claims, med_type=codes.med_type, hosp_lv=codes.hosp_lv)
        rows = read.accepted.sort("settled_date", "start_date", "claim_id")
        bills, back = bills_of(rows, books.law.dimensions.columns)
        posted, refused = _settled(books, [Request(one, f"file:{one.claim_id}") for one in bills])
        taken, not_taken = _reversed(books, back)
        refused += not_taken
        refused += [(str(row["claim_id"]), str(row["reason"]), "") for row in _refused_rows(read.rejected)]
    sums: Counter[str] = Counter()
    for one in posted:
        sums.update({tier: fen for tier, fen in one.amounts.pay.items() if fen and not one.again})
    again = sum(one.again for one in [*posted, *taken])
    values = {
        "new": sum(not one.again for one in posted),
        "again": again,
        "back": sum(not one.again for one in taken),
        "refused": len(refused),
    }
    click.echo(say("ledger.settled", lang, **values))
    for tier, fen in sums.items():
        click.echo(f"  {tier}  {group_yuan(fen)}")
    changes = [change for one in [*posted, *taken] if not one.again for change in one.changes]
    if changes:
        total = group_yuan(sum(change.amount_fen for change in changes))
        click.echo(say("ledger.changed", lang, n=len(changes), total=total))
    _tell_refused(refused, rejects, lang)
    ctx.exit(1 if refused else 0)


def _settled(books: Books, requests: list[Request]) -> tuple[list[Posted], list[tuple[str, str, str]]]:
    from medfloor.store.ledger import Posted, settle

    actor, posted, refused = local_actor("county_clerk"), [], []
    for first in range(0, len(requests), AT_ONCE):
        answers: list[Posted | Refused] = settle(books, requests[first : first + AT_ONCE], actor=actor, now=moment())
        for answer in answers:
            if isinstance(answer, Posted):
                posted.append(answer)
            else:
                refused.append((answer.claim_id, answer.code, answer.error.message))
    return posted, refused


def _reversed(books: Books, back: list[tuple[str, str]]) -> tuple[list[Posted], list[tuple[str, str, str]]]:
    """Take claims back that rows of the file reverse; give the entries, and the rows that could not be."""
    from medfloor.errors import MedfloorError
    from medfloor.store.ledger import reverse

    actor, taken, refused = local_actor("county_clerk"), [], []
    for claim_id, reverses in back:
        try:
            taken.append(reverse(books, reverses, key=f"file:{claim_id}", reason=claim_id, actor=actor, now=moment()))
        except MedfloorError as error:
            refused.append((claim_id, error.code, error.message))
    return taken, refused


def _refused_rows(frame: object) -> list[dict[str, object]]:
    import polars as pl

    assert isinstance(frame, pl.DataFrame)
    name = "claim_id" if "claim_id" in frame.columns else "mdtrt_id"
    return list(frame.select(pl.col(name).alias("claim_id"), "reason").iter_rows(named=True))


def _tell_refused(refused: list[tuple[str, str, str]], rejects: str | None, lang: str) -> None:
    for reason, count in sorted(Counter(code for _, code, _ in refused).items()):
        click.echo(f"  {reason}  {count:,}")
    if rejects and refused:
        import polars as pl

        from medfloor.intake import TableWriter

        frame = pl.DataFrame(refused, schema=["claim_id", "reason", "detail"], orient="row")
        with TableWriter(rejects, money_columns=[]) as writer:
            writer.append(frame)
            writer.finish()
        click.echo(f"{say('summary.file_rejects', lang)}: {rejects}")
