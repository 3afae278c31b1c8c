"""Measure poverty: how many are poor, how far below the line, and how unequally."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor.errors import InputError, UsageError
from medfloor.measures.capacity import SocietalLine
from medfloor.measures.design import Design
from medfloor.measures.estimate import Bound, Estimator, Statistic, errors_of, evaluate
from medfloor.measures.influence import Array, Base, Quantity, mean, total
from medfloor.measures.lines import AnyLine, Line, RelativeLine, read_line, told
from medfloor.measures.quantile import Bandwidth, bandwidth_words, density, estimated_quantile, width
from medfloor.measures.rank import Ranking, quantile
from medfloor.measures.replicate import Progress
from medfloor.measures.result import Kind, Result
from medfloor.measures.sample import Sample, Source, Table, Unit, frame_of, take
from medfloor.words import Phrase

PovertyMeasure = Literal["headcount", "gap", "severity", "watts", "sen", "sst", "income_gap", "gini_poor", "median_gap"]
POVERTY_MEASURES: tuple[str, ...] = get_args(PovertyMeasure)
LineGiven: TypeAlias = AnyLine | float | str | pl.Expr
"""A line: a number, a record of `medfloor.measures.lines`, what `read_line` reads, or a column (name or expression)."""


def poverty(
    table: Table,
    *,
    line: LineGiven,
    of: Source = "consumption",
    measures: Sequence[str] = ("headcount", "gap", "severity", "watts", "sen", "sst"),
    alphas: Sequence[float] = (),
    per_head: bool = True,
    size: Source = "size",
    sign: Literal["<", "<="] = "<",
    sen: Literal["population", "1976"] = "population",
    floor: float | None = None,
    own_line: bool = False,
    bandwidth: Bandwidth = "population",
    unit: Unit = "person",
    by: str | Sequence[str] | None = None,
    against: str | None = None,
    design: Design | None = None,
    progress: Progress | None = None,
) -> Result:
    """Measure how many people live below a line, how far below, and how unequally.

    `of` is a household's consumption or income, divided by its `size` unless `per_head` is False (then it is taken as
    it stands, as for a table of people or an equivalised income). `line` is per person and period in the table's unit:
    a number, a column, a `Line`, or a line that is estimated (`RelativeLine(0.6)`, "median:0.6", `SocietalLine`), whose
    error enters that of every measure; groups are held against the line of all unless `own_line`. A row is poor if it
    is below the line (`sign` "<"), or also exactly at it ("<=").

    With z the line, g = (z - y) / z for the poor and 0 for others: `headcount`, `gap` and `severity` are the mean of
    g^0, g^1, g^2 (Foster, Greer and Thorbecke 1984), `alphas` asks for further powers (statistic fgt, label alpha);
    `watts` the mean of ln(z / y) over the poor and 0 for others; `income_gap` I the mean of g of the poor; `gini_poor`
    G_p the Gini index of the poor; `sen` H (I + (1 - I) G_p), with G_p times q / (q + 1) for `sen="1976"`, q the number
    of poor rows (Sen 1976); `sst` H I (1 + G(g)) (Sen-Shorrocks-Thon); `median_gap` one less the median of the poor
    over the line. An estimated line adds the statistic `poverty_line`.

    Values of zero and below count as poor everywhere except in `watts`, whose logarithm they do not have: it is then
    over the other rows, which a note says; `floor` raises all lower values to itself instead. `bandwidth` is the
    kernel's where a density is needed, at the line and at the median (see `quantile.density`). With no poor, `sen` and
    `sst` are zero; `income_gap`, `gini_poor` and `median_gap` are null.

    Raises UsageError: no_such_measure, bad_alpha, bad_line, no_such_line, no_such_year, no_ppp, bad_bandwidth,
    no_such_group; InputError: what `take` raises, bad_line for a column with values that are no line.

    >>> homes = {"consumption": [2.0, 6.0, 10.0, 30.0], "size": [1, 1, 1, 1]}
    >>> found = poverty(homes, line=8.0)
    >>> found.value("headcount"), found.value("gap"), round(found.value("sst"), 4)
    (0.5, 0.25, 0.4062)
    """
    asked = _checked(measures, alphas)
    frame = frame_of(table)
    resolved = resolved_line(line, frame)
    needs: dict[str, Source | None] = {"value": of, "size": size if per_head else None}
    needs["line"] = resolved if isinstance(resolved, (str, pl.Expr)) else None
    sample = take(frame, needs, unit=unit, size=size, by=by, design=design)
    sample = _valued(sample, floor)
    estimated = isinstance(resolved, (RelativeLine, SocietalLine))
    rules = _Rules(resolved, asked, tuple(alphas), sign, sen, bandwidth)
    rows = evaluate(
        sample,
        _estimator(rules),
        labels={"alpha": pl.Float64()} if alphas else None,
        against=against,
        progress=progress,
        whole=estimated and not own_line,
    )
    return Result(
        measure="poverty",
        rows=rows,
        definition=Phrase.of(
            "poverty.definition",
            of=of if isinstance(of, str) else "value",
            per=Phrase("poverty.per_head" if per_head else "poverty.as_it_stands"),
            sen=Phrase(f"poverty.sen_{sen}"),
        ),
        weight=sample.weighted_by,
        errors=errors_of(sample),
        line=_line_words(sample, rules, own_line),
        sign=sign,
        level=sample.design.level,
        special=sample.special,
        notes=_notes(sample, rules, rows),
    )


def estimated_line(
    line: RelativeLine | SocietalLine, values: Array, weight: Array, bandwidth: Bandwidth = "population"
) -> Quantity:
    """Estimate a line from the sample, with its influence: a share of the mean or median, or the societal line.

    `values` are per person, `weight` counts people.

    >>> estimated_line(RelativeLine(0.5, "mean"), np.array([1.0, 3.0]), np.ones(2)).value
    1.0
    """
    if isinstance(line, SocietalLine):
        median = estimated_quantile(values, weight, 0.5, bandwidth)
        level = line.at(median.value)
        return Quantity(level) if level <= line.floor else line.share * median + line.constant
    if line.of == "mean":
        return line.share * mean(weight, values)
    return line.share * estimated_quantile(values, weight, 0.5, bandwidth)


def resolved_line(line: LineGiven, frame: pl.DataFrame) -> AnyLine | str | pl.Expr:
    """Find out what a line is: a record of `medfloor.measures.lines`, or a column (its name comes first).

    Raises what `read_line` raises.

    >>> frame = pl.DataFrame({"pline": [1.0]})
    >>> resolved_line("pline", frame), resolved_line("median:0.6", frame)
    ('pline', RelativeLine(share=0.6, of='median'))
    """
    if isinstance(line, str):
        read = None if line in frame.columns else read_line(line)
        return line if read is None else read
    if isinstance(line, (int, float)):
        return Line(float(line))
    return line


@dataclass(frozen=True, slots=True)
class _Rules:
    line: AnyLine | str | pl.Expr
    measures: tuple[str, ...]
    alphas: tuple[float, ...]
    sign: str
    sen: str
    bandwidth: Bandwidth


def _checked(measures: Sequence[str], alphas: Sequence[float]) -> tuple[str, ...]:
    for one in measures:
        if one not in POVERTY_MEASURES:
            raise UsageError(
                "no_such_measure", f"there is no poverty measure {one!r}; use {', '.join(POVERTY_MEASURES)}"
            )
    for alpha in alphas:
        if not 0 <= alpha < math.inf:
            raise UsageError(
                "bad_alpha", f"alpha {alpha} of a poverty measure is not zero or above; 0, 1 and 2 are usual"
            )
    if not measures and not alphas:
        raise UsageError("no_such_measure", f"no measure was asked for; use {', '.join(POVERTY_MEASURES)}")
    return tuple(dict.fromkeys(measures))


def _valued(sample: Sample, floor: float | None) -> Sample:
    """Add the value of each row, and count the special ones."""
    value = sample["value"] / sample["size"] if sample.has("size") else sample["value"]
    counts = {"zero_value": int((value == 0).sum()), "negative_value": int((value < 0).sum())}
    if floor is not None:
        if not math.isfinite(floor):
            raise UsageError(
                "bad_floor", f"a floor of {floor} is no number that values can be raised to; give a finite one"
            )
        counts["floored"] = int((value < floor).sum())
        value = np.maximum(value, floor)
    if sample.has("line"):
        bad = sample["line"] <= 0
        if bad.any():
            worst = float(sample["line"][bad][0])
            raise InputError(
                "bad_line",
                f"the column of the line has {worst:g} in {int(bad.sum())} rows; a line is above zero. Correct them",
            )
    return sample.also(value=value).noting(**counts)


def _estimator(rules: _Rules) -> Estimator:
    """Bind values and lines; what only depends on their order is worked out once."""

    def bind(columns: Mapping[str, Array]) -> Bound:
        value, by_row = columns["value"], columns.get("line")
        inside = columns.get("inside")
        given = value / by_row if by_row is not None else value
        ranked = {"sen", "sst", "gini_poor"} & set(rules.measures)
        ranking = Ranking.of(given) if ranked else None

        def bound(weight: Array) -> Iterator[Statistic]:
            poor = _Poor.of(rules, value, by_row, weight, inside, ranking)
            if poor.line.terms and (inside is None or bool(inside.all())):
                yield Statistic("poverty_line", poor.line, "amount")
            for measure in rules.measures:
                kind, found = _MEASURES[measure]
                yield Statistic(measure, found(poor), kind, n=poor.logged if measure == "watts" else None)
            for alpha in rules.alphas:
                yield Statistic("fgt", poor.fgt(alpha), "percent" if alpha else "proportion", {"alpha": alpha})

        return bound

    return bind


@dataclass(frozen=True, slots=True, eq=False)
class _Poor:
    """Be the poor under one set of weights.

    `ratio` is y / z, `poor` marks the poor (of the group, where the whole sample is seen), `gap` is 1 - ratio for them
    and 0 for others, `counted` the weights of the group, `whole` its total. `near` gives the people for each unit of
    the line that stand at it, which a line that moves makes poor.
    """

    rules: _Rules
    weight: Array
    counted: Array
    ratio: Array
    poor: npt.NDArray[np.bool_]
    gap: Array
    inside: Array | None
    whole: Quantity
    line: Quantity
    moves: Callable[[], Array | float]
    near: Callable[[], float]
    ranking: Ranking | None
    unit: float

    @classmethod
    def of(
        cls,
        rules: _Rules,
        value: Array,
        by_row: Array | None,
        weight: Array,
        inside: Array | None,
        ranking: Ranking | None,
    ) -> _Poor:
        counted = weight if inside is None else weight * inside
        mass = float(counted.sum())
        if by_row is not None:
            line = Quantity(float(counted @ by_row) / mass if mass > 0 else math.nan)
        elif isinstance(rules.line, (RelativeLine, SocietalLine)):
            line = estimated_line(rules.line, value, weight, rules.bandwidth)
        else:
            assert isinstance(rules.line, Line)
            line = Quantity(rules.line.value)
        whole = total(weight, 1.0 if inside is None else inside)
        if not line.value > 0:
            # Half of the people have nothing: there is no line to be below, and nothing is defined.
            whole = Quantity(math.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = value / (line.value if by_row is None else by_row)
            poor = ratio <= 1 if rules.sign == "<=" else ratio < 1
        if inside is not None:
            poor &= inside > 0
        gap = np.where(poor, 1 - ratio, 0.0)
        moves = cache(line.influence)
        near = cache(lambda: mass * density(value, counted, line.value, rules.bandwidth))
        return cls(rules, weight, counted, ratio, poor, gap, inside, whole, line, moves, near, ranking, line.value)

    @property
    def logged(self) -> int | None:
        """Count the rows that have a logarithm, where some have none."""
        without = (self.ratio <= 0) & (self.counted > 0)
        return int(((self.ratio > 0) & (self.counted > 0)).sum()) if without.any() else None

    def sum(self, values: Array | npt.NDArray[np.bool_], slope: Callable[[], float]) -> Quantity:
        """Sum up values of the poor; `slope` says by how much the sum grows with the line."""
        return self.moved(total(self.weight, values), slope)

    def moved(self, found: Quantity, slope: Callable[[], float]) -> Quantity:
        """Add what the line's own error does to a quantity."""
        if not self.line.terms:
            return found
        return found + Quantity(0.0, ((1.0, Base(lambda: slope() * self.moves())),))

    def fgt(self, alpha: float) -> Quantity:
        """Estimate the mean of g^alpha."""
        if alpha == 0:
            return self.sum(self.poor, self.near) / self.whole
        powers = self.gap if alpha == 1 else self.gap**alpha

        def slope() -> float:
            # d g^a / dz = a g^(a-1) y / z^2; who stands exactly at the line has no gap to grow.
            below = self.gap > 0
            steep = self.weight[below] * self.gap[below] ** (alpha - 1)
            return alpha * float(steep @ self.ratio[below]) / self.unit

        return self.sum(powers, slope) / self.whole

    def watts(self) -> Quantity:
        """Estimate the mean of ln(z / y) over the poor, 0 for others, among those above zero."""
        above = self.ratio > 0
        logs = np.zeros(len(self.ratio))
        np.log(self.ratio, out=logs, where=self.poor & above)
        np.negative(logs, out=logs)
        found = self.sum(logs, lambda: float(self.counted[self.poor & above].sum()) / self.unit)
        if self.logged is None:
            return found / self.whole
        everyone = above if self.inside is None else above & (self.inside > 0)
        return found / total(self.weight, everyone)

    def income_gap(self) -> Quantity:
        """Estimate the mean gap of the poor."""
        return self.fgt(1.0) / self.fgt(0.0)

    def gini_poor(self) -> Quantity:
        """Estimate the Gini index of the poor."""
        people, sums, ranked = self._ranked()
        return 2.0 * ranked / (people * sums) - 1.0

    def sen(self) -> Quantity:
        """Estimate Sen's index as (D + a (2 S / N - R)) / W: the same as H (I + (1 - I) a G), without a ratio to fail.

        N, R and D are the totals of 1, of y / z and of the gap over the poor, S their rank-weighted R.
        """
        if not (self.counted > 0)[self.poor].any():
            return 0.0 * self.whole / self.whole
        people, sums, ranked = self._ranked()
        rows = int(((self.counted > 0) & self.poor).sum())
        small = rows / (rows + 1) if self.rules.sen == "1976" else 1.0
        return self.fgt(1.0) + small * (2.0 * ranked / people - sums) / self.whole

    def sst(self) -> Quantity:
        """Estimate Sen, Shorrocks and Thon's index: 2 (W D - K) / W^2, K the gaps weighted with the people below."""
        ranking = self.ranking
        assert ranking is not None
        inner = ranking.concordance(self.counted, self.gap)

        def slope() -> float:
            below = ranking.place(ranking.below(self.counted[ranking.order]))
            return float((self.counted * self.poor * self.ratio) @ below) / self.unit

        ranked = self.moved(self._within(inner, self.inside), slope)
        gaps = self.fgt(1.0) * self.whole
        return 2.0 * (self.whole * gaps - ranked) / (self.whole * self.whole)

    def median_gap(self) -> Quantity:
        """Estimate one less the median of the poor over the line (Eurostat's relative median poverty gap)."""
        weights = self.counted * self.poor
        middle = quantile(self.ratio, weights, 0.5)
        if math.isnan(middle):
            return Quantity(math.nan)

        @cache
        def at_middle() -> float:
            bandwidth = self.rules.bandwidth
            scaled = bandwidth if isinstance(bandwidth, str) else bandwidth / self.unit
            return float(self.counted.sum()) * density(self.ratio, self.counted, middle, scaled)

        def influence() -> Array:
            return np.asarray(self.poor * (0.5 - (self.ratio <= middle)) / at_middle(), np.float64)

        median = self.moved(
            total(self.weight, influence, middle),
            lambda: 0.5 * self.near() / at_middle() - middle / self.unit,
        )
        return (1.0 - median) * (self.whole / self.whole)

    def _ranked(self) -> tuple[Quantity, Quantity, Quantity]:
        """Give N, R and S of the poor."""
        assert self.ranking is not None
        people = self.sum(self.poor, self.near)
        ratios = np.where(self.poor, self.ratio, 0.0)
        sums = self.sum(ratios, lambda: self.near() - float(self.weight @ ratios) / self.unit)
        inner = self.ranking.concordance(self.counted * self.poor, ratios)
        ranked = self.moved(
            self._within(inner, self.poor),
            lambda: self.near() * people.value - inner.value / self.unit,
        )
        return people, sums, ranked

    def _within(self, found: Quantity, rows: Array | npt.NDArray[np.bool_] | None) -> Quantity:
        """Keep the influence of some rows only: the others are not in the sum."""
        if rows is None:
            return found
        return total(self.weight, lambda: np.asarray(found.influence() * rows, np.float64), found.value)


