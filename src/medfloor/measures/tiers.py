"""Measure before insurance and after each tier what the tiers change, and at what price."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any, Literal, TypeAlias

import numpy as np
import polars as pl

from medfloor.errors import UsageError
from medfloor.measures.capacity import EuropeRule, SocietalLine, WhoRule
from medfloor.measures.catastrophic import (
    COLUMNS,
    DEFINITIONS,
    STANDARDS,
    Columns,
    Definition,
    Rules,
    capacity_of,
    defined,
    thresholds_of,
)
from medfloor.measures.catastrophic import estimator_of as catastrophic_estimator
from medfloor.measures.design import Design
from medfloor.measures.estimate import Bound, Estimator, Statistic, errors_of, evaluate
from medfloor.measures.impoverishing import LineLike, lines_of, resolved
from medfloor.measures.impoverishing import estimator_of as impoverishing_estimator
from medfloor.measures.influence import Array, Quantity, mean
from medfloor.measures.quantile import Bandwidth
from medfloor.measures.rank import Ranking, concentration
from medfloor.measures.replicate import Progress
from medfloor.measures.result import Kind, Result
from medfloor.measures.sample import Sample, Source, Table, Unit, design_in, take
from medfloor.measures.stages import BEFORE, Stages, Unknown, stages_of
from medfloor.words import Phrase, knows

Named = Literal["catastrophic", "impoverishing", "concentration", "inequality"]
Measure: TypeAlias = Callable[..., Result]
"""A function of this room: it takes a table, and by, against and design."""

_NOTES = (Phrase("by_tier.observed"), Phrase("by_tier.ours"))

PER = 10_000.0
"""Changes are also told for so many yuan paid."""


def by_tier(
    households: Table,
    settlements: Table,
    *,
    of: Named | Measure = "catastrophic",
    people: Table | None = None,
    tiers: Sequence[str] | None = None,
    besides: Source | None = None,
    year: int | None = None,
    unknown: Unknown = "refuse",
    unit: Unit | None = None,
    by: str | Sequence[str] | None = None,
    against: str | None = None,
    design: Design | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Result:
    """Take a measure before insurance, after the first tier, after the second, ...; and what each changes.

    `settlements` are those of the households' members, with the columns total and `pay_<tier>`, `people` says who lives
    in which household (see `stages_of` for both, for `tiers`, `besides`, `year` and `unknown`). A household's
    out-of-pocket spending is the total of its claims before insurance, and less what each tier pays after it.
    Consumption is held as it was observed, so that nothing else is imagined: neither that people would have used less
    care without insurance, nor that they would have eaten less.

    `of` is "catastrophic" (options definition, thresholds, sign, who, europe, sdg, columns, beyond, rank_weighted),
    "impoverishing" (line, sign, near, columns, floor_net, ranked, bandwidth), "concentration" (of spending over
    consumption a head; columns), "inequality" (Gini index of consumption a head less spending; columns), or any
    function of this room with its options, which then finds the columns oop and net (consumption less oop); its
    change_per_10000 then has no standard error. It sees the stages below each other, so that a line which it takes
    from the sample would be that of all stages together: give it a fixed one.

    Rows are labelled with the `tier` after which they hold ("before": none). `step_change` is the change of the
    statistic named in `of` from the stage before, `cumulative_change` from before insurance, both with the error
    of paired estimates and a test; `change_per_10000` is the change for each 10,000 yuan that the tier pays for one of
    those counted: for a headcount, how many more or fewer households (people, with unit="person") for 10,000 yuan.
    `paid` is what the tier pays, on average for each counted. Amounts of households and settlements must be in the
    same unit. Names of tiers that pay nothing keep their rows, with changes of zero and no price.

    Raises UsageError: no_such_measure, no_such_option, no_line, and with InputError what `stages_of` and the measure
    raise.

    >>> homes = {"household_id": ["a", "b"], "consumption": [100.0, 100.0], "size": [1, 1]}
    >>> claims = {"household_id": ["a", "b"], "total": [50.0, 30.0], "pay_basic": [45.0, 15.0], "pay_aid": [0.0, 9.0]}
    >>> found = by_tier(homes, claims, thresholds=[0.1])
    >>> [found.value("headcount", tier=tier) for tier in ("before", "basic", "aid")]
    [1.0, 0.5, 0.0]
    >>> found.value("step_change", of="headcount", tier="aid")
    -0.5
    """
    stages = stages_of(households, settlements, people=people, tiers=tiers, besides=besides, year=year, unknown=unknown)
    if not isinstance(of, str):
        if by or against is not None:
            raise UsageError("no_such_option", "by and against are not there for a measure given as a function")
        common = {"unit": unit} if unit is not None else {}
        return _any_measure(stages, of, design, {**options, **common, "progress": progress})
    if of not in _PLANS:
        raise UsageError(
            "no_such_measure", f"there is no measure {of!r} by tier; use {', '.join(_PLANS)}, or a function"
        )
    _check_options(of, options)
    drawn = _Drawn(stages, unit, by, design)
    plan = _PLANS[of](drawn, **options)
    rows = evaluate(
        plan.sample.noting(**stages.counts),
        _staged(plan, stages.names),
        labels={"of": pl.String(), **plan.labels, "tier": pl.String()},
        against=against,
        progress=progress,
        whole=plan.whole,
    )
    sample = plan.sample.noting(**stages.counts)
    return Result(
        measure="by_tier",
        rows=rows,
        definition=_definition(plan.definition, stages),
        weight=sample.weighted_by,
        errors=errors_of(sample),
        line=plan.line,
        sign=plan.sign,
        level=sample.design.level,
        special=sample.special,
        notes=(*_NOTES, *plan.notes, *stages.notes),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Drawn:
    """Be the households with their stages, and how they are to be counted."""

    stages: Stages
    unit: Unit | None
    by: str | Sequence[str] | None
    design: Design | None

    def take(self, columns: Mapping[str, Source], size: Source, standard: Unit) -> Sample:
        """Take the columns of a measure and those of all stages."""
        names = self.stages.names
        made = {f"stage_{place}": f"stage_{place}" for place in range(len(names))}
        made |= {f"paid_{place}": f"paid_{place}" for place in range(1, len(names))}
        unit = self.unit or standard
        sized = {"size": size} if unit == "person" else {}
        return take(
            self.stages.frame,
            {**columns, **sized, **made},
            unit=unit,
            size=size,
            by=self.by,
            design=self.design,
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """Be a measure ready for all stages: its estimator for one, and how its columns differ from stage to stage."""

    sample: Sample
    estimator: Estimator
    at: Callable[[Mapping[str, Array], int], dict[str, Array]]
    definition: Phrase
    labels: Mapping[str, pl.DataType] = field(default_factory=dict)
    kept: tuple[str, ...] = ()
    line: Phrase | None = None
    sign: str = ""
    notes: tuple[Phrase, ...] = ()
    whole: bool = False


def _catastrophic(
    drawn: _Drawn,
    *,
    definition: Definition = "budget",
    thresholds: Sequence[float] | None = None,
    sign: Literal[">", ">="] | None = None,
    who: WhoRule | None = None,
    europe: EuropeRule | None = None,
    sdg: SocietalLine | None = None,
    columns: Columns = COLUMNS,
    beyond: float = 1.0,
    rank_weighted: bool = False,
) -> _Plan:
    if definition not in DEFINITIONS:
        raise UsageError("no_such_definition", f"there is no definition {definition!r}; use {', '.join(DEFINITIONS)}")
    _check_sign(sign, (">", ">="), "threshold")
    standard = STANDARDS[definition]
    at = thresholds_of(standard.thresholds if thresholds is None else thresholds)
    rules = Rules(who or WhoRule(), europe or EuropeRule(), sdg or SocietalLine.of(2017))
    needs = {name: getattr(columns, name) for name in ("consumption", *standard.needs)}
    if rank_weighted or definition in ("who", "sdg"):
        needs["size"] = columns.size
    sample = drawn.take(needs, columns.size, standard.unit)
    capacity = capacity_of(sample, definition, rules)
    sample = sample.also(capacity=capacity.amount).noting(no_capacity=int((capacity.amount <= 0).sum()))
    if rank_weighted:
        sample = sample.also(rank=sample["consumption"] / sample["size"])
    sign = sign or standard.sign
    notes = [Phrase.of("catastrophic.no_capacity", beyond=f"{beyond:g}")] if sample.special["no_capacity"] else []
    notes += [Phrase("catastrophic.dollars")] if definition == "sdg" and sdg is None else []
    return _Plan(
        sample,
        catastrophic_estimator(at, sign, beyond, rank_weighted, definition == "sdg"),
        lambda given, place: {**given, "oop": given[f"stage_{place}"]},
        defined(definition, rules),
        {"threshold": pl.Float64()},
        line=capacity.line,
        sign=sign,
        notes=tuple(notes),
    )


IMPOVERISHING = (
    "net_headcount",
    "impoverished",
    "further_impoverished",
    "at_risk",
    "net_gap",
    "net_normalised_gap",
    "net_severity",
    "concentration_impoverished",
)
"""What of impoverishment differs from stage to stage; poverty before payments does not."""


def _impoverishing(
    drawn: _Drawn,
    *,
    line: LineLike | Sequence[LineLike] | None = None,
    sign: Literal["<", "<="] = "<",
    near: float = 1.2,
    columns: Columns = COLUMNS,
    floor_net: bool = False,
    ranked: bool = False,
    bandwidth: Bandwidth = "population",
) -> _Plan:
    if line is None:
        raise UsageError("no_line", "impoverishment needs a poverty line; give line, what one person needs")
    _check_sign(sign, ("<", "<="), "poverty line")
    lines = lines_of(line, drawn.stages.frame)
    needs = {"consumption": columns.consumption, "size": columns.size}
    needs |= {f"line_{place}": one for place, one in enumerate(lines) if isinstance(one, str)}
    sample = drawn.take(needs, columns.size, "person")
    sample = sample.also(gross=sample["consumption"] / sample["size"])
    asked = resolved(lines, sample)

    def at(given: Mapping[str, Array], place: int) -> dict[str, Array]:
        oop = given[f"stage_{place}"]
        net = given["gross"] - oop / given["size"]
        return {**given, "oop": oop, "net": np.maximum(net, 0.0) if floor_net else net}

    negative = int((at(sample.columns, 0)["net"] < 0).sum())
    return _Plan(
        sample.noting(negative_net=negative),
        impoverishing_estimator(asked, sign, near, ranked, bandwidth),
        at,
        Phrase.of("impoverishing.definition", near=f"{near:g}"),
        {"line": pl.String()},
        kept=IMPOVERISHING,
        line=reduce(lambda first, second: Phrase.of("lines.and", first=first, second=second), [a.words for a in asked]),
        sign=sign,
        notes=(Phrase("impoverishing.negative_net"),) if negative else (),
        whole=any(one.rule is not None for one in asked),
    )


def _concentration(drawn: _Drawn, *, columns: Columns = COLUMNS) -> _Plan:
    sample = drawn.take({"consumption": columns.consumption, "size": columns.size}, columns.size, "household")
    a_head = sample.unit == "person"
    sample = sample.also(rank=sample["consumption"] / sample["size"])

    def at(given: Mapping[str, Array], place: int) -> dict[str, Array]:
        oop = given[f"stage_{place}"]
        return {**given, "oop": oop / given["size"] if a_head else oop}

    def estimator(given: Mapping[str, Array]) -> Bound:
        oop, ranking = given["oop"], Ranking.of(given["rank"])

        def bound(weight: Array) -> Iterator[Statistic]:
            yield Statistic("concentration_index", concentration(ranking, weight, oop), "index")
            yield Statistic("mean_spending", mean(weight, oop), "amount")

        return bound

    return _Plan(sample, estimator, at, Phrase("by_tier.concentration"))


def _inequality(drawn: _Drawn, *, columns: Columns = COLUMNS) -> _Plan:
    sample = drawn.take({"consumption": columns.consumption, "size": columns.size}, columns.size, "person")

    def at(given: Mapping[str, Array], place: int) -> dict[str, Array]:
        return {**given, "net": (given["consumption"] - given[f"stage_{place}"]) / given["size"]}

    def estimator(given: Mapping[str, Array]) -> Bound:
        net, ranking = given["net"], Ranking.of(given["net"])

        def bound(weight: Array) -> Iterator[Statistic]:
            average = mean(weight, net)
            # A Gini index over a mean of zero or below has no meaning.
            gini = concentration(ranking, weight, net) if average.value > 0 else Quantity(np.nan)
            yield Statistic("gini", gini, "index")
            yield Statistic("mean_net", average, "amount")

        return bound

    negative = int((at(sample.columns, 0)["net"] < 0).sum())
    return _Plan(sample.noting(negative_net=negative), estimator, at, Phrase("by_tier.inequality"))


_PLANS: dict[str, Callable[..., _Plan]] = {
    "catastrophic": _catastrophic,
    "impoverishing": _impoverishing,
    "concentration": _concentration,
    "inequality": _inequality,
}


def _check_options(of: str, options: Mapping[str, object]) -> None:
    known = [name for name in inspect.signature(_PLANS[of]).parameters if name != "drawn"]
    wrong = [name for name in options if name not in known]
    if wrong:
        raise UsageError("no_such_option", f"{of} by tier has no option {wrong[0]!r}; it has {', '.join(known)}")


def _check_sign(sign: str | None, known: tuple[str, ...], what: str) -> None:
    if sign is not None and sign not in known:
        raise UsageError("bad_sign", f"the sign of a {what} is {' or '.join(known)}, not {sign!r}")


def _staged(plan: _Plan, names: Sequence[str]) -> Estimator:
    """Make one estimator of all stages, so that changes are estimated on the same rows."""

    def bind(columns: Mapping[str, Array]) -> Bound:
        stages = [plan.estimator(plan.at(columns, place)) for place in range(len(names))]
        size = columns["size"] if plan.sample.unit == "person" else 1.0
        inside = columns.get("inside", 1.0)
        paid = [columns[f"paid_{place}"] / size for place in range(1, len(names))]

        def bound(weight: Array) -> Iterator[Statistic]:
            found = [[one for one in stage(weight) if not plan.kept or one.name in plan.kept] for stage in stages]
            everyone = mean(weight, inside)
            prices = [mean(weight, one * inside) / everyone for one in paid]
            for levels in zip(*found, strict=True):
                yield from _levels(levels, names)
            for levels in zip(*found, strict=True):
                yield from _changes(levels, prices, names)
            for name, price in zip(names[1:], prices, strict=True):
                yield Statistic("paid", price, "amount", {"tier": name})

        return bound

    return bind


def _levels(levels: Sequence[Statistic], names: Sequence[str]) -> Iterator[Statistic]:
    for name, one in zip(names, levels, strict=True):
        yield replace(one, labels={**one.labels, "tier": name})


def _changes(levels: Sequence[Statistic], prices: Sequence[Quantity], names: Sequence[str]) -> Iterator[Statistic]:
    kind: Kind = "percent" if levels[0].kind == "proportion" else levels[0].kind
    labels = {"of": levels[0].name, **levels[0].labels}
    for place, name in enumerate(names[1:], 1):
        here = {**labels, "tier": name}
        step = levels[place].quantity - levels[place - 1].quantity
        whole = levels[place].quantity - levels[0].quantity
        known = levels[place].known and levels[0].known
        yield Statistic("step_change", step, kind, here, known=known, tested=True)
        yield Statistic("cumulative_change", whole, kind, here, known=known, tested=True)
        # What a tier pays lowers mean spending by as much: no price tells more.
        if levels[place].name not in ("mean_spending", "mean_net"):
            yield Statistic("change_per_10000", PER * step / prices[place - 1], "index", here, known=known)


def _definition(measure: Phrase, stages: Stages) -> Phrase:
    tiers = reduce(
        lambda first, second: Phrase.of("by_tier.then", first=first, second=second),
        [_tier(name) for name in stages.names[1:]],
    )
    return Phrase.of("by_tier.definition", tiers=tiers, measure=measure)


def _tier(name: str) -> Phrase:
    parts = [
        Phrase(f"tier.{one}") if knows(f"tier.{one}") else Phrase.of("by_tier.tier", name=one)
        for one in name.split("+")
    ]
    return reduce(lambda first, second: Phrase.of("by_tier.together", first=first, second=second), parts)


def _any_measure(stages: Stages, of: Measure, design: Design | None, options: dict[str, Any]) -> Result:
    """Run any function of this room over the stages, one below the other, as groups that share their clusters."""
    design = design_in(stages.frame) if design is None else design
    if design.psu is None:
        # A household at two stages is one household: the cluster says so, and changes are paired.
        design = replace(design, psu="household_id")
    names = stages.names
    stacked = _stacked(stages, range(len(names)))
    found = of(stacked, by="tier", against=BEFORE, design=design, **options)
    group = {name: place for place, name in enumerate(names)}
    rows = found.rows.filter(pl.col("by") == "tier")
    levels = rows.filter(pl.col("against").is_null())
    changes = [_relabelled(rows.filter(pl.col("against").is_not_null()), "cumulative_change")]
    for place in range(1, len(names)):
        # All stages stand there each time: what a measure takes from the whole (a line) is then the same for each.
        pair = of(stacked, by="tier", against=names[place - 1], design=design, **options)
        step = pl.col("against") == names[place - 1], pl.col("group") == names[place]
        changes.append(_relabelled(pair.rows.filter(*step), "step_change"))
    # Each household stands in the differences twice, once a stage.
    halved = pl.concat(changes).with_columns(pl.col("n") // 2, pl.col("weighted_n") / 2)
    levels = levels.with_columns(pl.lit(None, pl.String).alias("of"))
    columns = ["statistic", "of", *(name for name in levels.columns if name not in ("statistic", "of"))]
    paid = _paid(stages, of, design, options)
    prices = _per_paid(halved, paid)
    paid = paid.with_columns(pl.lit(None, halved.schema[name]).alias(name) for name in columns if name not in paid)
    together = pl.concat([one.select(columns) for one in (levels, halved, prices, paid)])
    together = (
        together.with_columns(pl.col("group").alias("tier"), pl.col("group").replace_strict(group).alias("_place"))
        .sort(pl.col("of").is_not_null(), "_place", maintain_order=True)
        .drop("_place")
    )
    null = pl.lit(None, pl.String)
    together = together.with_columns(null.alias("by"), null.alias("group"), null.alias("against"))
    first = columns.index("by")
    return replace(
        found,
        measure="by_tier",
        rows=together.select([*columns[:first], "tier", *columns[first:]]),
        definition=_definition(found.definition, stages),
        special={**found.special, **stages.counts},
        notes=(
            Phrase("by_tier.observed"),
            Phrase("by_tier.ours"),
            Phrase("by_tier.special_stages"),
            *found.notes,
            *stages.notes,
        ),
        curves={},
    )


def _paid(stages: Stages, of: Measure, design: Design, options: Mapping[str, Any]) -> pl.DataFrame:
    """Estimate what each tier pays, on average for each of those that the measure counts."""
    standard = inspect.signature(of).parameters.get("unit")
    unit = options.get("unit") or (standard.default if standard is not None else None)
    sample = _Drawn(stages, unit, None, design).take({}, options.get("size", "size"), "household")
    paid = {name: sample[f"paid_{place}"] for place, name in enumerate(stages.names) if place}
    a_head = {name: one / sample["size"] for name, one in paid.items()} if sample.unit == "person" else paid

    def bind(columns: Mapping[str, Array]) -> Bound:
        def bound(weight: Array) -> Iterator[Statistic]:
            for name in stages.names[1:]:
                yield Statistic("paid", mean(weight, columns[f"mean:{name}"]), "amount", {"tier": name})

        return bound

    rows = evaluate(
        sample.also(**{f"mean:{name}": one for name, one in a_head.items()}), bind, labels={"tier": pl.String()}
    )
    return rows.with_columns(pl.col("tier").alias("group"))


def _per_paid(changes: pl.DataFrame, paid: pl.DataFrame) -> pl.DataFrame:
    """Put the change of each step to what its tier pays; the function tells no covariance, so there is no error."""
    price = pl.col("group").replace_strict(dict(paid.select("group", "estimate").iter_rows()), return_dtype=pl.Float64)
    unknown = [pl.lit(None, pl.Float64).alias(name) for name in ("se", "low", "high", "p", "df", "deff")]
    return changes.filter(statistic="step_change").with_columns(
        pl.lit("change_per_10000").alias("statistic"),
        pl.lit("index").alias("kind"),
        pl.when(price > 0).then(PER * pl.col("estimate") / price).alias("estimate"),
        *unknown,
    )


def _stacked(stages: Stages, places: Sequence[int] | range) -> pl.DataFrame:
    """Lay the households at some stages below each other, with the columns oop, net and tier."""
    frame = stages.frame
    parts = []
    for place in places:
        oop = pl.col(f"stage_{place}")
        made = [oop.alias("oop"), pl.lit(stages.names[place]).alias("tier")]
        if "consumption" in frame.columns:
            made.append((pl.col("consumption") - oop).alias("net"))
        parts.append(frame.with_columns(made))
    return pl.concat(parts)


def _relabelled(rows: pl.DataFrame, view: str) -> pl.DataFrame:
    return rows.with_columns(pl.col("statistic").alias("of"), pl.lit(view).alias("statistic"))
