"""Say what each law changes in premiums: what people pay in more, and what the public purse pays more for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from medfloor import tables
from medfloor.simulation.funds import INSURANCE, OF_INSURANCE, Premiums, paid_out
from medfloor.simulation.run import Array, Bills, World
from medfloor.simulation.scenario import Scenario


@dataclass(frozen=True, slots=True, eq=False)
class Contributions:
    """Be the changes of premiums against the first law, in yuan a person and year, by scenario.

    `people` is what a person pays in more, `purse` what is paid in more for them (subsidies, and premiums taken over
    for the poor); scenarios that change none are missing. `by_fund` parts both by fund. `products` are funds that live
    on premiums of their own, such as a commercial insurance. `unknown` names the funds whose change is not known,
    because only one of the two laws names their premiums.
    """

    people: Mapping[str, Array]
    purse: Mapping[str, Array]
    by_fund: Mapping[tuple[str, str], tuple[Array, Array]]
    products: Mapping[str, tuple[str, ...]]
    unknown: Mapping[str, tuple[str, ...]]

    def public_cost(self, scenario: str, bills: Bills, first: Bills) -> Array:
        """Give what a law costs the public more for each person, net of what people pay in more.

        That is what all payers pay out more, less what people pay more in premiums. An insurance that lives on premiums
        of its own bears its payments out of them: of it only the subsidy counts.
        """
        cost: Array = bills.covered - first.covered
        for fund in self.products.get(scenario, ()):
            cost = cost - (paid_out(bills, fund) - paid_out(first, fund)) + self.by_fund[scenario, fund][1]
        if (scenario, INSURANCE) in self.by_fund:
            cost = cost - self.by_fund[scenario, INSURANCE][0]
        return cost


def contributions_of(world: World, scenarios: Sequence[Scenario], premiums: Premiums) -> Contributions:
    """Compare the premiums of each scenario with those of the first, fund by fund.

    A fund that the first law does not have took in nothing under it. Where the first law has the fund and names no
    premiums, those count that the reform says to be paid before it (`reform: before:`).
    """
    base, first = premiums[scenarios[0].name][0], scenarios[0]
    people: dict[str, Array] = {}
    purse: dict[str, Array] = {}
    by_fund: dict[tuple[str, str], tuple[Array, Array]] = {}
    products: dict[str, tuple[str, ...]] = {}
    unknown: dict[str, tuple[str, ...]] = {}
    nothing = (np.zeros(world.persons), np.zeros(world.persons))
    for one in scenarios[1:]:
        here = premiums[one.name][0]
        for fund in dict.fromkeys((*base, *here)):
            before = base.get(fund, None if _has(first, fund) else nothing)
            if before is None and fund == INSURANCE and one.before is not None:
                insured = _insured(world)
                before = (one.before[0] * insured, one.before[1] * insured)
            after = here.get(fund, None if _has(one, fund) else nothing)
            if before is None or after is None:
                unknown[one.name] = (*unknown.get(one.name, ()), fund)
                continue
            change = (after[0] - before[0], after[1] - before[1])
            if not (change[0].any() or change[1].any()):
                continue
            by_fund[one.name, fund] = change
            people[one.name] = people.get(one.name, nothing[0]) + change[0]
            purse[one.name] = purse.get(one.name, nothing[1]) + change[1]
            if fund != INSURANCE:
                products[one.name] = (*products.get(one.name, ()), fund)
    return Contributions(people, purse, by_fund, products, unknown)


def _has(one: Scenario, fund: str) -> bool:
    tiers = {tier.id for tier in one.law.policies.versions[-1].tiers}
    return bool(tiers & set(OF_INSURANCE)) if fund == INSURANCE else fund in tiers


def _insured(world: World) -> Array:
    register = world.batch.register
    scheme = register.rows["scheme"].gather(register.row_first[:-1])
    found: Array = (scheme.cast(pl.Int64) == tables.SCHEMES.index("resident")).fill_null(False).to_numpy() * 1.0
    return found
