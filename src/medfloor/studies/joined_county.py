"""Join the urban and rural schemes of a county in a simulation: pooling, equity, who pays for whom, what funds keep.

The years to come are `joined_fund`'s.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import polars as pl

from medfloor.errors import InputError
from medfloor.measures.design import Design
from medfloor.measures.incidence import net_transfer
from medfloor.measures.result import Result
from medfloor.settlement.batch import Law
from medfloor.simulation import Simulation, World, read_population, scenario, simulate
from medfloor.simulation.behaviour import Response
from medfloor.simulation.funds import OF_INSURANCE, premiums_of
from medfloor.studies.about import Quotation, Setting
from medfloor.studies.joined_fund import Years, years_to_come
from medfloor.studies.joined_survey import reverse_told
from medfloor.studies.levels import Levels, write_levels
from medfloor.studies.study import Claim, Picture, Section, Table, attempt
from medfloor.tables import RESIDENCES, SCHEMES
from medfloor.words import Phrase

USUAL_LAW = "cn/beijing@2024-01-01"
"""The law where the county's folder has none and none was named."""


@dataclass(frozen=True, slots=True, eq=False)
class Counties:
    """Be what was simulated: the laws before joining, joined, and joined with one fund, on the same people.

    `transfers` has who pays for whom under each law (before, one_level). `years` is the fund in years to come, None
    where `undone` says why it could not be projected.
    """

    simulation: Simulation
    transfers: Mapping[str, Result]
    levels: Levels
    law: str
    places: tuple[Path, ...]
    years: Years | None = None
    undone: tuple[Phrase, ...] = ()


def _words(name: str, /, **values: object) -> Phrase:
    return Phrase.of(f"integration.{name}", **values)


def places_of(folder: Path) -> list[Path]:
    """List the folders of counties: the folder itself, or those in it that have claims, people and households.

    >>> places_of(Path("nowhere"))
    []
    """
    if not folder.is_dir():
        return []
    inside = [folder, *sorted(one for one in folder.iterdir() if one.is_dir())]
    return [one for one in inside if all(_there(one, name) for name in ("claims", "people", "households"))]


def try_laws(places: Sequence[Path], settings: Mapping[str, Setting], *, seed: int) -> Counties:
    """Settle the counties' people before joining, joined, and joined with one fund.

    Raises InputError and UsageError of what reading, loading and settling raise.
    """
    own = places[0] / "policy.yaml"
    law = str(settings["law"]) if settings["law"] is not None else str(own) if own.is_file() else USUAL_LAW
    population = read_population("+".join(str(one) for one in places))
    year = _year(
        population.claims if isinstance(population.claims, pl.DataFrame) else population.claims.frame.collect()
    )
    with tempfile.TemporaryDirectory() as given:
        levels = write_levels(
            Path(given), law, year=year, points=float(settings["points"] or 0.0), gap=float(settings["gap"] or 0.0)
        )
        reforms = [str(levels.one_level), *([str(levels.one_fund)] if len(places) > 1 else [])]
        done = simulate(
            population,
            str(levels.before),
            reforms,
            behaviour=cast("Response", settings["behaviour"]),
            by=_by(population.households),
            cliffs=False,
            most=0,
            seed=seed,
        )
        before, after = scenario(str(levels.before)), scenario(str(levels.before), [levels.one_level])
        world = World.of(population, before.law)
        transfers = {"before": _transfer(world, before.law), "one_level": _transfer(world, after.law)}
        undone: list[Phrase] = []
        years = attempt(
            _words("title_years"),
            lambda: years_to_come(
                population,
                levels,
                year=year,
                years=int(settings["years"] or 0),
                premiums=_premiums(world, before.law) / max(_premiums(world, after.law), 1e-9),
                seed=seed,
            ),
            undone,
        )
    place = Path(law).name if law == str(own) else law
    return Counties(done, transfers, levels, place, tuple(places), years, tuple(undone))


def pooling(found: Counties, quote: Quotation) -> Section:
    """Say what one fund over the regions moves between them."""
    title = _words("title_pooling")
    regions = found.simulation.regions
    if regions is None:
        return Section(
            "pooling",
            title,
            (_words("text_pooling"),),
            claims=(Claim(quote, _words("not_known"), "not_tried"),),
            undone=(_words("undone_pooling"),),
        )
    rows = regions.rows.filter((pl.col("statistic") == "transfer") & (pl.col("response") == "none"))
    gains = rows.sort("estimate", descending=True)
    text = _words(
        "found_pooling",
        to=gains["region"][0],
        got=_yuan(gains["estimate"][0]),
        of=gains["region"][-1],
        gave=_yuan(-gains["estimate"][-1]),
    )
    return Section(
        "pooling",
        title,
        (_words("text_pooling"),),
        (Table("regions", title, regions, notes=(_words("note_baseline"),)),),
        claims=(Claim(quote, text, None),),
    )


def fairness(found: Counties, quote: Quotation) -> Section:
    """Say who gains by joining, and what it does to protection in town and country."""
    title = _words("title_fairness")
    groups, protection = found.simulation.groups, found.simulation.protection
    bills, whole = (_by_place(groups, name) for name in ("bill_change", "mean_change"))
    # Without a change of premiums the two are the same, and only one stands there.
    bills = bills or whole
    text = _words("not_known")
    if {"rural", "urban"} <= set(whole):
        text = _words(
            "found_fairness",
            rural=_yuan(bills["rural"]),
            urban=_yuan(bills["urban"]),
            rural_all=_yuan(whole["rural"]),
            urban_all=_yuan(whole["urban"]),
        )
    return Section(
        "fairness",
        title,
        (_words("text_fairness"),),
        (
            Table("payers", _words("title_payers"), found.simulation.payers, notes=(_words("note_baseline"),)),
            Table("groups", _words("title_winners"), groups, notes=(_words("note_baseline"),)),
            Table("protection", _words("title_protection"), protection, notes=(_words("note_baseline"),)),
        ),
        claims=(Claim(quote, text, None),),
    )


