"""Work of the fund: project it, pool it, adjust benefits to it, and look claims over for what must be looked at."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from medfloor.errors import InputError, PolicyError, UsageError
from medfloor.service.policy_texts import write_policy
from medfloor.service.results import FOLDER, LEADS, keep
from medfloor.service.signing import RECORD
from medfloor.service.work import Task
from medfloor.words import LANGS, join, say

if TYPE_CHECKING:
    from medfloor.fund.basis import Basis
    from medfloor.fund.outlook import Outlook
    from medfloor.fund.sensitivity import Tornado
    from medfloor.fund.supervision import Leads, Rules

_CHANGED = "changed"
"""What the second of two projections is called inside; a page names it by what is changed."""


def projected(task: Task) -> None:
    """Project income, outgo and reserve of the funds, and say what the result hangs on."""
    asked = task.asked
    basis = _basis(task, asked["given"])
    task.tell(10, 100)
    outlook = _outlook(task, basis)
    task.tell(40, 100)
    _keep(task, {lang: [outlook, *_tornadoes(task, basis, asked["given"])] for lang in LANGS})


def contrasted(task: Task) -> None:
    """Project the funds as they are and changed, on the same people and shocks, and keep both and the difference."""
    from medfloor.fund.contrast import contrast

    asked = task.asked
    texts = enumerate(asked["reforms"], 1)
    reforms = [str(write_policy(task.folder / f"reform-{number}.yaml", text)) for number, text in texts]
    basis, more = _basis(task, asked["given"]), asked["given"] | asked["against"]
    changed = _basis(task, more, law=asked["law"], reforms=reforms)
    # What is changed begins with the reserve that there is, in yuan, unless another one is what was asked about.
    reserve = changed.reserve if "reserve.start" in asked["against"] else basis.reserve
    changed = replace(changed, reserve=reserve, scenario=_CHANGED)
    task.tell(15, 100)
    before, after = _outlook(task, basis), _outlook(task, changed)
    task.tell(45, 100)
    held, swings = contrast(before, after), _tornadoes(task, changed, more)
    told: dict[str, list[Any]] = {}
    for lang in LANGS:
        named = replace(after, scenario=_change(task, changed, lang))
        told[lang] = [named, replace(held, after=named), *swings]
    _keep(task, told)


def backtested(task: Task) -> None:
    """Fit the nation to its first years, project the rest, and keep it beside what happened."""
    from medfloor.fund.backtest import backtest
    from medfloor.reports.laid_out import backtest_printout, sheets_of_record

    asked = task.asked
    found = backtest(given=asked["given"], paths=asked["paths"], seed=asked["seed"])
    task.tell(60, 100)
    keep(
        task.folder,
        lambda made, lang: backtest_printout(found, made=made, lang=lang),
        lambda lang: sheets_of_record([found.outlook, found], lang),
        {"backtest": found.to_frame("en")},
        made=task.made,
        facts=[*_given(asked), ("paths", f"{asked['paths']:,}"), ("seed", str(asked["seed"]))],
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
    record = json.dumps(found.decision.record(), ensure_ascii=False, indent=1) + "\n"
    (task.folder / RECORD).write_text(record, encoding="utf-8")
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
    from medfloor.fund.supervision import ceiling_of, rules_under, shipped_rules, supervise
    from medfloor.intake.files import write_table
    from medfloor.policy.load import load_policy
    from medfloor.reports.laid_out import leads_printout

    asked, rules = task.asked, shipped_rules()
    claims: Path | pl.DataFrame
    people: Path | pl.DataFrame
    if asked["population"]:
        folder = task.inside(asked["population"])
        claims, people = _table(folder, "claims"), _table(folder, "people")
        about = [("population", asked["population"])]
        own = folder / "policy.yaml"
        if own.is_file():
            rules = rules_under(rules, ceiling_of(load_policy(str(own)).versions[-1]))
    else:
        claims, people, rules = _of_office(task, asked["office_year"], rules)
        about = [("office_year", str(asked["office_year"]))]
    task.tell(20, 100)
    found = supervise(claims, people=people, rules=rules)
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


def _basis(task: Task, given: dict[str, float], *, law: str | None = None, reforms: Sequence[str] = ()) -> Basis:
    """Put the basis together: of the nation, or of a population under its law, another law, or reforms."""
    from medfloor.fund.basis import national
    from medfloor.fund.county import county
    from medfloor.intake.files import read_table

    asked = task.asked
    if not asked["population"]:
        return national(given=given, years=asked["years"])
    folder = task.inside(asked["population"])
    spells = next(
        (folder / f"spells{end}" for end in (".parquet", ".csv") if (folder / f"spells{end}").is_file()), None
    )
    tables: dict[str, Any] = {name: read_table(_table(folder, name), name) for name in ("claims", "people")}
    tables |= {"spells": read_table(spells, "spells") if spells else None}
    own = folder / "policy.yaml"
    named = law or asked["policy"]
    policy = task.law(named) if named else (str(own) if own.is_file() else None)
    if policy is None:
        raise UsageError("no_policy", "the population has no policy.yaml; name the law, such as cn/beijing")
    return county(tables, policy, reforms=reforms, year=asked["year"], given=given, name=folder.name)


def _outlook(task: Task, basis: Basis) -> Outlook:
    from medfloor.fund.projection import project

    asked = task.asked
    return project(basis, years=asked["years"], paths=asked["paths"], seed=asked["seed"], lines=tuple(asked["lines"]))


def _tornadoes(task: Task, basis: Basis, given: dict[str, float]) -> list[Tornado]:
    """Say what the basic fund hangs on: from series all is put together anew, from claims what can be."""
    from medfloor.fund.basis import national
    from medfloor.fund.sensitivity import tornadoes

    years = task.asked["years"]
    maker = basis.with_yours if task.asked["population"] else lambda given: national(given=given, years=years)
    return [one for one in tornadoes(maker, years=years, given=given) if one.fund == "basic"]


def _keep(task: Task, told: dict[str, list[Any]]) -> None:
    """Keep a projection, and what it is held against; `told` has the records by language, the outlook first."""
    from medfloor.fund.contrast import Contrast
    from medfloor.reports.laid_out import projection_printout, sheets_of_record

    task.tell(60, 100)
    asked, outlook = task.asked, told["en"][0]
    frames = {"funds": outlook.to_frame("en"), "lines": outlook.lines, "people": outlook.people}
    for one in told["en"]:
        frames |= {"contrast": one.to_frame("en")} if isinstance(one, Contrast) else {}
    keep(
        task.folder,
        lambda made, lang: projection_printout(told[lang], made=made, lang=lang),
        lambda lang: sheets_of_record(told[lang], lang),
        frames,
        made=task.made,
        facts=[*_given(asked), *_against(asked), ("years", str(asked["years"])), ("paths", f"{asked['paths']:,}"),
               ("seed", str(asked["seed"]))],
    )  # fmt: skip


def _change(task: Task, changed: Basis, lang: str) -> str:
    """Name what is held against what is: the law, the reforms by their own names, the parameters."""
    from medfloor.simulation.reform import read_about

    asked = task.asked
    told = [asked["law"]] if asked["law"] else []
    for number, _ in enumerate(asked["reforms"], 1):
        try:
            name = read_about(task.folder / f"reform-{number}.yaml").name
        except PolicyError:
            name = None  # what it says about itself is not needed to settle under it
        told.append((name.zh if lang == "zh" else name.en) if name else say("asked.reform", lang, number=number))
    told += [f"{changed.parameters[name].title(lang)} {value:g}" for name, value in asked["against"].items()]
    return join(told, lang)


def _against(asked: dict[str, Any]) -> list[tuple[str, str]]:
    told = ", ".join(f"{name}={value:g}" for name, value in asked.get("against", {}).items())
    return [*([("law", asked["law"])] if asked.get("law") else []), *([("against", told)] if told else [])]


def _table(folder: Path, name: str) -> Path:
    found = next((folder / f"{name}{end}" for end in (".parquet", ".csv") if (folder / f"{name}{end}").is_file()), None)
    if found is None:
        raise InputError("no_population", f"a population is a folder with claims and people; {name} is missing")
    return found


def _of_office(task: Task, year: int, rules: Rules) -> tuple[pl.DataFrame, pl.DataFrame, Rules]:
    """Give claims with what basic insurance paid of them, people, and the rules under the law in use that year."""
    from medfloor.fund.supervision import ceiling_of, rules_under
    from medfloor.policy.load import load_policy
    from medfloor.store.engine import open_store
    from medfloor.store.office import office_of
    from medfloor.store.office_year import office_year, with_paid

    assert task.office is not None, "a year of the office is in the store"
    store = open_store(task.office)
    try:
        with store.reading() as connection:
            found = office_year(connection, year)
            address = office_of(connection).policy
            if not address:
                return found.claims, found.people, rules
            laws = load_policy(address)
            place = laws.index_on(date(year, 12, 31))
            ceiling = ceiling_of(laws.versions[-1 if place is None else place])
            claims = with_paid(connection, found.claims, year, ceiling.care)
    finally:
        store.close()
    return claims, found.people, rules_under(rules, ceiling)


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
