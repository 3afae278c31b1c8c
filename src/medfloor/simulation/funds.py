"""Say what each fund takes in and pays out under each law, apart and, where a reform pools them, together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import polars as pl

from medfloor import tables
from medfloor.errors import UsageError
from medfloor.measures.design import Design
from medfloor.measures.estimate import Bound, Statistic, errors_of, evaluate
from medfloor.measures.influence import total
from medfloor.measures.result import MISSING_GROUP, Result
from medfloor.measures.sample import take
from medfloor.policy.model import Policy
from medfloor.policy.premiums import premium_for
from medfloor.settlement.batch import Law
from medfloor.settlement.scope import class_by_rule
from medfloor.simulation.protection import Key
from medfloor.simulation.run import Array, Bills, World
from medfloor.simulation.scenario import Scenario
from medfloor.words import Phrase

if TYPE_CHECKING:
    from medfloor.simulation.contributions import Contributions

INSURANCE = "basic"
"""The residents' fund: premiums pay for basic insurance and for critical illness insurance, which is bought from it."""

OF_INSURANCE = ("basic", "critical_illness")


Premiums: TypeAlias = Mapping[str, "tuple[dict[str, tuple[Array, Array]], int | None]"]
"""What people pay in and what is paid for them, by scenario and fund, and the benefit year of the table."""

ALL = "all"
"""The funds together."""

LABELS: dict[str, pl.DataType] = {"fund": pl.String(), "scenario": pl.String(), "response": pl.String()}
_OF_REGIONS: dict[str, pl.DataType] = {"region": pl.String(), "scenario": pl.String(), "response": pl.String()}


def funds_of(
    world: World,
    bills: Mapping[Key, Bills],
    premiums: Premiums,
    changes: Contributions | None = None,
    *,
    design: Design | None = None,
) -> Result:
    """Give each fund's year under each law, with errors.

    A fund is the residents' (basic and critical illness insurance) or a tier of its own; `all` are the funds together.
    Statistics, in yuan for all people at hand, weighted where households have weights: `paid_out`; `extra`, what the
    fund pays out more than under the first law; and where the policy has premiums of the fund (a premium whose `option`
    is a tier's id is that tier's) `paid_in` and `subsidy`, what people pay in and what is paid for them, and `balance`.
    Of `changes` come `extra_paid_in` and `extra_subsidy`, both against the first law, and for all funds together
    `public_cost`, what the law costs the public net of what people pay in more (`Contributions.public_cost`).

    Errors are those of totals over households. People of no household count in the totals, and not in the errors.
    """
    keys = list(bills)
    first = bills[keys[0]]
    columns: dict[str, Array] = {}
    asked: list[tuple[str, Key, list[str]]] = []
    fixed: dict[str, float] = {}
    for place, key in enumerate(keys):
        taken = premiums[key[0]][0]
        for fund in (*_funds(bills[key]), ALL):
            out, before = (paid_out(each, fund) for each in (bills[key], first))
            here: dict[str, Array] = {}
            if fund in taken:
                here = {"paid_in": taken[fund][0], "subsidy": taken[fund][1]}
            here["paid_out"] = out
            if fund in taken:
                here["balance"] = here["paid_in"] + here["subsidy"] - out
            if place:
                here["extra"] = out - before
                here |= _income_side(changes, key[0], fund, bills[key], first)
            asked.append((fund, key, list(here)))
            for name, values in here.items():
                columns[f"{name}_{fund}_{place}"] = world.by_home(values)
                fixed[f"{name}_{fund}_{place}"] = float(values[world.home < 0].sum())
    sample = take(world.homes, {"size": "size"}, design=design).also(**columns)
    places = {key: place for place, key in enumerate(keys)}

    def estimator(given: Mapping[str, Array]) -> Bound:
        def bound(weight: Array) -> Iterator[Statistic]:
            for fund, key, names in asked:
                labels = {"fund": fund, "scenario": key[0], "response": key[1]}
                for name in names:
                    column = f"{name}_{fund}_{places[key]}"
                    amount = total(weight, given[column]) + fixed[column]
                    yield Statistic(name, amount, "amount", labels, tested=name == "extra")

        return bound

    return Result(
        "simulation_funds", evaluate(sample, estimator, labels=LABELS), Phrase("simulation.funds"),
        sample.weighted_by, errors_of(sample), level=sample.design.level,
    )  # fmt: skip