def reverse_subsidy(found: Counties, quote: Quotation) -> Section:
    """Say whether the country pays for the town, before joining and after."""
    title = _words("title_reverse")
    claims = []
    tables, pictures = [], []
    for name, one in found.transfers.items():
        tables.append(Table(f"transfer_{name}", _words(f"title_transfer_{name}"), one))
        if "rural" in one.rows["group"].to_list():
            text, verdict = reverse_told(one, year=_words(f"law_{name}"))
            claims.append(Claim(quote, text, verdict))
    after = found.transfers["one_level"]
    if claims:
        gap = after.rows.filter((pl.col("statistic") == "share_gap") & pl.col("against").is_null())
        pictures.append(Picture("transfer", title, replace(after, rows=gap), "groups"))
    else:
        claims.append(Claim(quote, _words("not_known"), "not_tried"))
    return Section("reverse", title, (_words("text_reverse"),), tuple(tables), tuple(pictures), claims=tuple(claims))


def sustainability(found: Counties, quote: Quotation) -> Section:
    """Say what the residents' fund takes in and pays out in one year, and what becomes of it in the years to come."""
    title = _words("title_funds")
    funds = found.simulation.funds
    rows = funds.rows.filter(
        (pl.col("statistic") == "balance") & (pl.col("fund") == "basic") & (pl.col("response") == "none")
    )
    kept = {row["scenario"]: row["estimate"] for row in rows.iter_rows(named=True)}
    text = _words("not_known")
    if {"baseline", "one_level"} <= set(kept):
        text = _words("found_funds", before=_yuan(kept["baseline"]), after=_yuan(kept["one_level"]))
    return Section(
        "sustainability",
        title,
        (_words("text_funds"),),
        (
            Table("funds", title, funds, notes=(_words("note_baseline"),)),
            Table("use", _words("title_use"), found.simulation.use, notes=(_words("note_baseline"),)),
            *(() if found.years is None else (found.years.table(),)),
        ),
        claims=(Claim(quote, text, None), *(() if found.years is None else (Claim(quote, found.years.found(), None),))),
        undone=found.undone,
    )


def _by_place(groups: Result, statistic: str) -> dict[str, float]:
    """Give a change by joining at one level, at zero response, in town and country."""
    rows = groups.rows.filter(
        (pl.col("statistic") == statistic)
        & (pl.col("by") == "residence")
        & (pl.col("scenario") == "one_level")
        & (pl.col("response") == "none")
    )
    return {str(row["group"]): float(row["estimate"]) for row in rows.iter_rows(named=True)}


def _there(folder: Path, name: str) -> bool:
    return any((folder / f"{name}{ending}").is_file() for ending in (".parquet", ".csv"))


def _year(claims: pl.DataFrame) -> int:
    name = next((one for one in ("end_date", "enddate") if one in claims.columns), None)
    if name is None or claims.is_empty():
        raise InputError("missing_column", "the claims have no end_date; a year of care is needed")
    years = claims[name].cast(pl.String).str.slice(0, 4).cast(pl.Int64, strict=False).drop_nulls()
    return max(years.to_list(), default=0)


def _by(homes: pl.DataFrame) -> tuple[str, ...]:
    return ("residence",) if "residence" in homes.columns and homes["residence"].n_unique() > 1 else ()


def _premiums(world: World, law: Law) -> float:
    """Sum up what people pay into the basic fund in a year, yuan."""
    premiums, _ = premiums_of(world, law)
    return float(np.sum(premiums["basic"][0]))


def _transfer(world: World, law: Law) -> Result:
    """Measure who pays for whom among the insured residents: basic and critical illness insurance against premiums."""
    bills = world.settle(law)
    premiums, _ = premiums_of(world, law)
    paid_in, subsidy = premiums["basic"]
    register = world.batch.register
    rows = register.rows[register.row_first[:-1]]
    homes = (
        world.homes.with_columns(_head=pl.col("income") / pl.col("size"))
        if "income" in world.homes.columns
        else world.homes
    )
    places = np.where(world.home < 0, 0, world.home)
    words = dict(enumerate(RESIDENCES))
    people = pl.DataFrame(
        {
            "residence": rows["residence"].cast(pl.Int64).replace_strict(words, default=None, return_dtype=pl.String),
            "insured": rows["scheme"].cast(pl.Int64) == SCHEMES.index("resident"),
            "known": pl.Series(world.home >= 0),
            "benefit": np.sum([bills.of_tier(tier) for tier in OF_INSURANCE], axis=0),
            "contribution": paid_in,
            "subsidy": subsidy,
            "household": world.homes["household_id"].gather(places),
            **({"income_head": homes["_head"].gather(places)} if "_head" in homes.columns else {}),
        }
    ).filter(pl.col("insured") & pl.col("known"))
    rank = "income_head" if "income_head" in people.columns else None
    return net_transfer(
        people,
        benefit="benefit",
        contribution="contribution",
        subsidy="subsidy",
        rank=rank,
        rank_by="household" if rank else None,
        by="residence" if people["residence"].n_unique() > 1 else None,
        design=Design(psu="household"),
    )


def _yuan(amount: float) -> str:
    return f"{amount:,.0f}"
