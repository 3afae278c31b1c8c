"""Judge scores against what came: what the office's visits catch first, then whether probabilities are right.

The area under the ROC curve says little where few households fall (at 3.6 %, .92 went with a precision of .33 among the
first 5 %); it stands beside the other figures and is never given alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor.errors import InputError, UsageError
from medfloor.words import say

Array = npt.NDArray[np.float64]
WEEKS = 52
SMALL_HOUSEHOLDS, SMALL_FELL = 30, 10
_Z = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Figure:
    """Be one number of a judgement with its interval; low and high are NaN where there is none."""

    name: str
    value: float
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Be how well scores did: leading figures, and tables for the rest.

    `capacity` is visits a week, `visited` how many households that reaches in a year (at most all), `households` and
    `fell` how many there were. `figures` lead with recall and precision at that capacity, of the model and of each
    other order (`recall_<name>`), and the gain over it. `deciles`: tenth, households, predicted, observed, low, high.
    `by_capacity`: order, visits a week, visited, recall, precision. `slices`: column, group, households, fell, visited,
    recall, precision with intervals, predicted, observed, and `small`, which says that the numbers are too few to read
    much from. `lead`: days between the day of the score and the fall, of those whom the visits reached, by quantile.
    """

    capacity: int
    visited: int
    households: int
    fell: int
    figures: tuple[Figure, ...]
    deciles: pl.DataFrame
    by_capacity: pl.DataFrame
    slices: pl.DataFrame
    orders: tuple[str, ...]

    def __getitem__(self, name: str) -> Figure:
        """Find a figure by name."""
        return next(one for one in self.figures if one.name == name)

    def to_dict(self) -> dict[str, Any]:
        """Give all of it as plain data; a number that is none is null."""
        return {
            "capacity": self.capacity,
            "visited": self.visited,
            "households": self.households,
            "fell": self.fell,
            "orders": list(self.orders),
            "figures": [
                {"name": one.name, "value": _plain(one.value), "low": _plain(one.low), "high": _plain(one.high)}
                for one in self.figures
            ],
            **{
                name: [{key: _plain(value) for key, value in row.items()} for row in frame.to_dicts()]
                for name, frame in (
                    ("deciles", self.deciles),
                    ("by_capacity", self.by_capacity),
                    ("slices", self.slices),
                )
            },
        }

    def text(self, lang: str) -> str:
        """Tell the leading figures, the area under the curve in the same line as the average precision."""
        shown = {name: _shown(self, name) for name in [one.name for one in self.figures]}
        lines = [
            say("watch_judged.head", lang, households=f"{self.households:,}", fell=f"{self.fell:,}",
                capacity=self.capacity, visited=f"{self.visited:,}"),
            say("watch_judged.recall", lang, recall=shown["recall"], precision=shown["precision"]),
        ]  # fmt: skip
        for name in self.orders:
            order = say(f"watch_order.{name}", lang)
            lines.append(
                say("watch_judged.gain", lang, order=order, recall=shown[f"recall_{name}"],
                    precision=shown[f"precision_{name}"], gain=shown[f"gain_{name}"])
            )  # fmt: skip
        for name in ("errors", "calibration", "brier", "lead", "ranking"):
            lines.append(say(f"watch_judged.{name}", lang, **shown))
        return "\n".join(lines)