def _income_side(
    changes: Contributions | None, scenario: str, fund: str, bills: Bills, first: Bills
) -> dict[str, Array]:
    """Give what people and the public purse pay in more, and for all funds what the law costs the public."""
    if changes is None:
        return {}
    if fund != ALL:
        moved = changes.by_fund.get((scenario, fund))
        return {} if moved is None else {"extra_paid_in": moved[0], "extra_subsidy": moved[1]}
    found: dict[str, Array] = {}
    if scenario in changes.people:
        found = {"extra_paid_in": changes.people[scenario], "extra_subsidy": changes.purse[scenario]}
    return found | {"public_cost": changes.public_cost(scenario, bills, first)}


def regions_of(
    world: World,
    bills: Mapping[Key, Bills],
    scenarios: Sequence[Scenario],
    premiums: Premiums,
    *,
    design: Design | None = None,
) -> Result | None:
    """Say what pooling moves between regions, with errors; None where no law pools, or regions or premiums are unknown.

    Statistics of the residents' fund in yuan, for each region: `balance_apart` is what its fund keeps, `balance_pooled`
    what it would keep if all shared one fund in the proportion of what they pay in, `transfer` the difference.
    """
    pooling = {one.name for one in scenarios if one.pools and INSURANCE in premiums[one.name][0]}
    keys = [key for key in bills if key[0] in pooling]
    if not keys or "region" not in world.homes.columns:
        return None
    place = world.homes["region"].cast(pl.String).fill_null(MISSING_GROUP)
    regions = place.unique().sort().to_list()
    inside = {region: (place == region).to_numpy() for region in regions}
    columns: dict[str, Array] = {}
    for number, key in enumerate(keys):
        paid_in = sum(premiums[key[0]][0][INSURANCE])
        columns[f"in_{number}"] = world.by_home(np.asarray(paid_in))
        columns[f"net_{number}"] = world.by_home(paid_in - paid_out(bills[key], INSURANCE))
    sample = take(world.homes, {"size": "size"}, design=design).also(**columns)

    def estimator(given: Mapping[str, Array]) -> Bound:
        def bound(weight: Array) -> Iterator[Statistic]:
            for number, key in enumerate(keys):
                paid_in, net = given[f"in_{number}"], given[f"net_{number}"]
                whole, every = total(weight, net), total(weight, paid_in)
                for region in regions:
                    labels = {"region": region, "scenario": key[0], "response": key[1]}
                    apart = total(weight, np.where(inside[region], net, 0.0))
                    pooled = whole * (total(weight, np.where(inside[region], paid_in, 0.0)) / every)
                    yield Statistic("balance_apart", apart, "amount", labels)
                    yield Statistic("balance_pooled", pooled, "amount", labels)
                    yield Statistic("transfer", pooled - apart, "amount", labels, tested=True)

        return bound

    return Result(
        "simulation_regions", evaluate(sample, estimator, labels=_OF_REGIONS), Phrase("simulation.regions"),
        sample.weighted_by, errors_of(sample), level=sample.design.level,
    )  # fmt: skip


def premiums_by(world: World, scenarios: Sequence[Scenario]) -> Premiums:
    """Give the premiums of each scenario, for the people of a world."""
    return {one.name: premiums_of(world, one.law) for one in scenarios}


def about_premiums(world: World, premiums: Premiums, changes: Contributions) -> tuple[Phrase, ...]:
    """Say what was assumed about premiums, and which are not known."""
    notes = []
    without = [name for name, (_, year) in premiums.items() if year is None]
    if without:
        notes.append(Phrase.of("simulation.no_premiums", scenarios=", ".join(without)))
    for name, funds in changes.unknown.items():
        notes.append(Phrase.of("simulation.premiums_unknown", scenario=name, funds=", ".join(funds)))
    years = {year for _, year in premiums.values()} - {None, int(world.batch.columns.year[0])}
    notes += [Phrase.of("simulation.premium_year", year=year) for year in sorted(years, key=str)]
    return tuple(notes)


