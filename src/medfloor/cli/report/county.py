"""Be `medfloor report county`: a county's yearly protection report."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medfloor.cli.opened import database_option
from medfloor.cli.report.asking import asks_for_a_report, check_outs, day_of, write

if TYPE_CHECKING:
    from medfloor.measures.county_year import CountyYear
    from medfloor.policy.load import PolicySet
    from medfloor.reports.county_report import CountyInputs, FundYear
    from medfloor.settlement.cliffs import Cliff


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("folder", required=False, type=click.Path(file_okay=False))
@click.option("--office", is_flag=True, help="Take the office's store instead of a folder.")
@click.option("--name", metavar="TEXT", help="What the county is called.  [default: the name of the folder]")
@click.option("--year", type=click.IntRange(1900, 2200), help="The benefit year.  [default: the last one there]")
@click.option(
    "--policy", metavar="NAME[@DATE]|FILE", help="Settle the claims under this law.  [default: FOLDER/policy.yaml]"
)
@click.option(
    "--line", default="median:0.5", show_default=True, help="Poverty line: yuan a head and year, cn-2010@2020, ..."
)
@click.option("--few", type=click.IntRange(2, 1000), help="Hide cells of fewer people.  [default: 5, or the office's]")
@click.option("--no-cliffs", is_flag=True, help="Do not look for cliffs in the law, which takes seconds.")
@database_option
@asks_for_a_report
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Report a county's year: who is insured, what was claimed and paid, what households bear, what the law holds.

    FOLDER has settlements (or claims, settled here), people, spells and households, as .csv or .parquet; what lacks is
    left out, and said. Statuses that are held together count under the first: destitute, minimum living allowance, ...

    \b
    Examples:
      medfloor report county county --name 示范县 --date 2026-03-01 --lang zh --out report.pdf --out report.xlsx
      medfloor report county --office --year 2025 --name 示范县 --out report.pdf

    Exit codes: 0 done, 1 done but a part could not be measured or claims were refused, 2 nothing could be done.
    """
    from medfloor.errors import UsageError
    from medfloor.reports.county_report import county_report

    if bool(asked["folder"]) == asked["office"]:
        raise UsageError("no_county", "name a folder, or the office's store with --office, not both")
    check_outs(asked["outs"], [asked["policy"]])
    made = day_of(asked["made"])
    found, given = _of_office(asked, made) if asked["office"] else _of_folder(asked)
    write(county_report(found, given, made=made, lang=asked["lang"]), asked["outs"], asked["lang"])
    ctx.exit(1 if found.undone or given.refused else 0)


def _of_folder(asked: dict[str, Any]) -> tuple[CountyYear, CountyInputs]:
    from medfloor.measures.county_year import county_year
    from medfloor.policy.load import load_policy
    from medfloor.policy.model import GROUPS
    from medfloor.reports.county_report import CountyInputs
    from medfloor.studies.county import read_county
    from medfloor.words import say

    folder = Path(asked["folder"])
    if not folder.is_dir():
        raise FileNotFoundError(2, "no such folder", str(folder))
    county = read_county(folder, policy=asked["policy"])
    policies = load_policy(county.law) if county.law else None
    found = county_year(
        county.paid, tiers=county.tiers, people=county.people, statuses=county.statuses, households=county.households,
        groups=_groups(policies) if policies else GROUPS, line=_line(asked["line"]), year=asked["year"],
    )  # fmt: skip
    lang = asked["lang"]
    return found, CountyInputs(
        asked["name"] or folder.resolve().name,
        say("county_report.folder_data", lang, folder=folder.resolve().name), _law(policies, lang), county.synthetic,
        asked["few"] or 5, county.counts.get("refused", 0), county.counts["taken_back"],
        _cliffs(policies, found.year) if policies and not asked["no_cliffs"] else None,
        funds=_funds(folder, county.law, found.year) if county.law else (),
    )  # fmt: skip


def _of_office(asked: dict[str, Any], made: date) -> tuple[CountyYear, CountyInputs]:
    from medfloor.cli.ledger.asking import open_books
    from medfloor.cli.opened import local_actor, moment
    from medfloor.measures.county_year import county_year
    from medfloor.reports.county_report import CountyInputs, OfficeCounts
    from medfloor.store import audit
    from medfloor.store.yearbook import office_year
    from medfloor.words import say

    actor, lang = local_actor("analyst"), asked["lang"]
    with open_books(asked["database"], asked["policy"]) as books:
        policies, tiers = books.law.policies, books.law.layout.tiers
        year = asked["year"] or made.year
        with books.store.reading() as connection:
            read = office_year(connection, year=year, tiers=tiers, actor=actor, on=made)
        detail = f"county report {year}"
        books.store.attempt(lambda c: audit.record(c, actor, "export", detail=detail, now=moment()))
    found = county_year(
        read.paid, tiers=tiers, people=read.people, statuses=read.statuses, households=read.households,
        groups=_groups(policies), line=_line(asked["line"]), year=year,
    )  # fmt: skip
    counts = OfficeCounts(read.alerts, read.cases, read.arrears)
    name = asked["name"] or say("county_report.our_county", lang)
    cliffs = None if asked["no_cliffs"] else _cliffs(policies, year)
    few = asked["few"] or read.smallest_cell
    data = say("county_report.office_data", lang, day=made.isoformat())
    return found, CountyInputs(name, data, _law(policies, lang), False, few, cliffs=cliffs, office=counts)


def _groups(policies: PolicySet) -> tuple[str, ...]:
    """List the statuses that count: those of the contract, then those that the law declares."""
    from medfloor.policy.model import GROUPS

    return tuple(dict.fromkeys((*GROUPS, *(one.id for version in policies.versions for one in version.groups))))


def _law(policies: PolicySet | None, lang: str) -> str | None:
    if policies is None:
        return None
    last = policies.versions[-1]
    return f"{getattr(last.name, lang)} ({last.id})"


def _line(text: str) -> Any:
    from medfloor.measures.lines import read_line

    return read_line(text) or text


def _cliffs(policies: PolicySet, year: int) -> tuple[Cliff, ...] | None:
    from medfloor.errors import MedfloorError
    from medfloor.settlement.cliffs import find_cliffs

    try:
        return tuple(find_cliffs(policies, year=year))
    except MedfloorError:
        return None


def _funds(folder: Path, law: str, year: int) -> tuple[FundYear, ...]:
    """Estimate what each fund took in and paid out; nothing where the tables do not allow it."""
    from medfloor.errors import MedfloorError
    from medfloor.reports.county_report import FundYear
    from medfloor.simulation import World, read_population, scenario
    from medfloor.simulation.funds import ALL, funds_of, premiums_by

    try:
        base = scenario(law)
        world = World.of(read_population(folder, year=year), base.law, often=1)
        bills = {(base.name, "none"): world.settle(base.law)}
        rows = funds_of(world, bills, premiums_by(world, [base])).rows
    except MedfloorError:
        return ()
    amounts: dict[str, dict[str, float]] = {}
    for row in rows.iter_rows(named=True):
        if row["fund"] != ALL:
            amounts.setdefault(row["fund"], {})[row["statistic"]] = row["estimate"]
    return tuple(
        FundYear(fund, told.get("paid_in"), told.get("subsidy"), told.get("paid_out", 0.0))
        for fund, told in amounts.items()
    )
