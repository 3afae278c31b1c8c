"""Try many packages on the same people, each at little more than the cost of settling them.

The claims are prepared once. Of the law only what the moving numbers touch is asked again: the steps of the tiers that
hold them, once for each kind of answer that the law's conditions give. The kernel settles the same arrays, and what is
paid is added up by household.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from medfloor.errors import PolicyError
from medfloor.policy.compile import profiles_of
from medfloor.policy.load import PolicySet
from medfloor.policy.model import Part, Policy, When
from medfloor.policy.resolve import Facts, Rules, Step, fits, resolve
from medfloor.settlement.batch import Asked, Batch, Law, under
from medfloor.simulation.aims import Aims, Yardsticks
from medfloor.simulation.behaviour import Behaviour, Prices, copies_of
from medfloor.simulation.packages import Levers
from medfloor.simulation.run import World

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Figures:
    """Be what one package does to the people: the aims of `aims_of`, and what all tiers pay in yuan.

    `paid` has a sum for each tier of `tiers` where it was asked for.
    """

    aims: dict[str, float]
    cost: float
    tiers: tuple[str, ...] = ()
    paid: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """Be a world made ready to try packages on.

    `fixed` is what each household would bear if nothing were paid; `place` gives each claim its household, counted from
    1 (0: none), `weight` each household's weight in front of which stands the 1 of people without a household. What
    the laws of some packages answered is kept in `answered`, which trials of the same levers on other people share.
    """

    world: World
    levers: Levers
    asked: Asked
    recipes: tuple[_Recipe, ...]
    profile: npt.NDArray[np.int32]
    fixed: Array
    place: Ints
    weight: Array
    aims: Aims
    answered: _Answered

    @property
    def yardsticks(self) -> Yardsticks:
        """Give how aims are counted, with the poverty line that holds here."""
        return self.aims.yardsticks

    @classmethod
    def of(
        cls, world: World, levers: Levers, yardsticks: Yardsticks | None = None, *, like: Trial | None = None
    ) -> Trial:
        """Make a world ready, knowing what a trial of the same levers on other people found (`like`).

        Raises what `Aims.of` raises where a definition needs what the households do not have.
        """
        homes = world.homes
        aims = Aims.of(homes, yardsticks)
        known: dict[Any, Asked] = {}
        batch = under(world.batch, replace(world.law), world.spells, known)
        (asked,) = known.values()
        told: list[Rules] | None = None
        kinds, first = np.unique(asked.kind, return_index=True)
        if levers.policies is world.law.policies and len(kinds) == len(asked.kinds):
            told = [batch.rules[number] for number in batch.profile[first]]
        recipes, of_kind = _recipes(levers, asked.kinds, told)
        home = world.home[world.batch.person]
        total = np.bincount(home + 1, world.batch.frame["total_fen"].to_numpy(), minlength=homes.height + 1)
        outside = homes["oop_outside"].fill_null(0.0).to_numpy()
        return cls(
            world, levers, asked, recipes, of_kind[asked.kind], total[1:] / 100 + outside, home + 1,
            np.concatenate([np.ones(1), aims.weight]), aims, like.answered if like is not None else {},
        )  # fmt: skip

    def batch(self, point: Sequence[int]) -> Batch:
        """Ask the law of a package about the claims; they stay where they are.

        Raises PolicyError where the package is no law: a bracket that ends before it begins, a share above 100 %.
        """
        policies = self.levers.policies_at(point)
        law = self.world.law
        moved = Law(policies, law.layout, law.dimensions)
        if _grows(policies):
            # What lifts a cap also cuts the years into bands, so that all is asked again.
            return self.world.under(Law.of(policies))
        while len(self.answered) > _KEPT:
            del self.answered[next(iter(self.answered))]
        rules = _resolved(self.recipes, policies, self.answered.setdefault(tuple(point), {}))
        return replace(
            self.world.batch,
            law=moved,
            spells=self.asked.spells,
            columns=self.asked.columns,
            amounts=self.asked.amounts,
            rules=rules,
            profiles=profiles_of(rules, law.layout, law.dimensions.columns),
            profile=self.profile,
        )

    def figures(self, batch: Batch, *, by_tier: bool = False) -> Figures:
        """Settle a batch of these people's claims and measure what it does."""
        outcome = self.world.outcome(batch)
        same = batch.register is self.world.batch.register
        place = self.place if same else self.world.home[self.world.person_of(batch)] + 1
        paid = self._by_home(place, self.world.paid(batch) if same else outcome.pay.sum(axis=0))
        tiers: tuple[str, ...] = ()
        sums: tuple[float, ...] = ()
        if by_tier:
            tiers = batch.law.layout.tiers
            sums = tuple(float(self.weight @ self._by_home(place, pay)) for pay in outcome.pay)
        return self._figures(self.fixed - paid[1:], float(self.weight @ paid), tiers, sums)

    def responding(self, batch: Batch, prices: Prices, behaviour: Behaviour, *, seed: int) -> Figures:
        """Measure a package when use responds to its price; a claim has the same random number under all packages."""
        world = self.world
        bills = world.bills(world.responding(batch, copies_of(world, prices, batch, behaviour, seed=seed)))
        own = world.by_home(bills.own) + world.homes["oop_outside"].fill_null(0.0).to_numpy()
        homeless = world.home < 0
        cost = float(self.weight[1:] @ world.by_home(bills.covered)) + float(bills.covered[homeless].sum())
        tiers = tuple(float(self.weight[1:] @ world.by_home(paid)) + float(paid[homeless].sum()) for paid in bills.paid)
        return self._figures(own, cost, bills.tiers, tiers)

    def _by_home(self, place: Ints, fen: Ints) -> Array:
        return np.asarray(np.bincount(place, fen, minlength=len(self.weight)), np.float64) / 100

    def _figures(self, own: Array, cost: float, tiers: tuple[str, ...], paid: tuple[float, ...]) -> Figures:
        return Figures(self.aims.at(own), cost, tiers, paid)


