"""Measure protection under several laws at once, so that changes are estimated on the same households."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import polars as pl

from medfloor.errors import UsageError
from medfloor.measures.capacity import EuropeRule, SocietalLine, WhoRule
from medfloor.measures.catastrophic import STANDARDS, Definition, Rules, capacity_of, defined
from medfloor.measures.catastrophic import estimator_of as catastrophic_estimator
from medfloor.measures.design import Design
from medfloor.measures.estimate import Bound, Estimator, Statistic, errors_of, evaluate
from medfloor.measures.impoverishing import Asked, LineLike, lines_of, resolved
from medfloor.measures.impoverishing import estimator_of as impoverishing_estimator
from medfloor.measures.influence import Array, Quantity, mean
from medfloor.measures.rank import Ranking, concentration
from medfloor.measures.ranked import ranked_once
from medfloor.measures.result import Kind, Result
from medfloor.measures.sample import Sample, take
from medfloor.words import Phrase

Key: TypeAlias = tuple[str, str]
"""A law and how people respond to it: (scenario, response)."""

PER = 10_000.0
CATASTROPHIC: tuple[tuple[Definition, float], ...] = (("nonfood", 0.40), ("budget", 0.10))
LINE: LineLike = "median:0.5"

_KEPT = ("net_headcount", "net_gap", "net_normalised_gap", "impoverished", "further_impoverished")
"""What of impoverishment differs from law to law."""

LABELS: dict[str, pl.DataType] = {
    "of": pl.String(),
    "definition": pl.String(),
    "threshold": pl.Float64(),
    "line": pl.String(),
    "scenario": pl.String(),
    "response": pl.String(),
}


def protection(
    homes: pl.DataFrame,
    keys: Sequence[Key],
    *,
    definitions: Sequence[tuple[Definition, float]] = CATASTROPHIC,
    line: LineLike = LINE,
    by: Sequence[str] = (),
    design: Design | None = None,
) -> Result:
    """Measure what households bear under each law, and what each law changes against the first.

    `homes` has own_<n> and paid_<n> for the n-th of `keys` (what a household bears in all, and what all tiers paid for
    it), consumption, size, and food where a definition needs it. Consumption is held as observed under every law.

    Statistics, labelled with scenario and response: `headcount` and `overshoot` of catastrophic spending, for each
    definition and threshold (of households); `net_headcount`, `net_gap`, `net_normalised_gap`, `impoverished`,
    `further_impoverished` against the poverty line (of people); `concentration_index` of own spending over consumption
    a head, and `kakwani` (that index less the Gini index of consumption; below zero the poor bear more of their
    means), of people; `mean_spending` and `mean_paid` a household. `reform_change` is each less that under the first
    law, with the error of paired estimates and a test; `change_per_10000` is the change for each 10,000 yuan that the
    law costs the public more: for a headcount, how many households (people) more or fewer. It is undefined where a
    law costs the same, and where it costs less it is what each 10,000 yuan saved costs, with the sign turned. The cost
    is cost_<n> where `homes` has it (`Contributions.public_cost`), and then `change_per_10000_paid` stands beside, for
    each 10,000 yuan that all payers pay out more; else both are the same, and the cost is what they pay out more.

    Raises InputError what `take` raises; UsageError no_such_line, no_such_definition.
    """
    frame = _with_food(homes, definitions)
    asked = [one for one in definitions if one[0] != "nonfood" or "food" in frame.columns]
    parts = [_households(frame, keys, asked, by, design), _people(frame, keys, line, by, design)]
    rows = pl.concat([one.rows for one in parts], how="diagonal_relaxed")
    first = parts[0]
    return replace(
        first,
        weight=Phrase.of("simulation.counted", weight=first.weight),
        rows=_ordered(rows, keys),
        definition=Phrase.of("simulation.protection", definitions=_definitions(asked)),
        line=parts[1].line,
        special={**first.special, **parts[1].special},
        notes=(Phrase("simulation.held"), Phrase("simulation.per_10000"), *first.notes, *parts[1].notes),
    )


def _with_food(homes: pl.DataFrame, definitions: Sequence[tuple[Definition, float]]) -> pl.DataFrame:
    for definition, _ in definitions:
        if definition not in STANDARDS:
            raise UsageError("no_such_definition", f"there is no definition {definition!r}; use {', '.join(STANDARDS)}")
    return homes


def _definitions(asked: Sequence[tuple[Definition, float]]) -> Phrase:
    rules = Rules(WhoRule(), EuropeRule(), SocietalLine.of(2017))
    said = [
        Phrase.of("simulation.one_definition", threshold=f"{100 * z:g}", definition=defined(one, rules))
        for one, z in asked
    ]
    found = said[0]
    for one in said[1:]:
        found = Phrase.of("simulation.two_definitions", first=found, second=one)
    return found


@dataclass(frozen=True, slots=True)
class _Piece:
    """Be an estimator of one law, the columns that it finds there, and which of its statistics are kept."""

    estimator: Estimator
    at: Callable[[Mapping[str, Array], int], dict[str, Array]]
    labels: Mapping[str, object]
    kept: tuple[str, ...] = ()


def _households(
    frame: pl.DataFrame,
    keys: Sequence[Key],
    definitions: Sequence[tuple[Definition, float]],
    by: Sequence[str],
    design: Design | None,
) -> Result:
    """Measure what is counted by household: catastrophic spending, and the mean of spending and payments."""
    needs: dict[str, str] = {"consumption": "consumption", "size": "size"}
    for definition, _ in definitions:
        needs |= {one: one for one in STANDARDS[definition].needs}
    sample = take(frame, needs | _amounts(keys, frame), by=by, design=design)
    pieces, rules = [], Rules(WhoRule(), EuropeRule(), SocietalLine.of(2017))
    for place, (definition, threshold) in enumerate(definitions):
        capacity = capacity_of(sample, definition, rules)
        sample = sample.also(**{f"capacity_{place}": capacity.amount})
        pieces.append(_catastrophic(place, definition, threshold))
    pieces.append(_Piece(_means, _spending, {}))
    return _run(sample, pieces, keys)


def _people(
    frame: pl.DataFrame, keys: Sequence[Key], line: LineLike, by: Sequence[str], design: Design | None
) -> Result:
    """Measure what is counted by people: poverty after paying, and who bears more of their means."""
    needs: dict[str, str] = {"consumption": "consumption", "size": "size"}
    sample = take(frame, needs | _amounts(keys, frame), unit="person", by=by, design=design)
    gross = sample["consumption"] / sample["size"]
    sample = sample.also(gross=gross, rank=gross)
    fixed = _fixed(line, sample)
    poverty = _Piece(impoverishing_estimator([fixed], "<", 1.2, False), _net, {}, _KEPT)
    # The ranking by consumption is the same under all laws: the households are sorted once.
    uneven = _Piece(_unevenness(ranked_once(sample)), _head, {})
    found = _run(sample, [poverty, uneven], keys)
    negative = max(int((_net(sample.columns, place)["net"] < 0).sum()) for place in range(len(keys)))
    notes = (Phrase("impoverishing.negative_net"),) if negative else ()
    if fixed.name.startswith(("median:", "mean:")):
        notes = (Phrase("simulation.fixed_line"), *notes)
    return replace(found, line=fixed.words, notes=notes, special={"negative_net": negative})


def _fixed(line: LineLike, sample: Sample) -> Asked:
    """Give the line its value before any payment, the same under all laws, and hold it there.

    Its own sampling error is not carried: it is one line under all laws, and costs more than all else to work out.
    """
    read = lines_of(line, pl.DataFrame())
    if len(read) != 1 or isinstance(read[0], str):
        raise UsageError("bad_line", f"{line} is not one line for everybody; give a number, median:0.5 or cn-2010@2020")
    asked = resolved(read, sample)[0]
    return replace(asked, rule=None)


def _amounts(keys: Sequence[Key], frame: pl.DataFrame) -> dict[str, str]:
    names = [f"{what}_{place}" for place in range(len(keys)) for what in ("own", "paid", "cost")]
    return {name: name for name in names if not name.startswith("cost") or name in frame.columns}


def _spending(given: Mapping[str, Array], place: int) -> dict[str, Array]:
    return {"oop": given[f"own_{place}"], "paid": given[f"paid_{place}"]}


def _catastrophic(number: int, definition: Definition, threshold: float) -> _Piece:
    def at(given: Mapping[str, Array], place: int) -> dict[str, Array]:
        return {"oop": given[f"own_{place}"], "capacity": given[f"capacity_{number}"]}

    estimator = catastrophic_estimator((threshold,), STANDARDS[definition].sign, 1.0, False, False)
    return _Piece(estimator, at, {"definition": definition}, ("headcount", "overshoot"))


def _net(given: Mapping[str, Array], place: int) -> dict[str, Array]:
    oop = given[f"own_{place}"]
    return {"oop": oop, "gross": given["gross"], "net": given["gross"] - oop / given["size"]}


def _head(given: Mapping[str, Array], place: int) -> dict[str, Array]:
    return {"oop": given[f"own_{place}"] / given["size"], "rank": given["rank"]}


def _means(columns: Mapping[str, Array]) -> Bound:
    oop, paid = columns["oop"], columns["paid"]

    def bound(weight: Array) -> Iterator[Statistic]:
        yield Statistic("mean_spending", mean(weight, oop), "amount")
        yield Statistic("mean_paid", mean(weight, paid), "amount")

    return bound


def _unevenness(ranked: Callable[[Mapping[str, Array]], Ranking]) -> Estimator:
    def bind(columns: Mapping[str, Array]) -> Bound:
        oop, gross, ranking = columns["oop"], columns["rank"], ranked(columns)

        def bound(weight: Array) -> Iterator[Statistic]:
            index = concentration(ranking, weight, oop)
            yield Statistic("concentration_index", index)
            yield Statistic("kakwani", index - concentration(ranking, weight, gross))

        return bound

    return bind


def _run(sample: Sample, pieces: Sequence[_Piece], keys: Sequence[Key]) -> Result:
    paired = _paired(pieces, keys, per_head=sample.unit == "person")
    rows = evaluate(sample, paired, labels=LABELS)
    return Result(
        "simulation", rows, Phrase("simulation.held"), sample.weighted_by, errors_of(sample),
        level=sample.design.level, special=sample.special,
    )  # fmt: skip


def _paired(pieces: Sequence[_Piece], keys: Sequence[Key], *, per_head: bool) -> Estimator:
    """Make one estimator of all laws, so that changes are estimated on the same rows.

    `per_head` says that people are counted, so that what a household is paid is shared out among its members.
    """

    def bind(columns: Mapping[str, Array]) -> Bound:
        bounds = [
            [(piece, piece.estimator(piece.at(columns, place))) for piece in pieces] for place in range(len(keys))
        ]
        shared = columns["size"] if per_head else 1.0
        out = [(columns[f"paid_{place}"] - columns["paid_0"]) / shared for place in range(len(keys))]
        costs = {place: columns[f"cost_{place}"] / shared for place in range(len(keys)) if f"cost_{place}" in columns}

        def bound(weight: Array) -> Iterator[Statistic]:
            base: list[Statistic] = []
            for place, (scenario, response) in enumerate(keys):
                here: dict[str, object] = {"scenario": scenario, "response": response}
                found = [one for piece, make in bounds[place] for one in _of_piece(piece, make(weight))]
                for one in found:
                    yield replace(one, labels={**one.labels, **here})
                if place == 0:
                    base = found
                else:
                    prices = {"change_per_10000": mean(weight, costs.get(place, out[place]))}
                    if place in costs:
                        prices["change_per_10000_paid"] = mean(weight, out[place])
                    yield from _changes(found, base, here, prices)

        return bound

    return bind


def _of_piece(piece: _Piece, made: Iterator[Statistic]) -> Iterator[Statistic]:
    for one in made:
        if not piece.kept or one.name in piece.kept:
            yield replace(one, labels={**one.labels, **piece.labels})


def _changes(
    found: Sequence[Statistic],
    base: Sequence[Statistic],
    here: Mapping[str, object],
    prices: Mapping[str, Quantity],
) -> Iterator[Statistic]:
    for one, other in zip(found, base, strict=True):
        kind: Kind = "percent" if one.kind == "proportion" else one.kind
        labels = {**one.labels, **here, "of": one.name}
        change = one.quantity - other.quantity
        known = one.known and other.known
        yield Statistic("reform_change", change, kind, labels, known=known, tested=True)
        if one.name not in ("mean_spending", "mean_paid"):
            for name, dearer in prices.items():
                per = PER * change / dearer if abs(dearer.value) > 0.005 else Quantity(np.nan)
                yield Statistic(name, per, "index", labels, known=known)


def _ordered(rows: pl.DataFrame, keys: Sequence[Key]) -> pl.DataFrame:
    """Put levels before changes, and the laws in their order."""
    place = {key: number for number, key in enumerate(keys)}
    views = {"reform_change": 1, "change_per_10000": 2, "change_per_10000_paid": 3}
    number = [place[key] for key in rows.select("scenario", "response").rows()]
    view = [views.get(one, 0) for one in rows["statistic"]]
    ordered = rows.with_columns(pl.Series("_view", view), pl.Series("_key", number))
    return ordered.sort("_view", "_key", maintain_order=True).drop("_view", "_key")
