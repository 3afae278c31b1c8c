"""Put all definitions of catastrophic spending side by side on the same households, and say how far they agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np
import polars as pl

from medfloor.errors import InputError
from medfloor.measures.capacity import Capacity, EuropeRule, SocietalLine, WhoRule
from medfloor.measures.catastrophic import (
    COLUMNS,
    DEFINITIONS,
    STANDARDS,
    Columns,
    Rules,
    capacity_of,
    defined,
    is_catastrophic,
)
from medfloor.measures.design import Design
from medfloor.measures.estimate import Bound, Estimator, Statistic, errors_of, evaluate
from medfloor.measures.influence import Array, mean
from medfloor.measures.replicate import Progress
from medfloor.measures.result import Result
from medfloor.measures.sample import Sample, Table, Unit, frame_of, take
from medfloor.words import Phrase


def compare_definitions(
    table: Table,
    *,
    columns: Columns = COLUMNS,
    unit: Unit = "household",
    budget_thresholds: Sequence[float] = (0.10, 0.25),
    who: WhoRule | None = None,
    europe: EuropeRule | None = None,
    sdg: SocietalLine | None = None,
    by: str | Sequence[str] | None = None,
    against: str | None = None,
    design: Design | None = None,
    progress: Progress | None = None,
) -> Result:
    """Count catastrophic spending under each definition on the same rows, and compare the definitions in pairs.

    Every definition whose columns the table has is taken at its own threshold and sign (the budget share at each of
    `budget_thresholds`); those that lack a column, or of whose band no household is (small tables), are named in a
    note. Rows missing any of the columns are left out of all, so that differences come from definitions only.
    `headcount` is the share of households (of people with `unit="person"`), `headcount_people` that of people. For each
    pair: `agree`, the share classified alike; `both`, `first_only`, `second_only`; and `kappa` (Cohen 1960). Each has
    its survey error. Raises what `catastrophic` raises.

    >>> homes = {"oop": [0.0, 5.0, 30.0, 50.0], "consumption": [100.0] * 4, "food": [60.0, 60.0, 20.0, 50.0]}
    >>> found = compare_definitions(homes, budget_thresholds=[0.25])
    >>> found.value("headcount", definition="nonfood"), found.value("agree", definition="budget", other="nonfood")
    (0.25, 0.75)
    """
    frame = frame_of(table)
    rules = Rules(who or WhoRule(), europe or EuropeRule(), sdg or SocietalLine.of(2017))
    here, absent = _available(frame, columns)
    sized = _has(frame, columns.size)
    names = (
        {name for one in here for name in STANDARDS[one].needs}
        | {"oop", "consumption"}
        | ({"size"} if sized else set())
    )
    order = [name for name in Columns.__dataclass_fields__ if name in names]
    sample = take(
        frame, {name: getattr(columns, name) for name in order}, unit=unit, size=columns.size, by=by, design=design
    )
    capacities, bandless = _capacities(sample, here, rules)
    here = list(capacities)
    kinds = [(one, z) for one in here for z in (budget_thresholds if one == "budget" else STANDARDS[one].thresholds)]
    none = {f"no_capacity_{one}": int((capacities[one].amount <= 0).sum()) for one in here}
    sample = sample.noting(**none)
    # The events do not change with weights; they are one column a definition.
    sample = sample.also(
        **{
            f"event_{place}": is_catastrophic(sample["oop"], capacities[one].amount, z, STANDARDS[one].sign).astype(
                np.float64
            )
            for place, (one, z) in enumerate(kinds)
        }
    )
    labels = {
        "definition": pl.String(),
        "threshold": pl.Float64(),
        "other": pl.String(),
        "other_threshold": pl.Float64(),
    }
    estimator = _estimator(kinds, sized and unit == "household")
    rows = evaluate(sample, estimator, labels=labels, against=against, progress=progress)
    notes = [_told(one, capacities[one].line, rules) for one in here]
    notes += [
        Phrase.of("definitions.absent", name=Phrase(f"definition.{one}"), columns=", ".join(lacking))
        for one, lacking in absent
    ]
    notes += [Phrase.of("definitions.bandless", name=Phrase(f"definition.{one}")) for one in bandless]
    if "sdg" in here and unit == "household":
        notes.append(Phrase("definitions.people"))
    if "sdg" in here and rules.sdg.in_dollars:
        notes.append(Phrase("catastrophic.dollars"))
    return Result(
        measure="definitions",
        rows=rows,
        definition=Phrase("catastrophic.compare"),
        weight=sample.weighted_by,
        errors=errors_of(sample),
        level=sample.design.level,
        special=sample.special,
        notes=tuple(notes),
        spreads=(("headcount", "headcount_people"), ("agree", "both", "first_only", "second_only", "kappa")),
    )


def _available(frame: pl.DataFrame, columns: Columns) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Part the definitions into those whose columns the table has, and the others with what they lack."""
    here, absent = [], []
    for one in DEFINITIONS:
        needs = [*STANDARDS[one].needs, *(["size"] if one in ("who", "sdg") else [])]
        lacking = [name for name in needs if not _has(frame, getattr(columns, name))]
        if lacking:
            absent.append((one, lacking))
        else:
            here.append(one)
    return here, absent


def _capacities(sample: Sample, definitions: Sequence[str], rules: Rules) -> tuple[dict[str, Capacity], list[str]]:
    """Work out what households can pay by each definition, and name those of whose band no household is."""
    found: dict[str, Capacity] = {}
    bandless = []
    for one in definitions:
        try:
            found[one] = capacity_of(sample, one, rules)
        except InputError as error:
            if error.code != "empty_band":
                raise
            bandless.append(one)
    return found, bandless


def _has(frame: pl.DataFrame, source: str | pl.Expr) -> bool:
    return not isinstance(source, str) or source in frame.columns


def _told(definition: str, line: Phrase | None, rules: Rules) -> Phrase:
    told = Phrase.of(
        "definitions.one",
        name=Phrase(f"definition.{definition}"),
        sign=STANDARDS[definition].sign,
        words=defined(definition, rules),
    )
    return told if line is None else Phrase.of("definitions.with_line", told=told, line=line)


def _estimator(kinds: Sequence[tuple[str, float]], people: bool) -> Estimator:
    def bind(columns: Mapping[str, Array]) -> Bound:
        events = [columns[f"event_{place}"] for place in range(len(kinds))]

        def bound(weight: Array) -> Iterator[Statistic]:
            for (definition, z), event in zip(kinds, events, strict=True):
                labels = {"definition": definition, "threshold": z}
                yield Statistic("headcount", mean(weight, event), "proportion", labels)
                if people:
                    # Weights by people over weights by households: both are linear in the weight of the row.
                    size = columns["size"]
                    yield Statistic(
                        "headcount_people", mean(weight, event * size) / mean(weight, size), "proportion", labels
                    )
            for (first, one), (second, other) in combinations(zip(kinds, events, strict=True), 2):
                labels = {
                    "definition": first[0],
                    "threshold": first[1],
                    "other": second[0],
                    "other_threshold": second[1],
                }
                a, b, both = mean(weight, one), mean(weight, other), mean(weight, one * other)
                agree = 1.0 - a - b + 2.0 * both
                chance = a * b + (1.0 - a) * (1.0 - b)
                yield Statistic("agree", agree, "proportion", labels)
                yield Statistic("both", both, "proportion", labels)
                yield Statistic("first_only", a - both, "proportion", labels)
                yield Statistic("second_only", b - both, "proportion", labels)
                yield Statistic("kappa", (agree - chance) / (1.0 - chance), "index", labels)

        return bound

    return bind
