"""Be `medfloor report household`: a letter to a family about its settled claims."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import click

from medfloor.cli.opened import database_option
from medfloor.cli.report.asking import asks_for_a_report, check_outs, day_of, write

if TYPE_CHECKING:
    from medfloor.settlement.explanation import BillLine, Explanation

_OF_FILES = ("claims", "people", "spells", "opening")
_OF_OFFICE = ("household", "person", "year", "database")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("claim_ids", nargs=-1, metavar="[CLAIM_ID]...")
@click.option("--claims", type=click.Path(), help="The claims that were settled (.csv or .parquet).")
@click.option("--people", type=click.Path(), help="Who they are: one row a person.")
@click.option("--spells", type=click.Path(), help="Dated statuses, one row an interval.")
@click.option(
    "--policy", metavar="NAME[@DATE]|FILE",
    help="The law: cn/beijing, cn/beijing@2023-01-01, a file.  [default with --office: the office's]",
)  # fmt: skip
@click.option("--reform", "reforms", multiple=True, metavar="FILE", help="Apply a reform first; may be given again.")
@click.option("--opening", type=click.Path(), help="Accumulators that an earlier run closed with.")
@click.option("--office", is_flag=True, help="Take the claims from the office's store instead of files.")
@click.option("--household", metavar="ID", help="With --office: all claims of the household's members in --year.")
@click.option("--person", metavar="ID", help="With --office: all claims of the person in --year.")
@click.option(
    "--year", type=click.IntRange(1900, 2200),
    help="With --household or --person: the benefit year.  [default: the calendar year of --date]",
)  # fmt: skip
@database_option
@click.option("--name", default="", metavar="TEXT", help="Whom the letter addresses.")
@click.option(
    "--sender", default="", metavar="TEXT", help="The office that writes.  [default with --office: the office's name]"
)
@click.option("--address", default="", metavar="TEXT", help="Where the office is.")
@click.option("--telephone", default="", metavar="TEXT", help="The office's telephone.")
@asks_for_a_report
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Write to a family in plain words: who paid what by which article, what is left, what help there is, where to ask.

    CLAIM_ID is one bill, or several of the same family. The diagnosis is not printed. A character of a name that no
    font here has is printed as 〓, and said. With --office the claims are those of the ledger, and the audit says that
    they were printed; the letter names nobody but whom --name says.

    \b
    Examples:
      medfloor report household c17 --claims claims.csv --people people.csv --spells spells.csv \\
        --policy cn/beijing --name 王小明 --lang zh --out letter.pdf
      medfloor report household --office --household h204 --year 2025 --lang zh --out letter.pdf

    Exit codes: 0 written, 1 written, but a bill was refused (the letter says why), 2 no such claim, or a file or policy
    that cannot be used.
    """
    from medfloor.reports.family_letter import Sender, family_letter

    _check(asked)
    check_outs(asked["outs"], [asked[name] for name in (*_OF_FILES, "policy")])
    made = day_of(asked["made"])
    told, listed, office = _of_office(asked, made) if asked["office"] else (_of_files(asked), [], "")
    sender = Sender(asked["name"], asked["sender"] or office, asked["address"], asked["telephone"])
    printout = family_letter(told, sender, made=made, lang=asked["lang"], listed=listed)
    write(printout, asked["outs"], asked["lang"])
    ctx.exit(1 if any(one.refusal is not None for one in told) else 0)


def _check(asked: dict[str, Any]) -> None:
    """Refuse what does not go together, before anything is read. Raises UsageError (`no_bills`)."""
    from medfloor.errors import UsageError

    given = [name for name in (*_OF_FILES, *_OF_OFFICE, "policy") if asked[name]]
    if asked["office"]:
        wrong = [f"--{name}" for name in given if name in _OF_FILES] + ["--reform"] * bool(asked["reforms"])
        ways = [one for one in (asked["claim_ids"], asked["household"], asked["person"]) if one]
        if wrong:
            raise UsageError("no_bills", f"--office reads the store, not files: leave {', '.join(wrong)} out")
        if len(ways) != 1:
            raise UsageError(
                "no_bills", "with --office name the bills by one way: CLAIM_ID..., --household ID or --person ID"
            )
        return
    wrong = [f"--{name}" for name in given if name in _OF_OFFICE]
    if wrong:
        raise UsageError("no_bills", f"{', '.join(wrong)} asks the office's store: add --office")
    lacking = [f"--{name}" for name in ("claims", "people", "policy") if name not in given]
    if not asked["claim_ids"]:
        lacking.insert(0, "CLAIM_ID")
    if lacking:
        raise UsageError("no_bills", f"to write from files, give {', '.join(lacking)} too; or take the store: --office")


def _of_files(asked: dict[str, Any]) -> list[Explanation]:
    from medfloor.settlement.explain import explain
    from medfloor.settlement.settle import law_of

    law = law_of(asked["policy"], asked["reforms"])
    return [
        explain(one, asked["claims"], asked["people"], asked["spells"], law, asked["opening"])
        for one in dict.fromkeys(asked["claim_ids"])
    ]


def _of_office(asked: dict[str, Any], made: date) -> tuple[list[Explanation], list[BillLine], str]:
    """Explain claims of the ledger, list those of a year, and give the office's name; the audit says whose they are."""
    from medfloor.cli.ledger.asking import open_books
    from medfloor.cli.opened import local_actor, moment
    from medfloor.errors import InputError
    from medfloor.reports.family_letter import to_explain
    from medfloor.store import audit
    from medfloor.store.explaining import claims_of_year, scene_of
    from medfloor.store.office import office_of
    from medfloor.store.register import household_on

    actor, year = local_actor("county_clerk"), asked["year"] or made.year
    with open_books(asked["database"], asked["policy"]) as books:
        with books.store.reading() as connection:
            ids, listed = list(dict.fromkeys(asked["claim_ids"])), []
            if not ids:
                home = asked["household"]
                whose = household_on(connection, home, made).members if home else [asked["person"]]
                listed = claims_of_year(connection, whose, year)
                ids = to_explain(listed)
            if not ids:
                raise InputError("no_claims", f"no claim of theirs stands in {year}; choose another year with --year")
            scenes = [(one, scene_of(connection, one)) for one in ids]
            office = office_of(connection).name
        people = {bill.person_id for one, scene in scenes for bill in scene.bills if bill.claim_id == one}
        people |= {line.person_id for line in listed}
        books.store.attempt(lambda c: audit.record_many(c, actor, "print_letter", sorted(people), now=moment()))
        return [scene.explained(one, books.law) for one, scene in scenes], listed, office
