"""Say who gains and who loses: people by status, income, town and country, age and disease; and who pays what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor import tables
from medfloor.measures.design import Design
from medfloor.measures.estimate import Bound, Statistic, errors_of, evaluate
from medfloor.measures.influence import Array, Quantity, total
from medfloor.measures.rank import quantile_groups
from medfloor.measures.result import Result, name_of
from medfloor.measures.sample import Sample, take
from medfloor.policy.model import GROUPS
from medfloor.simulation.behaviour import statuses_of
from medfloor.simulation.protection import Key
from medfloor.simulation.run import FAMILIES, Bills, World
from medfloor.words import Phrase

LEAST = 1.0
"""A change of own spending of a yuan a year or less is none."""

AGES = (0, 18, 45, 60, 75)
OWN, ALL = "own", "all"


@dataclass(frozen=True, slots=True, eq=False)
class Grouping:
    """Be one way of parting the people: its labels, and each person's label as a position (-1: in none)."""

    name: str
    labels: tuple[str, ...]
    code: npt.NDArray[np.int8]


def groupings_of(world: World) -> tuple[Grouping, ...]:
    """Part the people by status, income quintile of the household a head, residence, age, and disease.

    The status is the first that the year has, in the contract's order. Disease is what the table of people says
    (major_disease, chronic); where it says nothing, people with claims for special outpatient care or the two diseases
    count as chronic. What a population does not tell makes no grouping.
    """
    status = statuses_of(world).astype(np.int8)
    found = [Grouping("status", (*GROUPS, "none"), np.where(status < 0, len(GROUPS), status).astype(np.int8))]
    for make in (_quintiles, _residences, _ages, _diseases):
        one = make(world)
        found += [one] if one is not None else []
    return tuple(found)


def winners(
    world: World,
    homes: pl.DataFrame,
    bills: Mapping[Key, Bills],
    groupings: Sequence[Grouping],
    premiums: Mapping[str, Array] | None = None,
    *,
    design: Design | None = None,
) -> Result:
    """Say for each group of people how many are better and worse off under each law than under the first.

    `better_off` and `worse_off` are shares of the group's people whose own payments are lower or higher by more than a
    yuan a year, `mean_change` is the mean change in yuan a person. Payments are own spending and what the law changes
    in the person's own premium (`premiums`, by scenario); for a law that changes premiums `bill_better_off`,
    `bill_worse_off` and `bill_change` stand beside, of own spending alone. Errors are those of the households, in which
    people of one group stand together. People of no household are not counted here.
    """
    keys = list(bills)
    sample = take(homes, {"size": "size"}, design=design)
    base = bills[keys[0]].own
    billed = {key: bills[key].own - base for key in keys[1:]}
    due = premiums or {}
    changes = {key: (change + due[key[0]] if key[0] in due else change) for key, change in billed.items()}
    beside = {key: change for key, change in billed.items() if key[0] in due}
    rows = []
    everyone = Grouping("", ("",), np.zeros(world.persons, np.int8))
    for grouping in (everyone, *groupings):
        for place, label in enumerate(grouping.labels):
            inside = (grouping.code == place).astype(np.float64)
            if inside.any():
                rows.append(_of_group(world, sample, changes, beside, inside, grouping.name or None, label or None))
    return Result(
        "simulation_groups",
        pl.concat(rows),
        Phrase.of("simulation.groups", least=f"{LEAST:g}"),
        sample.weighted_by,
        errors_of(sample),
        level=sample.design.level,
        notes=(Phrase("simulation.held"),),
    )