def judge(
    scores: pl.DataFrame,
    truth: pl.DataFrame,
    *,
    capacity: int,
    slices: pl.DataFrame | None = None,
    as_of: date | None = None,
    draws: int = 200,
    seed: int = 0,
) -> Judged:
    """Judge probabilities against what came.

    `scores` has household_id, probability, and a column for every other order to compare with (`rule`: the official
    rule's score; higher comes first). `truth` has household_id, fell, and for the lead time fell_on. `capacity` is how
    many households can be visited in a week, 52 weeks a year; households with the same score share the visits that are
    left for them evenly. `slices` has household_id and columns of groups. `as_of` is the day of the scores. Intervals
    of 95 %: a bootstrap of households in `draws` draws for leading figures (Wilson 1927 in slices and tenths), the
    information matrix for the slope and the intercept of calibration (Cox 1958; Van Calster et al. 2019).

    Average precision is the mean of precision over the steps of recall, without interpolation, as scikit-learn's.
    Inclusion error: the share of the visited who did not fall; exclusion error: of those who fell, not visited.

    Raises UsageError bad_capacity; InputError missing_column, no_rows, one_outcome, bad_probability.

    >>> scores = pl.DataFrame({"household_id": ["a", "b", "c", "d"], "probability": [0.9, 0.6, 0.3, 0.2]})
    >>> truth = pl.DataFrame({"household_id": ["a", "b", "c", "d"], "fell": [True, False, True, False]})
    >>> found = judge(scores, truth, capacity=1, draws=20)
    >>> found["recall"].value, found["precision"].value, round(found["average_precision"].value, 4)
    (1.0, 0.5, 0.8333)
    """
    if capacity < 0:
        raise UsageError("bad_capacity", f"a capacity of {capacity} visits a week; give 0 or more")
    rows, orders = _joined(scores, truth)
    fell = rows["fell"].cast(pl.Float64).to_numpy().astype(np.float64)
    chance = rows["probability"].cast(pl.Float64).to_numpy().astype(np.float64)
    visited = min(WEEKS * capacity, len(fell))
    ranked = {"": Order.of(chance, fell)} | {name: Order.of(_scores(rows, name), fell) for name in orders}
    figures = _leading(ranked, chance, fell, visited, draws, seed)
    figures += _calibrated(chance, fell)
    taken = _taken(chance, visited)
    figures += _lead(rows, taken, fell, as_of)
    figures.append(Figure("auroc", ranked[""].auroc()))
    return Judged(
        capacity, visited, len(fell), int(fell.sum()), tuple(figures), _deciles(chance, fell),
        _by_capacity(ranked, capacity, len(fell)), _sliced(rows, slices, chance, fell, taken), tuple(orders),
    )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Order:
    """Be households in the order of a score, those with the same score together.

    `place` gives each household's group, the best first; `size` and `hits` count its households and those who fell.
    """

    place: npt.NDArray[np.int64]
    size: Array
    hits: Array

    @classmethod
    def of(cls, scores: Array, fell: Array) -> Order:
        """Put households in order; a score that is missing comes last."""
        values = np.where(np.isnan(scores), -np.inf, scores)
        _, place = np.unique(-values, return_inverse=True)
        place = place.reshape(-1)
        return cls(place, np.bincount(place).astype(np.float64), np.bincount(place, weights=fell).astype(np.float64))

    def with_weights(self, weight: Array, fell: Array) -> Order:
        """Count each household some number of times, as a bootstrap does."""
        most = len(self.size)
        size = np.bincount(self.place, weights=weight, minlength=most).astype(np.float64)
        hits = np.bincount(self.place, weights=weight * fell, minlength=most).astype(np.float64)
        return Order(self.place, size, hits)

    def caught(self, visits: float) -> float:
        """Say how many of those who fell so many visits reach, as a mean over the order of those with equal scores.

        >>> Order.of(np.array([1.0, 1.0]), np.array([1.0, 0.0])).caught(1)
        0.5
        """
        share = np.clip((visits - (np.cumsum(self.size) - self.size)) / np.maximum(self.size, 1e-300), 0.0, 1.0)
        return float(share @ self.hits)

    def recall(self, visits: float) -> float:
        """Give the share of those who fell that so many visits reach."""
        return self.caught(visits) / float(self.hits.sum())

    def precision(self, visits: float) -> float:
        """Give the share of the visited who fell; NaN without visits."""
        return self.caught(visits) / visits if visits > 0 else math.nan

    def average_precision(self) -> float:
        """Give the mean of precision over the steps of recall (scikit-learn's average_precision_score)."""
        hits, size = np.cumsum(self.hits), np.cumsum(self.size)
        return float((self.hits / hits[-1]) @ (hits / np.maximum(size, 1e-300)))

    def auroc(self) -> float:
        """Give the chance that one who fell stands before one who did not; equal scores count half."""
        misses = self.size - self.hits
        behind = misses.sum() - np.cumsum(misses) + misses / 2
        return float(self.hits @ behind / (self.hits.sum() * misses.sum()))


