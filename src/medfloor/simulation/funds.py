"""Say what each fund takes in and pays out under each law, apart and, where a reform pools them, together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from medfloor import tables
from medfloor.errors import UsageError
from medfloor.policy.model import Policy
from medfloor.policy.premiums import premium_for
from medfloor.settlement.batch import Law
from medfloor.settlement.scope import class_by_rule
from medfloor.simulation.protection import Key
from medfloor.simulation.run import Array, Bills, World
from medfloor.simulation.scenario import Scenario
from medfloor.words import Phrase

INSURANCE = "basic"
"""The residents' fund: premiums pay for basic insurance and for critical illness insurance, which is bought from it."""

OF_INSURANCE = ("basic", "critical_illness")


def funds_of(
    world: World, bills: Mapping[Key, Bills], scenarios: Mapping[str, Scenario]
) -> tuple[pl.DataFrame, pl.DataFrame, tuple[Phrase, ...]]:
    """Give each fund's year under each law, that of the residents' fund by region, and what was assumed.

    A fund is the residents' (basic and critical illness insurance) or a tier of its own. `paid_in` and `subsidy` are
    premiums, known where the policy has them (a premium whose `option` is a tier's id is that tier's); `extra` is what
    the fund pays out more than under the first law. By region there is a table where households have one: `apart` is
    what each region's fund keeps, `pooled` what it would keep if all shared one fund in the proportion of what they pay
    in, and `transfer` the difference. Amounts are for the people at hand, weighted where households have weights.
    """
    weight = _weights(world)
    first = next(iter(bills.values()))
    rows, regions = [], []
    notes: dict[str, Phrase] = {}
    known = {name: premiums_of(world, one.law) for name, one in scenarios.items()}
    for (name, response), one in bills.items():
        taken, year = known[name]
        if year is None:
            notes["none"] = Phrase("simulation.no_premiums")
        elif year != int(world.batch.columns.year[0]):
            notes["year"] = Phrase.of("simulation.premium_year", year=year)
        for fund in _funds(one):
            out, before = (_paid_out(each, fund) for each in (one, first))
            here: dict[str, object] = {"scenario": name, "response": response, "fund": fund}
            rows.append(here | _sums(weight, out, before, taken.get(fund)))
        if "region" in world.homes.columns and INSURANCE in taken:
            net = sum(taken[INSURANCE]) - _paid_out(one, INSURANCE)
            regions += _regions(world, name, response, weight * net, weight * sum(taken[INSURANCE]))
    by_region = pl.DataFrame(regions, schema=_REGIONS, orient="row")
    return pl.DataFrame(rows, schema=_FUNDS, orient="row"), by_region, tuple(notes.values())


_FUNDS = {
    "scenario": pl.String, "response": pl.String, "fund": pl.String, "paid_in": pl.Float64, "subsidy": pl.Float64,
    "paid_out": pl.Float64, "balance": pl.Float64, "extra": pl.Float64,
}  # fmt: skip
_REGIONS = {
    "scenario": pl.String, "response": pl.String, "region": pl.String, "apart": pl.Float64, "pooled": pl.Float64,
    "transfer": pl.Float64,
}  # fmt: skip


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


def _weights(world: World) -> Array:
    """Give each person's weight: that of the household; people of no household count once."""
    if "weight" not in world.homes.columns:
        return np.ones(world.persons)
    return np.where(world.home >= 0, world.homes["weight"].fill_null(0.0).to_numpy()[world.home], 1.0)


def _funds(bills: Bills) -> list[str]:
    own = [tier for tier in bills.tiers if tier not in OF_INSURANCE]
    return [*([INSURANCE] if set(OF_INSURANCE) & set(bills.tiers) else []), *own]


def _paid_out(bills: Bills, fund: str) -> Array:
    if fund != INSURANCE:
        return bills.of_tier(fund)
    found: Array = np.sum([bills.of_tier(tier) for tier in OF_INSURANCE], axis=0)
    return found


def _sums(weight: Array, out: Array, before: Array, taken: tuple[Array, Array] | None) -> dict[str, float | None]:
    paid = float(weight @ out)
    if taken is None:
        known: dict[str, float | None] = {"paid_in": None, "subsidy": None, "paid_out": paid, "balance": None}
    else:
        personal, subsidy = (float(weight @ one) for one in taken)
        known = {"paid_in": personal, "subsidy": subsidy, "paid_out": paid, "balance": personal + subsidy - paid}
    return known | {"extra": float(weight @ (out - before))}


def _regions(world: World, name: str, response: str, net: Array, paid_in: Array) -> list[dict[str, object]]:
    known = world.home >= 0
    region = world.homes["region"].cast(pl.String).fill_null("").gather(np.maximum(world.home, 0))
    frame = pl.DataFrame({"region": region, "net": net, "paid_in": paid_in}).filter(pl.Series(known))
    sums = frame.group_by("region").sum().sort("region")
    whole, share = float(sums["net"].sum()), sums["paid_in"] / max(float(sums["paid_in"].sum()), 1e-9)
    return [
        {
            "scenario": name, "response": response, "region": place, "apart": apart, "pooled": whole * part,
            "transfer": whole * part - apart,
        }
        for place, apart, part in zip(sums["region"], sums["net"], share, strict=True)
    ]  # fmt: skip