_MEASURES: dict[str, tuple[Kind, Callable[[_Poor], Quantity]]] = {
    "headcount": ("proportion", lambda poor: poor.fgt(0.0)),
    "gap": ("percent", lambda poor: poor.fgt(1.0)),
    "severity": ("percent", lambda poor: poor.fgt(2.0)),
    "watts": ("index", _Poor.watts),
    "sen": ("index", _Poor.sen),
    "sst": ("index", _Poor.sst),
    "income_gap": ("percent", _Poor.income_gap),
    "gini_poor": ("index", _Poor.gini_poor),
    "median_gap": ("percent", _Poor.median_gap),
}


def _line_words(sample: Sample, rules: _Rules, own_line: bool) -> Phrase:
    line = rules.line
    if isinstance(line, (str, pl.Expr)):
        lowest, highest = float(sample["line"].min()), float(sample["line"].max())
        name = line if isinstance(line, str) else "line"
        return Phrase.of("poverty.line_column", name=name, low=told(lowest), high=told(highest))
    if isinstance(line, Line):
        return line.words
    found = estimated_line(line, sample["value"], sample.weight, rules.bandwidth).value
    if isinstance(line, SocietalLine):
        words = Phrase.of("poverty.societal", value=told(found), floor=told(line.floor), base=line.base)
    else:
        words = line.words(found)
    if sample.groupings:
        held = Phrase("poverty.own_line" if own_line else "poverty.line_of_all")
        words = Phrase.of("poverty.line_and_groups", line=words, groups=held)
    return Phrase.of("poverty.line_estimated", line=words, bandwidth=bandwidth_words(rules.bandwidth))


def _notes(sample: Sample, rules: _Rules, rows: pl.DataFrame) -> tuple[Phrase, ...]:
    value = sample["value"]
    notes = []
    without = int((value <= 0).sum())
    if without and "watts" in rules.measures:
        notes.append(Phrase.of("poverty.no_logarithm", rows=f"{without:,}"))
    negative = int((value < 0).sum())
    if negative:
        notes.append(Phrase.of("poverty.negative", rows=f"{negative:,}"))
    if rows.filter(pl.col("estimate").is_null()).height:
        notes.append(Phrase("poverty.undefined"))
    if not isinstance(rules.bandwidth, str):
        # A bandwidth that means nothing is refused even where no density is needed.
        width(value, sample.weight, rules.bandwidth)
    return tuple(notes)