def _grows(policies: PolicySet) -> bool:
    return any(pot.growth is not None for version in policies.versions for pot in version.pots)


@dataclass(frozen=True, slots=True)
class _Cell:
    """Be claims that get the same answer from one tier, however its numbers move: facts that stand for them."""

    version: int
    tier: int
    facts: Facts
    key: tuple[Any, ...]


_Answered = dict[tuple[int, ...], dict[tuple[Any, ...], Step]]
"""By point of the grid and key of a cell: the step that the law of that package answers with."""

_KEPT = 200
"""Points whose answers are kept: more than are ever tried on one population after the other."""


@dataclass(frozen=True, slots=True)
class _Recipe:
    """Be how the rules of some kinds of claims come about: what stays, and the cells that are asked again."""

    version: int
    facts: Facts
    rules: Rules
    steps: tuple[Step | _Cell, ...]
    ceilings: bool


def _recipes(
    levers: Levers, kinds: Sequence[tuple[int, Facts]], told: Sequence[Rules] | None
) -> tuple[tuple[_Recipe, ...], npt.NDArray[np.int32]]:
    """Say how the rules of each kind of claim follow from the moving numbers; kinds that always agree share one.

    `told` are the rules of the kinds before anything moves, where they are known.
    """
    cells: dict[Any, _Cell] = {}
    asking: _Asking = {}
    recipes: dict[Any, int] = {}
    made: list[_Recipe] = []
    of_kind = []
    for number, (version, facts) in enumerate(kinds):
        policy = levers.policies.versions[version]
        tiers, pots, ceilings = levers.touched(version)
        rules = resolve(policy, facts) if told is None else told[number]
        steps: list[Step | _Cell] = []
        for step in rules.steps:
            tier = policy.tiers[step.tier_index]
            part = next(one for one in tier.parts if one.id == step.part)
            if tier.id in tiers or pots.intersection(part.pots):
                answers = _answers(policy, (version, step.tier_index), part, step.group, facts, asking)
                key = (version, tier.id, answers)
                steps.append(cells.setdefault(key, _Cell(version, step.tier_index, facts, key)))
            else:
                steps.append(step)
        # A ceiling that moves is asked for each kind: there are few, and they look at all tiers.
        same = (
            tuple(id(one) if isinstance(one, _Cell) else one for one in steps),
            rules.ceilings,
            number if ceilings else -1,
        )
        if same not in recipes:
            recipes[same] = len(made)
            made.append(_Recipe(version, facts, rules, tuple(steps), ceilings))
        of_kind.append(recipes[same])
    return tuple(made), np.array(of_kind, np.int32)


_Asking = dict[tuple[int, int, str], tuple[list[When], list[When]]]
"""The conditions below a part, and those below its pots, by version, tier and part."""


def _answers(
    policy: Policy, place: tuple[int, int], part: Part, group: str, facts: Facts, asking: _Asking
) -> tuple[Any, ...]:
    """Answer every question that a part and its pots ask, whether it matters now or not.

    `place` is the version and the tier. The conditions are looked for once and kept in `asking`.
    """
    day = policy.tiers[place[1]].status_day or policy.status_day
    below = asking.get((*place, part.id))
    if below is None:
        pots = [pot for pot in policy.pots if pot.id in part.pots]
        below = asking[(*place, part.id)] = (list(_conditions(part)), list(_conditions(pots)))
    return (
        part.id, group, facts.facility_level, facts.benefit_year,
        *(tuple(fits(when, facts, group, day) for when in conditions) for conditions in below),
    )  # fmt: skip


def _conditions(node: Any) -> Iterator[When]:
    """List the conditions below a part of a policy, in their order."""
    if isinstance(node, When):
        yield node
        return
    if isinstance(node, BaseModel):
        node = [getattr(node, name) for name in type(node).model_fields]
    if isinstance(node, list):
        for one in node:
            yield from _conditions(one)


def _resolved(
    recipes: Sequence[_Recipe], policies: PolicySet, answered: dict[tuple[Any, ...], Step]
) -> tuple[Rules, ...]:
    """Work out the rules of each recipe under moved numbers; what is `answered` already is not asked again."""
    found = []
    for recipe in recipes:
        policy = policies.versions[recipe.version]
        steps = []
        for one in recipe.steps:
            if isinstance(one, Step):
                steps.append(one)
                continue
            step = answered.get(one.key)
            if step is None:
                step = answered[one.key] = _step(policies.versions[one.version], one)
            steps.append(step)
        ceilings = recipe.rules.ceilings
        if recipe.ceilings:
            ceilings = resolve(policy.model_copy(update={"tiers": []}), recipe.facts).ceilings
        found.append(replace(recipe.rules, steps=tuple(steps), ceilings=ceilings))
    return tuple(found)


def _step(policy: Policy, cell: _Cell) -> Step:
    """Ask one tier alone."""
    alone = policy.model_copy(update={"tiers": [policy.tiers[cell.tier]], "ceilings": []})
    steps = resolve(alone, cell.facts).steps
    if len(steps) != 1:
        raise PolicyError(
            "policy_gap", f"{policy.id}: tier {policy.tiers[cell.tier].id} has no part for a claim it paid"
        )
    return replace(steps[0], tier_index=cell.tier)