def premiums_of(world: World, law: Law) -> tuple[dict[str, tuple[Array, Array]], int | None]:
    """Give what each insured person pays in and what is paid for them, by fund; and the benefit year of the table.

    Residents' insurance only: people of the scheme resident. The year is that of the claims, else the last before it,
    else the first. Empty where the policy has no premiums, or its table has no row for somebody.
    """
    policy = law.policies.versions[-1]
    if not policy.premiums:
        return {}, None
    wanted = int(world.batch.columns.year[0])
    years = sorted({row.benefit_year for row in policy.premiums})
    year = max((one for one in years if one <= wanted), default=years[0])
    people = _kinds_of_people(world, policy, wanted)
    kinds = people.select(_ASKED).unique(maintain_order=True)
    found: dict[str, tuple[Array, Array]] = {}
    for fund in dict.fromkeys(_fund_of(policy, row.option) for row in policy.premiums):
        rows = [row for row in policy.premiums if _fund_of(policy, row.option) == fund]
        table = policy.model_copy(update={"premiums": rows})
        try:
            due = [_due(table, kind, year) for kind in kinds.iter_rows(named=True)]
        except UsageError:
            continue
        sums = [pl.Series(name, [one[place] for one in due]) for place, name in enumerate(("personal", "subsidy"))]
        joined = people.join(kinds.with_columns(sums), on=_ASKED, how="left", maintain_order="left", nulls_equal=True)
        insured = people["insured"].to_numpy()
        found[fund] = (
            np.where(insured, joined["personal"].to_numpy(), 0.0),
            np.where(insured, joined["subsidy"].to_numpy(), 0.0),
        )
    return found, year


_ASKED = ["klass", "age", "residence", "groups"]
"""What a table of premiums may ask about a person."""


def _due(table: Policy, kind: dict[str, Any], year: int) -> tuple[float, float]:
    """Give what a kind of person pays in, and what is paid for them, in yuan."""
    due = premium_for(
        table, kind["klass"], [one for one in kind["groups"].split(",") if one], benefit_year=year,
        age=None if kind["age"] < 0 else kind["age"],
        residence=None if kind["residence"] is None else tables.RESIDENCES[kind["residence"]],
    )  # fmt: skip
    return due.personal_fen / 100, (due.subsidy_fen or 0) / 100


def _fund_of(policy: Policy, option: str | None) -> str:
    return option if option in {tier.id for tier in policy.tiers} and option is not None else INSURANCE


def _kinds_of_people(world: World, policy: Policy, year: int) -> pl.DataFrame:
    """Say of each person what premiums ask about: class, age, statuses of the year, and whether they are insured."""
    register = world.batch.register
    rows = register.rows[register.row_first[:-1]]
    held = (
        world.spells.accepted.select("person_id", "group")
        .unique()
        .sort("person_id", "group")
        .group_by("person_id", maintain_order=True)
        .agg(pl.col("group").str.join(","))
    )
    frame = rows.select(
        "person_id",
        (year - pl.col("birth_date").dt.year()).fill_null(-1).cast(pl.Int64).alias("age"),
        pl.col("insured_class").cast(pl.Int64).fill_null(-1),
        pl.col("sex").cast(pl.Int64).fill_null(-1),
        pl.col("residence").cast(pl.Int64),
        (pl.col("scheme") == tables.SCHEMES.index("resident")).alias("insured"),
    ).join(held, on="person_id", how="left", maintain_order="left")
    kinds = frame.select("age", "insured_class", "sex").unique(maintain_order=True)
    names = [
        tables.INSURED_CLASSES[klass]
        if klass >= 0
        else class_by_rule(policy, None if age < 0 else age, tables.SEXES[sex] if sex >= 0 else None)
        for age, klass, sex in kinds.rows()
    ]
    kinds = kinds.with_columns(pl.Series("klass", names, dtype=pl.String))
    joined = frame.join(kinds, on=["age", "insured_class", "sex"], how="left", maintain_order="left")
    return joined.select("klass", "age", "residence", pl.col("group").fill_null("").alias("groups"), "insured")


def _funds(bills: Bills) -> list[str]:
    own = [tier for tier in bills.tiers if tier not in OF_INSURANCE]
    return [*([INSURANCE] if set(OF_INSURANCE) & set(bills.tiers) else []), *own]


def paid_out(bills: Bills, fund: str) -> Array:
    """Give what a fund pays out for each person."""
    if fund == ALL:
        return bills.covered
    if fund != INSURANCE:
        return bills.of_tier(fund)
    found: Array = np.sum([bills.of_tier(tier) for tier in OF_INSURANCE], axis=0)
    return found
