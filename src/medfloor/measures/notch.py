"""Measure the notch behind a status line: over how much further income people are worse off than just inside it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor.errors import InputError, UsageError
from medfloor.measures.boundary import Fit, Line, Side, Window
from medfloor.measures.cliff import line_words
from medfloor.measures.design import Design, Structure
from medfloor.measures.estimate import Bound, Estimator, Statistic, errors_of, evaluate
from medfloor.measures.influence import Array, Base, Quantity, total
from medfloor.measures.replicate import Progress
from medfloor.measures.result import Result
from medfloor.measures.sample import Sample, Source, Table, Unit, take
from medfloor.words import Phrase

_LABELS: dict[str, pl.DataType] = {"at": pl.Float64()}


def notch(
    table: Table,
    *,
    running: Source = "income",
    oop: Source = "oop",
    benefit: Source | None = None,
    cutoff: float,
    sign: Side = "<",
    window: float | None = None,
    order: int = 1,
    steps: int = 5,
    unit: Unit = "household",
    by: str | Sequence[str] | None = None,
    against: str | None = None,
    design: Design | None = None,
    progress: Progress | None = None,
) -> Result:
    """Measure who is worse off for standing just above a line: `running` and amounts in the same unit and period.

    Net resources are N(s) = s - OOP(s). On the rows within `window` of the line (default: all), a polynomial of `order`
    in s is fitted to `oop` on each side, every row weighing the same:

    - `loss`: how much more those just above pay, the jump of fitted OOP at the cutoff c;
    - `dominated_width`: D = min{d >= 0: N(c + d) >= N(c-)}, from the fitted curves. Zero if nobody loses (then without
      an error); null if the curve above never comes back;
    - `dominated_width_binned`: the same D from means of N in bins of width window / `steps` (the left end of the first
      bin that reaches N(c-)); no fit above the line, but coarse, and errors from replicates only;
    - `rank_reversals`: of all pairs of one person below and one above the line, the share in which the one with less
      before paying has more after it. Ties do not count;
    - `marginal_benefit` (with `benefit`, the amount reimbursed): EMB = -[B(s + d) - B(s)] / d between means of
      neighbouring bins of width d = window / `steps`; `at` is the border between the two. Above 1, a yuan more of own
      resources takes away more than a yuan of benefit.

    These definitions are this project's wording of a notch (Kleven and Waseem 2013 speak of a dominated region of
    choice); what they measure is where people stand, not what they would do. Errors: delta method, on the design.

    Raises UsageError: bad_sign (the line must help those below it), bad_cutoff, bad_window, bad_order, bad_steps;
    InputError: what `take` raises, one_side.

    >>> income = [float(s) for s in range(1000, 3000, 100)]
    >>> own = [100.0 if s < 2000 else 350.0 for s in income]
    >>> found = notch({"income": income, "oop": own}, cutoff=2000)
    >>> round(found.value("loss")), round(found.value("dominated_width"))
    (250, 250)
    """
    line = Line(float(cutoff), sign)
    _check(line, window, order, steps)
    needs = {"running": running, "oop": oop, "benefit": benefit}
    sample = take(table, needs, unit=unit, by=by, design=design)
    distance, below = sample["running"] - line.value, line.below(sample["running"])
    width = _width(distance, below, sample.weight, window)
    inside = np.abs(distance) <= width
    counts = {
        "eligible": below,
        "ineligible": ~below,
        "outside_window": ~inside,
        "negative_spending": sample["oop"] < 0,
    }
    sample = replace(
        sample.also(distance=distance, below=below.astype(np.float64), net=sample["running"] - sample["oop"]),
        weight=np.where(inside, sample.weight, 0.0),
    ).noting(**{name: int(rows.sum()) for name, rows in counts.items()})
    estimator = _estimator(sample.structure, line, width, order, steps)
    rows = evaluate(sample, estimator, labels=_LABELS, against=against, progress=progress)
    return Result(
        measure="notch",
        rows=rows,
        definition=Phrase.of("cliff.notch", order=order, step=f"{width / steps:,.6g}", window=f"{width:,.6g}"),
        weight=sample.weighted_by,
        errors=errors_of(sample),
        line=line_words(line, running),
        sign=sign,
        level=sample.design.level,
        special=sample.special,
        notes=tuple(_notes(rows, width)),
        curves={"notch": _curve(sample, line, width, order)},
    )


def _check(line: Line, window: float | None, order: int, steps: int) -> None:
    if not line.helps_below:
        raise UsageError("bad_sign", "a notch is measured above a line that helps those below it; use '<' or '<='")
    if window is not None and not (window > 0 and math.isfinite(window)):
        raise UsageError(
            "bad_window", f"window {window} is not above zero; give how far from the line to look, in its unit"
        )
    if order not in (0, 1, 2, 3):
        raise UsageError("bad_order", f"a polynomial of order {order} is not fitted at a line; use 0 to 3, 1 as a rule")
    if not 1 <= steps <= 100:
        raise UsageError("bad_steps", f"{steps} bins on a side; ask for 1 to 100")


def _width(distance: Array, below: npt.NDArray[np.bool_], weight: Array, window: float | None) -> float:
    far = np.abs(distance)
    near = (weight > 0) & (far <= (math.inf if window is None else window))
    for rows, words in ((below, "below"), (~below, "above")):
        if not (near & rows).any():
            raise InputError(
                "one_side", f"nobody stands {words} the line within the window; there is nothing to compare"
            )
    return float(far[near].max()) or 1.0 if window is None else window


def _estimator(structure: Structure, line: Line, width: float, order: int, steps: int) -> Estimator:
    step = width / steps

    def bind(columns: Mapping[str, Array]) -> Bound:
        distance, below = columns["distance"], columns["below"] > 0
        window = Window.of(distance, below, kernel="uniform", bandwidth=width, order=order)
        inside = np.abs(distance) <= width
        reversals = _Reversals.of(columns["net"], inside & below, inside & ~below)
        bins = _bins(distance, below, step, steps)
        places = {place: bins == place for place in range(-steps, steps)}

        def bound(weight: Array) -> Iterator[Statistic]:
            fit = window.fit(weight, columns["oop"], structure)
            loss = fit.level("above") - fit.level("below")
            yield Statistic("loss", loss, "amount", {}, tested=True)
            dominated = _dominated(fit, loss, order)
            yield Statistic("dominated_width", dominated, "amount", {}, known=dominated.value > 0)
            reached = line.value - fit.level("below").value
            found = _reached(weight, columns["net"], places, steps, reached) * step
            yield Statistic("dominated_width_binned", Quantity(found), "amount", {}, known=False)
            yield Statistic("rank_reversals", reversals.share(weight), "proportion", {})
            if "benefit" in columns:
                means = {place: _mean_of(weight, rows, columns["benefit"]) for place, rows in places.items()}
                for place in range(-steps, steps - 1):
                    fall = (means[place] - means[place + 1]) / step
                    labels = {"at": line.value + (place + 1) * step}
                    yield Statistic("marginal_benefit", fall, "index", labels)

        return bound

    return bind


def _dominated(fit: Fit, loss: Quantity, order: int) -> Quantity:
    """Solve d - b1 d - b2 d^2 - ... = loss for the least d above zero, b the slopes of OOP above the line.

    The influence follows from the implicit function: dD = (d loss + D db1 + D^2 db2 + ...) / (1 - b1 - 2 b2 D - ...).
    """
    if not loss.value > 0:
        return Quantity(0.0 if math.isfinite(loss.value) else math.nan)
    slopes = [fit.coefficient("above", power) for power in range(1, order + 1)]
    equation = [-loss.value, 1.0, *([0.0] * max(order - 1, 0))]
    for power, one in enumerate(slopes, 1):
        equation[power] -= one.value
    if not np.isfinite(equation).all():
        return Quantity(math.nan)
    roots = np.asarray(np.polynomial.Polynomial(np.trim_zeros(np.array(equation), "b")).roots(), np.complex128)
    scale = float(np.abs(roots).max(initial=0.0))
    real = sorted(float(one.real) for one in roots if abs(float(one.imag)) <= 1e-9 * scale and float(one.real) > 0)
    if not real:
        return Quantity(math.nan)
    width = real[0]
    slope = float(np.polynomial.Polynomial(equation).deriv()(width))
    if not slope > 0:
        return Quantity(width, ((math.nan, Base(lambda: 1.0)),))
    whole = loss
    for power, one in enumerate(slopes, 1):
        whole = whole + one * width**power
    return whole.chain(width, 1 / slope)


def _bins(distance: Array, below: npt.NDArray[np.bool_], step: float, steps: int) -> npt.NDArray[np.int64]:
    """Number bins from the line: 0 is the first above, -1 the first below; rows out of the window get `steps`."""
    up = np.minimum(np.floor(distance / step), steps).astype(np.int64)
    # The outermost rows of the window belong to the outermost bins.
    up[(up == steps) & (distance <= step * steps * (1 + 1e-12))] = steps - 1
    down = np.ceil(distance / step).astype(np.int64) - 1
    down[(down == -steps - 1) & (distance >= -step * steps * (1 + 1e-12))] = -steps
    bins = np.where(below, np.minimum(down, -1), np.maximum(up, 0))
    return np.where((bins < -steps) | (bins >= steps), steps, bins)


def _mean_of(weight: Array, rows: npt.NDArray[np.bool_], values: Array) -> Quantity:
    sums = total(weight, lambda: np.where(rows, values, 0.0), float(weight[rows] @ values[rows]))
    return sums / total(weight, rows)


def _reached(weight: Array, net: Array, places: Mapping[int, npt.NDArray[np.bool_]], steps: int, level: float) -> float:
    """Count the bins above the line before the first whose mean is not below a level; NaN where none is."""
    for place in range(steps):
        rows = places[place]
        mass = float(weight[rows].sum())
        if mass > 0 and float(weight[rows] @ net[rows]) / mass >= level:
            return float(place)
    return math.nan


@dataclass(frozen=True, slots=True, eq=False)
class _Reversals:
    """Be pairs across a line, sorted once by what they have after paying.

    `first` and `last` say for each row how many stand strictly below it, and how many below or level with it.
    """

    order: npt.NDArray[np.intp]
    lower: Array
    upper: Array
    first: npt.NDArray[np.intp]
    last: npt.NDArray[np.intp]

    @classmethod
    def of(cls, net: Array, lower: npt.NDArray[np.bool_], upper: npt.NDArray[np.bool_]) -> _Reversals:
        """Sort the rows by net resources."""
        order = np.argsort(net)
        ordered = net[order]
        places = [np.empty(len(net), np.intp) for _ in range(2)]
        # Asking in order is many times faster than asking row by row.
        places[0][order] = np.searchsorted(ordered, ordered, "left")
        places[1][order] = np.searchsorted(ordered, ordered, "right")
        return cls(order, lower.astype(np.float64), upper.astype(np.float64), places[0], places[1])

    def share(self, weight: Array) -> Quantity:
        """Estimate the share of pairs in which the lower has strictly more after paying than the upper."""
        beneath = self._below(weight * self.upper, self.first)
        value = float((weight * self.lower) @ beneath)

        def influence() -> Array:
            lower = weight * self.lower
            above = lower.sum() - self._below(lower, self.last)
            return np.asarray(self.lower * beneath + self.upper * above, np.float64)

        pairs = total(weight, self.lower) * total(weight, self.upper)
        return total(weight, influence, value) / pairs

    def _below(self, mass: Array, place: npt.NDArray[np.intp]) -> Array:
        upto = np.concatenate([[0.0], np.cumsum(mass[self.order])])
        return np.asarray(upto[place], np.float64)


def _notes(rows: pl.DataFrame, width: float) -> Iterator[Phrase]:
    whole = rows.filter(pl.col("by").is_null() & (pl.col("statistic") == "dominated_width"))["estimate"]
    if not len(whole):
        return
    if whole[0] is None:
        yield Phrase("cliff.never_back")
    elif whole[0] > width:
        yield Phrase.of("cliff.beyond_window", width=f"{whole[0]:,.6g}", window=f"{width:,.6g}")
    yield Phrase("cliff.binned")


def _curve(sample: Sample, line: Line, width: float, order: int) -> pl.DataFrame:
    """Draw mean net resources in 20 bins a side and the fitted curve, against resources."""
    frames = []
    below = sample["below"] > 0
    bins = _bins(sample["distance"], below, width / 20, 20)
    keep = bins < 20
    mass = np.bincount(bins[keep] + 20, sample.weight[keep], 40)
    sums = np.bincount(bins[keep] + 20, sample.weight[keep] * sample["net"][keep], 40)
    number = np.bincount(bins[keep] + 20, sample.weight[keep] > 0, 40).astype(np.int64)
    there = np.flatnonzero(mass > 0)
    middle = line.value + (there - 19.5) * width / 20
    side = np.where(there < 20, "below", "above")
    frames.append(
        pl.DataFrame({"side": side, "x": middle, "y": sums[there] / mass[there], "n": number[there]}).select(
            series=pl.lit("bin"), side="side", x="x", y="y", n="n"
        )
    )
    window = Window.of(sample["distance"], below, kernel="uniform", bandwidth=width, order=order)
    for name, half, sign in (("below", window.below, -1), ("above", window.above, 1)):
        reach = np.linspace(0, float(np.abs(half.t).max(initial=0.0)), 51) * window.scale * sign
        fitted = half.fit(sample.weight, sample["oop"], order, window.scale).at(reach)
        made = pl.DataFrame({"x": line.value + reach, "y": line.value + reach - fitted})
        frames.append(
            made.select(
                series=pl.lit("fit"), side=pl.lit(name), x="x", y=pl.col("y").fill_nan(None), n=pl.lit(None, pl.Int64)
            )
        )
    return pl.concat(frames)
