"""Settle the same people under one law after another: prepared once, the claims stay where they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor import tables
from medfloor.errors import InputError, UsageError
from medfloor.intake import Claims, People, Spells, read_claims, read_people, read_spells
from medfloor.policy.load import groups_of
from medfloor.settlement.batch import Asked, Batch, Law, prepare, same_order, under
from medfloor.settlement.engines import Engine, Outcome, engine_for, is_loaded, run
from medfloor.settlement.reversal import subset
from medfloor.settlement.settle import processors
from medfloor.simulation.population import Population

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

FAMILIES = ("inpatient", "outpatient")
"""The two families of care whose use responds to its price: stays, and all other care."""


@dataclass(frozen=True, slots=True, eq=False)
class Bills:
    """Be what each person's care of the year cost, and who paid it under one law, in yuan.

    `paid` has a row a tier of `tiers` and a column a person of the world, `total` and `units` (claims) a row a family
    of care. What is not paid is the person's own.
    """

    tiers: tuple[str, ...]
    paid: Array
    total: Array
    units: Array
    by_family: Array
    """What each tier paid in all, by family: shape (tiers, families)."""

    @property
    def own(self) -> Array:
        """Give what stays with each person."""
        found: Array = self.total.sum(axis=0) - self.paid.sum(axis=0)
        return np.maximum(found, 0.0)

    @property
    def covered(self) -> Array:
        """Give what all tiers together paid for each person."""
        found: Array = self.paid.sum(axis=0)
        return found

    def of_tier(self, tier: str) -> Array:
        """Give what a tier paid for each person; nothing where the law has no such tier."""
        return self.paid[self.tiers.index(tier)] if tier in self.tiers else np.zeros(self.paid.shape[1])


@dataclass(frozen=True, slots=True, eq=False)
class _Spent:
    """Be what care costs, which no law changes: where the stays are among the claims; `total`, `units` as in Bills."""

    stays: Ints
    total: Array
    units: Array


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """Be a population made ready under a baseline: its claims in the order of settlement, its people, its households.

    `home` gives each person a place in `homes` (-1: none there). `refused` says how many claims could not be settled
    under the baseline, for which reason; they are left out under every law. The claims are settled by `engine` for as
    many `turns` as were asked for.
    """

    population: Population
    law: Law
    batch: Batch
    people: People
    spells: Spells
    homes: pl.DataFrame
    home: Ints
    refused: dict[str, int]
    family: npt.NDArray[np.int8]
    threads: int
    engine: Engine | Literal["few"]
    turns: Iterator[int]
    known: dict[Any, Asked] = field(default_factory=dict, repr=False)
    spent: list[_Spent] = field(default_factory=list, repr=False)
    last: list[tuple[Batch, Ints]] = field(default_factory=list, repr=False)

    @classmethod
    def of(cls, population: Population, law: Law, *, threads: int | None = None, often: int = 5) -> World:
        """Read a population and put its claims into the order of settlement; `often` guesses how often to settle them.

        Raises UsageError many_years where the claims are of several and none was chosen; InputError no_rows where no
        claim can be settled; and what reading and preparing raise.
        """
        codes = law.policies.versions[-1].codes
        claims = read_claims(population.claims, med_type=codes.med_type, hosp_lv=codes.hosp_lv)
        # In a list, out of which `prepare` takes them, so that unsorted and sorted claims do not both stay in memory.
        accepted = [_of_year(claims.accepted, population)]
        people = read_people(population.people)
        spells = read_spells(population.spells, known_groups=groups_of(law.policies))
        unreadable = _reasons(claims)
        del claims
        batch, reversals, refusals = prepare(law, accepted, people, spells)
        if reversals.height:
            # What was taken back is no care of this year, under any law.
            gone = batch.frame["claim_id"].is_in(reversals["reverses"].implode()).to_numpy()
            batch = subset(batch, np.flatnonzero(~gone))
        if batch.height == 0:
            raise InputError("no_rows", f"no claim of {population.name} can be settled under {law.policies.address}")
        refused = unreadable | {
            str(reason): int(number) for reason, number in refusals.rows["reason"].value_counts().iter_rows()
        }
        home = _home_of(batch, population)
        family = (batch.columns.care_type != tables.CARE_TYPES.index("inpatient")).astype(np.int8)
        return cls(
            population, law, batch, people, spells, population.households, home, refused, family,
            threads or processors(), engine_for(batch.height * often), iter(range(often)),
        )  # fmt: skip

    @property
    def persons(self) -> int:
        """Count the people."""
        return len(self.batch.register.person_ids)

    def under(self, law: Law) -> Batch:
        """Ask another law about the claims; those that differ in numbers only share all but the numbers.

        Raises UsageError reform_refuses where the law would refuse claims that the baseline settles, and
        MissingValueError where it needs a number that was not published.
        """
        if law is self.law:
            return self.batch
        if same_order(self.law, law):
            return under(self.batch, law, self.spells, self.known)
        inside = [name for name in tables.WITHIN if name in self.batch.frame.columns and name != "row"]
        batch, _, refusals = prepare(law, [self.batch.frame.drop(inside)], self.people, self.spells)
        if refusals.rows.height:
            first = refusals.rows.row(0, named=True)
            raise UsageError(
                "reform_refuses",
                f"{refusals.rows.height:,} claims that the baseline settles would be refused by {law.policies.address} "
                f"with its reforms; the first: {first['detail']}",
            )
        return batch

    def settle(self, law: Law | None = None) -> Bills:
        """Settle everybody under a law (the baseline where none is named)."""
        return self.bills(self.under(law or self.law))

    def bills(self, batch: Batch) -> Bills:
        """Settle a batch of these people's claims and add up by person."""
        outcome = self.outcome(batch)
        person = self.person_of(batch)
        spent = self._spent(batch, person)
        by_family = []
        for pay in outcome.pay:
            stays = int(pay[spent.stays].sum())
            by_family.append([stays / 100, (int(pay.sum()) - stays) / 100])
        return Bills(
            batch.law.layout.tiers,
            np.stack([self._sums(person, pay) for pay in outcome.pay]) if len(outcome.pay) else self._nothing(),
            spent.total,
            spent.units,
            np.array(by_family, np.float64).reshape(len(batch.law.layout.tiers), len(FAMILIES)),
        )

    def outcome(self, batch: Batch) -> Outcome:
        """Settle a batch of these people's claims."""
        if batch.frame is not self.batch.frame:
            # Claims put together anew may stand there twice under one id. The reference knows stays by their ids, so
            # that which engine settles them must not hang on what is loaded.
            return run(batch, "kernel" if batch.height > _FEW_ANEW else "few", threads=self.threads)
        # What was planned for few settlements is not kept up beyond them, nor once compiled code is there.
        planned = not is_loaded() and next(self.turns, None) is not None
        found = run(batch, self.engine if planned else "auto", threads=self.threads)
        # Only these are remembered: claims put together anew would stay in memory.
        self.last[:] = [(batch, found.pay.sum(axis=0))]
        return found

    def paid(self, batch: Batch) -> Ints:
        """Give what all tiers together pay for each claim, in fen; of the law that was settled last it is known."""
        for settled, paid in self.last:
            if settled is batch:
                return paid
        found: Ints = self.outcome(batch).pay.sum(axis=0)
        return found

    def _spent(self, batch: Batch, person: Ints) -> _Spent:
        """Add up what a batch's care costs; that of the same claims once for all laws."""
        same = batch.frame is self.batch.frame
        if same and self.spent:
            return self.spent[0]
        fen = batch.frame["total_fen"].to_numpy()
        stay = batch.columns.care_type == tables.CARE_TYPES.index("inpatient")
        parts = (np.flatnonzero(stay), np.flatnonzero(~stay))
        total = np.stack([self._sums(person[part], fen[part]) for part in parts])
        units = np.stack([np.bincount(person[part], minlength=self.persons) for part in parts]).astype(np.float64)
        for shared in (total, units):
            shared.flags.writeable = False
        found = _Spent(parts[0], total, units)
        if same:
            self.spent.append(found)
        return found

    def person_of(self, batch: Batch) -> Ints:
        """Give the place among this world's people of each claim of a batch, which may sort people otherwise."""
        if batch.register is self.batch.register:
            return batch.person
        index = pl.DataFrame({"id": self.batch.register.person_ids, "at": np.arange(self.persons)})
        place = pl.DataFrame({"id": batch.register.person_ids}).join(index, on="id", how="left", maintain_order="left")
        return place["at"].to_numpy().astype(np.int64)[batch.person]

    def _sums(self, person: Ints, fen: Ints) -> Array:
        # A double holds every sum of a person-year's fen exactly, as it is far below 2 to the 53.
        return np.bincount(person, fen, minlength=self.persons) / 100

    def _nothing(self) -> Array:
        return np.zeros((0, self.persons))

    def by_home(self, values: Array) -> Array:
        """Add up a value of people by household; people without a household are left out."""
        known = self.home >= 0
        if not known.all():
            values = values[known]
        home = self.home if known.all() else self.home[known]
        return np.asarray(np.bincount(home, values, minlength=self.homes.height), np.float64)

    def households(self, bills: dict[str, Bills]) -> pl.DataFrame:
        """Put beside the households what each bears and what is paid for it, under several laws.

        Adds own_<name> (claims and `oop_outside`, which no law changes) and paid_<name>, in yuan.
        """
        outside = self.homes["oop_outside"].fill_null(0.0).to_numpy()
        made = {}
        for name, one in bills.items():
            made[f"own_{name}"] = self.by_home(one.own) + outside
            made[f"paid_{name}"] = self.by_home(one.covered)
        return self.homes.with_columns(**{name: pl.Series(values) for name, values in made.items()})

    def responding(self, batch: Batch, copies: npt.NDArray[np.int64]) -> Batch:
        """Give a batch with each claim as often as `copies` says: 0 forgone, 1 as it was, 2 once more."""
        return subset(batch, np.repeat(np.arange(batch.height), copies))


