"""Work of the fund: project it, pool it, adjust benefits to it, and look claims over for what must be looked at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from medfloor.errors import InputError, UsageError
from medfloor.service.results import FOLDER, LEADS, keep
from medfloor.service.work import Task

if TYPE_CHECKING:
    from medfloor.fund.basis import Basis
    from medfloor.fund.supervision import Leads


def projected(task: Task) -> None:
    """Project income, outgo and reserve of the funds, and say what the result hangs on."""
    from medfloor.fund.basis import national
    from medfloor.fund.projection import project
    from medfloor.fund.sensitivity import tornadoes
    from medfloor.reports.laid_out import projection_printout, sheets_of_record

    asked, years = task.asked, task.asked["years"]
    basis = _basis(task)
    task.tell(10, 100)
    outlook = project(basis, years=years, paths=asked["paths"], seed=asked["seed"], lines=tuple(asked["lines"]))
    task.tell(40, 100)
    maker = basis.with_yours if asked["population"] else lambda given: national(given=given, years=years)
    basic = [one for one in tornadoes(maker, years=years, given=asked["given"]) if one.fund == "basic"]
    records: list[Any] = [outlook, *basic]
    task.tell(60, 100)
    keep(
        task.folder,
        lambda made, lang: projection_printout(records, made=made, lang=lang),
        lambda lang: sheets_of_record(records, lang),
        {"funds": outlook.to_frame("en"), "lines": outlook.lines, "people": outlook.people},
        made=task.made,
        facts=[*_given(asked), ("years", str(years)), ("paths", f"{asked['paths']:,}"), ("seed", str(asked["seed"]))],
    )


def pooled(task: Task) -> None:
    """Pool places, made-up or given: ruin by size, designs side by side, transfers."""
    from medfloor.fund.places import places_file, shipped_counties
    from medfloor.fund.pooling import Terms, pool
    from medfloor.reports.laid_out import pooling_printout, sheets_of_record

    asked = task.asked
    places = places_file(task.inside(asked["places"])) if asked["places"] else shipped_counties()
    names = ("share", "months", "common", "use_response", "hazard", "draws", "seed")
    found = pool(places, Terms(**{name: asked[name] for name in names}))
    task.tell(60, 100)
    facts = [("places", asked["places"])] if asked["places"] else []
    keep(
        task.folder,
        lambda made, lang: pooling_printout(found, made=made, lang=lang),
        lambda lang: sheets_of_record(found, lang),
        found.frames("en"),
        made=task.made,
        facts=[*facts, ("draws", f"{asked['draws']:,}"), ("seed", str(asked["seed"]))],
    )


def adjusted(task: Task) -> None:
    """Propose next year's benefits by the published table of steps."""
    from medfloor.fund.adjustment import adjust
    from medfloor.fund.basis import national
    from medfloor.fund.steps import shipped_steps
    from medfloor.reports.laid_out import adjustment_printout, sheets_of_record

    asked = task.asked
    basis = national(given=asked["given"], years=asked["years"])
    table = shipped_steps().with_start(asked["start"])
    found = adjust(basis, table, years=asked["years"], paths=asked["paths"], seed=asked["seed"])
    task.tell(60, 100)
    keep(
        task.folder,
        lambda made, lang: adjustment_printout(found, made=made, lang=lang),
        lambda lang: sheets_of_record(found, lang),
        {"years": found.to_frame("en")},
        made=task.made,
        facts=[*_given(asked), ("years", str(asked["years"])), ("paths", f"{asked['paths']:,}"),
               ("seed", str(asked["seed"]))],
    )  # fmt: skip


def supervised(task: Task) -> None:
    """Look claims over by rules; counts go to the page, leads with the ids of people into a table of their own."""
    from medfloor.fund.supervision import supervise
    from medfloor.intake.files import write_table
    from medfloor.reports.laid_out import leads_printout

    asked = task.asked
    claims: Path | pl.DataFrame
    people: Path | pl.DataFrame
    if asked["population"]:
        folder = task.inside(asked["population"])
        claims, people = _table(folder, "claims"), _table(folder, "people")
        about = [("population", asked["population"])]
    else:
        claims, people = _of_office(task, asked["office_year"])
        about = [("office_year", str(asked["office_year"]))]
    task.tell(20, 100)
    found = supervise(claims, people=people)
    task.tell(70, 100)
    keep(
        task.folder,
        lambda made, lang: leads_printout(found, made=made, lang=lang),
        lambda lang: _counts(found, lang),
        {"by_rule": found.by_rule},
        made=task.made,
        facts=about,
    )
    write_table(_told(found), task.folder / FOLDER / LEADS, money_columns=[])


def _basis(task: Task) -> Basis:
    from medfloor.fund.basis import national
    from medfloor.fund.county import county
    from medfloor.intake.files import read_table

    asked = task.asked
    if not asked["population"]:
        return national(given=asked["given"], years=asked["years"])
    folder = task.inside(asked["population"])
    spells = next(
        (folder / f"spells{end}" for end in (".parquet", ".csv") if (folder / f"spells{end}").is_file()), None
    )
    tables: dict[str, Any] = {name: read_table(_table(folder, name), name) for name in ("claims", "people")}
    own = folder / "policy.yaml"
    policy = asked["policy"] or (str(own) if own.is_file() else None)
    if policy is None:
        raise UsageError("no_policy", "the population has no policy.yaml; name the law, such as cn/beijing")
    tables |= {"spells": read_table(spells, "spells")} if spells else {"spells": None}
    return county(tables, policy, year=asked["year"], given=asked["given"], name=folder.name)


def _table(folder: Path, name: str) -> Path:
    found = next((folder / f"{name}{end}" for end in (".parquet", ".csv") if (folder / f"{name}{end}").is_file()), None)
    if found is None:
        raise InputError("no_population", f"a population is a folder with claims and people; {name} is missing")
    return found


def _of_office(task: Task, year: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    from medfloor.store.engine import open_store
    from medfloor.store.office_year import office_year

    assert task.office is not None, "a year of the office is in the store"
    store = open_store(task.office)
    try:
        with store.reading() as connection:
            found = office_year(connection, year)
    finally:
        store.close()
    return found.claims, found.people


def _told(found: Leads) -> pl.DataFrame:
    """Keep leads with the words of their rules in both languages, so that a page need not know the rules."""
    words = {
        f"{name}@{lang}": [getattr(found.rules[rule], name)(lang) for rule in found.leads["rule"].to_list()]
        for name in ("title", "reason")
        for lang in ("zh", "en")
    }
    return found.leads.with_columns(**{name: pl.Series(values, dtype=pl.String) for name, values in words.items()})


def _counts(found: Leads, lang: str) -> list[Any]:
    """Lay counts out as sheets; leads themselves are on the page, where who looks at them is written down."""
    from medfloor.reports.fund_supervision import _sheets

    return [sheet for place, sheet in enumerate(_sheets(found, None, lang)) if place != 3]


def _given(asked: dict[str, Any]) -> list[tuple[str, str]]:
    told = [("population", asked["population"])] if asked.get("population") else []
    changed = {**asked["given"], **asked.get("start", {})}
    return told + ([("given", ", ".join(f"{name}={value:g}" for name, value in changed.items()))] if changed else [])
