"""Count who is poor before and after paying for health: 因病致贫 and 因病返贫."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor.errors import InputError, UsageError
from medfloor.measures.capacity import SocietalLine
from medfloor.measures.design import Design
from medfloor.measures.estimate import Bound, Estimator, Statistic, errors_of, evaluate
from medfloor.measures.influence import Array, Base, Quantity, mean
from medfloor.measures.lines import AnyLine, Line, RelativeLine, name_of_line, read_line, value_of
from medfloor.measures.poverty import estimated_line
from medfloor.measures.quantile import Bandwidth, bandwidth_words, density, width
from medfloor.measures.rank import Ranking, concentration
from medfloor.measures.replicate import Progress
from medfloor.measures.result import Kind, Result
from medfloor.measures.sample import Sample, Source, Table, Unit, frame_of, take
from medfloor.words import Phrase

Sign = Literal["<", "<="]
LineLike: TypeAlias = AnyLine | float | str
"""A line as it may be given: a number, the name of a column, `median:0.6`, `cn-2010@2018`, or one of lines.py."""

Mask: TypeAlias = npt.NDArray[np.bool_]
POINTS = 1000


def impoverishing(
    table: Table,
    *,
    line: LineLike | Sequence[LineLike],
    oop: Source = "oop",
    consumption: Source = "consumption",
    size: Source = "size",
    unit: Unit = "person",
    sign: Sign = "<",
    near: float = 1.2,
    floor_net: bool = False,
    ranked: bool = True,
    bandwidth: Bandwidth = "population",
    by: str | Sequence[str] | None = None,
    against: str | None = None,
    design: Design | None = None,
    progress: Progress | None = None,
) -> Result:
    """Measure poverty by consumption per person before (gross) and after (net) out-of-pocket health payments.

    `oop` and `consumption` are amounts a household and period, in the table's unit; consumption includes oop. `line` is
    what one person needs in that period, or several lines: a number, the name of a column, a share of the median or
    mean of gross consumption per person (`median:0.6`), a published line (`poverty_line("cn-2010", year=2018)`) or a
    `SocietalLine`. People count as poor below it (`sign` "<"), or also exactly at it ("<=").

    For each line and side, gross and net: `headcount` (share poor), `gap` (mean shortfall, poor and not, in the table's
    unit), `normalised_gap` (over the line), `mean_positive_gap` (mean shortfall of the poor), `severity` (FGT of order
    2); `change_...` is net less gross. Then the groups that together are everybody (WHO Europe; Cylus, Thomson and
    Evetovits 2018): `further_impoverished` (poor before, with spending), `impoverished` (poor after, not before),
    `at_risk` (with spending, after it above the line but below `near` times it), `not_at_risk` (with spending, beyond),
    `no_spending`. If `ranked`, also the concentration index of `impoverished` over gross consumption per person.

    Spending above all consumption makes net consumption negative: counted in `special`, and then gaps can exceed the
    line; `floor_net` puts zero in its place. A line that is estimated from the sample (relative, societal) adds to the
    errors, also in groups, which are held against the line of all; `bandwidth` is the kernel's where the density at the
    line is needed (see `quantile.density`). `curves["parade"]` has Pen's parade: p, gross and net consumption per
    person, and the (first) line, poorest first, thinned to 1,000 points.

    Source: O'Donnell, van Doorslaer, Wagstaff and Lindelow (2008), chapter 19.

    Raises UsageError: no_line, no_such_line, bad_line, bad_sign, bad_near, no_such_group; InputError: what
    `take` raises.

    >>> homes = {"oop": [0.0, 4.0, 30.0, 50.0], "consumption": [90.0, 95.0, 120.0, 400.0], "size": [1, 1, 1, 1]}
    >>> found = impoverishing(homes, line=100.0)
    >>> found.value("gross_headcount"), found.value("net_headcount"), found.value("impoverished")
    (0.5, 0.75, 0.25)
    """
    frame = frame_of(table)
    if sign not in ("<", "<="):
        raise UsageError("bad_sign", f"the sign of a poverty line is < or <=, not {sign!r}")
    if not near >= 1:
        raise UsageError("bad_near", f"near {near} is a multiple of the line, 1 or above; write 1.2 for 120 %")
    lines = lines_of(line, frame)
    # A bandwidth that means nothing is refused even where no density is needed.
    width(np.ones(1), np.ones(1), bandwidth)
    needs: dict[str, Source] = {"oop": oop, "consumption": consumption, "size": size}
    needs |= {f"line_{place}": one for place, one in enumerate(lines) if isinstance(one, str)}
    sample = per_person(take(frame, needs, unit=unit, size=size, by=by, design=design), floor_net)
    asked = resolved(lines, sample)
    rows = evaluate(
        sample,
        estimator_of(asked, sign, near, ranked, bandwidth),
        labels={"line": pl.String()},
        against=against,
        progress=progress,
        whole=any(one.rule is not None for one in asked),
    )
    return Result(
        measure="impoverishing",
        rows=rows,
        definition=Phrase.of("impoverishing.definition", near=f"{near:g}"),
        weight=sample.weighted_by,
        errors=errors_of(sample),
        line=reduce(lambda first, second: Phrase.of("lines.and", first=first, second=second), [a.words for a in asked]),
        sign=sign,
        level=sample.design.level,
        special=sample.special,
        notes=tuple(_notes(sample, asked, floor_net, bandwidth)),
        curves={"parade": _parade(sample, asked[0])},
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """Be one line as it is used: name, words, its value in the whole sample (None: a column), how it is estimated."""

    name: str
    words: Phrase
    value: float | None
    column: str = ""
    rule: RelativeLine | SocietalLine | None = None


def lines_of(line: LineLike | Sequence[LineLike], frame: pl.DataFrame) -> list[AnyLine | str]:
    """Read the lines that were asked for: columns stay names."""
    given: list[LineLike] = list(line) if isinstance(line, (list, tuple)) else [line]  # type: ignore[list-item]
    if not given:
        raise UsageError("no_line", "no poverty line was given; give what one person needs in the table's period")
    found: list[AnyLine | str] = []
    for one in given:
        if isinstance(one, str) and one in frame.columns:
            found.append(one)
        elif isinstance(one, str):
            read = read_line(one)
            if read is None:
                raise UsageError(
                    "no_such_line",
                    f"{one!r} is neither a column of the table nor a poverty line; write a number, median:0.6, "
                    "cn-2010@2018, or the name of a column",
                )
            found.append(read)
        else:
            found.append(Line(float(one)) if isinstance(one, (int, float)) else one)
    return found


def per_person(sample: Sample, floor_net: bool) -> Sample:
    """Add gross and net consumption per person, and count what is special about them."""
    gross = sample["consumption"] / sample["size"]
    net = (sample["consumption"] - sample["oop"]) / sample["size"]
    counts = {
        "no_spending": int((sample["oop"] == 0).sum()),
        "negative_spending": int((sample["oop"] < 0).sum()),
        "no_consumption": int((gross <= 0).sum()),
        "negative_net": int((net < 0).sum()),
    }
    if floor_net:
        np.maximum(net, 0.0, out=net)
    known = {name: number for name, number in counts.items() if number or name in ("no_spending", "negative_net")}
    return sample.also(gross=gross, net=net).noting(**known)


def resolved(lines: Sequence[AnyLine | str], sample: Sample) -> list[Asked]:
    """Give each line its value in the whole sample, its name and its words."""
    found: list[Asked] = []
    for place, one in enumerate(lines):
        if isinstance(one, str):
            column = f"line_{place}"
            if (sample[column] <= 0).any():
                raise InputError("bad_line", f"column {one} holds poverty lines of zero or below; correct these rows")
            found.append(Asked(one, Phrase.of("lines.column", name=one), None, column))
        elif isinstance(one, Line):
            found.append(Asked(one.name, one.words, one.value))
        else:
            value, words = value_of(one, sample["gross"], sample.weight)
            if not value > 0:
                raise InputError(
                    "bad_line",
                    f"the estimated line {name_of_line(one)} is {value:g}, not above zero; give a number",
                )
            found.append(Asked(name_of_line(one), words, value, rule=one))
    names = [one.name for one in found]
    if len(set(names)) < len(names):
        raise UsageError("bad_line", f"a poverty line is given twice; keep one: {', '.join(names)}")
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Poor:
    """Be who is poor, how far, and in which group, at one line."""

    z: float | Array
    gross: Mask
    net: Mask
    gross_gap: Array
    net_gap: Array
    groups: Mapping[str, Mask]

    @classmethod
    def of(cls, gross: Array, net: Array, spends: Mask, z: float | Array, sign: str, near: float) -> _Poor:
        before, after, close = _below(gross, z, sign), _below(net, z, sign), _below(net, near * z, sign)
        return cls(
            z,
            before,
            after,
            np.maximum(z - gross, 0.0),
            np.maximum(z - net, 0.0),
            groups_of(before, after, close, spends),
        )


def groups_of(before: Mask, after: Mask, close: Mask, spends: Mask) -> dict[str, Mask]:
    """Part everybody into WHO Europe's five groups: by being poor before and after spending, and close to it after.

    >>> yes, no = np.array([True]), np.array([False])
    >>> [name for name, mask in groups_of(no, yes, yes, yes).items() if mask[0]]
    ['impoverished']
    """
    return {
        "further_impoverished": before & spends,
        # Whoever gets money back (spending below zero) can be lifted, never pushed.
        "impoverished": after & ~before & spends,
        "at_risk": close & ~after & spends,
        "not_at_risk": ~close & spends,
        "no_spending": ~spends,
    }


def _below(values: Array, z: float | Array, sign: str) -> Mask:
    return np.asarray(values < z if sign == "<" else values <= z, np.bool_)


def estimator_of(
    asked: Sequence[Asked], sign: str, near: float, ranked: bool, bandwidth: Bandwidth = "population"
) -> Estimator:
    """Make the estimator of impoverishment: columns gross, net, oop, and those of lines that differ by row.

    With the column "inside" (see `evaluate`) an estimated line is that of all rows, and its error theirs too.
    """

    def bind(columns: Mapping[str, Array]) -> Bound:
        gross, net, spends = columns["gross"], columns["net"], columns["oop"] > 0
        inside = columns.get("inside")
        marked = None if inside is None or bool(inside.all()) else inside
        ranking = Ranking.of(gross) if ranked else None
        # Fixed lines do not change with weights, so who is poor is found once for all replicates.
        fixed = {
            one.name: _Poor.of(gross, net, spends, columns[one.column] if one.value is None else one.value, sign, near)
            for one in asked
            if one.rule is None
        }

        def bound(weight: Array) -> Iterator[Statistic]:
            counted = weight if marked is None else weight * marked
            for one in asked:
                if one.rule is None:
                    view = _View(counted, marked, None, gross, net, spends, near, bandwidth)
                    yield from _statistics(fixed[one.name], one.name, view, ranking)
                else:
                    z = estimated_line(one.rule, gross, weight, bandwidth)
                    view = _View(counted, marked, z, gross, net, spends, near, bandwidth)
                    poor = _Poor.of(gross, net, spends, z.value, sign, near)
                    yield from _statistics(poor, one.name, view, ranking)

        return bound

    return bind


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """Be the weights of whoever is counted, and the estimated line; say how each number moves when the line does.

    `marked` has one for the rows of a group and zero for the others, where the whole sample is seen.
    """

    counted: Array
    marked: Array | None
    z: Quantity | None
    gross: Array
    net: Array
    spends: Mask
    near: float
    bandwidth: Bandwidth

    def mean(self, values: Array | Mask, slope: Callable[[], float]) -> Quantity:
        """Estimate a mean; `slope` is its derivative by the line, worked out only when it is needed."""
        return self.carry(mean(self.counted, values), slope)

    def carry(self, quantity: Quantity, slope: Callable[[], float]) -> Quantity:
        """Keep the influence of the group's rows, and add what the line's own error does."""
        terms = quantity.terms if self.marked is None else tuple((s, self._within(base)) for s, base in quantity.terms)
        if self.z is None:
            return Quantity(quantity.value, terms)
        moves = self.z.influence
        return Quantity(quantity.value, (*terms, (1.0, Base(lambda: slope() * moves()))))

    def density(self, of: str, times: float = 1.0, *, by: Array | Mask | None = None) -> float:
        """Give the density of gross or net consumption at a multiple of the line, weighted by something or by one."""
        assert self.z is not None
        weight = self.counted if by is None else self.counted * by
        mass = float(weight.sum())
        if not mass > 0:
            return 0.0
        values = self.gross if of == "gross" else self.net
        return mass * density(values, weight, times * self.z.value, self.bandwidth) / float(self.counted.sum())

    def slope(self, group: str) -> float:
        """Give the derivative of a group's share by the line."""
        slopes: dict[str, Callable[[], float]] = {
            "further_impoverished": lambda: self.density("gross", by=self.spends),
            "impoverished": lambda: self.density("net", by=self.spends) - self.density("gross", by=self.spends),
            "at_risk": lambda: self._slope_of_near() - self.density("net", by=self.spends),
            "not_at_risk": lambda: -self._slope_of_near(),
            "no_spending": lambda: 0.0,
        }
        return slopes[group]()

    def _slope_of_near(self) -> float:
        return self.near * self.density("net", self.near, by=self.spends)

    def _within(self, base: Base) -> Base:
        marked = self.marked
        assert marked is not None
        return Base(lambda: marked * base.make())