_FEW_ANEW = 1_000


def _of_year(frame: pl.DataFrame, population: Population) -> pl.DataFrame:
    years = frame["end_date"].dt.year().unique().sort().to_list()
    if population.year is not None:
        kept = frame.filter(pl.col("end_date").dt.year() == population.year)
        if kept.is_empty():
            raise UsageError(
                "no_such_year", f"no claim ends in {population.year}; there are {', '.join(map(str, years))}"
            )
        return kept
    if len(years) > 1:
        raise UsageError(
            "many_years",
            f"the claims of {population.name} end in {', '.join(map(str, years))}; choose one with --year (year=)",
        )
    return frame


def _reasons(claims: Claims) -> dict[str, int]:
    sifted = claims.refuse(pl.DataFrame(schema={"row": pl.UInt32, "reason": pl.String, "detail": pl.String}))
    if not sifted.rejected.height:
        return {}
    return {str(reason): int(number) for reason, number in sifted.rejected["reason"].value_counts().iter_rows()}


def _home_of(batch: Batch, population: Population) -> Ints:
    register = batch.register
    homes = register.rows["household_id"].gather(register.row_first[:-1])
    index = pl.DataFrame(
        {"household_id": population.households["household_id"], "at": np.arange(population.households.height)}
    )
    found = pl.DataFrame({"household_id": homes}).join(index, on="household_id", how="left", maintain_order="left")
    return found["at"].fill_null(-1).to_numpy().astype(np.int64)


def renamed(bills: Bills, tiers: tuple[str, ...]) -> Bills:
    """Give bills with the tiers of another law added, which paid nothing."""
    paid = np.stack([bills.of_tier(one) for one in tiers]) if tiers else bills.paid
    rows = [bills.by_family[bills.tiers.index(one)] if one in bills.tiers else np.zeros(2) for one in tiers]
    return replace(bills, tiers=tiers, paid=paid, by_family=np.array(rows).reshape(len(tiers), 2))
