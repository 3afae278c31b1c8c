"""Find the households that a law changes most, and say why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from medfloor import tables
from medfloor.intake import yuan_of
from medfloor.policy.model import GROUPS
from medfloor.settlement.batch import Batch
from medfloor.settlement.engines import run
from medfloor.settlement.explain import Explanation, explain_each, render
from medfloor.settlement.reversal import subset
from medfloor.simulation.behaviour import statuses_of
from medfloor.simulation.run import Array, Bills, Ints, World
from medfloor.simulation.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Changed:
    """Be one household that a law changes: what it bore before and bears after (yuan a year), and through whom.

    `payers` has each tier with what it paid for the household before and after. `claim_id` is the claim whose payment
    changed most, `articles` what the tiers that changed there rest on; `told_before` and `told_after` explain it whole.
    """

    scenario: str
    household_id: str
    size: float
    status: str
    before: float
    after: float
    payers: tuple[tuple[str, float, float], ...]
    claim_id: str
    articles: tuple[tuple[str, str], ...]
    told_before: Explanation
    told_after: Explanation

    @property
    def difference(self) -> float:
        """Give how much more it bears."""
        return self.after - self.before

    def text(self, lang: str) -> str:
        """Explain the claim before and after."""
        return f"{render(self.told_before, lang)}\n{render(self.told_after, lang)}"

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain data."""
        return {
            "scenario": self.scenario, "household_id": self.household_id, "size": self.size, "status": self.status,
            "before": self.before, "after": self.after, "difference": self.difference,
            "payers": {name: [old, new] for name, old, new in self.payers},
            "claim_id": self.claim_id, "articles": dict(self.articles),
        }  # fmt: skip


def most_changed(
    world: World, baseline: Scenario, other: Scenario, before: Bills, after: Bills, *, most: int = 10
) -> tuple[Changed, ...]:
    """List the households whose own spending changes most under a law, whichever way, the most changed first.

    Households tie in the order of the table. Those whose spending changes by less than a fen are not listed.
    """
    outside = world.homes["oop_outside"].fill_null(0.0).to_numpy()
    change = world.by_home(after.own) - world.by_home(before.own)
    order = np.argsort(-np.abs(change), kind="stable")[:most]
    chosen = [int(home) for home in order if abs(change[home]) >= 0.01]
    if not chosen:
        return ()
    status = statuses_of(world)
    batches = (world.under(baseline.law), world.under(other.law))
    people = [np.flatnonzero(world.home == home) for home in chosen]
    moved = [_moved(world, batches, persons) for persons in people]
    contract = _contract(world, batches[0], np.concatenate(people))
    told = [explain_each([one for one, _ in moved], *contract, law) for law in (baseline.law, other.law)]
    found = []
    for home, persons, (claim_id, articles), *explained in zip(chosen, people, moved, *told, strict=True):
        held = [int(one) for one in status[persons] if one >= 0]
        payers = tuple(
            (tier, float(before.of_tier(tier)[persons].sum()), float(after.of_tier(tier)[persons].sum()))
            for tier in dict.fromkeys((*before.tiers, *after.tiers))
        )
        own = [float(one.own[persons].sum() + outside[home]) for one in (before, after)]
        found.append(
            Changed(
                other.name, str(world.homes["household_id"][home]), float(world.homes["size"][home]),
                GROUPS[min(held)] if held else "none", own[0], own[1], payers, claim_id, articles, *explained,
            )
        )  # fmt: skip
    return tuple(found)


def _moved(world: World, batches: Sequence[Batch], persons: Ints) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Find the claim of these people whose payments changed most, and the articles of the tiers that changed there."""
    parts = []
    for batch in batches:
        rows = np.flatnonzero(np.isin(world.person_of(batch), persons))
        part = subset(batch, rows)
        parts.append((part, run(part, "few").pay))
    (one, old), (two, new) = parts
    # Another law may sort people into other units, so claims meet by their id.
    place = {name: at for at, name in enumerate(two.frame["claim_id"])}
    match = np.array([place[name] for name in one.frame["claim_id"]], np.int64)
    moved = np.abs(new.sum(axis=0)[match] - old.sum(axis=0))
    at = int(np.argmax(moved))
    articles = _articles(two, int(match[at]), _by_tier(one, old, at), _by_tier(two, new, int(match[at])))
    return str(one.frame["claim_id"][at]), articles


def _by_tier(batch: Batch, pay: Ints, at: int) -> dict[str, int]:
    return {tier: int(pay[number, at]) for number, tier in enumerate(batch.law.layout.tiers)}


def _articles(batch: Batch, at: int, before: dict[str, int], after: dict[str, int]) -> tuple[tuple[str, str], ...]:
    steps = {step.tier: step.article for step in batch.rules[int(batch.profile[at])].steps}
    moved = [tier for tier in after if after[tier] != before.get(tier, 0)]
    return tuple((tier, steps[tier]) for tier in moved if steps.get(tier))


def _contract(world: World, batch: Batch, persons: Ints) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Write the rows behind the claims of a few people as the contract has them, for the explanation."""
    here = np.flatnonzero(np.isin(world.person_of(batch), persons))
    claims = batch.frame[here]
    ids = world.batch.register.person_ids.gather(np.unique(world.person_of(batch)[here])).implode()
    register = world.batch.register.rows
    inside = [one for one in tables.WITHIN if one in batch.frame.columns]
    people = _decoded(register.filter(pl.col("person_id").is_in(ids)), tables.PEOPLE)
    spells = world.spells.accepted.filter(pl.col("person_id").is_in(ids))
    return _decoded(claims.drop(inside), tables.CLAIMS), people, spells


def _decoded(frame: pl.DataFrame, table: tables.Table) -> pl.DataFrame:
    columns: list[Any] = []
    for column in table.columns:
        if column.inside not in frame.columns:
            continue
        here: Any = pl.col(column.inside)
        if column.kind == "code":
            here = here.cast(pl.Int64).replace_strict(
                dict(enumerate(column.codes)), default=None, return_dtype=pl.String
            )
        elif column.kind == "money":
            here = yuan_of(here)
        columns.append(here.alias(column.name))
    carried = [one for one in frame.columns if one not in {column.inside for column in table.columns}]
    return frame.select(*columns, *carried)


def own_by_home(world: World, bills: Sequence[Bills]) -> list[Array]:
    """Give what each household bears of its claims and outside them, one array a law."""
    outside = world.homes["oop_outside"].fill_null(0.0).to_numpy()
    return [world.by_home(one.own) + outside for one in bills]
