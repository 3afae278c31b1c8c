"""Be `medfloor ledger verify`."""

from __future__ import annotations

import json

import click

from medfloor.cli.ledger.asking import language_option, open_books, policy_option
from medfloor.cli.opened import database_option, opened
from medfloor.words import say


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--recompute", is_flag=True, help="Settle every entry and every year again, and compare.")
@click.option("--seal", metavar="HASH", help="The hash of a seal that was kept elsewhere; it must be there.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@policy_option
@language_option
@database_option
@click.pass_context
def command(
    ctx: click.Context,
    recompute: bool,
    seal: str | None,
    as_json: bool,
    policy: str | None,
    lang: str,
    database: str | None,
) -> None:
    """Prove that nothing in the ledger was changed: hashes, chains, postings, counters, arrears, seals.

    \b
    Example:
      medfloor ledger verify --recompute

    Exit codes: 0 whole, 1 something is wrong (listed), 2 it could not be looked at.
    """
    from medfloor.store.chain import verify

    if recompute:
        with open_books(database, policy) as books:
            found = verify(books.store, books=books, seal_hash=seal)
    else:
        with opened(database) as store:
            found = verify(store, seal_hash=seal)
    counts = {
        "accounts": found.accounts, "entries": found.entries, "seals": found.seals, "recomputed": found.recomputed,
        "claims": found.claims, "other_law": found.other_law, "erased": found.erased,
    }  # fmt: skip
    if as_json:
        listed = [
            {"code": one.code, "chain": one.chain, "number": one.number, "detail": one.detail} for one in found.findings
        ]
        click.echo(json.dumps({"whole": found.whole, **counts, "findings": listed}, ensure_ascii=False, indent=2))
        ctx.exit(0 if found.whole else 1)
    click.echo(say("ledger.verified", lang, **counts))
    if recompute:
        click.echo(say("ledger.recomputed", lang, **counts))
    for one in found.findings:
        where = say("ledger.where", lang, chain=one.chain, number=one.number) if one.chain else ""
        click.echo(f"  {one.code}: {say(f'ledger.finding_{one.code}', lang)} {where} {one.detail}".rstrip())
    click.echo(say("ledger.whole" if found.whole else "ledger.not_whole", lang, n=len(found.findings)))
    ctx.exit(0 if found.whole else 1)