def payers(world: World, homes: pl.DataFrame, bills: Mapping[Key, Bills], *, design: Design | None = None) -> Result:
    """Say what each payer bears under each law, in yuan a person and year, and how that differs from the first law.

    `amount` is labelled with the payer: each tier, `own` (the patients' part of the claims), and `all` (all tiers).
    """
    keys = list(bills)
    tiers = list(dict.fromkeys(tier for one in bills.values() for tier in one.tiers))
    columns: dict[str, Array] = {}
    names = [*tiers, ALL, OWN]
    for place, one in enumerate(bills.values()):
        values = [*(one.of_tier(tier) for tier in tiers), one.covered, one.own]
        columns |= {f"{name}_{place}": world.by_home(value) for name, value in zip(names, values, strict=True)}
    sample = take(homes, {"size": "size"}, design=design).also(people=world.by_home(np.ones(world.persons)), **columns)

    def estimator(given: Mapping[str, Array]) -> Bound:
        def bound(weight: Array) -> Iterator[Statistic]:
            people = total(weight, given["people"])
            for name in names:
                base = total(weight, given[f"{name}_0"]) / people
                for place, key in enumerate(keys):
                    here = {"payer": name, "scenario": key[0], "response": key[1]}
                    amount = base if place == 0 else total(weight, given[f"{name}_{place}"]) / people
                    yield Statistic("amount", amount, "amount", here)
                    if place:
                        yield Statistic("reform_change", amount - base, "amount", here, tested=True)

        return bound

    labels: dict[str, pl.DataType] = {"payer": pl.String(), "scenario": pl.String(), "response": pl.String()}
    rows = evaluate(sample, estimator, labels=labels)
    return Result(
        "simulation_payers", rows.sort(pl.col("statistic") != "amount", maintain_order=True),
        Phrase("simulation.payers"), sample.weighted_by, errors_of(sample), level=sample.design.level,
    )  # fmt: skip


def group_name(by: str, group: str, lang: str) -> str:
    """Name a group of a grouping in a language.

    >>> group_name("disease", "chronic", "en"), group_name("quintile", "1", "zh")
    ('chronic disease', '1')
    """
    return name_of(by if by in ("disease", "residence") else "group", group, lang)


def _of_group(
    world: World,
    sample: Sample,
    changes: Mapping[Key, Array],
    beside: Mapping[Key, Array],
    inside: Array,
    by: str | None,
    label: str | None,
) -> pl.DataFrame:
    columns = {"people": world.by_home(inside)}
    told = [(key, "", change) for key, change in changes.items()]
    told += [(key, "bill_", change) for key, change in beside.items()]
    for place, (_, _, change) in enumerate(told):
        columns[f"better_{place}"] = world.by_home(inside * (change < -LEAST))
        columns[f"worse_{place}"] = world.by_home(inside * (change > LEAST))
        columns[f"change_{place}"] = world.by_home(inside * change)
    known = int(inside[world.home >= 0].sum())

    def estimator(given: Mapping[str, Array]) -> Bound:
        def bound(weight: Array) -> Iterator[Statistic]:
            people = total(weight, given["people"])
            for place, (key, view, _) in enumerate(told):
                here = {"scenario": key[0], "response": key[1]}
                counted = {"n": known, "weighted_n": people.value}
                for name, column in (("better_off", "better"), ("worse_off", "worse")):
                    share = total(weight, given[f"{column}_{place}"]) / people
                    yield Statistic(f"{view}{name}", share, "proportion", here, **counted)  # type: ignore[arg-type]
                change: Quantity = total(weight, given[f"change_{place}"]) / people
                name = "bill_change" if view else "mean_change"
                yield Statistic(name, change, "amount", here, tested=True, **counted)  # type: ignore[arg-type]

        return bound

    labels: dict[str, pl.DataType] = {"scenario": pl.String(), "response": pl.String()}
    rows = evaluate(sample.also(**columns), estimator, labels=labels)
    return rows.with_columns(pl.lit(by, pl.String).alias("by"), pl.lit(label, pl.String).alias("group"))


def _quintiles(world: World) -> Grouping | None:
    if "income" not in world.homes.columns or (world.home < 0).all():
        return None
    head = world.homes.select((pl.col("income") / pl.col("size")).fill_null(float("nan"))).to_series().to_numpy()
    weight = world.homes["weight"].to_numpy() if "weight" in world.homes.columns else np.ones(world.homes.height)
    known = np.isfinite(head)
    if not known.any():
        return None
    size = world.homes["size"].to_numpy()
    code = np.full(world.homes.height, -1, np.int8)
    code[known] = quantile_groups(head[known], (weight * size)[known], 5)[0]
    of_people = np.where(world.home >= 0, code[world.home], -1).astype(np.int8)
    return Grouping("quintile", ("1", "2", "3", "4", "5"), of_people)


