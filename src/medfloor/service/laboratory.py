"""Work of the laboratory: try reforms on people, and search for the best package that the money buys."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from medfloor.errors import InputError
from medfloor.service.results import keep
from medfloor.service.work import Task
from medfloor.words import Phrase

if TYPE_CHECKING:
    from medfloor.measures.result import Result
    from medfloor.reports.printing import Printout
    from medfloor.simulation import Population, Simulation

LEVERS = Path(__file__).with_name("levers.toml")
"""The numbers that a search moves unless others are given."""


def simulated(task: Task) -> None:
    """Settle people under a baseline and each reform, and keep what differs."""
    from medfloor.reports.laid_out import sheets_of_record, simulation_printout
    from medfloor.reports.simulation import write_simulation
    from medfloor.service.policy_texts import write_policy
    from medfloor.simulation import simulate

    asked, folder, tell = task.asked, task.folder, task.tell
    reforms = [
        str(write_policy(folder / f"reform-{number}.yaml", text)) for number, text in enumerate(asked["reforms"], 1)
    ]
    population, about = population_for(task)
    tell(5, 100)
    result = simulate(
        [population],
        task.law(asked["baseline"]),
        reforms,
        draws=asked["draws"],
        seed=asked["seed"],
        progress=lambda done, whole: tell(5 + 70 * done // max(1, whole), 100),
    )
    if _is_of_people(asked):
        # Single households of the office's own population are told to nobody: analysts ask for jobs, too.
        result = _without_few(replace(result, changed=()), task.smallest_cell)
    reach = _reach(task, population)
    if reach is not None:
        result = replace(result, notes=(reach, *result.notes))
    write_simulation(result, folder, asked["language"])
    tell(80, 100)
    keep(
        folder,
        lambda made, lang: _marked(simulation_printout(result, made=made, lang=lang), reach),
        lambda lang: sheets_of_record(result, lang),
        {name: one.to_frame("en") for name, one in result.results.items()},
        made=task.made,
        facts=[*about, ("baseline", asked["baseline"]), ("seed", str(asked["seed"]))],
    )


def optimised(task: Task) -> None:
    """Search for the package that protects best within what is paid today, and keep the front."""
    from medfloor.reports.laid_out import optimum_printout, sheets_of_record
    from medfloor.simulation import optimise

    asked = task.asked
    levers = task.folder / "levers.toml"
    levers.write_text(asked["vary"] or LEVERS.read_text(encoding="utf-8"), encoding="utf-8")
    population, about = population_for(task)
    task.tell(5, 100)
    found = optimise(
        population, task.law(asked["baseline"]), levers, minimise=asked["minimise"], looks=asked["looks"],
        seed=asked["seed"], progress=lambda done, whole: task.tell(5 + 80 * done // max(1, whole), 100),
    )  # fmt: skip
    for one in found.winners:
        (task.folder / f"{one.name}.yaml").write_text(found.reform(one), encoding="utf-8")
    keep(
        task.folder,
        lambda made, lang: optimum_printout(found, made=made, lang=lang),
        lambda lang: sheets_of_record(found, lang),
        {"tried": found.tried},
        made=task.made,
        facts=[*about, ("baseline", asked["baseline"]), ("looks", f"{asked['looks']:,}"), ("seed", str(asked["seed"]))],
    )


def _reach(task: Task, population: Population) -> Phrase | None:
    """Say to which day of care claims of the office reach where their year is not over; None where it is."""
    year = task.asked.get("office_year")
    if year is None or task.made > date(year, 12, 31):
        return None
    claims = population.claims
    assert isinstance(claims, pl.DataFrame), "claims of the office are a table"
    return Phrase.of("simulation.part_of_year", year=str(year), last=str(claims["end_date"].max()))


def _marked(printout: Printout, reach: Phrase | None) -> Printout:
    if reach is None:
        return printout
    return replace(printout, marks=[*printout.marks, reach.say(printout.lang)])


def population_for(task: Task) -> tuple[Population, list[tuple[str, str]]]:
    """Give the people of a job, and what to say of them: a folder of data, a year of the office, or made-up people.

    Raises NotFoundError (`no_data`) and what reading raises.
    """
    from medfloor.simulation import fresh_populations, read_population

    asked: dict[str, Any] = task.asked
    if asked.get("population"):
        found = read_population(task.inside(asked["population"]), year=asked["year"])
        return found, [("population", asked["population"])]
    if asked.get("office_year") is not None:
        return _office(task, asked["office_year"]), [("office_year", str(asked["office_year"]))]
    made = next(iter(fresh_populations(1, asked["people"], seed=asked["seed"])))
    return made, [("made_up", f"{asked['people']:,}")]


def _office(task: Task, year: int) -> Population:
    from medfloor.simulation import population_of
    from medfloor.store.engine import open_store
    from medfloor.store.office_year import office_year

    assert task.office is not None, "a year of the office is in the store"
    store = open_store(task.office)
    try:
        with store.reading() as connection:
            found = office_year(connection, year)
    finally:
        store.close()
    if found.households["consumption"].is_not_null().sum() == 0:
        raise InputError(
            "no_consumption",
            f"none of the {found.households.height:,} households has its consumption, without which protection cannot "
            "be measured; import households with a column consumption",
        )
    return population_of(found.claims, found.people, found.households, found.spells, name=f"{year}", year=year)


def _is_of_people(asked: dict[str, Any]) -> bool:
    return bool(asked.get("population")) or asked.get("office_year") is not None


def _without_few(result: Simulation, smallest: int) -> Simulation:
    """Leave out what is said of groups of fewer people than the office's smallest cell."""
    return replace(
        result,
        protection=_kept(result.protection, smallest),
        payers=_kept(result.payers, smallest),
        groups=_kept(result.groups, smallest),
        use=_kept(result.use, smallest),
        with_premiums=None if result.with_premiums is None else _kept(result.with_premiums, smallest),
    )


def _kept(result: Result, smallest: int) -> Result:
    rows = result.rows
    if "group" not in rows.columns:
        return result
    return replace(result, rows=rows.filter(pl.col("group").is_null() | (pl.col("n").fill_null(0) >= smallest)))
