"""Measure the cliff at a status line: how far reimbursement jumps between those just inside and those just outside."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import polars as pl

from medfloor.errors import InputError, UsageError
from medfloor.measures.boundary import (
    Bools,
    Half,
    Heaping,
    Kernel,
    Line,
    Side,
    Window,
    imbens_kalyanaraman,
    kernel_weights,
    rule_of_thumb,
)
from medfloor.measures.design import Design, Structure
from medfloor.measures.estimate import Bound, Estimator, Statistic, errors_of, evaluate
from medfloor.measures.influence import Array, Quantity, mean, total
from medfloor.measures.replicate import Progress
from medfloor.measures.result import Kind, Result
from medfloor.measures.sample import Sample, Source, Table, Unit, column, frame_of, take
from medfloor.words import Phrase

Rule = Literal["ik", "rot"]
_RULES: dict[str, Callable[[Array, Array, Bools, Kernel], float]] = {"ik": imbens_kalyanaraman, "rot": rule_of_thumb}
_LABELS: dict[str, pl.DataType] = {"bandwidth": pl.Float64(), "kernel": pl.String(), "order": pl.Int64()}
_BINS = 20


def cliff(
    table: Table,
    *,
    outcome: Source = "reimbursed",
    running: Source = "income",
    cutoff: float = 0.0,
    sign: Side = "<",
    received: Source | None = None,
    kernel: Kernel = "uniform",
    bandwidth: float | Rule | None = None,
    order: int = 1,
    donut: float = 0.0,
    sensitivity: bool = True,
    density: bool | float = True,
    unit: Unit = "household",
    by: str | Sequence[str] | None = None,
    against: str | None = None,
    design: Design | None = None,
    progress: Progress | None = None,
) -> Result:
    """Measure the jump of an outcome at a line in a running variable: a sharp regression discontinuity.

    Whoever has `running` `sign` `cutoff` is eligible ("<": below, "<=": the line included, ">" and ">=": above). A
    polynomial of `order` is fitted on each side by least squares with kernel weights within `bandwidth`: a number in
    the unit of the running variable, "ik" (Imbens and Kalyanaraman 2012), "rot" (Fan and Gijbels 1996), or None for all
    rows. `level_eligible` and `level_ineligible` are the fitted limits at the line, `jump` is the first less the
    second. With `received` (0 or 1: has the status in fact) there are `jump_received` and `jump_per_received`, the
    local Wald ratio for a line that not everyone keeps to (Hahn, Todd and van der Klaauw 2001). Rows nearer than
    `donut` are left out.

    Errors are those of the survey design; for rows drawn alike they are HC1, n/(n-k), for clusters CR1. The bandwidth
    counts as given. There is no bias correction (Calonico, Cattaneo and Titiunik 2014): read `sensitivity`, the jump
    under other bandwidths, kernels and orders, before trusting one number. `density_jump` is McCrary's (2008) log
    difference of the density of the running variable, above less below: far from zero, people sort around the line.
    `density` may be its bandwidth. The rules for bandwidths look at rows with a weight above zero, each once.

    `curves["cliff"]` has means by bin and the fitted curves: series, side, x, y, n.

    Raises UsageError: bad_sign, bad_cutoff, bad_choice, bad_bandwidth, bad_order, bad_donut, no_such_group; InputError:
    what `take` raises, one_side (nobody on a side of the line within the bandwidth), no_bandwidth.

    >>> people = {"income": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "reimbursed": [0.9, 0.9, 0.9, 0.65, 0.65, 0.65]}
    >>> round(cliff(people, cutoff=3.5, density=False).value("jump"), 6)
    0.25
    """
    line = Line(float(cutoff), sign)
    _check(order, donut)
    needs = {"running": running, "outcome": outcome, "received": received}
    sample = take(table, needs, unit=unit, by=by, design=design)
    below = line.below(sample["running"])
    sample = sample.also(distance=sample["running"] - line.value, below=below.astype(np.float64))
    sample, whole = _without_donut(_noting_sides(sample, line), donut), sample
    width = _bandwidth(sample, bandwidth, kernel)
    fit = _Specification(width, kernel, order)
    frames = [_evaluate(sample, fit, line, received is not None, against=against, progress=progress)]
    notes = [_bandwidth_note(bandwidth, width), Phrase("cliff.not_corrected")]
    if sensitivity:
        other, empty = _sensitivity(sample, fit, line, progress)
        frames.append(other)
        notes += [Phrase.of("cliff.empty_windows", number=empty)] if empty else []
    if density:
        heaping, words = _density(whole, None if density is True else float(density), progress)
        frames.append(heaping)
        notes.append(words)
    if donut:
        notes.append(Phrase.of("cliff.donut", donut=f"{donut:g}"))
    rows = pl.concat([frame for frame in frames if frame.height])
    if rows.filter((pl.col("statistic") == "jump") & pl.col("estimate").is_not_null()).is_empty():
        notes.append(Phrase.of("cliff.few_points", order=order))
    return Result(
        measure="cliff",
        rows=rows,
        definition=Phrase.of(
            "cliff.definition", outcome=_told(outcome, "outcome"), order=order, kernel=Phrase(f"kernel.{kernel}")
        ),
        weight=sample.weighted_by,
        errors=Phrase.of("cliff.errors", errors=errors_of(sample)),
        line=line_words(line, running),
        sign=sign,
        level=sample.design.level,
        special=sample.special,
        notes=tuple(notes),
        curves={"cliff": _curve(sample, fit, line)},
    )


@dataclass(frozen=True, slots=True)
class _Specification:
    """Be one way of fitting the jump."""

    bandwidth: float
    kernel: Kernel
    order: int

    def window(self, columns: Mapping[str, Array]) -> Window:
        return Window.of(
            columns["distance"],
            columns["below"] > 0,
            kernel=self.kernel,
            bandwidth=self.bandwidth,
            order=self.order,
        )

    def inside(self, sample: Sample) -> Sample:
        """Give rows outside the window no weight: counts and degrees of freedom are then those of the window."""
        weights = kernel_weights(sample["distance"], self.bandwidth, self.kernel)
        return replace(sample, weight=np.where(weights > 0, sample.weight, 0.0))


def _check(order: int, donut: float) -> None:
    if order not in (0, 1, 2, 3):
        raise UsageError("bad_order", f"a polynomial of order {order} is not fitted at a line; use 0 to 3, 1 as a rule")
    if not (donut >= 0 and math.isfinite(donut)):
        raise UsageError("bad_donut", f"a donut of {donut} is not a distance from the line, zero or above")


def line_words(line: Line, running: Source) -> Phrase:
    """Say a line in words."""
    return Phrase.of("cliff.line", running=_told(running, "running"), sign=line.sign, cutoff=f"{line.value:g}")


def _noting_sides(sample: Sample, line: Line) -> Sample:
    below = sample["below"] > 0
    eligible = below if line.helps_below else ~below
    at = sample["distance"] == 0
    return sample.noting(eligible=int(eligible.sum()), ineligible=int((~eligible).sum()), at_the_line=int(at.sum()))


def _without_donut(sample: Sample, donut: float) -> Sample:
    if not donut:
        return sample
    near = np.abs(sample["distance"]) < donut
    weight = np.where(near, 0.0, sample.weight)
    # Beyond every bandwidth, so that no fit, curve or replicate sees them.
    distance = np.where(near, np.nan, sample["distance"])
    return replace(sample.also(distance=distance), weight=weight).noting(in_donut=int(near.sum()))


def _bandwidth(sample: Sample, asked: float | str | None, kernel: Kernel) -> float:
    seen = (sample.weight > 0) & ~np.isnan(sample["distance"])
    distance, below = sample["distance"][seen], sample["below"][seen] > 0
    if not below.any() or below.all():
        missing = "below" if not below.any() else "above"
        raise InputError("one_side", f"nobody stands {missing} the line; there is nothing to compare. Check the cutoff")
    if asked is None:
        return float(np.abs(distance).max()) or 1.0
    if isinstance(asked, str):
        if asked not in _RULES:
            raise UsageError("bad_bandwidth", f"bandwidth {asked!r} is neither a number nor one of {', '.join(_RULES)}")
        found = _RULES[asked](distance, sample["outcome"][seen], below, kernel)
        if not (found > 0 and math.isfinite(found)):
            raise InputError(
                "no_bandwidth",
                f"the rule {asked} finds too few different values near the line; give the distance as a number",
            )
    else:
        found = float(asked)
        if not (found > 0 and math.isfinite(found)):
            raise UsageError(
                "bad_bandwidth", f"bandwidth {asked} is not above zero; give it in the running variable's unit"
            )
    near = kernel_weights(distance, found, kernel) > 0
    if not (near & below).any() or not (near & ~below).any():
        missing = "below" if not (near & below).any() else "above"
        raise InputError("one_side", f"nobody stands within {found:g} {missing} the line; widen the bandwidth")
    return found


def _bandwidth_note(asked: float | str | None, found: float) -> Phrase:
    key = "given" if isinstance(asked, (int, float)) else asked or "all"
    return Phrase.of(f"cliff.bandwidth_{key}", bandwidth=f"{found:.6g}")


def _evaluate(
    sample: Sample,
    fit: _Specification,
    line: Line,
    received: bool,
    *,
    name: str = "jump",
    against: str | None = None,
    progress: Progress | None = None,
) -> pl.DataFrame:
    inside = fit.inside(sample)
    if not (inside.weight > 0).any():
        return pl.DataFrame()
    estimator = _estimator(sample.structure, fit, line, _kind(sample["outcome"]), received, name)
    return evaluate(inside, estimator, labels=_LABELS, against=against, progress=progress)


def _kind(values: Array) -> Kind:
    """Read an outcome that never leaves 0 to 1 as a share."""
    return "percent" if values.min() >= 0 and values.max() <= 1 else "amount"


def _estimator(
    structure: Structure, fit: _Specification, line: Line, kind: Kind, received: bool, name: str
) -> Estimator:
    eligible, other = _sides(line)
    labels = {"bandwidth": fit.bandwidth, "kernel": fit.kernel, "order": fit.order}

    def bind(columns: Mapping[str, Array]) -> Bound:
        window = fit.window(columns)

        def bound(weight: Array) -> Iterator[Statistic]:
            found = window.fit(weight, columns["outcome"], structure)
            levels = found.level(eligible), found.level(other)
            jump = levels[0] - levels[1]
            if name == "jump":
                yield Statistic("level_eligible", levels[0], kind, labels)
                yield Statistic("level_ineligible", levels[1], kind, labels)
            yield Statistic(name, jump, kind, labels, tested=True)
            if received:
                taken = window.fit(weight, columns["received"], structure)
                step = taken.level(eligible) - taken.level(other)
                yield Statistic("jump_received", step, "percent", labels, tested=True)
                yield Statistic("jump_per_received", jump / step, kind, labels, tested=True)

        return bound

    return bind


def _sides(line: Line) -> tuple[Literal["below", "above"], Literal["below", "above"]]:
    return ("below", "above") if line.helps_below else ("above", "below")


def _sensitivity(
    sample: Sample, fit: _Specification, line: Line, progress: Progress | None
) -> tuple[pl.DataFrame, int]:
    """Fit the jump under half, the same and twice the bandwidth, two kernels, two orders; say how many found nobody."""
    seen = sample.weight > 0
    farthest = float(np.abs(sample["distance"][seen & ~np.isnan(sample["distance"])]).max())
    widths = dict.fromkeys(min(share * fit.bandwidth, farthest) for share in (0.5, 1.0, 2.0))
    kernels = dict.fromkeys([fit.kernel, "uniform", "triangular"])
    orders = dict.fromkeys([fit.order, 1, 2])
    plain = replace(sample, groupings=())
    frames, empty = [], 0
    for width in widths:
        for kernel in kernels:
            for order in orders:
                other = _Specification(width, kernel, order)
                found = _evaluate(plain, other, line, False, name="sensitivity", progress=progress)
                empty += not found.height
                frames.append(found)
    return pl.concat([frame for frame in frames if frame.height]), empty


def _density(sample: Sample, bandwidth: float | None, progress: Progress | None) -> tuple[pl.DataFrame, Phrase]:
    if bandwidth is not None and not (bandwidth > 0 and math.isfinite(bandwidth)):
        raise UsageError(
            "bad_bandwidth",
            f"the bandwidth {bandwidth} of the density is not above zero; give it in the running variable's unit",
        )
    heaping = Heaping.of(sample["distance"], sample["below"] > 0, sample.weight, bandwidth)
    if heaping is None:
        return pl.DataFrame(), Phrase("cliff.no_density")
    shares = dict(zip(("share_below", "share_above"), heaping.shares, strict=True))
    labels = {"bandwidth": heaping.bandwidth, "kernel": "triangular", "order": 1}

    def bind(columns: Mapping[str, Array]) -> Bound:
        bound_to = replace(heaping, shares=(columns["share_below"], columns["share_above"]))

        def bound(weight: Array) -> Iterator[Statistic]:
            yield Statistic("density_jump", bound_to.log_difference(weight), "index", labels, tested=True)

        return bound

    rows = evaluate(replace(sample.also(**shares), groupings=()), bind, labels=_LABELS, progress=progress)
    words = Phrase.of("cliff.density", width=f"{heaping.width:.4g}", bandwidth=f"{heaping.bandwidth:.4g}")
    return rows, words


def _curve(sample: Sample, fit: _Specification, line: Line) -> pl.DataFrame:
    """Draw means in bins of equal width on both sides, and the fitted curves, within the bandwidth."""
    inside = fit.inside(sample).weight
    window = fit.window(sample.columns)
    frames = []
    for side, half in (("below", window.below), ("above", window.above)):
        weight = inside[half.rows]
        if not (weight > 0).any():
            continue
        polynomial = half.fit(sample.weight, sample["outcome"], fit.order, window.scale)
        frames += [_bins(sample, half, weight, side, window.scale), _fitted(polynomial.at, half, side, window.scale)]
    return pl.concat(frames).with_columns(x=pl.col("x") + line.value)


def _bins(sample: Sample, half: Half, weight: Array, side: str, scale: float) -> pl.DataFrame:
    far = float(np.abs(half.t).max()) or 1.0
    bins = np.minimum((np.abs(half.t) / far * _BINS).astype(np.int64), _BINS - 1)
    mass = np.bincount(bins, weight, _BINS)
    sums = np.bincount(bins, weight * sample["outcome"][half.rows], _BINS)
    number = np.bincount(bins, weight > 0, _BINS).astype(np.int64)
    there = mass > 0
    middle = (np.arange(_BINS) + 0.5) / _BINS * far * scale * (-1 if side == "below" else 1)
    made = {"x": middle[there], "y": sums[there] / mass[there], "n": number[there]}
    return pl.DataFrame(made).select(series=pl.lit("bin"), side=pl.lit(side), x="x", y="y", n="n")


def _fitted(at: Callable[[Array], Array], half: Half, side: str, scale: float) -> pl.DataFrame:
    x = np.linspace(0, float(np.abs(half.t).max()), 51) * scale * (-1 if side == "below" else 1)
    made = pl.DataFrame({"x": x, "y": at(x)}).with_columns(y=pl.col("y").fill_nan(None))
    return made.select(series=pl.lit("fit"), side=pl.lit(side), x="x", y="y", n=pl.lit(None, pl.Int64))


def status_cliff(
    table: Table,
    *,
    status: str,
    eligible: str | float | bool | Sequence[str | float],
    paid: Source = "paid",
    cost: Source = "total",
    unit: Unit = "household",
    by: str | Sequence[str] | None = None,
    against: str | None = None,
    design: Design | None = None,
    progress: Progress | None = None,
) -> Result:
    """Compare the reimbursement ratio of those with a status and those without, where no running variable is known.

    `eligible` is the value (or values) of column `status` that counts as having it; all others that are not missing do
    not. `paid` and `cost` are amounts by row. `ratio_eligible` and `ratio_ineligible` are sums of payments over sums of
    costs, `jump` their difference with its error; `mean_ratio_...` and `mean_jump` are means of each row's ratio, over
    the rows that have a cost. A difference between groups that differ in more than their status is no effect of it.

    Raises UsageError: no_such_group; InputError: what `take` raises, one_side.

    >>> stays = {"status": ["poor", "poor", "other", "other"], "total": [100.0, 300.0, 100.0, 100.0]}
    >>> found = status_cliff(stays | {"paid": [90.0, 270.0, 60.0, 70.0]}, status="status", eligible="poor")
    >>> round(found.value("ratio_eligible"), 4), round(found.value("jump"), 4)
    (0.9, 0.25)
    """
    frame = frame_of(table)
    asked = [eligible] if isinstance(eligible, (str, float, int)) else list(eligible)
    has = _has_status(column(frame, status, "status"), asked)
    frame = frame.with_columns(has.alias("_eligible"))
    needs: dict[str, Source | None] = {"eligible": "_eligible", "paid": paid, "cost": cost}
    sample = take(frame, needs, unit=unit, by=by, design=design)
    inside = sample["eligible"] > 0
    for rows, words in ((inside, "has"), (~inside, "lacks")):
        if not (sample.weight[rows] > 0).any():
            raise InputError(
                "one_side",
                f"nobody {words} the status {', '.join(map(str, asked))} in column {status}",
            )
    nothing, over = sample["cost"] <= 0, sample["paid"] > sample["cost"]
    counts = {"eligible": inside, "ineligible": ~inside, "cost_of_zero": nothing, "paid_above_cost": over}
    sample = sample.noting(**{name: int(rows.sum()) for name, rows in counts.items()})
    return Result(
        measure="status_cliff",
        rows=evaluate(sample, _status_estimator, against=against, progress=progress),
        definition=Phrase.of("cliff.by_status", paid=_told(paid, "paid"), cost=_told(cost, "cost")),
        weight=sample.weighted_by,
        errors=errors_of(sample),
        line=Phrase.of("cliff.status", status=status, eligible=", ".join(map(str, asked))),
        level=sample.design.level,
        special=sample.special,
        notes=(Phrase("cliff.no_effect"),),
    )


def _has_status(values: pl.Series, asked: Sequence[str | float]) -> pl.Series:
    if values.dtype.is_numeric() or values.dtype == pl.Boolean:
        try:
            return values.cast(pl.Float64).is_in([float(one) for one in asked])
        except ValueError:
            told = ", ".join(map(str, asked))
            raise UsageError("no_such_group", f"column {values.name} holds numbers, and {told} is none") from None
    return values.cast(pl.String).is_in([str(one) for one in asked])


def _status_estimator(columns: Mapping[str, Array]) -> Bound:
    inside = columns["eligible"] > 0
    costs = columns["cost"] > 0
    ratio = np.divide(columns["paid"], columns["cost"], out=np.zeros(len(costs)), where=costs)
    parts = {}
    for name, rows in (("eligible", inside), ("ineligible", ~inside)):
        kept = rows * 1.0
        parts[name] = columns["paid"] * kept, columns["cost"] * kept, ratio * kept, rows & costs

    def bound(weight: Array) -> Iterator[Statistic]:
        sums: dict[str, Quantity] = {}
        means: dict[str, Quantity] = {}
        for name, (paid, cost, one, rows) in parts.items():
            sums[name] = total(weight, paid) / total(weight, cost)
            means[name] = total(weight, one) / total(weight, rows)
        for name, quantity in sums.items():
            yield Statistic(f"ratio_{name}", quantity, "percent")
        yield Statistic("jump", sums["eligible"] - sums["ineligible"], "percent", tested=True)
        for name, quantity in means.items():
            yield Statistic(f"mean_ratio_{name}", quantity, "percent")
        yield Statistic("mean_jump", means["eligible"] - means["ineligible"], "percent", tested=True)
        yield Statistic("eligible_share", mean(weight, inside), "proportion")

    return bound


def arithmetic_cliff(*, cost: float, rate_in: float = 0.90, rate_out: float = 0.65) -> Result:
    """Work out what a jump between two reimbursement rates costs whoever just misses the status.

    With rates of 90 and 65 % (seed 004: "up to" 90 and 65 %) and a cost K, those outside bear 0.35 K instead of 0.10 K:
    `loss` is 0.25 K, and so is `dominated_width`: over so much further income one is worse off than just inside the
    line, because every yuan above the line is the first to make up for it. Plain arithmetic, no estimate.

    Raises UsageError bad_rate, bad_cost.

    >>> found = arithmetic_cliff(cost=10_000)
    >>> round(found.value("jump"), 2), round(found.value("loss"), 2), round(found.value("dominated_width"), 2)
    (0.25, 2500.0, 2500.0)
    """
    for rate in (rate_in, rate_out):
        if not 0 <= rate <= 1:
            raise UsageError("bad_rate", f"a reimbursement rate of {rate} is not within 0 and 1; write 0.9 for 90 %")
    if not (cost >= 0 and math.isfinite(cost)):
        raise UsageError("bad_cost", f"a cost of {cost} is no amount at or above zero; give the yuan of one case")
    loss = (rate_in - rate_out) * cost
    figures: list[tuple[str, Kind, float]] = [
        ("jump", "percent", rate_in - rate_out),
        ("burden_eligible", "amount", (1 - rate_in) * cost),
        ("burden_ineligible", "amount", (1 - rate_out) * cost),
        ("loss", "amount", loss),
        ("dominated_width", "amount", max(loss, 0.0)),
    ]
    one = Sample({}, np.ones(1), Structure(np.array([1]), None, None), Design(method="none"), "household")

    def bind(_columns: Mapping[str, Array]) -> Bound:
        return lambda _weight: (Statistic(name, Quantity(value), kind) for name, kind, value in figures)

    return Result(
        measure="arithmetic_cliff",
        rows=evaluate(one, bind),
        definition=Phrase.of(
            "cliff.arithmetic", rate_in=f"{rate_in:.2%}", rate_out=f"{rate_out:.2%}", cost=f"{cost:,.2f}"
        ),
        weight=Phrase("cliff.one_case"),
        errors=Phrase("cliff.no_errors"),
    )


def _told(source: Source, name: str) -> str:
    return source if isinstance(source, str) else name