def _statistics(poor: _Poor, name: str, view: _View, ranking: Ranking | None) -> Iterator[Statistic]:
    labels = {"line": name}
    before = dict(_side(poor, "gross", view))
    after = dict(_side(poor, "net", view))
    for side, found in (("gross", before), ("net", after)):
        for what, quantity in found.items():
            yield Statistic(f"{side}_{what}", quantity, _KINDS[what], labels)
    for what, quantity in after.items():
        kind: Kind = "percent" if _KINDS[what] == "proportion" else _KINDS[what]
        yield Statistic(f"change_{what}", quantity - before[what], kind, labels)
    for group, members in poor.groups.items():
        yield Statistic(group, view.mean(members, partial(view.slope, group)), "proportion", labels)
    if ranking is not None:
        index = _concentrated(poor.groups["impoverished"], view, ranking)
        yield Statistic("concentration_impoverished", index, "index", labels)


_KINDS: dict[str, Kind] = {
    "headcount": "proportion",
    "gap": "amount",
    "normalised_gap": "percent",
    "mean_positive_gap": "amount",
    "severity": "index",
}


def _side(poor: _Poor, of: str, view: _View) -> Iterator[tuple[str, Quantity]]:
    """Work out the poverty measures of one side, before (gross) or after (net) payments."""
    below, short = (poor.gross, poor.gross_gap) if of == "gross" else (poor.net, poor.net_gap)
    headcount = view.mean(below, lambda: view.density(of))
    gap = view.mean(short, lambda: headcount.value)
    z: Quantity | float = 1.0
    if isinstance(poor.z, float):
        z = poor.z if view.z is None else view.z
        relative, squared = gap, view.mean(short * short, lambda: 2 * gap.value)
    else:
        # Each row has its own line, so gaps are put in its terms before the mean and not after.
        share = short / poor.z
        relative, squared = view.mean(share, _still), view.mean(share * share, _still)
    yield "headcount", headcount
    yield "gap", gap
    yield "normalised_gap", relative / z
    yield "mean_positive_gap", gap / headcount
    yield "severity", squared / (z * z)