def _of_people(world: World, name: str) -> pl.Series:
    """Give a column of people, one value a person: that of their first row."""
    register = world.batch.register
    return register.rows[name].gather(register.row_first[:-1])


def _residences(world: World) -> Grouping | None:
    code = _of_people(world, "residence").cast(pl.Int8).fill_null(-1).to_numpy()
    return Grouping("residence", tables.RESIDENCES, code) if (code >= 0).any() else None


def _ages(world: World) -> Grouping | None:
    births = _of_people(world, "birth_date")
    if births.null_count() == len(births):
        return None
    year = int(world.batch.columns.year[0])
    age = (year - births.dt.year()).fill_null(-1).to_numpy()
    labels = (*(f"{first} – {after - 1}" for first, after in pairwise(AGES)), f"{AGES[-1]}+")
    code = np.searchsorted(np.array(AGES), age, side="right") - 1
    return Grouping("age", labels, np.where(age < 0, -1, code).astype(np.int8))


def _diseases(world: World) -> Grouping | None:
    labels = ("major", "chronic", "treated", "none")
    treated = np.bincount(world.batch.person, minlength=world.persons) > 0
    rows = world.batch.register.rows
    if {"major_disease", "chronic"} <= set(rows.columns):
        major, chronic = (_flag(_of_people(world, one)) for one in ("major_disease", "chronic"))
    else:
        kinds = [tables.CARE_TYPES.index(one) for one in ("special_outpatient", "two_disease")]
        marked = np.isin(world.batch.columns.care_type, kinds)
        chronic = np.bincount(world.batch.person[marked], minlength=world.persons) > 0
        major = np.zeros(world.persons, bool)
    code = np.where(major, 0, np.where(chronic, 1, np.where(treated, 2, 3)))
    return Grouping("disease", labels, code.astype(np.int8))


def _flag(values: pl.Series) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = (
        values.cast(pl.String).str.to_lowercase().is_in(["true", "1", "yes"]).fill_null(False).to_numpy()
    )
    return found


def use_of(world: World, bills: Mapping[Key, Bills], *, design: Design | None = None) -> Result:
    """Say how much care is used under each law, by family of care, with errors.

    `units` counts claims (stays, or visits), `bill` is what they cost in yuan, both for all people at hand, weighted
    where households have weights; `use_ratio` is the units over those under the first law. Errors are those of totals
    over households; people of no household count in totals, and not in errors.
    """
    keys = list(bills)
    columns: dict[str, Array] = {}
    fixed: dict[str, float] = {}
    for place, one in enumerate(bills.values()):
        for number in range(len(FAMILIES)):
            for name, values in (("units", one.units[number]), ("bill", one.total[number])):
                columns[f"{name}_{number}_{place}"] = world.by_home(values)
                fixed[f"{name}_{number}_{place}"] = float(values[world.home < 0].sum())
    sample = take(world.homes, {"size": "size"}, design=design).also(**columns)

    def estimator(given: Mapping[str, Array]) -> Bound:
        def bound(weight: Array) -> Iterator[Statistic]:
            def summed(column: str) -> Quantity:
                return total(weight, given[column]) + fixed[column]

            for number, family in enumerate(FAMILIES):
                first = summed(f"units_{number}_0")
                for place, key in enumerate(keys):
                    labels = {"care": family, "scenario": key[0], "response": key[1]}
                    units = summed(f"units_{number}_{place}")
                    yield Statistic("units", units, "count", labels)
                    yield Statistic("bill", summed(f"bill_{number}_{place}"), "amount", labels)
                    if place and first.value > 0:
                        yield Statistic("use_ratio", units / first, "index", labels)

        return bound

    labels: dict[str, pl.DataType] = {"care": pl.String(), "scenario": pl.String(), "response": pl.String()}
    return Result(
        "simulation_use", evaluate(sample, estimator, labels=labels), Phrase("simulation.use"), sample.weighted_by,
        errors_of(sample), level=sample.design.level,
    )  # fmt: skip