def calibration_error(chance: Array, fell: Array, weight: Array, part: npt.NDArray[np.int64]) -> float:
    """Give how far observed shares lie from predicted ones, as a mean over `tenths` of the households by probability.

    >>> chance, fell = np.array([0.1, 0.9]), np.array([0.0, 1.0])
    >>> round(calibration_error(chance, fell, np.ones(2), tenths(chance, 2)), 3)
    0.1
    """
    gap = np.bincount(part, weights=weight * (chance - fell))
    return float(np.abs(gap).sum() / weight.sum())


def tenths(chance: Array, parts: int = 10) -> npt.NDArray[np.int64]:
    """Put households into parts of about the same number by probability; equal probabilities stay together."""
    rank = np.searchsorted(np.sort(chance), chance, side="left")
    return np.asarray(np.minimum(rank * parts // max(1, len(chance)), parts - 1), np.int64)


def resamples(rows: int, draws: int, seed: int) -> Iterator[Array]:
    """Draw how often each household is counted, once for each draw; the same for all that is compared."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, 17]))
    for _ in range(draws):
        yield np.bincount(rng.integers(0, rows, rows, dtype=np.int32), minlength=rows).astype(np.float64)


def wilson(hits: float, total: float) -> tuple[float, float]:
    """Give the interval of a share by Wilson (1927), 95 %; NaN of nobody.

    >>> tuple(round(one, 3) for one in wilson(5, 10))
    (0.237, 0.763)
    """
    if total <= 0:
        return math.nan, math.nan
    share, square = hits / total, _Z * _Z
    middle = (share + square / (2 * total)) / (1 + square / total)
    half = _Z * math.sqrt(share * (1 - share) / total + square / (4 * total * total)) / (1 + square / total)
    return max(0.0, middle - half), min(1.0, middle + half)


def _joined(scores: pl.DataFrame, truth: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    for frame, name, needs in ((scores, "scores", ("household_id", "probability")),
                               (truth, "truth", ("household_id", "fell"))):  # fmt: skip
        missing = [one for one in needs if one not in frame.columns]
        if missing:
            raise InputError("missing_column", f"{name} has no column {missing[0]}; judging cannot do without it")
    keep = [one for one in ("fell", "fell_on") if one in truth.columns]
    rows = scores.join(truth.select("household_id", *keep), on="household_id").sort("household_id")
    rows = rows.filter(pl.col("fell").is_not_null())
    if rows.is_empty():
        raise InputError("no_rows", "no household has both a score and an outcome; give those of the same households")
    chance = rows["probability"]
    if chance.null_count() or not chance.is_between(0.0, 1.0).all():
        raise InputError("bad_probability", "a probability is missing or not between 0 and 1; give those of a model")
    fell = int(rows["fell"].sum())
    if not 0 < fell < rows.height:
        raise InputError(
            "one_outcome",
            f"of {rows.height:,} households {fell:,} fell; a judgement needs some that did and some that did not",
        )
    return rows, [name for name in scores.columns if name not in ("household_id", "probability")]


def _scores(rows: pl.DataFrame, name: str) -> Array:
    return rows[name].cast(pl.Float64).fill_null(math.nan).to_numpy().astype(np.float64)


def _leading(
    ranked: Mapping[str, Order], chance: Array, fell: Array, visited: int, draws: int, seed: int
) -> list[Figure]:
    """Give recall and precision at capacity of each order, the gain over the others, and their intervals."""
    part = tenths(chance)
    found = _once(ranked, chance, fell, np.ones(len(fell)), part, visited)
    drawn: dict[str, list[float]] = {name: [] for name in found}
    for weight in resamples(len(fell), draws, seed):
        if not 0 < float(weight @ fell) < len(fell):
            continue
        weighed = {name: order.with_weights(weight, fell) for name, order in ranked.items()}
        for name, value in _once(weighed, chance, fell, weight, part, visited).items():
            drawn[name].append(value)
    return [Figure(name, value, *_middle(drawn[name])) for name, value in found.items()]


def _once(
    ranked: Mapping[str, Order],
    chance: Array,
    fell: Array,
    weight: Array,
    part: npt.NDArray[np.int64],
    visited: float,
) -> dict[str, float]:
    first = ranked[""]
    found = {"recall": first.recall(visited), "precision": first.precision(visited)}
    for name, order in ranked.items():
        if name:
            found[f"recall_{name}"], found[f"precision_{name}"] = order.recall(visited), order.precision(visited)
            found[f"gain_{name}"] = found["recall"] - found[f"recall_{name}"]
    found |= {"inclusion_error": 1.0 - found["precision"], "exclusion_error": 1.0 - found["recall"]}
    for name, order in ranked.items():
        found[f"average_precision_{name}" if name else "average_precision"] = order.average_precision()
    total = float(weight.sum())
    found["brier"] = float(weight @ (chance - fell) ** 2) / total
    found["calibration_error"] = calibration_error(chance, fell, weight, part)
    found["observed_to_expected"] = float(weight @ fell) / max(float(weight @ chance), 1e-300)
    return found


def _middle(drawn: Sequence[float]) -> tuple[float, float]:
    known = [one for one in drawn if not math.isnan(one)]
    if len(known) < 2:
        return math.nan, math.nan
    low, high = np.quantile(known, [0.025, 0.975])
    return float(low), float(high)


def _calibrated(chance: Array, fell: Array) -> list[Figure]:
    """Regress what came on the log odds that were foretold: slope 1 and intercept 0 are right.

    The intercept is that with a slope of 1 (calibration in the large).
    """
    odds = np.log(np.clip(chance, 1e-12, 1 - 1e-12)) - np.log1p(-np.clip(chance, 1e-12, 1 - 1e-12))
    intercept, spread = _newton(np.ones((len(fell), 1)), fell, odds)
    found = [Figure("intercept", intercept[0], intercept[0] - _Z * spread[0], intercept[0] + _Z * spread[0])]
    if float(odds.max() - odds.min()) < 1e-9:
        return [Figure("slope", math.nan), *found]
    both, spread = _newton(np.column_stack([np.ones(len(fell)), odds]), fell, np.zeros(len(fell)))
    return [Figure("slope", both[1], both[1] - _Z * spread[1], both[1] + _Z * spread[1]), *found]


def _newton(design: Array, fell: Array, offset: Array) -> tuple[list[float], list[float]]:
    """Fit a logistic regression of one or two columns; NaN where what came is parted perfectly."""
    beta = np.zeros(design.shape[1])
    for _ in range(60):
        odds = np.clip(design @ beta + offset, -700, 700)
        chance = 1.0 / (1.0 + np.exp(-odds))
        weight = np.maximum(chance * (1.0 - chance), 1e-12)
        hessian = design.T @ (design * weight[:, None])
        step = np.linalg.solve(hessian, design.T @ (fell - chance))
        beta = beta + np.clip(step, -2.0, 2.0)
        if float(np.abs(step).max()) < 1e-10:
            return beta.tolist(), np.sqrt(np.diag(np.linalg.inv(hessian))).tolist()
    return [math.nan] * len(beta), [math.nan] * len(beta)


def _taken(chance: Array, visited: int) -> Array:
    """Give the share of each household that the visits reach: 1, 0, or between for those with the same score."""
    _, place, size = np.unique(-chance, return_inverse=True, return_counts=True)
    ahead = np.cumsum(size) - size
    return np.asarray(np.clip((visited - ahead) / size, 0.0, 1.0)[place.reshape(-1)], np.float64)


def _lead(rows: pl.DataFrame, taken: Array, fell: Array, as_of: date | None) -> list[Figure]:
    """Give the days between the score and the fall, of those who were reached: median, quarters, and how many dated."""
    if as_of is None or "fell_on" not in rows.columns:
        return [Figure("lead_days", math.nan), Figure("lead_dated", 0.0)]
    days = (rows["fell_on"] - as_of).dt.total_days().cast(pl.Float64).fill_null(math.nan).to_numpy()
    reached = days[(taken >= 1.0) & (fell > 0) & ~np.isnan(days)]
    if not len(reached):
        return [Figure("lead_days", math.nan), Figure("lead_dated", 0.0)]
    low, middle, high = (float(one) for one in np.quantile(reached, [0.25, 0.5, 0.75]))
    return [Figure("lead_days", middle, low, high), Figure("lead_dated", float(len(reached)))]


def _deciles(chance: Array, fell: Array) -> pl.DataFrame:
    part = tenths(chance)
    found = []
    for tenth in range(10):
        mine = part == tenth
        if mine.any():
            count, hits = int(mine.sum()), float(fell[mine].sum())
            low, high = wilson(hits, count)
            found.append(
                {"tenth": tenth + 1, "households": count, "predicted": float(chance[mine].mean()),
                 "observed": hits / count, "low": low, "high": high}
            )  # fmt: skip
    return pl.DataFrame(found)


def _by_capacity(ranked: Mapping[str, Order], capacity: int, households: int) -> pl.DataFrame:
    """Give recall and precision at a tenth of the capacity up to ten times it, for the curve of a report."""
    steps = sorted({max(1, round(capacity * share)) for share in (0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 7.5, 10)})
    return pl.DataFrame(
        [
            {"order": name or "model", "capacity": step, "visited": min(WEEKS * step, households),
             "recall": order.recall(min(WEEKS * step, households)),
             "precision": order.precision(min(WEEKS * step, households))}
            for name, order in ranked.items()
            for step in steps
        ]
    )  # fmt: skip


_SLICES = {
    "column": pl.String, "group": pl.String, "households": pl.Int64, "fell": pl.Int64, "visited": pl.Float64,
    "recall": pl.Float64, "recall_low": pl.Float64, "recall_high": pl.Float64, "precision": pl.Float64,
    "precision_low": pl.Float64, "precision_high": pl.Float64, "predicted": pl.Float64, "observed": pl.Float64,
    "small": pl.Boolean,
}  # fmt: skip


def _sliced(rows: pl.DataFrame, slices: pl.DataFrame | None, chance: Array, fell: Array, taken: Array) -> pl.DataFrame:
    if slices is None:
        return pl.DataFrame(schema=_SLICES)
    columns = [name for name in slices.columns if name != "household_id"]
    joined = rows.select("household_id").join(slices, on="household_id", how="left", maintain_order="left")
    sums = joined.with_columns(
        pl.Series("_fell", fell), pl.Series("_taken", taken), pl.Series("_chance", chance),
        pl.Series("_caught", taken * fell),
    )  # fmt: skip
    found: list[dict[str, Any]] = []
    for column in columns:
        if joined[column].null_count() == joined.height:
            continue
        by = sums.group_by(pl.col(column).cast(pl.String).alias("group")).agg(
            pl.len().alias("households"), pl.col("_fell", "_taken", "_caught").sum(), pl.col("_chance").mean()
        )
        for row in by.sort("group", nulls_last=True).to_dicts():
            recall, precision = _share(row["_caught"], row["_fell"]), _share(row["_caught"], row["_taken"])
            found.append(
                {"column": column, "group": row["group"], "households": row["households"], "fell": int(row["_fell"]),
                 "visited": row["_taken"], "recall": recall[0], "recall_low": recall[1], "recall_high": recall[2],
                 "precision": precision[0], "precision_low": precision[1], "precision_high": precision[2],
                 "predicted": row["_chance"], "observed": row["_fell"] / row["households"],
                 "small": row["households"] < SMALL_HOUSEHOLDS or row["_fell"] < SMALL_FELL}
            )  # fmt: skip
    return pl.DataFrame(found, schema=_SLICES)


def _share(hits: float, total: float) -> tuple[float | None, float | None, float | None]:
    """Give a share with its interval; nothing where there is nobody."""
    return (hits / total, *wilson(hits, total)) if total > 0 else (None, None, None)


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


_PERCENT = ("recall", "precision", "gain", "inclusion", "exclusion")


def _shown(judged: Judged, name: str) -> str:
    """Write a figure with its interval: shares in percent, days whole, the rest with three digits."""
    one = judged[name]

    def write(value: float) -> str:
        if math.isnan(value):
            return "–"
        if name.startswith(_PERCENT):
            return f"{100 * value:.1f} %"
        return f"{value:,.0f}" if name.startswith("lead") else f"{value:.3f}"

    if math.isnan(one.low):
        return write(one.value)
    return f"{write(one.value)} [{write(one.low)}, {write(one.high)}]"