def _still() -> float:
    """Say that a line given by row does not move."""
    return 0.0


def _concentrated(members: Mask, view: _View, ranking: Ranking) -> Quantity:
    """Estimate the concentration index of a group over gross consumption."""
    index = concentration(ranking, view.counted, members.astype(np.float64))

    def slope() -> float:
        # C = 2 S / Y - 1, where S is the mean of y times the rank and Y the mean of y; both move with the line.
        ranks = ranking.fractional(view.counted) * view.spends
        moved = view.density("net", by=ranks) - view.density("gross", by=ranks)
        share = float(view.counted @ members) / float(view.counted.sum())
        return (2 * moved - (index.value + 1) * view.slope("impoverished")) / share

    return view.carry(index, slope)


def _notes(sample: Sample, asked: Sequence[Asked], floor_net: bool, bandwidth: Bandwidth) -> Iterator[Phrase]:
    if sample.special.get("negative_net"):
        yield Phrase("impoverishing.floored" if floor_net else "impoverishing.negative_net")
    if any(one.rule is not None for one in asked):
        yield Phrase.of("impoverishing.estimated", bandwidth=bandwidth_words(bandwidth))
        if sample.groupings:
            yield Phrase("impoverishing.groups")


def _parade(sample: Sample, line: Asked) -> pl.DataFrame:
    """Line people up by gross consumption: their place p in (0, 1), gross and net, and the line, at 1,000 places."""
    gross, net = sample["gross"], sample["net"]
    people = sample.weight if sample.unit == "person" else sample.weight * sample["size"]
    order = np.argsort(gross, kind="stable")
    upto = np.cumsum(people[order])
    at = np.arange(len(order))
    if len(order) > POINTS:
        places = (np.arange(POINTS) + 0.5) / POINTS * upto[-1]
        at = np.unique(np.searchsorted(upto, places, side="left"))
    rows = order[at]
    middle = (upto[at] - people[rows] / 2) / upto[-1]
    z = np.full(len(rows), line.value) if line.value is not None else sample[line.column][rows]
    seen = people[rows] > 0
    return pl.DataFrame({"p": middle, "gross": gross[rows], "net": net[rows], "line": z}).filter(pl.Series(seen))
